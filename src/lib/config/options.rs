//! Every option of the programs: the one table behind `-p`, the checks of names, haproxystats.conf and
//! docs/configuration.md.

use super::ini::Ini;
use super::reader::DEFAULT_SECTION;

/// One of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// haproxystats-pull
    Pull,
    /// haproxystats-process
    Process,
    /// haproxystats-agent
    Agent,
    /// haproxystats-discovery
    Discovery,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pull, Self::Process, Self::Agent, Self::Discovery];

    /// What stands behind `haproxystats-` in its name, as in `[exporter:pull]`.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.name().strip_prefix("haproxystats-").unwrap_or_default()
    }

    /// Name of the executable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pull => "haproxystats-pull",
            Self::Process => "haproxystats-process",
            Self::Agent => "haproxystats-agent",
            Self::Discovery => "haproxystats-discovery",
        }
    }

    /// Whether the program reads or prints this section as its own.
    #[must_use]
    pub fn owns(self, section: &str) -> bool {
        if base(section) == EXPORTER {
            return section.strip_prefix("exporter:").is_none_or(|word| word == self.word());
        }
        let owner = match base(section) {
            "pull" => Self::Pull,
            AGENT => Self::Agent,
            DISCOVERY | DISCOVERY_SERVER | DISCOVERY_CLIENT | DISCOVERY_BACKEND => Self::Discovery,
            _ => Self::Process,
        };
        self == owner
    }
}

/// Who reads an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// haproxystats-pull alone.
    Pull,
    /// haproxystats-process alone.
    Process,
    /// haproxystats-agent alone.
    Agent,
    /// haproxystats-discovery alone.
    Discovery,
    /// haproxystats-pull and haproxystats-process.
    Both,
    /// haproxystats-process and haproxystats-agent, which sends its own figures.
    Senders,
    /// Every program.
    All,
    /// Nobody: it is there for references such as `${paths:base-dir}`, or for files of older versions.
    None,
}

impl Reader {
    /// The program that reads the option, when `program` does not.
    #[must_use]
    pub const fn other_than(self, program: Program) -> Option<Program> {
        match (self, program) {
            (Self::Process, Program::Pull | Program::Agent | Program::Discovery)
            | (Self::Senders, Program::Pull | Program::Discovery) => Some(Program::Process),
            (Self::Pull, Program::Process | Program::Agent | Program::Discovery)
            | (Self::Both, Program::Agent | Program::Discovery) => Some(Program::Pull),
            (Self::Agent, Program::Pull | Program::Process | Program::Discovery) => Some(Program::Agent),
            (Self::Discovery, Program::Pull | Program::Process | Program::Agent) => Some(Program::Discovery),
            _ => None,
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// debug, info, warning, error, critical.
    LogLevel,
    /// A whole number, -1 or more.
    Retries,
    /// Seconds, a fraction allowed.
    Seconds,
    /// Whole seconds.
    WholeSeconds,
    /// A whole number, 1 or more.
    Count,
    /// A whole number of bytes, 1 or more.
    Bytes,
    /// A number.
    Number,
    /// 1 to 65535.
    Port,
    /// ADDRESS:PORT.
    Socket,
    /// true or false.
    Boolean,
    /// A directory.
    Directory,
    /// A file.
    File,
    /// URLs, separated by commas.
    Servers,
    /// Names of metrics, separated by blanks, or `all`.
    Metrics,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A regular expression.
    Pattern,
    /// Words of an answer to an agent check.
    Answer,
    /// A number from 0 to 1.
    Fraction,
    /// A whole number from 0 to 100.
    Percent,
    /// A weight of HAProxy.
    Weight,
}

impl Type {
    /// The type in words, for documents.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::LogLevel => "debug, info, warning, error or critical".to_owned(),
            Self::Retries => "whole number, -1 or more".to_owned(),
            Self::Seconds | Self::Number => "number".to_owned(),
            Self::WholeSeconds | Self::Count | Self::Bytes => "whole number, 1 or more".to_owned(),
            Self::Port => "whole number, 1 to 65535".to_owned(),
            Self::Socket => "address:port".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Directory => "directory".to_owned(),
            Self::File => "file".to_owned(),
            Self::Servers => "URLs separated by commas".to_owned(),
            Self::Metrics => "names separated by blanks, or all".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::Text => "text".to_owned(),
            Self::Pattern => "regular expression".to_owned(),
            Self::Answer => "answer".to_owned(),
            Self::Fraction => "number from 0 to 1".to_owned(),
            Self::Percent => "whole number, 0 to 100".to_owned(),
            Self::Weight => "whole number, 0 to 256".to_owned(),
        }
    }

    /// The unit, for documents; empty for what has none.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Seconds | Self::WholeSeconds => "seconds",
            Self::Bytes => "bytes",
            Self::Percent => "percent",
            _ => "",
        }
    }
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its section.
    pub section: &'static str,
    /// Its name; `*` where the user chooses the names, also behind a dot.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Type,
    /// Its built-in default; `None`: unset.
    pub default: Option<&'static str>,
    /// Who reads it.
    pub reader: Reader,
    /// What it does, for haproxystats.conf and docs/configuration.md.
    pub about: &'static str,
}

/// Section whose built-in defaults exist only together with the section: its presence switches the dispatcher on.
pub const LOCAL_STORE: &str = "local-store";

/// The same for Kafka.
pub const KAFKA: &str = "kafka";

/// Sections that switch something on by being there.
pub const OPTIONAL_SECTIONS: [&str; 2] = [KAFKA, LOCAL_STORE];

/// Sections of which every option is a group.
pub const GROUP_SECTIONS: [&str; 3] = ["frontend-groups", "backend-groups", "server-groups"];

/// Section of the agent; `[agent:NAME]` is a service, for which the options of this one are the defaults.
pub const AGENT: &str = "agent";

/// Section of the page of metrics; `[exporter:PROGRAM]` goes before it for one program.
pub const EXPORTER: &str = "exporter";

/// Section of haproxystats-discovery: what its server and its clients share.
pub const DISCOVERY: &str = "discovery";

/// Section of the server of haproxystats-discovery.
pub const DISCOVERY_SERVER: &str = "discovery-server";

/// Section of the clients of haproxystats-discovery.
pub const DISCOVERY_CLIENT: &str = "discovery-client";

/// Section of what all backends share; `[discovery-backend:NAME]` is the backend NAME of HAProxy.
pub const DISCOVERY_BACKEND: &str = "discovery-backend";

/// The section whose rows a section has: `agent` for `agent:NAME`, `discovery-backend` for `discovery-backend:NAME`,
/// `exporter` for `exporter:PROGRAM`, otherwise itself.
#[must_use]
pub fn base(section: &str) -> &str {
    match section.split_once(':') {
        Some((AGENT, _)) => AGENT,
        Some((EXPORTER, word)) if Program::ALL.iter().any(|program| program.word() == word) => EXPORTER,
        Some((DISCOVERY_BACKEND, _)) => DISCOVERY_BACKEND,
        _ => section,
    }
}

/// An option as the table spells it. The agent of Datawave has underscores where this program has dashes.
#[must_use]
pub fn spelling(section: &str, name: &str) -> String {
    if base(section) == AGENT { name.replace('_', "-") } else { name.to_owned() }
}

const fn row(
    section: &'static str,
    name: &'static str,
    kind: Type,
    default: Option<&'static str>,
    reader: Reader,
    about: &'static str,
) -> OptionSpec {
    OptionSpec { section, name, kind, default, reader, about }
}

/// All options, by section in the order of haproxystats.conf.
#[rustfmt::skip]
pub static OPTIONS: &[OptionSpec] = &[
    row(DEFAULT_SECTION, "loglevel", Type::LogLevel, Some("info"), Reader::All,
        "Messages below this level are not printed."),
    row(DEFAULT_SECTION, "retries", Type::Retries, Some("2"), Reader::None,
        "How often a failed connection is tried again; [pull] and [graphite] have their own."),
    row(DEFAULT_SECTION, "timeout", Type::Seconds, Some("1"), Reader::None,
        "Time for a connection to be accepted; [pull] and [graphite] have their own."),
    row(DEFAULT_SECTION, "interval", Type::Seconds, Some("2"), Reader::None,
        "Pause before a connection is tried again; [pull] and [graphite] have their own."),

    row("paths", "base-dir", Type::Directory, Some("/var/lib/haproxystats"), Reader::None,
        "Base of the directories, for use as ${paths:base-dir} in this file; changing it alone moves nothing."),

    row("pull", "loglevel", Type::LogLevel, None, Reader::Pull,
        "Messages of haproxystats-pull below this level are not printed; unset: that of [DEFAULT]."),
    row("pull", "socket-dir", Type::Directory, None, Reader::Both,
        "Directory with UNIX sockets of HAProxy; every socket that is in it at the time of a pull is pulled."),
    row("pull", "servers", Type::Servers, None, Reader::Both,
        "Sockets by URL: unix:///path, tcp://host:port, tcp://[IPv6 address]:port, or abns@name and abnsz@name as HAProxy writes them."),
    row("pull", "exclude-sockets", Type::Text, None, Reader::Pull,
        "Names in socket-dir that are not pulled, separated by blanks; * is any text, ? any character, as in *.master master.sock."),
    row("pull", "retries", Type::Retries, Some("1"), Reader::Pull,
        "How often a failed connection to a socket is tried again; 0 is never, -1 is for ever."),
    row("pull", "timeout", Type::Seconds, Some("0.1"), Reader::Pull,
        "Time for a socket to accept a connection; HAProxy needs one or two milliseconds."),
    row("pull", "interval", Type::Seconds, Some("0.5"), Reader::Pull,
        "Pause before a connection to a socket is tried again; as long as a reload of HAProxy takes."),
    row("pull", "pull-timeout", Type::Seconds, Some("2"), Reader::Pull,
        "Time for a whole pull, less than pull-interval; 0 is no limit."),
    row("pull", "jitter", Type::Seconds, Some("0"), Reader::Pull,
        "Time over which the sockets of a pull are spread, each always at the same moment of it; pull-timeout counts from there."),
    row("pull", "pull-interval", Type::WholeSeconds, Some("10"), Reader::Pull,
        "Distance of two pulls; 1 second can overload HAProxy with thousands of servers."),
    row("pull", "buffer-limit", Type::Bytes, Some("6291456"), Reader::Both,
        "Kept for existing files: the size of a read buffer; it limits no reply. See max-reply-size."),
    row("pull", "max-reply-size", Type::Bytes, Some("1073741824"), Reader::Pull,
        "Most bytes of one reply, against one without end; a longer reply fails the pull of that socket. A server takes some 350 bytes."),
    row("pull", "dst-dir", Type::Directory, Some("/var/lib/haproxystats/incoming"), Reader::Pull,
        "Directory in which complete snapshots appear, one directory per pull."),
    row("pull", "tmp-dst-dir", Type::Directory, Some("/var/lib/haproxystats/incoming.tmp"), Reader::Pull,
        "Directory in which snapshots are staged; on the same file system as dst-dir, so that publishing is a rename."),
    row("pull", "workers", Type::Count, Some("8"), Reader::Pull,
        "Kept for existing files: the number of threads that write to disk; one thread does all the work now."),
    row("pull", "queue-size", Type::Count, Some("360"), Reader::Pull,
        "Pulling is suspended while dst-dir holds this many snapshots or more."),
    row("pull", "on-socket-failure", Type::Choice(&["drop-all", "keep-rest"]), Some("drop-all"), Reader::Pull,
        "When a socket fails: publish nothing of this pull (drop-all), or what the other sockets gave (keep-rest)."),
    row("pull", "fsync", Type::Boolean, Some("false"), Reader::Pull,
        "Flush a snapshot to the disk before it is published, so that it survives a power loss."),

    row("process", "loglevel", Type::LogLevel, None, Reader::Process,
        "Messages of haproxystats-process below this level are not printed; unset: that of [DEFAULT]."),
    row("process", "src-dir", Type::Directory, Some("/var/lib/haproxystats/incoming"), Reader::Process,
        "Directory to watch for snapshots: dst-dir of [pull]."),
    row("process", "workers", Type::Count, Some("4"), Reader::Process,
        "Number of worker processes."),
    row("process", "frontend-metrics", Type::Metrics, None, Reader::Process,
        "Metrics of frontends in place of the usual selection."),
    row("process", "backend-metrics", Type::Metrics, None, Reader::Process,
        "Metrics of backends in place of the usual selection."),
    row("process", "server-metrics", Type::Metrics, None, Reader::Process,
        "Metrics of servers in place of the usual selection."),
    row("process", "daemon-metrics", Type::Metrics, None, Reader::Process,
        "Metrics of the HAProxy daemon (show info) in place of the usual selection; write _ for a blank in a name."),
    row("process", "exact-selection", Type::Boolean, Some("false"), Reader::Process,
        "Send what is selected and nothing else; false: averages and times are sent besides a selection."),
    row("process", "aggr-server-metrics", Type::Boolean, Some("false"), Reader::Process,
        "Also send the metrics of servers summed over all backends."),
    row("process", "exclude-frontends", Type::File, None, Reader::Process,
        "File with the names of frontends to leave out, one per line."),
    row("process", "exclude-backends", Type::File, None, Reader::Process,
        "File with the names of backends to leave out, one per line."),
    row("process", "per-process-metrics", Type::Boolean, Some("false"), Reader::Process,
        "Also send the metrics of the HAProxy daemon for each of its processes."),
    row("process", "calculate-percentages", Type::Boolean, Some("false"), Reader::Process,
        "Also send how much of the limits of the HAProxy daemon is in use, in percent."),
    row("process", "status-metrics", Type::Boolean, Some("false"), Reader::Process,
        "Also send the states of servers and backends as numbers."),
    row("process", "time-averages", Type::Choice(&["plain", "weighted"]), Some("plain"), Reader::Process,
        "How qtime, ctime, rtime and ttime become one over processes: plain, the mean of processes with traffic; weighted, by \
         the requests that each is over, at most 1024. Clusters, servers over all backends and messages are weighted always."),
    row("process", "liveness-check-interval", Type::Seconds, Some("10"), Reader::Process,
        "How often the workers are asked whether they live."),
    row("process", "worker-timeout", Type::Seconds, Some("60"), Reader::Process,
        "A worker that makes no progress for this long is replaced."),
    row("process", "cluster-metrics", Type::Boolean, Some("false"), Reader::Process,
        "Also send the metrics of each cluster of [hosts], over all of its hosts."),
    row("process", "skip-unused-slots", Type::Boolean, Some("false"), Reader::Process,
        "Leave out servers in maintenance that have no address and have had no traffic, such as free slots of a \
         server-template, for every destination."),
    row("process", "skip-zero", Type::Boolean, Some("false"), Reader::Process,
        "Leave out counters that are 0, which have not moved since HAProxy's start or since they were \
         cleared; JSON and influx messages keep them."),
    row("process", "send-unchanged-every", Type::Count, Some("1"), Reader::Process,
        "Send a value that stays the same in one of so many snapshots; 1 in each. Lines of Graphite and the local store; \
         messages are complete."),
    row("process", "self-metrics", Type::Boolean, Some("true"), Reader::Process,
        "Send figures about haproxystats itself (queue, retries, workers) besides the wall-clock times and counts."),

    row("graphite", "enabled", Type::Boolean, Some("true"), Reader::Process,
        "Send metrics to Graphite; false where they only go elsewhere."),
    row("graphite", "server", Type::Text, Some("127.0.0.1"), Reader::Senders,
        "Name or address of the Graphite server or relay."),
    row("graphite", "port", Type::Port, Some("3002"), Reader::Senders,
        "Its TCP port for the protocol."),
    row("graphite", "servers", Type::Text, None, Reader::Process,
        "Several servers in place of server: host:port, separated by commas; host:port=instance where the hash has to tell \
         servers of one host apart."),
    row("graphite", "mode", Type::Choice(&["failover", "duplicate", "hash"]), Some("failover"), Reader::Process,
        "Several servers: the first that can be reached gets everything (failover), all get everything (duplicate), or each \
         gets its part by carbon's consistent hashing, as carbon_ch of carbon-c-relay (hash)."),
    row("graphite", "protocol", Type::Choice(&["plaintext", "pickle"]), Some("plaintext"), Reader::Process,
        "How metrics are written: lines, or lists of points for carbon's pickle port."),
    row("graphite", "tagged", Type::Boolean, Some("false"), Reader::Process,
        "Send names with tags, such as haproxy.backend.rtime;host=lb-01;backend=www, in place of paths."),
    row("graphite", "tls", Type::Boolean, Some("false"), Reader::Process,
        "Encrypt the connections."),
    row("graphite", "tls-ca-file", Type::File, None, Reader::Process,
        "Certificates (PEM) of the authorities to trust in place of the system's."),
    row("graphite", "tls-verify", Type::Boolean, Some("true"), Reader::Process,
        "Refuse a server whose certificate does not prove that it is the one that was named."),
    row("graphite", "tls-certificate-file", Type::File, None, Reader::Process,
        "Certificate (PEM) of this client, for servers that ask for one."),
    row("graphite", "tls-key-file", Type::File, None, Reader::Process,
        "Its private key (PEM)."),
    row("graphite", "retries", Type::Retries, Some("3"), Reader::Senders,
        "How often a failed connection is tried again before delay; 0 is never, -1 is for ever."),
    row("graphite", "interval", Type::Seconds, Some("1.8"), Reader::Senders,
        "Pause before the first further attempt to connect."),
    row("graphite", "connect-timeout", Type::Seconds, Some("1.0"), Reader::Senders,
        "Time for the connection to be accepted."),
    row("graphite", "write-timeout", Type::Seconds, Some("1.0"), Reader::Senders,
        "Time without a byte taken by Graphite after which it counts as stalled; the connection is replaced after delay."),
    row("graphite", "timeout", Type::Seconds, None, Reader::None,
        "Accepted for files of older versions, without effect; use connect-timeout and write-timeout."),
    row("graphite", "delay", Type::Seconds, Some("10"), Reader::Senders,
        "Pause after the last of retries failed; snapshots wait meanwhile."),
    row("graphite", "backoff", Type::Number, Some("2"), Reader::Senders,
        "Factor by which interval grows with each further attempt."),
    row("graphite", "acknowledge", Type::Choice(&["close", "kernel"]), Some("close"), Reader::Senders,
        "What tells that Graphite has read a snapshot: its closing of the connection, which is ended after each snapshot \
         (close), or its kernel, on one lasting connection (kernel; loses more when Graphite is restarted)."),
    row("graphite", "settle", Type::Seconds, Some("30"), Reader::Senders,
        "Time for which an idle connection to Graphite must stand after that; if it does not, the snapshot is sent again. \
         Longer than a proxy in front of Graphite tries to connect: HAProxy four times for 5 seconds, with pauses of 1 second."),
    row("graphite", "connection-lifetime", Type::Seconds, Some("300"), Reader::Senders,
        "With acknowledge = kernel: time after which the lasting connection is replaced by a new one, which follows the name of \
         the server to another address; 0 is never."),
    row("graphite", "namespace", Type::Text, Some("loadbalancers"), Reader::Senders,
        "First element of every path."),
    row("graphite", "prefix-hostname", Type::Boolean, Some("true"), Reader::Senders,
        "Put the name of this host behind the namespace."),
    row("graphite", "fqdn", Type::Boolean, Some("true"), Reader::Senders,
        "The whole name of the host with dots as underscores; false: only its first label."),
    row("graphite", "queue-size", Type::Count, Some("1000000"), Reader::Senders,
        "Most metrics that a worker holds in memory while Graphite does not take them."),
    row("graphite", "queue-full", Type::Choice(&["keep", "drop-oldest"]), Some("keep"), Reader::Senders,
        "At queue-size: leave further snapshots on disk until there is room (keep), or forget the oldest metrics."),
    row("graphite", "group-namespace", Type::Text, None, Reader::Senders,
        "Path element in front of the names of groups; needs a section with groups."),
    row("graphite", "group-namespace-double-writes", Type::Boolean, None, Reader::Senders,
        "Send grouped metrics under their plain path as well; must be set together with group-namespace."),

    row("hosts", "*", Type::Text, None, Reader::Process,
        "Name of the host, and its cluster, to which an address that is pulled belongs; the option is the host of a server of \
         [pull] or the file name of a socket, a port may stand in front of the name."),

    row("frontend-groups", "*", Type::Pattern, None, Reader::Process,
        "Frontends whose name the pattern finds belong to the group; the first pattern that finds it wins."),
    row("backend-groups", "*", Type::Pattern, None, Reader::Process,
        "Backends, and their servers, by the name of the backend."),
    row("server-groups", "*", Type::Pattern, None, Reader::Process,
        "Servers as aggr-server-metrics sends them, by name."),

    row(LOCAL_STORE, "dir", Type::Directory, Some("/var/lib/haproxystats/local-store"), Reader::Process,
        "Directory for a copy of all metrics as files; nothing cleans it up."),

    row(KAFKA, "brokers", Type::Text, Some("127.0.0.1:9092"), Reader::Process,
        "Brokers to begin with, host:port separated by commas; the others are learnt from them."),
    row(KAFKA, "topic", Type::Text, Some("haproxystats"), Reader::Process,
        "Topic that messages are written to."),
    row(KAFKA, "client-id", Type::Text, Some("haproxystats"), Reader::Process,
        "Name under which quotas and logs of the brokers know this program."),
    row(KAFKA, "format", Type::Choice(&["json", "graphite", "influx"]), Some("json"), Reader::Process,
        "A message is a JSON document of one object, lines of Graphite's plaintext protocol, or of InfluxDB's line protocol."),
    row(KAFKA, "key", Type::Text, Some("{host}/{proxy}"), Reader::Process,
        "Key of messages, which decides about their partition; {host}, {cluster}, {kind}, {proxy} and {server} are replaced."),
    row(KAFKA, "cluster", Type::Text, None, Reader::Process,
        "Name of the cluster that this host is part of, for messages and keys."),
    row(KAFKA, "compression", Type::Choice(&["none", "gzip", "snappy", "lz4", "zstd"]), Some("lz4"), Reader::Process,
        "Compression of messages: lz4 is what every reader has, zstd takes less space."),
    row(KAFKA, "max-message-size", Type::Bytes, Some("500000"), Reader::Process,
        "Most bytes of a message before compression; no more than the topic's max.message.bytes."),
    row(KAFKA, "queue-size", Type::Count, Some("1000000"), Reader::Process,
        "Most metrics that a worker holds in memory while Kafka does not take them; further snapshots stay on disk for it."),
    row(KAFKA, "stall-timeout", Type::Seconds, Some("10"), Reader::Process,
        "Time without any acknowledgement, while messages wait for one, after which Kafka counts as away."),
    row(KAFKA, "delay", Type::Seconds, Some("5"), Reader::Process,
        "Pause before messages that Kafka has refused are tried again; doubled each time, up to a minute."),
    row(KAFKA, "tls", Type::Boolean, Some("false"), Reader::Process,
        "Encrypt connections."),
    row(KAFKA, "tls-ca-file", Type::File, None, Reader::Process,
        "Certificate authorities (PEM) to trust instead of those of the system."),
    row(KAFKA, "tls-certificate-file", Type::File, None, Reader::Process,
        "Certificate of this client (PEM), for brokers that ask for one; together with tls-key-file."),
    row(KAFKA, "tls-key-file", Type::File, None, Reader::Process,
        "Key of tls-certificate-file (PEM)."),
    row(KAFKA, "sasl-mechanism", Type::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]), None, Reader::Process,
        "How to log in; unset: not at all."),
    row(KAFKA, "sasl-username", Type::Text, None, Reader::Process,
        "Name to log in with."),
    row(KAFKA, "sasl-password-file", Type::File, None, Reader::Process,
        "File with the password in its first line; read when a worker starts."),
    row(KAFKA, "properties-file", Type::File, None, Reader::Process,
        "File with properties of librdkafka, one per line as name=value: for those that are secrets."),
    row(KAFKA, "librdkafka.*", Type::Text, None, Reader::Process,
        "Any property of librdkafka, as in librdkafka.linger.ms = 100."),

    row(EXPORTER, "listen", Type::Socket, None, Reader::All,
        "Address and port of the page of metrics for Prometheus (GET /metrics); unset: no page."),

    row(AGENT, "loglevel", Type::LogLevel, None, Reader::Agent,
        "Messages of haproxystats-agent below this level are not printed; unset: that of [DEFAULT]."),
    row(AGENT, "bind", Type::Text, Some("0.0.0.0"), Reader::Agent,
        "Address to listen on; :: for IPv6 and IPv4."),
    row(AGENT, "port", Type::Port, Some("5555"), Reader::Agent,
        "TCP port to listen on; services that have the same one are told apart by request."),
    row(AGENT, "allow", Type::Text, None, Reader::Agent,
        "Addresses and networks (10.0.0.0/8) that may ask, separated by commas; unset: everybody."),
    row(AGENT, "request", Type::Text, None, Reader::Agent,
        "Line by which HAProxy asks for this service (agent-send); unset: the service answers whatever is asked."),
    row(AGENT, "request-timeout", Type::Seconds, Some("0.1"), Reader::Agent,
        "Time for the request to come, on ports where a service has one."),
    row(AGENT, "max-connections", Type::Count, Some("1000"), Reader::Agent,
        "Most connections of a port at a time; further ones are closed without an answer, which changes nothing."),
    row(AGENT, "self-metrics", Type::Boolean, None, Reader::Agent,
        "Send figures about the agent to Graphite; unset: where the configuration has a section [graphite]."),
    row(AGENT, "self-metrics-interval", Type::WholeSeconds, Some("10"), Reader::Agent,
        "Time between two such reports, on the grid of the wall clock."),
    row(AGENT, "checks", Type::Text, Some("datawave"), Reader::Agent,
        "What the answer is made from, separated by blanks: datawave, http, patroni, load, file, command; each with its share of the mean at will, such as http:3."),
    row(AGENT, "combine", Type::Choice(&["worst", "mean"]), Some("worst"), Reader::Agent,
        "Weight of several checks: the lowest, or their mean by shares; the state is the worst of all."),
    row(AGENT, "own-admin-state", Type::Boolean, Some("false"), Reader::Agent,
        "Let the agent decide about ready, drain and maint; false: those are the operator's, drain is weight 0 and maint is down."),
    row(AGENT, "maxconn", Type::Count, None, Reader::Agent,
        "Most connections of the server for each HAProxy process, part of every answer."),
    row(AGENT, "weight-step", Type::Percent, Some("1"), Reader::Agent,
        "Least change of the weight that changes the answer."),
    row(AGENT, "fall-delay", Type::Seconds, Some("0"), Reader::Agent,
        "Time for which a worse state must last before it is answered."),
    row(AGENT, "rise-delay", Type::Seconds, Some("0"), Reader::Agent,
        "Time for which a better state must last before it is answered."),
    row(AGENT, "interval", Type::Seconds, Some("1.0"), Reader::Agent,
        "Pause between two checks; 0: check when HAProxy asks, once for all who ask at the same time."),
    row(AGENT, "check-timeout", Type::Seconds, Some("2"), Reader::Agent,
        "Time for a whole check."),
    row(AGENT, "staleness-interval", Type::Seconds, None, Reader::Agent,
        "Age at which a result is stale; unset: three intervals, and not less than interval and check-timeout together."),
    row(AGENT, "staleness-response", Type::Answer, Some("down"), Reader::Agent,
        "Answer instead of a stale result."),
    row(AGENT, "initial-response", Type::Answer, Some(""), Reader::Agent,
        "Answer before the first result, when no answer of the run before is young enough (initial-grace); empty: nothing changes at HAProxy."),
    row(AGENT, "initial-grace", Type::Seconds, Some("60"), Reader::Agent,
        "How old the last answer of the run before may be to be given again until the first result; 0: never."),
    row(AGENT, "state-file", Type::File, None, Reader::Agent,
        "File that keeps the last answers for initial-grace; unset: state.json in RuntimeDirectory of systemd's unit, otherwise none."),
    row(AGENT, "down-response", Type::Answer, Some("down"), Reader::Agent,
        "Answer when the endpoint refuses the connection or cannot be reached."),
    row(AGENT, "timeout-response", Type::Answer, Some("down"), Reader::Agent,
        "Answer when a check takes longer than check-timeout."),
    row(AGENT, "error-response", Type::Answer, Some("down"), Reader::Agent,
        "Answer when a check ends with what it should not: another status, broken JSON, an unknown exit code."),
    row(AGENT, "unavailable-response", Type::Answer, Some("0% drain"), Reader::Agent,
        "Answer when the endpoint says that it is unavailable (status 503)."),
    row(AGENT, "stop-response", Type::Answer, Some(""), Reader::Agent,
        "Answer while the agent stops, never better than the last one: drain takes the server out on purpose; empty: the agent ends at once, and HAProxy keeps the last answer."),
    row(AGENT, "stop-timeout", Type::Seconds, Some("10"), Reader::Agent,
        "Time for which stop-response is answered after SIGTERM, where a service has one; a second signal ends the agent at once."),
    row(AGENT, "check-url", Type::Text, None, Reader::Agent,
        "Endpoint of http, datawave and patroni; unset: that of the seeds, http://localhost:8080/DataWave/Common/Health/health and http://localhost:8008."),
    row(AGENT, "check-socket", Type::File, None, Reader::Agent,
        "UNIX socket to connect to instead of the host in check-url."),
    row(AGENT, "headers-file", Type::File, None, Reader::Agent,
        "File with headers to send, one per line as Name: value; read when the agent starts."),
    row(AGENT, "credentials-file", Type::File, None, Reader::Agent,
        "File with user:password in its first line, for basic authentication."),
    row(AGENT, "tls-ca-file", Type::File, None, Reader::Agent,
        "Certificate authorities (PEM) to trust instead of those of the system."),
    row(AGENT, "tls-certificate-file", Type::File, None, Reader::Agent,
        "Certificate of the agent (PEM) for endpoints that ask for one; together with tls-key-file."),
    row(AGENT, "tls-key-file", Type::File, None, Reader::Agent,
        "Key of tls-certificate-file (PEM)."),
    row(AGENT, "expect-status", Type::Text, Some("200"), Reader::Agent,
        "Statuses of http that are good, separated by blanks."),
    row(AGENT, "status-pointer", Type::Text, None, Reader::Agent,
        "JSON pointer to the word for the state in the answer of http: up, ready, drain, maint, down, stopped, fail."),
    row(AGENT, "reductions", Type::Text, None, Reader::Agent,
        "Numbers in the answer of http that lower the weight, one per line: JSON pointer, factor, and the range (0 1) from no reduction to that factor."),
    row(AGENT, "connection-usage-reduction", Type::Fraction, Some("0.7"), Reader::Agent,
        "Part of the weight that full query slots take off (datawave)."),
    row(AGENT, "os-load-reduction", Type::Fraction, Some("0.4"), Reader::Agent,
        "Part of the weight that a load of 1 takes off (datawave)."),
    row(AGENT, "swap-usage-reduction", Type::Fraction, Some("0.3"), Reader::Agent,
        "Part of the weight that any swap in use takes off (datawave)."),
    row(AGENT, "patroni-mode", Type::Choice(&["read-write", "read-only"]), Some("read-write"), Reader::Agent,
        "Which nodes are up: the one that holds the leader lock, or the replicas."),
    row(AGENT, "standby-cluster", Type::Boolean, Some("false"), Reader::Agent,
        "Take the leader of a standby cluster for the read-write node."),
    row(AGENT, "replica-response", Type::Answer, Some("maint"), Reader::Agent,
        "Answer of a healthy node that is not the one for read-write."),
    row(AGENT, "transition-response", Type::Answer, Some("maint"), Reader::Agent,
        "Answer of a node whose role, state and leader lock do not agree: starting, stopping, promoting, demoted."),
    row(AGENT, "replicas", Type::Choice(&["any", "sync", "async"]), Some("any"), Reader::Agent,
        "Which replicas serve read-only."),
    row(AGENT, "replica-tags", Type::Text, None, Reader::Agent,
        "Tags that a replica must have to serve read-only, as name=value separated by blanks."),
    row(AGENT, "max-lag", Type::Bytes, Some("16777216"), Reader::Agent,
        "Lag of a replica at which it is drained from read-only; the weight falls with the lag."),
    row(AGENT, "lag-delay", Type::Seconds, Some("0"), Reader::Agent,
        "Time for which max-lag must be exceeded before the replica is drained."),
    row(AGENT, "primary-weight", Type::Percent, Some("1"), Reader::Agent,
        "Weight of the primary for read-only, as a last resort; 0: drained."),
    row(AGENT, "grace", Type::Seconds, Some("5"), Reader::Agent,
        "Time for which the last answer is kept while Patroni's API cannot be reached; less than its ttl."),
    row(AGENT, "cpu-reduction", Type::Fraction, Some("0.8"), Reader::Agent,
        "Part of the weight that one runnable task per CPU (load of a minute) takes off (load)."),
    row(AGENT, "pressure-reduction", Type::Fraction, Some("0.5"), Reader::Agent,
        "Part of the weight that tasks take off which wait for a CPU all the time (PSI, average of 10 seconds; load)."),
    row(AGENT, "memory-reduction", Type::Fraction, Some("0"), Reader::Agent,
        "Part of the weight that memory takes off when none is available (load)."),
    row(AGENT, "swap-reduction", Type::Fraction, Some("0.3"), Reader::Agent,
        "Part of the weight that a full swap takes off (load)."),
    row(AGENT, "overload-enter", Type::Fraction, None, Reader::Agent,
        "Part of the weight taken off (load) from which on the host is overloaded; unset: it never is."),
    row(AGENT, "overload-leave", Type::Fraction, None, Reader::Agent,
        "Part of the weight taken off (load) down to which it stays overloaded; unset: that of overload-enter."),
    row(AGENT, "overload-enter-delay", Type::Seconds, Some("0"), Reader::Agent,
        "Time for which overload-enter must be reached before the host is overloaded."),
    row(AGENT, "overload-leave-delay", Type::Seconds, Some("0"), Reader::Agent,
        "Time for which overload-leave must be reached before it is so no longer."),
    row(AGENT, "overload-response", Type::Answer, Some("1%"), Reader::Agent,
        "Answer of an overloaded host; empty: the weight by the load."),
    row(AGENT, "override-file", Type::File, None, Reader::Agent,
        "File of the check file: up, drain, maint or down in any case, or a maximum weight such as 50%, optionally followed by for SECONDS and #reason; no file: no override."),
    row(AGENT, "command", Type::Text, None, Reader::Agent,
        "Program and arguments of the check command, separated by blanks, without a shell: exit code 0 is up, 1 is up with warning-weight, 2 is down, else error-response."),
    row(AGENT, "warning-weight", Type::Percent, Some("50"), Reader::Agent,
        "Weight when the command ends with 1."),

    row(DISCOVERY, "loglevel", Type::LogLevel, None, Reader::Discovery,
        "Messages of haproxystats-discovery below this level are not printed; unset: that of [DEFAULT]."),
    row(DISCOVERY, "debug", Type::Boolean, Some("false"), Reader::Discovery,
        "Print messages of every level, whatever loglevel says."),
    row(DISCOVERY, "interval", Type::Seconds, Some("1"), Reader::Discovery,
        "Pause between two rounds of server and client."),
    row(DISCOVERY, "haproxy-backend-servers-list-size", Type::Count, Some("10"), Reader::Discovery,
        "Servers that the list has room for: the range of server-template; at most 1000 with dynamodb, 1300 with consul, \
         4096 with etcd, 16384 with file."),
    row(DISCOVERY, "store", Type::Choice(&["file", "dynamodb", "consul", "etcd"]), None, Reader::Discovery,
        "Where the list is kept; unset: dynamodb when dynamodb-table-name is set, otherwise file."),
    row(DISCOVERY, "state-dir", Type::Directory, Some("/var/lib/haproxystats/discovery"), Reader::Discovery,
        "Directory for the list (store = file), and for what was last read from source and store."),
    row(DISCOVERY, "store-url", Type::Text, None, Reader::Discovery,
        "URLs of Consul or etcd, separated by commas, asked in turn; unset: http://127.0.0.1:8500 or http://127.0.0.1:2379."),
    row(DISCOVERY, "store-key", Type::Text, Some("haproxystats/discovery"), Reader::Discovery,
        "Key of the list in Consul or etcd; one for each list."),
    row(DISCOVERY, "store-timeout", Type::Seconds, Some("5"), Reader::Discovery,
        "Time for one request to the store."),
    row(DISCOVERY, "store-token-file", Type::File, None, Reader::Discovery,
        "File with the ACL token for Consul as the store."),
    row(DISCOVERY, "store-credentials-file", Type::File, None, Reader::Discovery,
        "File with user:password for etcd."),
    row(DISCOVERY, "tls-ca-file", Type::File, None, Reader::Discovery,
        "Certificate authorities (PEM) for Consul and etcd instead of those of the system."),
    row(DISCOVERY, "tls-certificate-file", Type::File, None, Reader::Discovery,
        "Certificate (PEM) for a Consul or etcd that asks for one; together with tls-key-file."),
    row(DISCOVERY, "tls-key-file", Type::File, None, Reader::Discovery,
        "Key of tls-certificate-file (PEM)."),
    row(DISCOVERY, "dynamodb-table-name", Type::Text, None, Reader::Discovery,
        "Table of DynamoDB, with the number BackendServerID as its key."),
    row(DISCOVERY, "dynamodb-rows", Type::Boolean, Some("true"), Reader::Discovery,
        "Also keep a row for each server in the table as HSDO does, for clients of HSDO beside ours."),
    row(DISCOVERY, "aws-default-region", Type::Text, None, Reader::Discovery,
        "Region of the table and of the groups; unset: that of the AWS profile."),
    row(DISCOVERY, "exporter-address", Type::Text, Some("0.0.0.0"), Reader::Discovery,
        "Address of the page with metrics for Prometheus; :: for IPv6 and IPv4."),
    row(DISCOVERY, "exporter-port", Type::Text, None, Reader::Discovery,
        "Its TCP port, 0 for none; unset: 6789, and 6790 for a client by itself."),
    row(DISCOVERY, "graphite", Type::Boolean, Some("false"), Reader::Discovery,
        "Send the metrics to Graphite as well, as [graphite] says."),
    row(DISCOVERY, "graphite-interval", Type::WholeSeconds, Some("10"), Reader::Discovery,
        "Distance of two reports to Graphite."),

    row(DISCOVERY_SERVER, "mode", Type::Choice(&["aws", "consul", "dns", "file"]), None, Reader::Discovery,
        "Where servers are found; needed with --server."),
    row(DISCOVERY_SERVER, "asg-names", Type::Text, None, Reader::Discovery,
        "Auto Scaling Groups, separated by commas (aws)."),
    row(DISCOVERY_SERVER, "address", Type::Choice(&["private", "ipv6", "public"]), Some("private"), Reader::Discovery,
        "Which address of an instance HAProxy is given (aws)."),
    row(DISCOVERY_SERVER, "consul-api-url", Type::Text, None, Reader::Discovery,
        "URLs of Consul, separated by commas, asked in turn (consul)."),
    row(DISCOVERY_SERVER, "consul-service-name", Type::Text, None, Reader::Discovery,
        "Services, separated by commas; the name of a service is the group of its servers (consul)."),
    row(DISCOVERY_SERVER, "consul-token-file", Type::File, None, Reader::Discovery,
        "File with the ACL token (consul)."),
    row(DISCOVERY_SERVER, "consul-tags", Type::Text, None, Reader::Discovery,
        "Tags that a server must have, separated by commas (consul)."),
    row(DISCOVERY_SERVER, "consul-datacenter", Type::Text, None, Reader::Discovery,
        "Datacenter to ask; unset: that of the agent that is asked (consul)."),
    row(DISCOVERY_SERVER, "consul-warning", Type::Boolean, Some("true"), Reader::Discovery,
        "Whether a server with a check in the state warning serves (consul)."),
    row(DISCOVERY_SERVER, "dns-names", Type::Text, None, Reader::Discovery,
        "Names, separated by commas; the name is the group of its servers (dns)."),
    row(DISCOVERY_SERVER, "dns-type", Type::Choice(&["a", "aaaa", "srv"]), Some("a"), Reader::Discovery,
        "Which records are asked for (dns)."),
    row(DISCOVERY_SERVER, "dns-servers", Type::Text, None, Reader::Discovery,
        "Addresses of name servers with their ports, separated by commas; unset: those of the system (dns)."),
    row(DISCOVERY_SERVER, "source-file", Type::File, None, Reader::Discovery,
        "File with the servers (file)."),
    row(DISCOVERY_SERVER, "source-weights", Type::Boolean, Some("true"), Reader::Discovery,
        "Whether weights of Consul, SRV records and file scale the weight of a server."),
    row(DISCOVERY_SERVER, "allow-empty", Type::Boolean, Some("false"), Reader::Discovery,
        "Believe a source that knows a name without servers: a service of Consul without instances, a DNS name without records, \
         a group that the file does not mention; false: it is a failure, and the servers of the name stay."),
    row(DISCOVERY_SERVER, "source-timeout", Type::Seconds, Some("10"), Reader::Discovery,
        "Time for one listing of the source."),
    row(DISCOVERY_SERVER, "source-longest-pause", Type::Seconds, Some("60"), Reader::Discovery,
        "Longest pause before a source that fails is asked again; the pause begins at interval and doubles."),
    row(DISCOVERY_SERVER, "haproxy-backend-server-min-weight", Type::Weight, Some("1"), Reader::Discovery,
        "Weight of a server that was added now."),
    row(DISCOVERY_SERVER, "haproxy-backend-server-max-weight", Type::Weight, Some("10"), Reader::Discovery,
        "Weight of a server that has its full share."),
    row(DISCOVERY_SERVER, "haproxy-backend-server-increase-weight", Type::Weight, Some("1"), Reader::Discovery,
        "Weight that a new server gains with each step."),
    row(DISCOVERY_SERVER, "haproxy-backend-server-increase-weight-interval", Type::Seconds, Some("30"), Reader::Discovery,
        "Time between two steps."),
    row(DISCOVERY_SERVER, "drain-time", Type::Seconds, Some("60"), Reader::Discovery,
        "Time for which a server that leaves is drained before its slot is free for another."),
    row(DISCOVERY_SERVER, "removal-confirmations", Type::Count, Some("3"), Reader::Discovery,
        "Listings in a row that must lack a server, or call it unhealthy, before it leaves."),
    row(DISCOVERY_SERVER, "hold-obsolete", Type::Seconds, Some("30"), Reader::Discovery,
        "Time for which listings must lack a server before it leaves, unless another server is waiting for its slot."),
    row(DISCOVERY_SERVER, "removal-ratio", Type::Fraction, Some("0.5"), Reader::Discovery,
        "Largest part of the servers, of each group and of each backend that may be lost without replacement in removal-hold; \
         beyond it they are held."),
    row(DISCOVERY_SERVER, "removal-floor", Type::Text, Some("1"), Reader::Discovery,
        "Servers of the list, of each group and of each backend that stay whatever the source says."),
    row(DISCOVERY_SERVER, "removal-hold", Type::Seconds, Some("300"), Reader::Discovery,
        "Time after which the source is believed, down to removal-floor; 0: never."),
    row(DISCOVERY_SERVER, "lease-time", Type::Seconds, Some("15"), Reader::Discovery,
        "Time after which another server takes over from one that is gone."),
    row(DISCOVERY_SERVER, "server-name", Type::Text, None, Reader::Discovery,
        "Name of this server among those that share the store; unset: host name and process."),

    row(DISCOVERY_CLIENT, "haproxy-socket-path", Type::Text, Some("/var/run/haproxy/admin.sock"), Reader::Discovery,
        "Sockets of HAProxy with level admin, separated by commas: paths, or unix:///path and tcp://host:port."),
    row(DISCOVERY_CLIENT, "haproxy-backend-list", Type::Text, None, Reader::Discovery,
        "Backends of HAProxy as name:base name:port, separated by commas; instead of [discovery-backend:NAME] sections."),
    row(DISCOVERY_CLIENT, "haproxy-backend-name", Type::Text, None, Reader::Discovery,
        "The only backend of HAProxy, with haproxy-backend-base-name."),
    row(DISCOVERY_CLIENT, "haproxy-backend-base-name", Type::Text, None, Reader::Discovery,
        "Its server-template's prefix."),
    row(DISCOVERY_CLIENT, "haproxy-backend-server-port", Type::Port, Some("80"), Reader::Discovery,
        "Port of servers for which the source knows none."),
    row(DISCOVERY_CLIENT, "dedicated-asg", Type::Boolean, Some("false"), Reader::Discovery,
        "Only servers of asg-names go to the backends, all others to the fallback backend."),
    row(DISCOVERY_CLIENT, "asg-names", Type::Text, None, Reader::Discovery,
        "Groups of the backends with dedicated-asg, separated by commas."),
    row(DISCOVERY_CLIENT, "haproxy-fallback-backend-name", Type::Text, None, Reader::Discovery,
        "Backend of the servers of other groups."),
    row(DISCOVERY_CLIENT, "haproxy-fallback-backend-base-name", Type::Text, None, Reader::Discovery,
        "Its server-template's prefix."),
    row(DISCOVERY_CLIENT, "all-servers-in-fallback-backend", Type::Boolean, Some("false"), Reader::Discovery,
        "The fallback backend has the servers of asg-names too."),
    row(DISCOVERY_CLIENT, "use-managed-weights-by-hsdo", Type::Boolean, Some("true"), Reader::Discovery,
        "Set weights; false: leave them to HAProxy's configuration, its slowstart and agents."),
    row(DISCOVERY_CLIENT, "socket-timeout", Type::Seconds, Some("2"), Reader::Discovery,
        "Time for one exchange with HAProxy."),
    row(DISCOVERY_CLIENT, "drain-timeout", Type::Seconds, Some("30"), Reader::Discovery,
        "Time for the sessions of a server that leaves a slot to end, before the slot goes to maintenance."),
    row(DISCOVERY_CLIENT, "shutdown-sessions", Type::Boolean, Some("false"), Reader::Discovery,
        "End the sessions that are left after drain-timeout; false: they go on until they end by themselves."),
    row(DISCOVERY_CLIENT, "server-state-file", Type::File, None, Reader::Discovery,
        "HAProxy's server-state-file, written with each change so that a reload begins where the process before it ended; \
         docs/discovery.md says how server-template has to look for it."),

    row(DISCOVERY_BACKEND, "base-name", Type::Text, None, Reader::Discovery,
        "Prefix of server-template; of the names of the servers that are added with mode dynamic."),
    row(DISCOVERY_BACKEND, "port", Type::Port, None, Reader::Discovery,
        "Port of servers for which the source knows none; unset: haproxy-backend-server-port."),
    row(DISCOVERY_BACKEND, "mode", Type::Choice(&["template", "dynamic"]), Some("template"), Reader::Discovery,
        "Use the slots of server-template, or add and delete servers (HAProxy 2.6 and later)."),
    row(DISCOVERY_BACKEND, "asg-names", Type::Text, None, Reader::Discovery,
        "Groups of this backend, separated by commas; unset: those of [discovery-client] with dedicated-asg, otherwise all."),
    row(DISCOVERY_BACKEND, "fallback", Type::Text, None, Reader::Discovery,
        "Backend for the servers of other groups, which needs a section of its own."),
    row(DISCOVERY_BACKEND, "server-options", Type::Text, Some("check"), Reader::Discovery,
        "What follows address and weight of a server that is added with mode dynamic."),
];

/// The row of an option. Groups are found under any name.
#[must_use]
pub fn find(section: &str, name: &str) -> Option<&'static OptionSpec> {
    let (section, name) = (base(section), spelling(section, name));
    OPTIONS.iter().find(|spec| {
        let begins =
            |spec: &OptionSpec| spec.name.strip_suffix('*').is_some_and(|beginning| name.starts_with(beginning));
        spec.section == section && (spec.name == name || begins(spec))
    })
}

/// Names of the known sections, in order.
pub fn sections() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    OPTIONS.iter().map(|spec| spec.section).filter(move |section| std::mem::replace(&mut last, section) != *section)
}

/// Names of the known options of a section, in order.
pub fn names(section: &str) -> impl Iterator<Item = &'static str> + use<> {
    let section = base(section).to_owned();
    OPTIONS.iter().filter(move |spec| spec.section == section && !spec.name.ends_with('*')).map(|spec| spec.name)
}

/// The built-in defaults, as the lowest layer of a configuration.
#[must_use]
pub fn defaults() -> Ini {
    let mut ini = Ini::new();
    for spec in OPTIONS.iter().filter(|spec| !OPTIONAL_SECTIONS.contains(&spec.section)) {
        if let Some(default) = spec.default {
            ini.set_default(spec.section, spec.name, default);
        }
    }
    ini
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_once() {
        for (index, spec) in OPTIONS.iter().enumerate() {
            let again = OPTIONS.iter().skip(index + 1).any(|o| o.section == spec.section && o.name == spec.name);
            assert!(!again, "[{}] {}", spec.section, spec.name);
        }
    }

    #[test]
    fn sections_stand_together() {
        let mut names: Vec<_> = sections().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn each_sentence_is_one() {
        for spec in OPTIONS {
            assert!(spec.about.ends_with('.') && !spec.about.contains('\n'), "[{}] {}", spec.section, spec.name);
        }
    }

    #[test]
    fn what_is_optional_needs_its_section() {
        assert!(OPTIONAL_SECTIONS.iter().all(|section| !defaults().has_section(section)));
    }
}
