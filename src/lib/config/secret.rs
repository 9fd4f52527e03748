//! Options whose values are secrets: what is printed has `***` in their place. No option of the programs is one, since secrets
//! stand in files; but one may have been written all the same, and -P, `--check` and errors go to terminals and logs.

use super::options;
use crate::escape::without_passwords;
use std::borrow::Cow;

/// What is printed of a value.
pub(crate) const HIDDEN: &str = "***";

/// Whether the value of an option of this name is a secret. A file, an address or a time is none.
pub(crate) fn is_secret(option: &str) -> bool {
    const SECRET: [&str; 8] =
        ["password", "passwd", "passphrase", "secret", "token", "credentials", "private-key", "key.pem"];
    const HARMLESS: [&str; 8] = ["file", "location", "url", "uri", "timeout", "interval", "path", "mechanism"];
    let name = option.to_lowercase().replace('_', "-");
    SECRET.iter().any(|word| name.contains(word)) && !HARMLESS.iter().any(|end| name.ends_with(end))
}

/// A value as it may be printed.
pub(crate) fn shown<'a>(option: &str, text: &'a str) -> Cow<'a, str> {
    if is_secret(option) && !text.is_empty() { Cow::Borrowed(HIDDEN) } else { without_passwords(text) }
}

/// The same, of a value that was written as `raw`: what refers to a secret is one.
pub(crate) fn shown_of<'a>(option: &str, raw: &str, text: &'a str) -> Cow<'a, str> {
    let names = raw.split("${").skip(1).filter_map(|tail| tail.split_once('}')).map(|(name, _)| name);
    let mut names = names.map(|name| name.split_once(':').map_or(name, |(_, option)| option));
    if names.any(is_secret) { Cow::Borrowed(HIDDEN) } else { shown(option, text) }
}

/// The option of the section that names a file for what was written as `option`: `sasl-password-file` for
/// `sasl-password` or `password`.
pub(crate) fn file_option(section: &str, option: &str) -> Option<&'static str> {
    let written = option.to_lowercase().replace('_', "-");
    let stems = || options::names(section).filter_map(|name| Some((name, name.strip_suffix("-file")?)));
    let exact = stems().find(|(_, stem)| *stem == written);
    let near = || stems().find(|(_, stem)| is_secret(stem) && stem.split('-').any(|word| word == written));
    exact.or_else(near).map(|(name, _)| name).filter(|_| is_secret(&written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["sasl-password", "librdkafka.ssl.key.pem", "AWS_SECRET_ACCESS_KEY", "consul_token", "credentials"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["sasl-password-file", "key", "librdkafka.sasl.oauthbearer.token.endpoint.url", "topic"] {
            assert!(!is_secret(name), "{name}");
        }
        assert_eq!(shown_of("name", "a${x:password}b", "ageheimb"), HIDDEN);
        assert_eq!(shown_of("name", "${x:y}", "z"), "z");
    }

    #[test]
    fn who_writes_a_secret_is_told_where_it_belongs() {
        assert_eq!(file_option("kafka", "sasl-password"), Some("sasl-password-file"));
        assert_eq!(file_option("kafka", "password"), Some("sasl-password-file"));
        assert_eq!(file_option("agent:web", "credentials"), Some("credentials-file"));
        assert_eq!(file_option("discovery", "store_token"), Some("store-token-file"));
        assert_eq!(file_option("kafka", "topic"), None);
    }
}
