//! `[graphite]`: where metrics are sent.

use super::ini::Ini;
use super::options::OPTIONAL_SECTIONS;
use super::problem::Report;
use super::section::Section;
use super::tls::{Tls, identity};
use super::value::Refusal;
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

/// A Graphite server or relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name, IPv4 or IPv6 address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Tells servers of the same host apart in the hash, as in the configurations of carbon and its relays.
    pub instance: Option<String>,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
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
    /// Whether anything is sent to Graphite at all.
    pub enabled: bool,
    /// Where to; never empty.
    pub servers: Vec<Endpoint>,
    /// Who gets what.
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
    /// How long a lasting connection is used before another takes its place; zero is for ever.
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
    let mut section = Section::new("graphite", ini, report);
    let enabled = section.get("enabled", value::boolean);
    let servers = servers(&mut section);
    let mode = section.get("mode", |text| {
        value::choice(text, &[("failover", Mode::Failover), ("duplicate", Mode::Duplicate), ("hash", Mode::Hash)])
    });
    let protocol = section.get("protocol", |text| {
        value::choice(text, &[("plaintext", Protocol::Plaintext), ("pickle", Protocol::Pickle)])
    });
    let tagged = section.get("tagged", value::boolean);
    let tls = tls(&mut section);
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
    let connection_lifetime = section.get("connection-lifetime", value::pause);
    let namespace = section.get("namespace", value::namespace);
    let prefix_hostname = section.get("prefix-hostname", value::boolean);
    let fqdn = section.get("fqdn", value::boolean);
    let queue_size = section.get("queue-size", value::count);
    let queue_full = section.get("queue-full", |text| {
        value::choice(text, &[("keep", QueueFull::Keep), ("drop-oldest", QueueFull::DropOldest)])
    });
    let group_namespace = group_namespace(&mut section);

    let elsewhere = OPTIONAL_SECTIONS.iter().any(|other| ini.has_section(other));
    if enabled == Some(false) && !elsewhere {
        section.error("enabled", "is false, and there is no other section to send metrics to, such as [kafka]");
    }
    if backoff.is_some_and(|factor| factor < 1.0) {
        section.warn("backoff", "is below 1: each pause is shorter than the one before; write 1 or more");
    }
    if ini.has_own("graphite", "timeout") {
        section.warn("timeout", "has no effect; write connect-timeout and write-timeout instead");
    }
    Some(Graphite {
        enabled: enabled?,
        servers: servers?,
        mode: mode?,
        protocol: protocol?,
        tagged: tagged?,
        tls: tls?,
        retries: retries?,
        interval: interval?,
        backoff: backoff?,
        delay: delay?,
        connect_timeout: connect_timeout?,
        write_timeout: write_timeout?,
        acknowledge: acknowledge?,
        settle: settle?,
        connection_lifetime: connection_lifetime?,
        namespace: namespace?,
        prefix_hostname: prefix_hostname?,
        fqdn: fqdn?,
        queue_size: queue_size?,
        queue_full: queue_full?,
        group_namespace: group_namespace?,
    })
}

/// `servers`, or `server` and `port`.
fn servers(section: &mut Section<'_>) -> Option<Vec<Endpoint>> {
    let host = section.get("server", value::host);
    let port = section.get("port", value::port);
    let servers = section.optional("servers", |text| endpoints(text, port.unwrap_or_default()));
    match (host?, port?, servers?) {
        (host, port, None) => Some(vec![Endpoint { host, port, instance: None }]),
        (_, _, Some(servers)) => Some(servers),
    }
}

/// `host[:port][=instance]`, separated by commas.
fn endpoints(text: &str, port: u16) -> Result<Vec<Endpoint>, Refusal> {
    let mut all: Vec<Endpoint> = Vec::new();
    for element in text.split(',').map(str::trim) {
        let new = endpoint(element, port).map_err(|refusal| format!("{element:?}: {refusal}"))?;
        if all.contains(&new) {
            return Err(format!("{element:?} is listed twice; remove one"));
        }
        all.push(new);
    }
    Ok(all)
}

fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, Refusal> {
    const RIGHT: &str = "write host:port, such as graphite-1:2003, or host:port=instance";
    let (address, instance) = match text.split_once('=') {
        Some((address, instance)) => (address.trim_end(), Some(instance.trim_start().to_owned())),
        None => (text, None),
    };
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if instance.as_ref().is_some_and(|name| name.is_empty() || !name.chars().all(named)) {
        return Err(format!("an instance is made of letters, digits, dots, - and _; {RIGHT}"));
    }
    let bare = value::host(address).is_ok();
    let (host, port) = match address.rsplit_once(':').filter(|_| !bare) {
        Some((host, port)) => (host, value::port(port)?),
        None => (address, default_port),
    };
    let bracketed = host.starts_with('[');
    let host = value::host(host).map_err(|_| format!("neither a name nor an address; {RIGHT}"))?;
    if host.contains(':') && !bracketed {
        return Err("an IPv6 address without brackets; write [::1]:2003".to_owned());
    }
    Ok(Endpoint { host, port, instance })
}

fn tls(section: &mut Section<'_>) -> Option<Option<Tls>> {
    let on = section.get("tls", value::boolean);
    let ca_file = section.optional("tls-ca-file", value::path);
    let verify = section.get("tls-verify", value::boolean);
    let certificate = section.optional("tls-certificate-file", value::path);
    let key = section.optional("tls-key-file", value::path);
    let (on, ca_file, verify) = (on?, ca_file?, verify?);
    let identity = identity(certificate?, key?).map_err(|(option, message)| section.error(option, message)).ok()?;
    if on && !verify {
        section
            .warn("tls-verify", "is off: whoever answers gets the metrics; name its authority in tls-ca-file instead");
    }
    Some(on.then_some(Tls { ca_file, verify, identity }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16, instance: Option<&str>) -> Endpoint {
        Endpoint { host: host.to_owned(), port, instance: instance.map(str::to_owned) }
    }

    #[test]
    fn servers_in_all_forms() {
        let text = "graphite-1:2003, 10.0.0.1 ,[::1]:2004=a, [fe80::1], b:2003=b";
        let all = [
            endpoint("graphite-1", 2003, None),
            endpoint("10.0.0.1", 3002, None),
            endpoint("::1", 2004, Some("a")),
            endpoint("fe80::1", 3002, None),
            endpoint("b", 2003, Some("b")),
        ];
        assert_eq!(endpoints(text, 3002).unwrap(), all);
        assert_eq!(all[2].to_string(), "[::1]:2004");
    }

    #[test]
    fn servers_that_cannot_be_right() {
        for (text, words) in [
            ("", "neither"),
            ("a:2003,", "neither"),
            ("a:2003,a:2003", "twice"),
            ("a:0", "write"),
            ("a:x", "write"),
            ("::1", "without brackets"),
            ("::1:2003", "without brackets"),
            ("a:2003=", "instance"),
            ("a:2003='x", "instance"),
            ("tcp://a:2003", "neither"),
            ("a b:2003", "neither"),
        ] {
            let refusal = endpoints(text, 3002).unwrap_err();
            assert!(refusal.contains(words), "{text:?}: {refusal}");
        }
    }
}
