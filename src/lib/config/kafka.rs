//! `[kafka]`: the topic that metrics are written to. The section switches it on.

use super::ini::Ini;
use super::options::KAFKA;
use super::problem::Report;
use super::section::Section;
use super::value::{self, Refusal};
use crate::config::option::{Reading, Type, choice, options};
use crate::config::options::Reader as ReadBy;
use crate::escape::visible;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

options! {
    /// Its rows.
    pub(in crate::config) static ROWS: KAFKA, ReadBy::Process {
        BROKERS: String = Reading::new(Type::Text, brokers), "brokers", Some("127.0.0.1:9092"),
            "Brokers to start with, host:port separated by commas; the others are discovered from them.";
        TOPIC: String = Reading::new(Type::Text, topic), "topic", Some("haproxystats"),
            "Topic that messages are written to.";
        CLIENT_ID: String = value::TEXT, "client-id", Some("haproxystats"),
            "Name by which the brokers' quotas and logs know this program.";
        FORMAT: KafkaFormat = choice![("json", KafkaFormat::Json), ("graphite", KafkaFormat::Graphite), ("influx", KafkaFormat::Influx)], "format", Some("json"),
            "A message is a JSON document of one object, lines of Graphite's plaintext protocol, or of InfluxDB's \
             line protocol.";
        KEY: KeyTemplate = Reading::new(Type::Text, KeyTemplate::parse), "key", Some("{host}/{proxy}"),
            "Key of messages, which determines their partition; {host}, {cluster}, {kind}, {proxy} and {server} are \
             replaced.";
        CLUSTER: String = value::TEXT, "cluster", None,
            "Name of the cluster that this host belongs to, for messages and keys.";
        COMPRESSION: &'static str = choice![("none", "none"), ("gzip", "gzip"), ("snappy", "snappy"), ("lz4", "lz4"), ("zstd", "zstd")], "compression", Some("lz4"),
            "Compression of messages: every reader supports lz4, zstd takes less space.";
        MAX_MESSAGE_SIZE: NonZeroUsize = Reading::new(Type::Bytes, message_size), "max-message-size", Some("500000"),
            "Largest message before compression; at most the topic's max.message.bytes.";
        QUEUE_SIZE: NonZeroUsize = value::COUNT, "queue-size", Some("1000000"),
            "Most metrics that a worker holds in memory while Kafka does not accept them; further snapshots stay on \
             disk.";
        STALL_TIMEOUT: Duration = value::TIME_LIMIT, "stall-timeout", Some("10"),
            "If messages are waiting and none is acknowledged for this long, Kafka counts as unavailable.";
        DELAY: Duration = value::PAUSE, "delay", Some("5"),
            "Pause before messages that Kafka has refused are retried; doubled each time, up to a minute.";
        TLS: bool = value::BOOLEAN, "tls", Some("false"),
            "Encrypt connections.";
        TLS_CA_FILE: PathBuf = value::FILE, "tls-ca-file", None,
            "Certificates (PEM) of the certificate authorities to trust instead of the system's.";
        TLS_CERTIFICATE_FILE: PathBuf = value::FILE, "tls-certificate-file", None,
            "Client certificate (PEM), for brokers that require one; together with tls-key-file.";
        TLS_KEY_FILE: PathBuf = value::FILE, "tls-key-file", None,
            "Private key (PEM) of tls-certificate-file.";
        SASL_MECHANISM: &'static str = choice![("PLAIN", "PLAIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("SCRAM-SHA-512", "SCRAM-SHA-512"), ("OAUTHBEARER", "OAUTHBEARER")], "sasl-mechanism", None,
            "SASL mechanism to authenticate with; unset: no authentication.";
        SASL_USERNAME: String = value::TEXT, "sasl-username", None,
            "User name for SASL.";
        SASL_PASSWORD_FILE: PathBuf = value::FILE, "sasl-password-file", None,
            "File with the password on its first line; read when a worker starts.";
        PROPERTIES_FILE: PathBuf = value::FILE, "properties-file", None,
            "File with properties of librdkafka, one name=value per line: for those that are secrets.";
    }
}

/// What options have in front that are passed to librdkafka as they are.
pub const LIBRDKAFKA: &str = "librdkafka.";

/// Properties that have an option of their own here.
const OURS: [(&str, &str); 13] = [
    ("bootstrap.servers", "brokers"),
    ("client.id", "client-id"),
    ("compression.codec", "compression"),
    ("compression.type", "compression"),
    ("metadata.broker.list", "brokers"),
    ("sasl.mechanism", "sasl-mechanism"),
    ("sasl.mechanisms", "sasl-mechanism"),
    ("sasl.username", "sasl-username"),
    ("security.protocol", "tls"),
    ("ssl.ca.location", "tls-ca-file"),
    ("ssl.certificate.location", "tls-certificate-file"),
    ("ssl.key.location", "tls-key-file"),
    ("message.timeout.ms", "nothing: messages are tried until they are delivered"),
];

/// Properties that are secrets, and belong into a file that not everybody reads.
const SECRETS: [(&str, &str); 6] = [
    ("sasl.password", "sasl-password-file"),
    ("ssl.key.password", "properties-file"),
    ("ssl.key.pem", "properties-file"),
    ("ssl.keystore.password", "properties-file"),
    ("sasl.oauthbearer.client.secret", "properties-file"),
    ("sasl.oauthbearer.config", "properties-file"),
];

/// `format`: what a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaFormat {
    /// A document for each object.
    Json,
    /// Lines of Graphite's plaintext protocol.
    Graphite,
    /// Lines of InfluxDB's line protocol.
    Influx,
}

/// `key`: a text with names of properties in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Property(&'static str),
}

impl KeyTemplate {
    /// What may stand in braces.
    pub const PROPERTIES: [&str; 5] = ["host", "cluster", "kind", "proxy", "server"];

    /// Reads a template.
    ///
    /// # Errors
    /// Braces that do not match, or have something else in them.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let known = || format!("write one of {{{}}}", Self::PROPERTIES.join("}, {"));
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once(['{', '}']) {
            if rest.as_bytes().get(before.len()) == Some(&b'}') {
                return Err(format!("has a closing brace without an opening one; {}", known()));
            }
            let Some((name, after)) = behind.split_once('}') else {
                return Err(format!("has an opening brace without a closing one; {}", known()));
            };
            let Some(property) = Self::PROPERTIES.into_iter().find(|property| *property == name) else {
                return Err(format!("{{{name}}} is not a property of objects; {}", known()));
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Property(property));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The key of an object whose properties are these; control characters in them are made visible.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> &'a str) -> String {
        let part = |part: &'_ Part| match part {
            Part::Text(text) => text.clone(),
            Part::Property(name) => visible(value(name)).into_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

/// SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// As librdkafka names it.
    pub mechanism: String,
    /// Who we are; mechanisms without a password need none.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
}

/// `[kafka]`
#[derive(Debug, Clone)]
pub struct Kafka {
    /// The topic.
    pub topic: String,
    /// What is in a message.
    pub format: KafkaFormat,
    /// What decides about the partition.
    pub key: KeyTemplate,
    /// The cluster that this host is part of.
    pub cluster: Option<String>,
    /// Most bytes of a message.
    pub max_message_size: NonZeroUsize,
    /// Most metrics that one worker holds in memory.
    pub queue_size: NonZeroUsize,
    /// Time without any delivery report, with messages under way, after which the brokers count as away.
    pub stall: Duration,
    /// Pause before refused messages are tried again.
    pub delay: Duration,
    /// Who we are, if we say so.
    pub sasl: Option<Sasl>,
    /// File with further properties.
    pub properties_file: Option<PathBuf>,
    /// Properties of librdkafka, secrets excepted.
    pub properties: BTreeMap<String, String>,
}

/// A file with a secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is empty.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line of it is not a property.
    #[error("{}:{line}: not name=value", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line.
        line: usize,
    },
}

impl Kafka {
    /// All properties, with what stands in files.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn all_properties(&self) -> Result<BTreeMap<String, String>, SecretError> {
        let mut all = self.properties.clone();
        if let Some(path) = &self.properties_file {
            for (number, line) in read_file(path)?.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let (name, value) =
                    line.split_once('=').ok_or_else(|| SecretError::Line { path: path.clone(), line: number + 1 })?;
                all.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        if let Some(path) = self.sasl.as_ref().and_then(|sasl| sasl.password_file.as_ref()) {
            let password = read_file(path)?;
            let password = password.lines().next().filter(|line| !line.is_empty());
            let password = password.ok_or_else(|| SecretError::Empty { path: path.clone() })?;
            all.insert("sasl.password".to_owned(), password.to_owned());
        }
        Ok(all)
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    std::fs::read_to_string(path).map_err(|source| SecretError::Read { path: path.to_owned(), source })
}

/// Reads the section, if there is one; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Option<Kafka>> {
    if !ini.has_section(KAFKA) {
        return Some(None);
    }
    let mut section = Section::new(KAFKA, ini, report);
    if cfg!(not(feature = "kafka")) {
        section
            .error("brokers", "this build has no Kafka; take one with the cargo feature kafka, or remove the section");
        return None;
    }
    let brokers = section.get(&BROKERS);
    let topic = section.get(&TOPIC);
    let client_id = section.get(&CLIENT_ID);
    let format = section.get(&FORMAT);
    let key = section.get(&KEY);
    let cluster = section.optional(&CLUSTER);
    let compression = section.get(&COMPRESSION);
    let max_message_size = section.get(&MAX_MESSAGE_SIZE);
    let queue_size = section.get(&QUEUE_SIZE);
    let stall = section.get(&STALL_TIMEOUT);
    let delay = section.get(&DELAY);
    let tls = section.get(&TLS);
    let files = [&TLS_CA_FILE, &TLS_CERTIFICATE_FILE, &TLS_KEY_FILE].map(|option| section.optional(option));
    let sasl = sasl(&mut section, tls == Some(true));
    let properties_file = section.optional(&PROPERTIES_FILE);
    let own = librdkafka(&mut section);

    let mut properties = BTreeMap::new();
    let mut set = |name: &str, value: &str| drop(properties.insert(name.to_owned(), value.to_owned()));
    set("bootstrap.servers", &brokers?);
    set("client.id", &client_id?);
    set("compression.codec", compression?);
    let size = max_message_size?.get();
    // Room for the key and the record around it.
    set("message.max.bytes", &(size + 100_000).max(1_000_000).to_string());
    let (tls, sasl) = (tls?, sasl?);
    set(
        "security.protocol",
        match (tls, sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        },
    );
    for ((option, name), path) in [
        ("tls-ca-file", "ssl.ca.location"),
        ("tls-certificate-file", "ssl.certificate.location"),
        ("tls-key-file", "ssl.key.location"),
    ]
    .into_iter()
    .zip(files)
    {
        if let Some(path) = path? {
            set(name, &path.display().to_string());
            if !tls {
                section.warn(option, "has no effect without tls = true");
            }
        }
    }
    if let Some(Sasl { mechanism, username, .. }) = &sasl {
        set("sasl.mechanism", mechanism);
        if let Some(username) = username {
            set("sasl.username", username);
        }
    }
    for (name, value) in [
        ("acks", "all"),
        ("enable.idempotence", "true"),
        // Tried until it is delivered, or refused for good: a snapshot is on disk until then.
        ("message.timeout.ms", "0"),
        // What librdkafka holds at most, of its own copies.
        ("queue.buffering.max.kbytes", "65536"),
        ("queue.buffering.max.messages", "100000"),
        // A snapshot comes in one go; a few milliseconds more make fuller batches of it.
        ("linger.ms", "50"),
        // Keys spread as those of the clients in Java do.
        ("partitioner", "murmur2_random"),
    ] {
        set(name, value);
    }
    properties.extend(own?);
    let kafka = Kafka {
        topic: topic?,
        format: format?,
        key: key?,
        cluster: cluster?,
        max_message_size: max_message_size?,
        queue_size: queue_size?,
        stall: stall?,
        delay: delay?,
        sasl,
        properties_file: properties_file?,
        properties,
    };
    check(&mut section, &kafka).then_some(Some(kafka))
}

/// `librdkafka.<name>` options; `None` when one cannot be right.
fn librdkafka(section: &mut Section<'_>) -> Option<BTreeMap<String, String>> {
    let ini = section.ini;
    let (mut properties, mut good) = (BTreeMap::new(), true);
    for option in ini.own_options(KAFKA).filter(|option| option.starts_with(LIBRDKAFKA)) {
        let Some(name) = option.strip_prefix(LIBRDKAFKA) else { continue };
        if let Some((_, ours)) = OURS.iter().find(|(property, _)| *property == name) {
            section.error(option, format!("is set by this program; write {ours} instead"));
            good = false;
        } else if let Some((_, file)) = SECRETS.iter().find(|(property, _)| *property == name) {
            section.error(option, format!("is a secret; write it into a file and name that with {file}"));
            good = false;
        } else if let Some(Some(value)) = section.optional_named(option, value::text) {
            match refused(name, &value) {
                None => drop(properties.insert(name.to_owned(), value)),
                Some(reason) => {
                    section.error(option, reason);
                    good = false;
                }
            }
        } else {
            good = false;
        }
    }
    good.then_some(properties)
}

/// Why librdkafka does not take a property.
#[cfg(feature = "kafka")]
fn refused(name: &str, value: &str) -> Option<String> {
    let mut config = rdkafka::ClientConfig::new();
    config.set(name, value);
    // Only reads its table of properties; no thread, no connection.
    match config.create_native_config() {
        Ok(_) => None,
        Err(rdkafka::error::KafkaError::ClientConfig(_, reason, ..)) => {
            Some(format!("{reason}; the properties are in librdkafka's CONFIGURATION.md"))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(not(feature = "kafka"))]
fn refused(_: &str, _: &str) -> Option<String> {
    None
}

/// Pairs of values that librdkafka would refuse, or that weaken what is promised.
fn check(section: &mut Section<'_>, kafka: &Kafka) -> bool {
    let property = |name: &str| kafka.properties.get(name).map(String::as_str).unwrap_or_default();
    let written = |section: &Section<'_>, name: &str| {
        let option = format!("{LIBRDKAFKA}{name}");
        section.ini.has_own(KAFKA, &option).then_some(option)
    };
    let mut good = true;
    let idempotent = property("enable.idempotence") == "true";
    let all = matches!(property("acks"), "all" | "-1");
    for name in ["acks", "request.required.acks"] {
        let Some(option) = written(section, name) else { continue };
        let weak = !matches!(property(name), "all" | "-1");
        if weak && idempotent {
            section.error(&option, "does not go with idempotence; write librdkafka.enable.idempotence = false as well");
            good = false;
        } else if weak {
            section.warn(&option, "messages count as delivered before every in-sync replica has them");
        }
    }
    if let Some(option) = written(section, "max.in.flight.requests.per.connection").filter(|_| idempotent)
        && property("max.in.flight.requests.per.connection").parse().is_ok_and(|count: u32| count > 5)
    {
        section.error(&option, "does not go with idempotence; write 5 or less");
        good = false;
    }
    if let Some(option) = written(section, "enable.idempotence").filter(|_| !idempotent && all) {
        section.warn(&option, "messages may arrive twice, and in another order, when a connection breaks");
    }
    let password = kafka.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == "PLAIN");
    if password && property("security.protocol") == "sasl_plaintext" {
        section.warn("sasl-mechanism", "the password goes over the network as it is; write tls = true as well");
    }
    good
}

fn sasl(section: &mut Section<'_>, _tls: bool) -> Option<Option<Sasl>> {
    let mechanism = section.optional(&SASL_MECHANISM);
    let username = section.optional(&SASL_USERNAME);
    let password_file = section.optional(&SASL_PASSWORD_FILE);
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
    Some(Some(Sasl { mechanism: mechanism.to_owned(), username, password_file }))
}

/// `max-message-size`
fn message_size(text: &str) -> Result<NonZeroUsize, Refusal> {
    let size = value::count(text)?;
    let most = 1_000_000_000;
    if (1000..=most).contains(&size.get()) { Ok(size) } else { Err(format!("not from 1000 to {most} bytes")) }
}

/// `host:port`, separated by commas.
fn brokers(text: &str) -> Result<String, Refusal> {
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    for broker in &brokers {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        if host.is_empty() || broker.contains(char::is_whitespace) || value::port(port).is_err() {
            return Err(format!("{broker:?} is not a broker; write host:port, several separated by commas"));
        }
    }
    Ok(brokers.join(","))
}

/// What Kafka allows.
fn topic(text: &str) -> Result<String, Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text {
        "" | "." | ".." => Err("not the name of a topic".to_owned()),
        _ if text.len() > 249 => Err("longer than the 249 characters of a topic".to_owned()),
        _ if text.bytes().all(good) => Ok(text.to_owned()),
        _ => Err("not the name of a topic; write letters, digits, dots, underscores and dashes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_a_bad_one_says_what_is_known() {
        let fill = |text: &str| KeyTemplate::parse(text).unwrap().fill(|name| if name == "proxy" { "" } else { "x" });
        assert_eq!(fill("{host}/{proxy}"), "x/");
        assert_eq!(fill("a{server}b{kind}"), "axbx");
        assert_eq!((fill(""), fill("plain")), (String::new(), "plain".to_owned()));
        let odd = KeyTemplate::parse("{host}/{proxy}").unwrap().fill(|_| "a\n\u{1b}[2Jb");
        assert_eq!(odd, "a\\n\\u{1b}[2Jb/a\\n\\u{1b}[2Jb", "a key begins no line and clears no screen");
        for bad in ["{hots}", "{host", "host}", "{{host}}", "{}"] {
            let refusal = KeyTemplate::parse(bad).unwrap_err();
            assert!(refusal.contains("{host}, {cluster}"), "{bad}: {refusal}");
        }
    }

    #[test]
    fn brokers_and_topics_are_what_kafka_allows() {
        assert_eq!(brokers("a:1, [::1]:9092 ,b").unwrap(), "a:1,[::1]:9092,b");
        for bad in ["", "a:", "a:x", ":1", "a b:1", "a,,b"] {
            assert!(brokers(bad).is_err(), "{bad:?}");
        }
        assert!(topic("haproxy.stats_1-a").is_ok());
        for bad in ["", ".", "a b", "a/b", &"x".repeat(250)] {
            assert!(topic(bad).is_err(), "{bad:?}");
        }
    }
}
