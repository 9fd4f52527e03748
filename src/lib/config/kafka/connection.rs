//! The connection to the brokers: what the sections of the producer and of the consumer have in common.

use crate::config::option::Opt;
use crate::config::reading::Refusal;
use crate::config::section::Section;
use crate::config::value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The property with the bootstrap brokers.
pub(super) const BOOTSTRAP: &str = "bootstrap.servers";

/// The options of one of these sections.
pub(super) struct Rows {
    pub(super) brokers: &'static Opt<String>,
    pub(super) client_id: &'static Opt<String>,
    pub(super) tls: &'static Opt<bool>,
    pub(super) tls_ca_file: &'static Opt<PathBuf>,
    pub(super) tls_certificate_file: &'static Opt<PathBuf>,
    pub(super) tls_key_file: &'static Opt<PathBuf>,
    pub(super) sasl_mechanism: &'static Opt<&'static str>,
    pub(super) sasl_username: &'static Opt<String>,
    pub(super) sasl_password_file: &'static Opt<PathBuf>,
}

/// How to authenticate with SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// The mechanism, as librdkafka names it.
    pub mechanism: String,
    /// User name; mechanisms without a password need none.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
}

impl Sasl {
    pub(super) fn read(section: &mut Section<'_>, rows: &Rows) -> Option<Option<Self>> {
        let mechanism = section.optional(rows.sasl_mechanism);
        let username = section.optional(rows.sasl_username);
        let password_file = section.optional(rows.sasl_password_file);
        let (mechanism, username, password_file) = (mechanism?, username?, password_file?);
        let Some(mechanism) = mechanism else {
            for (option, written) in
                [("sasl-username", username.is_some()), ("sasl-password-file", password_file.is_some())]
            {
                if written {
                    section.warn(option, "has no effect without sasl-mechanism");
                }
            }
            return Some(None);
        };
        if mechanism != "OAUTHBEARER" && (username.is_none() || password_file.is_none()) {
            section.error("sasl-mechanism", "needs sasl-username and sasl-password-file");
            return None;
        }
        Some(Some(Self { mechanism: mechanism.to_owned(), username, password_file }))
    }
}

/// Whether this build has Kafka; an error if not.
pub(super) fn is_supported(section: &mut Section<'_>) -> bool {
    if cfg!(not(feature = "kafka")) {
        let remedy = "this build does not support Kafka; use one with the cargo feature kafka, or remove the section";
        section.error("brokers", remedy);
    }
    cfg!(feature = "kafka")
}

/// Warns about a password that is sent unencrypted.
pub(super) fn warn_of_plain_password(
    section: &mut Section<'_>,
    sasl: Option<&Sasl>,
    properties: &BTreeMap<String, String>,
) {
    let is_sent = sasl.is_some_and(|sasl| sasl.mechanism == "PLAIN");
    if is_sent && properties.get("security.protocol").is_some_and(|protocol| protocol == "sasl_plaintext") {
        section.warn("sasl-mechanism", "the password is sent unencrypted; also set tls = true");
    }
}

/// The properties of librdkafka for the connection.
pub(super) fn properties(
    section: &mut Section<'_>,
    rows: &Rows,
    sasl: Option<&Option<Sasl>>,
) -> Option<BTreeMap<String, String>> {
    let brokers = section.get(rows.brokers);
    let client_id = section.get(rows.client_id);
    let tls = section.get(rows.tls);
    let files = [
        (rows.tls_ca_file, "ssl.ca.location"),
        (rows.tls_certificate_file, "ssl.certificate.location"),
        (rows.tls_key_file, "ssl.key.location"),
    ];
    let files = files.map(|(option, property)| (option.name(), property, section.optional(option)));

    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: &str| drop(all.insert(name.to_owned(), value.to_owned()));
    set(BOOTSTRAP, &brokers?);
    set("client.id", &client_id?);
    let (tls, sasl) = (tls?, sasl?);
    let protocol = match (tls, sasl.is_some()) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    set("security.protocol", protocol);
    for (option, name, path) in files {
        if let Some(path) = path? {
            set(name, &path.display().to_string());
            if !tls {
                section.warn(option, "has no effect without tls = true");
            }
        }
    }
    if let Some(Sasl { mechanism, username, .. }) = sasl {
        set("sasl.mechanism", mechanism);
        if let Some(username) = username {
            set("sasl.username", username);
        }
    }
    Some(all)
}

/// `host:port`, separated by commas.
pub(super) fn brokers(text: &str) -> Result<String, Refusal> {
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    for broker in &brokers {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        if host.is_empty() || broker.contains(char::is_whitespace) || value::port(port).is_err() {
            return Err(format!("{broker:?} is not a broker; write host:port, several separated by commas"));
        }
    }
    Ok(brokers.join(","))
}
