//! `[graphite]`: where metrics are sent.

use super::ini::Ini;
use super::problem::Report;
use super::section::Section;
use super::{Retries, value};
use std::num::NonZeroUsize;
use std::time::Duration;

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

/// `group-namespace` and `group-namespace-double-writes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupNamespace {
    /// Path element in front of the group's name.
    pub name: String,
    /// Send the path without group as well.
    pub double_writes: bool,
}

/// `[graphite]`
#[derive(Debug, Clone)]
pub struct Graphite {
    /// Name, IPv4 or IPv6 address.
    pub server: String,
    /// TCP port of the plaintext protocol.
    pub port: u16,
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
    /// How long the peer must live after its acknowledgement for a snapshot to count as delivered.
    pub settle: Duration,
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
    let mut section = Section::new("graphite", ini, report);
    let server = section.get("server", value::host);
    let port = section.get("port", value::port);
    let retries = section.get("retries", value::retries);
    let interval = section.get("interval", value::pause);
    let backoff = section.get("backoff", value::factor);
    let delay = section.get("delay", value::pause);
    let connect_timeout = section.get("connect-timeout", value::time_limit);
    let write_timeout = section.get("write-timeout", value::time_limit);
    let acknowledge = section.get("acknowledge", |text| {
        value::choice(text, &[("close", Acknowledge::Close), ("kernel", Acknowledge::Kernel)])
    });
    let settle = section.get("settle", value::pause);
    let namespace = section.get("namespace", value::namespace);
    let prefix_hostname = section.get("prefix-hostname", value::boolean);
    let fqdn = section.get("fqdn", value::boolean);
    let queue_size = section.get("queue-size", value::count);
    let queue_full = section.get("queue-full", |text| {
        value::choice(text, &[("keep", QueueFull::Keep), ("drop-oldest", QueueFull::DropOldest)])
    });
    let group_namespace = group_namespace(&mut section);

    if backoff.is_some_and(|factor| factor < 1.0) {
        section.warn("backoff", "is below 1: each pause is shorter than the one before; write 1 or more");
    }
    if ini.has_own("graphite", "timeout") {
        section.warn("timeout", "has no effect; write connect-timeout and write-timeout instead");
    }
    Some(Graphite {
        server: server?,
        port: port?,
        retries: retries?,
        interval: interval?,
        backoff: backoff?,
        delay: delay?,
        connect_timeout: connect_timeout?,
        write_timeout: write_timeout?,
        acknowledge: acknowledge?,
        settle: settle?,
        namespace: namespace?,
        prefix_hostname: prefix_hostname?,
        fqdn: fqdn?,
        queue_size: queue_size?,
        queue_full: queue_full?,
        group_namespace: group_namespace?,
    })
}

fn group_namespace(section: &mut Section<'_>) -> Option<Option<GroupNamespace>> {
    const NAME: &str = "group-namespace";
    const DOUBLE: &str = "group-namespace-double-writes";
    let name = section.optional(NAME, value::namespace);
    let double_writes = section.optional(DOUBLE, value::boolean);
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
