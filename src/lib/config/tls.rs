//! The options for TLS, which stand in several sections: what is trusted, and who this program is.

use std::path::PathBuf;

/// `tls-ca-file`, `tls-verify`, `tls-certificate-file` and `tls-key-file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Authorities to trust; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether the peer has to prove that it is the one that was named.
    pub verify: bool,
    /// Certificate and key of this program.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca_file: None, verify: true, identity: None }
    }
}

/// Certificate and key, as far as they are set.
///
/// # Errors
/// One of them without the other: the option that needs another one, and which.
pub(super) fn identity(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, (&'static str, &'static str)> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(("tls-certificate-file", "needs tls-key-file, the file with its private key")),
        (None, Some(_)) => Err(("tls-key-file", "needs tls-certificate-file, the file with its certificate")),
    }
}
