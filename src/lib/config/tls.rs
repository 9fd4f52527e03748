//! The TLS options that several sections have: trusted authorities, and the program's own certificate.

use super::option::Opt;
use super::section::Section;
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

impl Tls {
    /// Reads the options that name files; `None` after a report.
    pub(super) fn read(
        section: &mut Section<'_>,
        ca_file: &Opt<PathBuf>,
        certificate: &Opt<PathBuf>,
        key: &Opt<PathBuf>,
    ) -> Option<Self> {
        let [ca_file, certificate, key] = [ca_file, certificate, key].map(|option| section.optional(option));
        let (ca_file, certificate, key) = (ca_file?, certificate?, key?);
        let (option, message) = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                return Some(Self { ca_file, identity: Some((certificate, key)), ..Self::default() });
            }
            (None, None) => return Some(Self { ca_file, ..Self::default() }),
            (Some(_), None) => ("tls-certificate-file", "needs tls-key-file, the file with its private key"),
            (None, Some(_)) => ("tls-key-file", "needs tls-certificate-file, the file with its certificate"),
        };
        section.error(option, message);
        None
    }
}
