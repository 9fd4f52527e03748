//! Every option of the programs: the one table behind `-p`, the checks of names, haproxystats.conf and
//! docs/configuration.md.

use super::ini::Ini;
pub use super::option::{OptionSpec, Type};
use super::reader::DEFAULT_SECTION;
use std::sync::LazyLock;

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

/// Rows that no section has a typed value for: what every program reads, what only references use, and names that the user
/// chooses.
#[rustfmt::skip]
static GENERAL: &[&OptionSpec] = &[
    &OptionSpec {
        section: DEFAULT_SECTION, name: "loglevel", kind: Type::LogLevel, default: Some("info"), reader: Reader::All,
        about: "Messages below this level are not printed.",
    },
    &OptionSpec {
        section: "paths", name: "base-dir", kind: Type::Directory, default: Some("/var/lib/haproxystats"), reader: Reader::None,
        about: "Base of the directories, for use as ${paths:base-dir} in this file; changing it alone moves nothing.",
    },
    &OptionSpec {
        section: "hosts", name: "*", kind: Type::Text, default: None, reader: Reader::Process,
        about: "Name of the host, and its cluster, to which an address that is pulled belongs; the option is the host of a server of \
         [pull] or the file name of a socket, a port may stand in front of the name.",
    },
    &OptionSpec {
        section: "frontend-groups", name: "*", kind: Type::Pattern, default: None, reader: Reader::Process,
        about: "Frontends whose name the pattern finds belong to the group; the first pattern that finds it wins.",
    },
    &OptionSpec {
        section: "backend-groups", name: "*", kind: Type::Pattern, default: None, reader: Reader::Process,
        about: "Backends, and their servers, by the name of the backend.",
    },
    &OptionSpec {
        section: "server-groups", name: "*", kind: Type::Pattern, default: None, reader: Reader::Process,
        about: "Servers as aggr-server-metrics sends them, by name.",
    },
    &OptionSpec {
        section: KAFKA, name: "librdkafka.*", kind: Type::Text, default: None, reader: Reader::Process,
        about: "Any property of librdkafka, as in librdkafka.linger.ms = 100.",
    },
];

/// The lists of rows, each in the file of its section.
static TABLES: [&[&[&OptionSpec]]; 3] = [
    &[
        super::pull::ROWS,
        super::process::ROWS,
        super::graphite::ROWS,
        super::local_store::ROWS,
        super::kafka::ROWS,
        super::exporter::ROWS,
        GENERAL,
        super::obsolete::ROWS,
    ],
    super::agent::TABLES,
    super::discovery::TABLES,
];

fn rows() -> impl Iterator<Item = &'static OptionSpec> {
    TABLES.into_iter().flatten().copied().flatten().copied()
}

/// The sections, in the order of haproxystats.conf.
const SECTIONS: [&str; 17] = [
    DEFAULT_SECTION,
    "paths",
    "pull",
    "process",
    "graphite",
    "hosts",
    "frontend-groups",
    "backend-groups",
    "server-groups",
    LOCAL_STORE,
    KAFKA,
    EXPORTER,
    AGENT,
    DISCOVERY,
    DISCOVERY_SERVER,
    DISCOVERY_CLIENT,
    DISCOVERY_BACKEND,
];

/// All options, by section in the order of haproxystats.conf.
pub fn all() -> impl Iterator<Item = &'static OptionSpec> + Clone {
    static ALL: LazyLock<Vec<&OptionSpec>> = LazyLock::new(|| {
        let of_section = |section| rows().filter(move |row| row.section == section);
        sections().flat_map(of_section).collect()
    });
    ALL.iter().copied()
}

/// The row of an option. Groups are found under any name.
#[must_use]
pub fn find(section: &str, name: &str) -> Option<&'static OptionSpec> {
    let (section, name) = (base(section), spelling(section, name));
    all().find(|spec| {
        let begins =
            |spec: &OptionSpec| spec.name.strip_suffix('*').is_some_and(|beginning| name.starts_with(beginning));
        spec.section == section && (spec.name == name || begins(spec))
    })
}

/// Names of the known sections, in order.
pub fn sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.into_iter()
}

/// Names of the known options of a section, in order.
pub fn names(section: &str) -> impl Iterator<Item = &'static str> + use<> {
    let section = base(section).to_owned();
    all().filter(move |spec| spec.section == section && !spec.name.ends_with('*')).map(|spec| spec.name)
}

/// The built-in defaults, as the lowest layer of a configuration.
#[must_use]
pub fn defaults() -> Ini {
    let mut ini = Ini::new();
    for spec in all().filter(|spec| !OPTIONAL_SECTIONS.contains(&spec.section)) {
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
        for (index, spec) in all().enumerate() {
            let again = all().skip(index + 1).any(|o| o.section == spec.section && o.name == spec.name);
            assert!(!again, "[{}] {}", spec.section, spec.name);
        }
    }

    #[test]
    fn every_row_is_in_a_section_of_the_list() {
        assert_eq!(all().count(), rows().count());
    }

    #[test]
    fn each_sentence_is_one() {
        for spec in all() {
            assert!(spec.about.ends_with('.') && !spec.about.contains('\n'), "[{}] {}", spec.section, spec.name);
        }
    }

    #[test]
    fn what_is_optional_needs_its_section() {
        assert!(OPTIONAL_SECTIONS.iter().all(|section| !defaults().has_section(section)));
    }
}
