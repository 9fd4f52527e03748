//! The programs, and the sections of the configuration that are theirs.

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
    /// haproxystats-top, which has no section of its own and reads what haproxystats-pull reads.
    Top,
}

impl Program {
    /// Those that run on their own, each with a section.
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
            Self::Top => "haproxystats-top",
        }
    }

    /// The one whose options it reads.
    #[must_use]
    pub(crate) const fn reads_as(self) -> Self {
        match self {
            Self::Top => Self::Pull,
            other => other,
        }
    }

    /// Whether the program reads or prints this section as its own.
    #[must_use]
    pub(crate) fn owns(self, section: &str) -> bool {
        if base(section) == EXPORTER {
            return self != Self::Top && section.strip_prefix("exporter:").is_none_or(|word| word == self.word());
        }
        let owner = match base(section) {
            "pull" => Self::Pull,
            AGENT => Self::Agent,
            DISCOVERY | DISCOVERY_SERVER | DISCOVERY_CLIENT | DISCOVERY_BACKEND => Self::Discovery,
            _ => Self::Process,
        };
        self.reads_as() == owner
    }
}

/// The programs that read an option.
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
    /// No program: it is there for references such as `${paths:base-dir}`, or for files of older versions.
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

/// Section whose built-in defaults exist only together with the section: its presence switches the dispatcher on.
pub(crate) const LOCAL_STORE: &str = "local-store";

/// The same for the archive.
pub(crate) const ARCHIVE: &str = "archive";

/// The same for Kafka.
pub(crate) const KAFKA: &str = "kafka";

/// The same for the topic of Kafka that snapshots are read from.
pub(crate) const KAFKA_SOURCE: &str = "kafka-source";

/// Receivers of OpenTelemetry metrics; the defaults exist together with the section, and its URL switches it on.
pub(crate) const OTLP: &str = "otlp";

/// The same for Prometheus remote write.
pub(crate) const REMOTE_WRITE: &str = "remote-write";

/// Sections whose defaults exist only together with them.
pub(crate) const OPTIONAL_SECTIONS: [&str; 6] = [ARCHIVE, KAFKA, KAFKA_SOURCE, LOCAL_STORE, OTLP, REMOTE_WRITE];

/// Sections of which every option is a group.
pub const GROUP_SECTIONS: [&str; 3] = ["frontend-groups", "backend-groups", "server-groups"];

/// Section of the agent; `[agent:NAME]` is a service, for which the options of this one are the defaults.
pub(crate) const AGENT: &str = "agent";

/// Section of the page of metrics; `[exporter:PROGRAM]` goes before it for one program.
pub(crate) const EXPORTER: &str = "exporter";

/// Section of haproxystats-discovery: what its server and its clients share.
pub(crate) const DISCOVERY: &str = "discovery";

/// Section of the server of haproxystats-discovery.
pub(crate) const DISCOVERY_SERVER: &str = "discovery-server";

/// Section of the clients of haproxystats-discovery.
pub(crate) const DISCOVERY_CLIENT: &str = "discovery-client";

/// Section of what all backends share; `[discovery-backend:NAME]` is the backend NAME of HAProxy.
pub(crate) const DISCOVERY_BACKEND: &str = "discovery-backend";

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
