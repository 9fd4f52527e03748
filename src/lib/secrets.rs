//! Files with certificates, keys, tokens and passwords. What is in them is never shown.

use std::io;
use std::path::{Path, PathBuf};

/// Where systemd keeps the credentials of units, each in a directory of its own.
pub(crate) const CREDENTIALS: &str = "/run/credentials";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{} cannot be read{}", path.display(), if is_of_no_unit(path) { OF_NO_UNIT } else { "" })]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} contains no {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
}

/// What is said of a credential that no unit has at present.
const OF_NO_UNIT: &str = " (credentials exist only while a unit with LoadCredential= is running)";

/// Whether a path is that of a credential that was found in no unit: not below the directory of one.
fn is_of_no_unit(path: &Path) -> bool {
    path.parent() == Some(Path::new(CREDENTIALS))
}

/// All of a file.
///
/// # Errors
/// It cannot be read.
pub fn bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|source| FileError::Read { path: path.to_owned(), source })
}

/// All of a file that holds text.
///
/// # Errors
/// It cannot be read, or is not UTF-8.
pub fn text(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })
}

/// The first line of a file, without the blanks around it. `what` names what it should be.
///
/// # Errors
/// It cannot be read, or its first line is empty.
pub fn line(path: &Path, what: &'static str) -> Result<String, FileError> {
    let text = text(path)?;
    let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
    line.map(str::to_owned).ok_or_else(|| FileError::Content { path: path.to_owned(), what })
}

/// User and password from the first line of a file, `user:password`.
///
/// # Errors
/// It cannot be read, or its first line has no colon.
pub fn credentials(path: &Path) -> Result<(String, String), FileError> {
    const WHAT: &str = "user:password";
    let line = line(path, WHAT)?;
    let pair = line.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()));
    pair.ok_or_else(|| FileError::Content { path: path.to_owned(), what: WHAT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_of_no_unit_is_explained() {
        let error = |path: &str| line(Path::new(path), "password").unwrap_err().to_string();
        assert_eq!(
            error("/run/credentials/none-of-this-name"),
            "/run/credentials/none-of-this-name cannot be read (credentials exist only while a unit with LoadCredential= is \
             running)"
        );
        assert_eq!(error("/nonexistent/password"), "/nonexistent/password cannot be read");
    }

    #[test]
    fn what_is_in_a_file_is_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        for (text, wanted) in [("user:geheim\nmore\n", Some(("user", "geheim"))), ("geheim\n", None), ("", None)] {
            std::fs::write(&path, text).unwrap();
            match (credentials(&path), wanted) {
                (Ok((user, password)), Some(wanted)) => assert_eq!((user.as_str(), password.as_str()), wanted),
                (Err(error), None) => {
                    let words = error.to_string();
                    assert!(
                        words.ends_with("credentials contains no user:password") && !words.contains("geheim"),
                        "{words}"
                    );
                }
                (other, _) => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
