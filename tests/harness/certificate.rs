//! Certificates for tests of TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes a certificate that is its own authority, and its key, in files called after `name`. `subject` is written as
/// openssl takes it, so is what the certificate is for: `DNS:localhost`.
#[track_caller]
pub fn certificate(openssl: &Path, directory: &Path, name: &str, subject: &str, names: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", subject, "-addext", &format!("subjectAltName={names}")]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let output = super::output(command.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}
