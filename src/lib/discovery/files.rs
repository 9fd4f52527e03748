//! The files that store and source need, looked at before anything starts.

use super::http::{self, Http, SetupError};
use super::store::credentials;
use crate::config::discovery::{Source, StoreKind};
use crate::config::problem::{Problem, Report};
use crate::config::{self, Ini, options};
use crate::logging::Chain;

/// Reads every file with a token, a password, a certificate or a key that the configuration needs, and names the option
/// of each that cannot be used. The source's token is for the server alone: without it a client can do its work, so it
/// is a warning.
#[must_use]
pub fn check(config: &config::Discovery, ini: &Ini) -> Report {
    let mut report = Report::default();
    let problem = |section: &str, option: &str, message: String| {
        let problem = Problem::new(message).section(section).option(option);
        match ini.raw(section, option) {
            Some(raw) => problem.text(&raw.text).place(raw.place),
            None => problem,
        }
    };
    let store = &config.store;
    let mut urls: Vec<(&str, &str, &[String])> = Vec::new();
    let mut found: Vec<(&str, SetupError)> = Vec::new();
    if matches!(store.kind, StoreKind::Consul | StoreKind::Etcd) {
        urls.push((options::DISCOVERY, "store-url", &store.urls));
    }
    if let (StoreKind::Consul, Some(path)) = (store.kind, &store.token_file) {
        found.extend(http::secret(path, "token").err().map(|error| ("store-token-file", error)));
    }
    if let (StoreKind::Etcd, Some(path)) = (store.kind, &store.credentials_file) {
        found.extend(credentials(path).err().map(|error| ("store-credentials-file", error)));
    }
    if let Some(Source::Consul { urls: of_source, token_file, .. }) = &config.server.source {
        urls.push((options::DISCOVERY_SERVER, "consul-api-url", of_source));
        if let Some(error) = token_file.as_ref().and_then(|path| http::secret(path, "token").err()) {
            let message = format!("{} (--server would not start)", Chain(&error));
            report.warn(problem(options::DISCOVERY_SERVER, "consul-token-file", message));
        }
    }
    if urls.iter().any(|(.., urls)| urls.iter().any(|url| url.starts_with("https:"))) {
        let tls = &store.tls;
        let authorities = tls.ca_file.as_ref().and_then(|path| http::certificates(path).err());
        found.extend(authorities.map(|error| ("tls-ca-file", error)));
        if let Some((certificate, key)) = &tls.identity {
            found.extend(http::certificates(certificate).err().map(|error| ("tls-certificate-file", error)));
            found.extend(http::private_key(key).err().map(|error| ("tls-key-file", error)));
        }
    }
    for (option, error) in &found {
        report.error(problem(options::DISCOVERY, option, Chain(error).to_string()));
    }
    // Each by itself is good: do they go together?
    if found.is_empty() {
        for (section, option, urls) in urls {
            if let Err(error) = Http::open(urls, &store.tls) {
                let (section, option) = match (&error, &store.tls.identity, &store.tls.ca_file) {
                    (SetupError::Tls(_), Some(_), _) => (options::DISCOVERY, "tls-key-file"),
                    (SetupError::Tls(_), None, Some(_)) => (options::DISCOVERY, "tls-ca-file"),
                    _ => (section, option),
                };
                report.error(problem(section, option, Chain(&error).to_string()));
            }
        }
    }
    report
}
