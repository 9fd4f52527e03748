//! Credentials from files. They are read again for each connection, and after a refusal, since tokens can be replaced while the
//! program runs.

use crate::config::remote::parse_headers;
use crate::config::{Authentication, Remote};
use crate::secrets::{self, FileError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::path::PathBuf;

/// Why the credentials of a request cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file with headers is malformed.
    #[error("headers-file {}: {reason}", path.display())]
    Headers {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content of the file.
        reason: String,
    },
    /// The content of a file is not valid in a header.
    #[error("{option} contains characters that are not allowed in a header")]
    Value {
        /// The option that names the file.
        option: &'static str,
    },
}

/// Reads the files, and returns the headers.
///
/// # Errors
/// One of the files cannot be used.
pub(super) fn read(config: &Remote) -> Result<HeaderMap, CredentialsError> {
    let mut headers = HeaderMap::new();
    if let Some(path) = &config.headers_file {
        let wrong = |reason| CredentialsError::Headers { path: path.clone(), reason };
        for (name, value) in parse_headers(&secrets::text(path)?).map_err(wrong)? {
            add(&mut headers, &name, &value, "headers-file")?;
        }
    }
    for (name, value) in &config.headers {
        add(&mut headers, name, value, "headers")?;
    }
    let (option, words) = match &config.authentication {
        None => return Ok(headers),
        Some(Authentication::Bearer { token_file }) => {
            ("bearer-token-file", format!("Bearer {}", secrets::line(token_file, "token")?))
        }
        Some(Authentication::Basic { user, password_file }) => {
            let password = secrets::line(password_file, "password")?;
            ("password-file", format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        }
    };
    add(&mut headers, AUTHORIZATION.as_str(), &words, option)?;
    Ok(headers)
}

fn add(headers: &mut HeaderMap, name: &str, value: &str, option: &'static str) -> Result<(), CredentialsError> {
    let wrong = || CredentialsError::Value { option };
    let name: HeaderName = name.parse().map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, load};

    fn headers(lines: &str) -> Result<HeaderMap, CredentialsError> {
        let text = format!("[otlp]\nurl = http://a/b\n{lines}");
        let config = load::from_text(Program::Process, &text, "test.conf").unwrap().config;
        read(&config.otlp.unwrap())
    }

    #[test]
    fn what_stands_in_files_is_said_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (token, password) = (write("token", "geheim\n"), write("password", "geheim\n"));
        let further = write("headers", "X-Api-Key: geheim\n\nX-Team: a\n");
        let found = headers(&format!("bearer-token-file = {token}\nheaders-file = {further}\n")).unwrap();
        assert_eq!(found.get(AUTHORIZATION).unwrap(), "Bearer geheim");
        assert!(found.get("x-api-key").unwrap() == "geheim" && found.get("x-team").unwrap() == "a");
        assert!(!format!("{found:?}").contains("geheim"), "{found:?}");
        let found = headers(&format!("user = u\npassword-file = {password}\n")).unwrap();
        assert_eq!(found.get(AUTHORIZATION).unwrap(), "Basic dTpnZWhlaW0=");

        for (name, text, lines) in [
            ("token", "gehe\u{1}im\n", "bearer-token-file = "),
            ("token", "", "bearer-token-file = "),
            ("headers", "geheim\n", "headers-file = "),
            ("headers", "Host: geheim\n", "headers-file = "),
        ] {
            let path = write(name, text);
            let words = headers(&format!("{lines}{path}\n")).unwrap_err().to_string();
            assert!(!words.contains("geheim") && !words.contains("gehe"), "{words}");
        }
        assert!(headers("bearer-token-file = /nowhere\n").unwrap_err().to_string().contains("/nowhere"));
    }
}
