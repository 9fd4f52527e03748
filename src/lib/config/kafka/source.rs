//! `[kafka-source]`: the topic that snapshots are read from, with `source = kafka` in `[process]`.

use super::connection::{self, Rows, Sasl, brokers};
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
            "Topic that snapshots are read from: that of [kafka] with format = snapshot on the balancers.";
        GROUP: String = Reading::new(Type::Text, group), "group", Some("haproxystats"),
            "Consumer group. Its members share the partitions; each group gets every snapshot.";
        CLIENT_ID: String = value::TEXT, "client-id", Some("haproxystats"),
            "Name under which this program appears in the brokers' quotas and logs.";
        START: Start = choice![("earliest", Start::Earliest), ("latest", Start::Latest)], "start", Some("earliest"),
            "Where a new group begins, and one whose place is not in the topic any more.";
        CLUSTER_DEADLINE: Duration = value::TIME_LIMIT, "cluster-deadline", Some("5"),
            "A second is processed when all hosts of it are there that were seen in the seconds before; at the latest this long \
             after its first message.";
        ASSEMBLE_TIMEOUT: Duration = value::TIME_LIMIT, "assemble-timeout", Some("60"),
            "How long the rest of a host's files is waited for; then what is there is processed if every file of it is whole.";
        LATE: Duration = value::PAUSE, "late", Some("60"),
            "Roll-ups of a cluster are made again, under the same names and time, when one of its hosts comes by at most this \
             much later than others of the same partition; 0: they are not.";
        QUEUE_SIZE: NonZeroUsize = value::COUNT, "queue-size", Some("60"),
            "Most seconds in src-dir that some destination does not have yet; further messages stay in Kafka.";
        BUFFER_SIZE: NonZeroUsize = Reading::new(Type::Bytes, buffer), "buffer-size", Some("67108864"),
            "Most memory for files of which a part is missing; what has waited longest is given up beyond it.";
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
    /// With the oldest message that is there.
    Earliest,
    /// With what comes from now on.
    Latest,
}

/// `[kafka-source]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSource {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Where a new group begins.
    pub start: Start,
    /// Time for all hosts of a second.
    pub deadline: Duration,
    /// Time for all files of a host.
    pub assemble: Duration,
    /// How much later than others a host may come for its cluster to be rolled up again.
    pub late: Duration,
    /// Most snapshots that are not delivered.
    pub queue_size: NonZeroUsize,
    /// Most bytes in memory.
    pub buffer_size: NonZeroUsize,
    /// Who we are, if we say so.
    pub sasl: Option<Sasl>,
    /// File with further properties.
    pub properties_file: Option<PathBuf>,
    /// Properties of librdkafka, secrets excepted.
    pub properties: BTreeMap<String, String>,
}

impl KafkaSource {
    /// All properties, with what stands in files.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn all_properties(&self) -> Result<BTreeMap<String, String>, SecretError> {
        secrets::all(&self.properties, self.properties_file.as_deref(), self.sasl.as_ref())
    }
}

/// Properties that are the same everywhere, unless `librdkafka.<name>` says something else.
const ALWAYS: [(&str, &str); 8] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Members that stay keep their partitions.
    ("partition.assignment.strategy", "cooperative-sticky"),
    // What librdkafka holds at most before it is asked for, and what one answer of a broker may become when it is unpacked.
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.max.bytes", "16777216"),
    ("fetch.message.max.bytes", "2097152"),
    ("receive.message.max.bytes", "67108864"),
    ("fetch.wait.max.ms", "100"),
];

/// Reads the section, if there is one; `None` when a value cannot be right, which is in the report then.
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
            "is less than cluster-deadline: files that come in between are not waited for",
        );
    }
    connection::warn_of_plain_password(section, source.sasl.as_ref(), &source.properties);
    Some(Some(source))
}

/// What the options mean to librdkafka.
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

/// What Kafka allows.
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
