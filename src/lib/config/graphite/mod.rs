//! `[graphite]`: where metrics are sent.

mod endpoint;

pub use endpoint::Endpoint;

use super::exporter;
use super::ini::Ini;
use super::problem::Report;
use super::program::{OPTIONAL_SECTIONS, OTLP, REMOTE_WRITE};
use super::section::{Section, gather};
use super::tls::Tls;
use super::value::{self, Retries};
use crate::config::option::{choice, options};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: "graphite", Senders {
        ENABLED: bool = value::BOOLEAN, "enabled", Some("true"), Process,
            "Send metrics to Graphite; set it to false if they only go elsewhere.";
        SERVER: String = value::HOST, "server", Some("127.0.0.1"),
            "Name or address of the Graphite server or relay.";
        PORT: u16 = value::PORT, "port", Some("3002"),
            "TCP port of the server for the configured protocol.";
        SERVERS: String = value::TEXT, "servers", None, Process,
            "Several servers instead of server: host:port, separated by commas; host:port=instance if consistent \
             hashing must tell servers on the same host apart.";
        MODE: Mode = choice![("failover", Mode::Failover), ("duplicate", Mode::Duplicate), ("hash", Mode::Hash)], "mode", Some("failover"), Process,
            "With several servers: the first reachable one gets everything (failover), all of them get everything \
             (duplicate), or each gets its share by carbon's consistent hashing, like carbon_ch of carbon-c-relay \
             (hash).";
        PROTOCOL: Protocol = choice![("plaintext", Protocol::Plaintext), ("pickle", Protocol::Pickle)], "protocol", Some("plaintext"), Process,
            "Format of the metrics: plaintext lines, or lists of points for carbon's pickle port.";
        TAGGED: bool = value::BOOLEAN, "tagged", Some("false"), Process,
            "Send names with tags, such as haproxy.backend.rtime;host=lb-01;backend=www, instead of paths.";
        TLS: bool = value::BOOLEAN, "tls", Some("false"), Process,
            "Encrypt the connections.";
        TLS_CA_FILE: PathBuf = value::FILE, "tls-ca-file", None, Process,
            "Certificates (PEM) of the certificate authorities to trust instead of the system's.";
        TLS_VERIFY: bool = value::BOOLEAN, "tls-verify", Some("true"), Process,
            "Verify the server's certificate and name.";
        TLS_CERTIFICATE_FILE: PathBuf = value::FILE, "tls-certificate-file", None, Process,
            "Client certificate (PEM), for servers that require one.";
        TLS_KEY_FILE: PathBuf = value::FILE, "tls-key-file", None, Process,
            "Private key (PEM) of tls-certificate-file.";
        RETRIES: Retries = value::RETRIES, "retries", Some("3"),
            "How many times a failed connection is retried before delay; 0: never, -1: without limit.";
        INTERVAL: Duration = value::PAUSE, "interval", Some("1.8"),
            "Pause before the first retry of a connection.";
        CONNECT_TIMEOUT: Duration = value::TIME_LIMIT, "connect-timeout", Some("1.0"),
            "Time allowed for the connection to be accepted.";
        WRITE_TIMEOUT: Duration = value::TIME_LIMIT, "write-timeout", Some("1.0"),
            "If Graphite accepts no data for this long, it counts as stalled, and the connection is replaced after \
             delay.";
        DELAY: Duration = value::PAUSE, "delay", Some("10"),
            "Pause after the last retry has failed; snapshots wait on disk meanwhile.";
        BACKOFF: f64 = value::FACTOR, "backoff", Some("2"),
            "Factor by which interval grows with each retry.";
        ACKNOWLEDGE: Acknowledge = choice![("close", Acknowledge::Close), ("kernel", Acknowledge::Kernel)], "acknowledge", Some("close"),
            "What confirms that Graphite has read a snapshot. close: after each snapshot haproxystats ends the \
             connection, and Graphite closes it. kernel: Graphite's kernel has received the data, on one persistent \
             connection; more is lost when Graphite restarts.";
        SETTLE: Duration = value::PAUSE, "settle", Some("30"),
            "How long an idle connection to Graphite must stay open after that confirmation; if it is closed earlier, \
             the snapshot is sent again. Must be longer than a proxy in front of Graphite keeps trying to connect: by \
             default, HAProxy tries four times for 5 seconds, with pauses of 1 second. Snapshots stay on disk \
             meanwhile.";
        CONNECTION_LIFETIME: Duration = value::PAUSE, "connection-lifetime", Some("300"),
            "With acknowledge = kernel: age at which the persistent connection is replaced, so that it follows the \
             server's name to a new address; 0: never.";
        NAMESPACE: String = value::NAMESPACE, "namespace", Some("loadbalancers"),
            "First element of every path.";
        PREFIX_HOSTNAME: bool = value::BOOLEAN, "prefix-hostname", Some("true"),
            "Insert the name of this host after the namespace.";
        FQDN: bool = value::BOOLEAN, "fqdn", Some("true"),
            "Use the full host name with dots replaced by underscores; false: only its first label.";
        QUEUE_SIZE: NonZeroUsize = value::COUNT, "queue-size", Some("1000000"),
            "Most metrics that a worker holds in memory while Graphite does not accept them.";
        QUEUE_FULL: QueueFull = choice![("keep", QueueFull::Keep), ("drop-oldest", QueueFull::DropOldest)], "queue-full", Some("keep"),
            "At queue-size: leave further snapshots on disk until there is room (keep), or drop the oldest metrics \
             (drop-oldest).";
        GROUP_NAMESPACE: String = value::NAMESPACE, "group-namespace", None,
            "Path element inserted before group names: <namespace>.<host>.haproxy.<group-namespace>.<group>. Requires \
             a section with groups.";
        GROUP_NAMESPACE_DOUBLE_WRITES: bool = value::BOOLEAN, "group-namespace-double-writes", None,
            "Also send grouped metrics under their plain path; must be set together with group-namespace.";
    }
}

/// Sections that switch nothing on without this option.
const NEED_URL: [&str; 2] = [OTLP, REMOTE_WRITE];

/// `queue-full`: what happens when `[graphite] queue-size` is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueFull {
    /// Take no further snapshot; they wait on disk.
    Keep,
    /// Forget the oldest metrics, as the original does.
    DropOldest,
}

/// `acknowledge`: what tells that Graphite has got what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// The end of the connection after each snapshot, which proves that the peer has read everything.
    Close,
    /// The acknowledgement of the peer's kernel, on one lasting connection.
    Kernel,
}

/// `mode`: who gets what, where there are several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The first server that can be reached gets everything.
    Failover,
    /// Every server gets everything.
    Duplicate,
    /// Every server gets its part, by carbon's consistent hashing.
    Hash,
}

/// `protocol`: how metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `path value timestamp`, a line each.
    Plaintext,
    /// Lists of points in Python's pickle format, as carbon's pickle receiver takes them.
    Pickle,
}

/// `group-namespace` and `group-namespace-double-writes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNamespace {
    /// Path element in front of the group's name.
    pub name: String,
    /// Send the path without group as well.
    pub double_writes: bool,
}

/// `[graphite]`
#[derive(Debug, Clone, PartialEq)]
pub struct Graphite {
    /// Whether anything is sent to Graphite at all.
    pub enabled: bool,
    /// Where to; never empty.
    pub servers: Vec<Endpoint>,
    /// How metrics are distributed over the servers.
    pub mode: Mode,
    /// How metrics are written.
    pub protocol: Protocol,
    /// Names with tags instead of paths.
    pub tagged: bool,
    /// Connections are encrypted when this is set.
    pub tls: Option<Tls>,
    /// Further attempts to connect before `delay`.
    pub retries: Retries,
    /// Pause before the first further attempt.
    pub interval: Duration,
    /// Factor on `interval` for each further attempt.
    pub backoff: f64,
    /// Pause after `retries` failed.
    pub delay: Duration,
    /// Time for a connection to be accepted.
    pub connect_timeout: Duration,
    /// Time without a byte taken by the peer after which the connection counts as stalled.
    pub write_timeout: Duration,
    /// What counts as an acknowledgement.
    pub acknowledge: Acknowledge,
    /// How long an idle connection to the peer must stand after its acknowledgement for a snapshot to count as delivered.
    pub settle: Duration,
    /// How long a lasting connection is used before another takes its place; zero means never.
    pub connection_lifetime: Duration,
    /// First element(s) of every path.
    pub namespace: String,
    /// Put the host's name after the namespace.
    pub prefix_hostname: bool,
    /// The whole host name with dots as underscores, or only its first label.
    pub fqdn: bool,
    /// Most metrics that one worker holds in memory.
    pub queue_size: NonZeroUsize,
    /// What happens at `queue_size`.
    pub queue_full: QueueFull,
    /// Groups are on when this is set.
    pub group_namespace: Option<GroupNamespace>,
}

/// Reads the section; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Graphite> {
    let section = &mut Section::new("graphite", ini, report);
    gather!(
        Graphite {
            enabled: section.get(&ENABLED),
            servers: servers(section),
            mode: section.get(&MODE),
            protocol: section.get(&PROTOCOL),
            tagged: section.get(&TAGGED),
            tls: tls(section),
            retries: section.get(&RETRIES),
            interval: section.get(&INTERVAL),
            backoff: section.get(&BACKOFF),
            delay: section.get(&DELAY),
            connect_timeout: section.get(&CONNECT_TIMEOUT),
            write_timeout: section.get(&WRITE_TIMEOUT),
            acknowledge: section.get(&ACKNOWLEDGE),
            settle: section.get(&SETTLE),
            connection_lifetime: section.get(&CONNECTION_LIFETIME),
            namespace: section.get(&NAMESPACE),
            prefix_hostname: section.get(&PREFIX_HOSTNAME),
            fqdn: section.get(&FQDN),
            queue_size: section.get(&QUEUE_SIZE),
            queue_full: section.get(&QUEUE_FULL),
            group_namespace: group_namespace(section),
        },
        {
            let on =
                |other: &&str| ini.has_section(other) && (!NEED_URL.contains(other) || ini.is_written(other, "url"));
            let elsewhere = OPTIONAL_SECTIONS.iter().any(on) || exporter::shows_statistics(ini);
            if enabled == Some(false) && !elsewhere {
                section.error(
                    "enabled",
                    "is false, and no other section, such as [kafka], sends metrics anywhere, nor is there a metrics page \
                     (statistics = true and listen in [exporter:process])",
                );
            }
            if backoff.is_some_and(|factor| factor < 1.0) {
                section.warn("backoff", "is below 1, so each pause is shorter than the previous one; write 1 or more");
            }
            without_effect(section, servers.as_deref(), acknowledge);
            if ini.has_own("graphite", "timeout") {
                section.warn("timeout", "has no effect; write connect-timeout and write-timeout instead");
            }
        }
    )
}

/// Values that nothing is done with.
fn without_effect(section: &mut Section<'_>, servers: Option<&[Endpoint]>, acknowledge: Option<Acknowledge>) {
    let written = |section: &Section<'_>, option: &str| section.ini.is_written("graphite", option);
    let lifetime = section.ini.raw("graphite", CONNECTION_LIFETIME.name());
    let changed = lifetime.is_some_and(|raw| Some(raw.text.as_str()) != CONNECTION_LIFETIME.spec.default);
    if written(section, SERVERS.name()) && written(section, SERVER.name()) {
        section.warn(SERVER.name(), "has no effect, since servers is set; remove one of them");
    }
    if written(section, MODE.name()) && servers.is_some_and(|servers| servers.len() == 1) {
        section.warn(MODE.name(), "has no effect with a single server");
    }
    if changed && acknowledge == Some(Acknowledge::Close) {
        section.warn(
            CONNECTION_LIFETIME.name(),
            "has no effect without acknowledge = kernel: each snapshot has its own connection",
        );
    }
}

/// `servers`, or `server` and `port`.
fn servers(section: &mut Section<'_>) -> Option<Vec<Endpoint>> {
    let host = section.get(&SERVER);
    let port = section.get(&PORT);
    let servers = section.optional_named(SERVERS.name(), |text| endpoint::endpoints(text, port.unwrap_or_default()));
    match (host?, port?, servers?) {
        (host, port, None) => Some(vec![Endpoint { host, port, instance: None }]),
        (_, _, Some(servers)) => Some(servers),
    }
}

fn tls(section: &mut Section<'_>) -> Option<Option<Tls>> {
    let on = section.get(&TLS);
    let verify = section.get(&TLS_VERIFY);
    let tls = Tls::read(section, &TLS_CA_FILE, &TLS_CERTIFICATE_FILE, &TLS_KEY_FILE);
    let (on, verify) = (on?, verify?);
    if !on {
        let files = [&TLS_CA_FILE, &TLS_CERTIFICATE_FILE, &TLS_KEY_FILE].map(|option| option.name());
        for option in files.into_iter().chain((!verify).then_some(TLS_VERIFY.name())) {
            if section.ini.is_written("graphite", option) {
                section.warn(option, "has no effect without tls = true: connections are not encrypted");
            }
        }
    }
    if on && !verify {
        section.warn(
            "tls-verify",
            "is off: metrics are sent to any server that answers; name its CA in tls-ca-file instead",
        );
    }
    tls.map(|tls| on.then_some(Tls { verify, ..tls }))
}

fn group_namespace(section: &mut Section<'_>) -> Option<Option<GroupNamespace>> {
    const NAME: &str = "group-namespace";
    const DOUBLE: &str = "group-namespace-double-writes";
    let name = section.optional(&GROUP_NAMESPACE);
    let double_writes = section.optional(&GROUP_NAMESPACE_DOUBLE_WRITES);
    let (name, double_writes) = (name?, double_writes?);
    match (name, double_writes) {
        (Some(name), Some(double_writes)) => Some(Some(GroupNamespace { name, double_writes })),
        (Some(_), None) => {
            section.error(NAME, format!("needs {DOUBLE}; set that to true or false as well"));
            None
        }
        (None, Some(_)) => {
            section.warn(DOUBLE, format!("has no effect without {NAME}"));
            Some(None)
        }
        (None, None) => Some(None),
    }
}
