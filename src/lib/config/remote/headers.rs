//! Further headers of requests.

use crate::config::reading::Refusal;

/// What this program says itself.
const OWN: [&str; 7] = [
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-prometheus-remote-write-version",
];

/// `Name: value` lines.
///
/// # Errors
/// The first line that is none, without its value, which may be a secret.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or("a line is not a header; write Name: value")?;
        let (name, value) = (name.trim(), value.trim());
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) || value.contains(|c: char| c.is_control()) {
            return Err("a line is not a header; write Name: value".to_owned());
        }
        if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(format!("{name} is set by haproxystats; leave it out"));
        }
        if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(format!("{name} is listed twice"));
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    Ok(headers)
}

/// The same where everybody can read it.
pub(super) fn option(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let headers = parse(text)?;
    let secret = |name: &str| ["authorization", "proxy-authorization", "cookie"].contains(&name);
    if headers.iter().any(|(name, _)| secret(&name.to_ascii_lowercase())) {
        return Err("contains a secret; use bearer-token-file, or user and password-file, or headers-file".to_owned());
    }
    Ok(headers)
}

/// Whether a header with this name may hold a secret.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "password", "auth"].iter().any(|word| name.contains(word))
}
