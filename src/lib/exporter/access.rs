//! Access to the page: open, or only with a token; and its encryption.

use crate::config::Exporter;
use hyper::header::{AUTHORIZATION, HeaderMap};
use std::path::Path;

/// Reads what the options name, and is asked with each request.
#[derive(Default)]
pub(super) struct Access {
    token: Option<String>,
    #[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// # Errors
    /// What is wrong with the files, in words.
    pub(super) fn open(config: &Exporter) -> Result<Self, String> {
        let token = config.token_file.as_deref().map(token).transpose()?;
        let mut access = Self { token, ..Self::default() };
        if let Some((certificate, key)) = &config.identity {
            access.encrypt(certificate, key)?;
        }
        Ok(access)
    }

    #[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
    fn encrypt(&mut self, certificate: &Path, key: &Path) -> Result<(), String> {
        let acceptor =
            crate::tls::acceptor(certificate, key).map_err(|error| crate::logging::Chain(&error).to_string())?;
        self.tls = Some(acceptor);
        Ok(())
    }

    #[cfg(not(any(feature = "process", feature = "agent", feature = "discovery")))]
    fn encrypt(&mut self, _: &Path, _: &Path) -> Result<(), String> {
        Err("this build does not support TLS; use one that includes haproxystats-process, or remove \
             tls-certificate-file"
            .to_owned())
    }

    /// Whether a request shows the token, if one is needed.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' '));
        shown.is_some_and(|(scheme, shown)| scheme.eq_ignore_ascii_case("bearer") && is_same(shown.trim(), token))
    }
}

fn token(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
    line.map(str::to_owned).ok_or_else(|| format!("{} contains no token", path.display()))
}

/// Takes as long for the first wrong letter as for the last, so that nobody finds them one by one.
fn is_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_who_shows_the_token_is_allowed() {
        let access = Access { token: Some("abc".to_owned()), ..Access::default() };
        let allows = |shown: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(shown.map(|shown| (AUTHORIZATION, HeaderValue::from_str(shown).unwrap())));
            access.allows(&headers)
        };
        assert!(allows(Some("Bearer abc")) && allows(Some("bearer  abc")));
        for wrong in [None, Some("abc"), Some("Basic abc"), Some("Bearer abd"), Some("Bearer abcd"), Some("Bearer ")] {
            assert!(!allows(wrong), "{wrong:?}");
        }
        assert!(Access::default().allows(&HeaderMap::new()));
    }
}
