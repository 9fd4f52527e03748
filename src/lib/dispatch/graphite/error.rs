//! What can be wrong at the start.

use crate::config::Config;
use crate::tls::{self, Tls};
use std::error::Error;
use std::fmt;

/// Why the connections cannot be encrypted: that of [`tls`], whose options stand in several sections, with the section.
#[derive(Debug)]
pub struct TlsError(pub(super) tls::TlsError);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[graphite] {}", self.0)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Checks what is read at the start beside the configuration: the files for TLS.
///
/// # Errors
/// A file that cannot be used.
pub fn check(config: &Config) -> Result<(), TlsError> {
    let tls = config.graphite.tls.as_ref().filter(|_| config.graphite.enabled);
    tls.map_or(Ok(()), |tls| Tls::open(tls).map(drop)).map_err(TlsError)
}
