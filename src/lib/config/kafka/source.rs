//! `[kafka-source]`: the topic to read snapshots from, with `source = kafka` in `[process]`.

use super::connection::{self, BOOTSTRAP, Rows, Sasl, brokers};
use super::secrets::{self, SecretError};
use super::{librdkafka, topic};
use crate::config::ini::Ini;
use crate::config::option::{choice, options};
use crate::config::problem::Report;
use crate::config::program::KAFKA_SOURCE;
use crate::config::reading::{Reading, Refusal, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: KAFKA_SOURCE, Process {
        BROKERS: String = Reading::new(Type::Text, brokers), "brokers", Some("127.0.0.1:9092"),
            "Bootstrap brokers, host:port separated by commas; the others are discovered from them.";
        TOPIC: String = Reading::new(Type::Text, topic), "topic", Some("haproxystats-snapshots"),
            "Topic to read snapshots from. On the load balancers, [kafka] with format = snapshot writes to it.";
        GROUP: String = Reading::new(Type::Text, group), "group", Some("haproxystats"),
            "Consumer group. Its members share the partitions; each group gets every snapshot.";
        CLIENT_ID: String = value::TEXT, "client-id", Some("haproxystats"),
            "Name under which this program appears in the brokers' quotas and logs.";
        START: Start = choice![("earliest", Start::Earliest), ("latest", Start::Latest)], "start", Some("earliest"),
            "Where to start if the group has not committed an offset, or if that offset is no longer in the topic.";
        CLUSTER_DEADLINE: Duration = value::TIME_LIMIT, "cluster-deadline", Some("5"),
            "A second is processed when all hosts have arrived that were seen in the seconds before it, and at the latest this \
             long after its first message.";
        ASSEMBLE_TIMEOUT: Duration = value::TIME_LIMIT, "assemble-timeout", Some("60"),
            "How long to wait for the remaining files of a host. After that, the files that have arrived are processed if \
             each of them is complete.";
        LATE: Duration = value::PAUSE, "late", Some("60"),
            "If a host arrives at most this much later than others of its partition, the roll-ups of its cluster are calculated \
             again, with the same names and timestamps; 0: never.";
        QUEUE_SIZE: NonZeroUsize = value::COUNT, "queue-size", Some("60"),
            "Most seconds in src-dir that are not delivered to every destination yet; further messages stay in Kafka.";
        BUFFER_SIZE: NonZeroUsize = Reading::new(Type::Bytes, buffer), "buffer-size", Some("67108864"),
            "Most memory for incomplete files; above it, those that have waited longest are dropped.";
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
            "File with the SASL password on its first line.";
        PROPERTIES_FILE: PathBuf = value::FILE, "properties-file", None,
            "File with librdkafka properties, one name=value per line, for those that are secrets.";
    }
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

/// `start`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message in the topic.
    Earliest,
    /// With messages that arrive from now on.
    Latest,
}

/// `[kafka-source]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSource {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Where to start without a committed offset.
    pub start: Start,
    /// How long to wait for all hosts of a second.
    pub deadline: Duration,
    /// How long to wait for all files of a host.
    pub assemble: Duration,
    /// How much later than others a host may arrive for the roll-ups of its cluster to be repeated.
    pub late: Duration,
    /// Maximum number of undelivered seconds in `src-dir`.
    pub queue_size: NonZeroUsize,
    /// Maximum bytes of incomplete files in memory.
    pub buffer_size: NonZeroUsize,
    /// How to authenticate, if configured.
    pub sasl: Option<Sasl>,
    /// File with further properties.
    pub properties_file: Option<PathBuf>,
    /// Properties of librdkafka, except secrets.
    pub properties: BTreeMap<String, String>,
}

impl KafkaSource {
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

/// Our defaults for properties, which `librdkafka.<name>` can override.
const ALWAYS: [(&str, &str); 8] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // In a rebalance, members keep their partitions where possible.
    ("partition.assignment.strategy", "cooperative-sticky"),
    // Limits on the messages that librdkafka fetches in advance, and on the size of a broker's response after decompression.
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.max.bytes", "16777216"),
    ("fetch.message.max.bytes", "2097152"),
    ("receive.message.max.bytes", "67108864"),
    ("fetch.wait.max.ms", "100"),
];

/// Reads the section, if there is one; `None` if a value is invalid, which is then in the report.
pub(in crate::config) fn read(ini: &Ini, report: &mut Report) -> Option<Option<KafkaSource>> {
    if !ini.has_section(KAFKA_SOURCE) {
        return Some(None);
    }
    let section = &mut Section::new(KAFKA_SOURCE, ini, report);
    if !connection::is_supported(section) {
        return None;
    }
    let sasl = Sasl::read(section, &CONNECTION);
    let group = section.get(&GROUP);
    let start = section.get(&START);
    let source = gather!(KafkaSource {
        topic: section.get(&TOPIC),
        deadline: section.get(&CLUSTER_DEADLINE),
        assemble: section.get(&ASSEMBLE_TIMEOUT),
        late: section.get(&LATE),
        queue_size: section.get(&QUEUE_SIZE),
        buffer_size: section.get(&BUFFER_SIZE),
        properties_file: section.optional(&PROPERTIES_FILE),
        properties: properties(section, group.as_deref(), start, sasl.as_ref()),
        group,
        start,
        sasl,
    })?;
    if source.assemble < source.deadline {
        section.warn(
            ASSEMBLE_TIMEOUT.name(),
            "is less than cluster-deadline: files that arrive in between are not waited for",
        );
    }
    connection::warn_of_plain_password(section, source.sasl.as_ref(), &source.properties);
    Some(Some(source))
}

/// The properties of librdkafka.
fn properties(
    section: &mut Section<'_>,
    group: Option<&str>,
    start: Option<Start>,
    sasl: Option<&Option<Sasl>>,
) -> Option<BTreeMap<String, String>> {
    let connection = connection::properties(section, &CONNECTION, sasl);
    let own = librdkafka::read(section);
    let mut all: BTreeMap<String, String> = ALWAYS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    all.extend(connection?);
    all.insert("group.id".to_owned(), group?.to_owned());
    let start = match start? {
        Start::Earliest => "earliest",
        Start::Latest => "latest",
    };
    all.insert("auto.offset.reset".to_owned(), start.to_owned());
    all.extend(own?);
    Some(all)
}

/// The name of a group, as Kafka allows it.
fn group(text: &str) -> Result<String, Refusal> {
    match text {
        "" => Err("empty; write the name of the group".to_owned()),
        _ if text.len() > 249 || text.contains(char::is_control) => Err("not the name of a group".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// `buffer-size`
fn buffer(text: &str) -> Result<NonZeroUsize, Refusal> {
    let size = value::count(text)?;
    let least = 1_000_000;
    if size.get() >= least { Ok(size) } else { Err(format!("less than {least} bytes")) }
}
