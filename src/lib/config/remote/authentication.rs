//! Credentials for a receiver.

use super::rows::Rows;
use crate::config::section::Section;
use std::path::PathBuf;

/// How requests say who sends them. What is in the files is read by the dispatcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// `Authorization: Bearer`
    Bearer {
        /// File with the token.
        token_file: PathBuf,
    },
    /// `Authorization: Basic`
    Basic {
        /// The user.
        user: String,
        /// File with the password.
        password_file: PathBuf,
    },
}

impl Authentication {
    pub(super) fn read(section: &mut Section<'_>, rows: &Rows) -> Option<Option<Self>> {
        let token_file = section.optional(rows.bearer_token_file);
        let user = section.optional(rows.user);
        let password_file = section.optional(rows.password_file);
        let (option, message) = match (token_file?, user?, password_file?) {
            (None, None, None) => return Some(None),
            (Some(token_file), user, password_file) => {
                if user.is_some() || password_file.is_some() {
                    section
                        .warn(rows.bearer_token_file.name(), "takes precedence; user and password-file have no effect");
                }
                return Some(Some(Self::Bearer { token_file }));
            }
            (None, Some(user), Some(password_file)) if !user.contains(':') => {
                return Some(Some(Self::Basic { user, password_file }));
            }
            (None, Some(_), Some(_)) => (rows.user, "has a colon in it, which basic authentication does not allow"),
            (None, Some(_), None) => (rows.user, "needs password-file, the file with the password"),
            (None, None, Some(_)) => {
                section.error(rows.password_file.name(), "needs user");
                return None;
            }
        };
        section.error(option.name(), message);
        None
    }
}
