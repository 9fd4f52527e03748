//! `[kafka]`: the topic that metrics are written to. The section switches it on.

mod connection;
mod key;
mod librdkafka;
mod secrets;
mod source;

use crate::config::ini::Ini;
use crate::config::option::{choice, options};
use crate::config::problem::Report;
use crate::config::program::KAFKA;
use crate::config::reading::{Reading, Refusal, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use crate::parcel::Label;
use connection::{BOOTSTRAP, Rows, Sasl, brokers};
pub(crate) use key::KeyTemplate;
pub(crate) use librdkafka::LIBRDKAFKA;
pub(crate) use secrets::SecretError;
pub(crate) use source::KafkaSource;
#[cfg(feature = "kafka")]
pub(crate) use source::Start;
pub(super) use source::{ROWS as SOURCE_ROWS, read as read_source};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: KAFKA, Process {
        BROKERS: String = Reading::new(Type::Text, brokers), "brokers", Some("127.0.0.1:9092"),
            "Bootstrap brokers, host:port separated by commas; the others are discovered from them.";
        TOPIC: String = Reading::new(Type::Text, topic), "topic", Some("haproxystats"),
            "Topic that messages are written to.";
        CLIENT_ID: String = value::TEXT, "client-id", Some("haproxystats"),
            "Name under which this program appears in the brokers' quotas and logs.";
        FORMAT: KafkaFormat = choice![("json", KafkaFormat::Json), ("graphite", KafkaFormat::Graphite), ("influx", KafkaFormat::Influx), ("prometheus", KafkaFormat::Prometheus), ("snapshot", KafkaFormat::Snapshot)], "format", Some("json"),
            "A message is a JSON document for one object, lines of Graphite's plaintext protocol, of InfluxDB's line \
             protocol, of Prometheus' text format, or (snapshot) an unchanged file of the snapshot, for source = kafka of \
             [process].";
        KEY: KeyTemplate = Reading::new(Type::Text, KeyTemplate::parse), "key", Some("{host}/{proxy}"),
            "Key of messages, which determines their partition; {host}, {cluster}, {kind}, {proxy} and {server} are \
             replaced. With format = snapshot, the default is {cluster}, or the host if it has no cluster.";
        CLUSTER: String = value::TEXT, "cluster", None,
            "Name of the cluster that this host belongs to, for messages and keys.";
        COMPRESSION: &'static str = choice![("none", "none"), ("gzip", "gzip"), ("snappy", "snappy"), ("lz4", "lz4"), ("zstd", "zstd")], "compression", Some("lz4"),
            "Compression of messages: all consumers support lz4; zstd takes less space. With format = snapshot, the default is \
             zstd.";
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
            "File with the SASL password on its first line; read when a worker starts.";
        PROPERTIES_FILE: PathBuf = value::FILE, "properties-file", None,
            "File with librdkafka properties, one name=value per line, for those that are secrets.";
    }
}

/// `format`: the content of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaFormat {
    /// A document for each object.
    Json,
    /// Lines of Graphite's plaintext protocol.
    Graphite,
    /// Lines of InfluxDB's line protocol.
    Influx,
    /// Lines of Prometheus' text format.
    Prometheus,
    /// The files of the snapshot.
    Snapshot,
}

/// `[kafka]`
#[derive(Debug, Clone)]
pub struct Kafka {
    /// The topic.
    pub topic: String,
    /// The content of messages.
    pub format: KafkaFormat,
    /// The template of keys.
    pub key: KeyTemplate,
    /// The cluster that this host belongs to.
    pub cluster: Option<String>,
    /// Maximum bytes of a message.
    pub max_message_size: NonZeroUsize,
    /// Maximum number of metrics that a worker holds in memory.
    pub queue_size: NonZeroUsize,
    /// Time without a delivery report, with messages in flight, after which the brokers count as unavailable.
    pub stall: Duration,
    /// Pause before refused messages are retried.
    pub delay: Duration,
    /// How to authenticate, if configured.
    pub sasl: Option<Sasl>,
    /// File with further properties.
    pub properties_file: Option<PathBuf>,
    /// Properties of librdkafka, except secrets.
    pub properties: BTreeMap<String, String>,
}

impl Kafka {
    /// The bootstrap brokers, separated by commas.
    #[must_use]
    pub fn brokers(&self) -> &str {
        self.properties.get(BOOTSTRAP).map(String::as_str).unwrap_or_default()
    }

    /// All properties, including those from files.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn all_properties(&self) -> Result<BTreeMap<String, String>, SecretError> {
        secrets::all(&self.properties, self.properties_file.as_deref(), self.sasl.as_ref())
    }
}

/// Reads the section, if there is one; `None` if a value is invalid, which is then in the report.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Option<Kafka>> {
    if !ini.has_section(KAFKA) {
        return Some(None);
    }
    let section = &mut Section::new(KAFKA, ini, report);
    if !connection::is_supported(section) {
        return None;
    }
    let sasl = Sasl::read(section, &CONNECTION);
    let format = section.get(&FORMAT);
    // The defaults in the table are those of the other formats.
    let files = format == Some(KafkaFormat::Snapshot);
    let key = if files && !ini.is_written(KAFKA, KEY.name()) {
        KeyTemplate::parse("{cluster}").ok()
    } else {
        section.get(&KEY)
    };
    let kafka = gather!(Kafka {
        topic: section.get(&TOPIC),
        format,
        key,
        cluster: section.optional(&CLUSTER),
        max_message_size: section.get(&MAX_MESSAGE_SIZE),
        queue_size: section.get(&QUEUE_SIZE),
        stall: section.get(&STALL_TIMEOUT),
        delay: section.get(&DELAY),
        properties_file: section.optional(&PROPERTIES_FILE),
        properties: properties(section, files, max_message_size, sasl.as_ref()),
        sasl,
    })?;
    if let Some(cluster) = kafka.cluster.as_deref().filter(|cluster| files && !Label::can_name("host", Some(cluster))) {
        section.error(
            CLUSTER.name(),
            format!("{cluster:?} cannot be sent: it contains control characters, or is too long"),
        );
        return None;
    }
    connection::warn_of_plain_password(section, kafka.sasl.as_ref(), &kafka.properties);
    librdkafka::check(section, &kafka.properties).then_some(Some(kafka))
}

static CONNECTION: Rows = Rows {
    brokers: &BROKERS,
    client_id: &CLIENT_ID,
    tls: &TLS,
    tls_ca_file: &TLS_CA_FILE,
    tls_certificate_file: &TLS_CERTIFICATE_FILE,
    tls_key_file: &TLS_KEY_FILE,
    sasl_mechanism: &SASL_MECHANISM,
    sasl_username: &SASL_USERNAME,
    sasl_password_file: &SASL_PASSWORD_FILE,
};

/// Our defaults for properties, which `librdkafka.<name>` can override.
const ALWAYS: [(&str, &str); 7] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // Retried until it is delivered or refused permanently: the snapshot is on disk until then.
    ("message.timeout.ms", "0"),
    // Limits of librdkafka's own copies.
    ("queue.buffering.max.kbytes", "65536"),
    ("queue.buffering.max.messages", "100000"),
    // A snapshot arrives all at once; waiting a few milliseconds gives fuller batches.
    ("linger.ms", "50"),
    // The same partitions as the Java clients.
    ("partitioner", "murmur2_random"),
];

/// The properties of librdkafka.
fn properties(
    section: &mut Section<'_>,
    files: bool,
    max_message_size: Option<NonZeroUsize>,
    sasl: Option<&Option<Sasl>>,
) -> Option<BTreeMap<String, String>> {
    let compression = section.get(&COMPRESSION);
    let compression =
        if files && !section.ini.is_written(KAFKA, COMPRESSION.name()) { Some("zstd") } else { compression };
    let connection = connection::properties(section, &CONNECTION, sasl);
    let own = librdkafka::read(section);

    let mut all: BTreeMap<String, String> = ALWAYS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    all.extend(connection?);
    let mut set = |name: &str, value: &str| drop(all.insert(name.to_owned(), value.to_owned()));
    set("compression.codec", compression?);
    if files && compression == Some("zstd") {
        // Files become no larger than with the default, in 40 % less time.
        set("compression.level", "1");
    }
    // Room for the key and the record around it.
    set("message.max.bytes", &(max_message_size?.get() + 100_000).max(1_000_000).to_string());
    all.extend(own?);
    Some(all)
}

/// `max-message-size`
fn message_size(text: &str) -> Result<NonZeroUsize, Refusal> {
    let size = value::count(text)?;
    let most = 1_000_000_000;
    if (1000..=most).contains(&size.get()) { Ok(size) } else { Err(format!("not from 1000 to {most} bytes")) }
}

/// The name of a topic, as Kafka allows it.
fn topic(text: &str) -> Result<String, Refusal> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text {
        "" | "." | ".." => Err("not the name of a topic".to_owned()),
        _ if text.len() > 249 => Err("longer than the 249 characters of a topic".to_owned()),
        _ if text.bytes().all(good) => Ok(text.to_owned()),
        _ => Err("not the name of a topic; write letters, digits, dots, - and _".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[cfg(feature = "kafka")]
    #[test]
    fn other_names_of_properties_replace_our_values() {
        use crate::config::{Program, load};
        let text = "[kafka]\nlibrdkafka.queue.buffering.max.ms = 7\n\
                    [kafka-source]\nlibrdkafka.max.partition.fetch.bytes = 8\n";
        let config = load::from_text(Program::Process, text, "test").unwrap().config;
        let (kafka, source) = (config.kafka.unwrap().properties, config.kafka_source.unwrap().properties);
        assert_eq!((&*kafka["linger.ms"], kafka.get("queue.buffering.max.ms")), ("7", None));
        assert_eq!((&*source["fetch.message.max.bytes"], source.get("max.partition.fetch.bytes")), ("8", None));
    }
}
