//! The files that store and source need, looked at before anything starts; and whether the list has room.

use super::http::Http;
use super::source::good;
use crate::config::discovery::{Consul, Source, StoreKind};
use crate::config::problem::{Problem, Report};
use crate::config::{self, Ini, program};
use crate::http::SetupError;
use crate::logging::Chain;
use crate::secrets;
use crate::tls::{self, TlsError};
use std::error::Error;

/// Reads every file with a token, a password, a certificate or a key that the configuration needs, and names the option
/// of each that cannot be used. The source's token is for the server alone: without it a client can do its work, so it
/// is a warning.
pub(crate) fn check(config: &config::Discovery, ini: &Ini) -> Report {
    let mut report = Report::default();
    let wrong =
        |option: &str, error: &dyn Error| Problem::of(ini, program::DISCOVERY, option, Chain(error).to_string());
    let store = &config.store;
    if let (StoreKind::Consul, Some(path)) = (store.kind, &store.token_file)
        && let Err(error) = secrets::line(path, "token")
    {
        report.error(wrong("store-token-file", &error));
    }
    if let (StoreKind::Etcd, Some(path)) = (store.kind, &store.credentials_file)
        && let Err(error) = secrets::credentials(path)
    {
        report.error(wrong("store-credentials-file", &error));
    }
    let urls = urls(config);
    let mut of_tls = Vec::new();
    if urls.iter().any(|(.., urls)| urls.iter().any(|url| url.starts_with("https:"))) {
        of_tls = tls::check(&store.tls);
    }
    // Each by itself is good: do they go together?
    if report.is_good() && of_tls.is_empty() {
        for (section, option, urls) in urls {
            match Http::open(urls, &store.tls) {
                Err(SetupError::Tls(error)) => of_tls.push(error),
                Err(error) => report.error(Problem::of(ini, section, option, Chain(&error).to_string())),
                Ok(_) => {}
            }
        }
    }
    for error in &of_tls {
        report.error(match error {
            // The problem names the option itself.
            TlsError::File { option, source } => wrong(option, source),
            error => wrong(error.option().unwrap_or("store-url"), error),
        });
    }
    if let Some(Source::Consul(Consul { token_file: Some(path), .. })) = &config.server.source
        && let Err(error) = secrets::line(path, "token")
    {
        let message = format!("{} (--server would not start)", Chain(&error));
        report.warn(Problem::of(ini, program::DISCOVERY_SERVER, "consul-token-file", message));
    }
    let slots = config.list_size.get();
    if let Some(servers) = good::serving(config).filter(|servers| *servers >= slots) {
        let message = format!(
            "has {slots} slots for {servers} servers: without spare slots, a server can be replaced only after it has \
             drained; write {} or more",
            servers + spare_slots(servers)
        );
        report.warn(Problem::of(ini, program::DISCOVERY, "haproxy-backend-servers-list-size", message));
    }
    report
}

/// How many more slots than servers a list should have: half of the servers may be replaced without a wait, and one always.
pub(crate) fn spare_slots(servers: usize) -> usize {
    servers.div_ceil(2).max(1)
}

/// Section, option and URLs of what is asked by HTTP.
fn urls(config: &config::Discovery) -> Vec<(&'static str, &'static str, &[String])> {
    let mut urls = Vec::new();
    if matches!(config.store.kind, StoreKind::Consul | StoreKind::Etcd) {
        urls.push((program::DISCOVERY, "store-url", config.store.urls.as_slice()));
    }
    if let Some(Source::Consul(consul)) = &config.server.source {
        urls.push((program::DISCOVERY_SERVER, "consul-api-url", &consul.urls));
    }
    urls
}
