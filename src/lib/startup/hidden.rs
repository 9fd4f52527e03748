//! Credentials of the unit that systemd hides from a check.

use crate::config::problem::Problem;
use crate::config::value::hidden_credentials;
use std::path::PathBuf;

/// Tells errors about hidden credentials from the others: a check that cannot see them must not fail for it, since
/// `systemctl reload` would fail with it. The program itself sees them, and checks them when it reloads.
#[derive(Debug)]
pub(super) struct Hidden {
    directory: Option<PathBuf>,
    /// What could not be checked.
    pub(super) notes: Vec<String>,
}

impl Default for Hidden {
    fn default() -> Self {
        Self { directory: hidden_credentials(), notes: Vec::new() }
    }
}

impl Hidden {
    /// The errors that are not about hidden credentials; those that are become notes.
    pub(super) fn take_from(&mut self, errors: Vec<Problem>) -> Vec<Problem> {
        let Some(directory) = &self.directory else { return errors };
        let within = format!("{}/", directory.display());
        let (hidden, others): (Vec<_>, Vec<_>) = errors.into_iter().partition(|error| error.message.contains(&within));
        let said = "systemd hides credentials from this command; not checked";
        self.notes.extend(hidden.iter().map(|error| format!("note: {error}: {said}")));
        others
    }
}
