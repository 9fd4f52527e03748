//! Every option of the programs: the one table behind `-p`, the checks of names, haproxystats.conf and
//! docs/configuration.md.

use super::ini::Ini;
pub use super::option::OptionSpec;
use super::program::{
    AGENT, ARCHIVE, DISCOVERY, DISCOVERY_BACKEND, DISCOVERY_CLIENT, DISCOVERY_SERVER, EXPORTER, KAFKA, KAFKA_SOURCE,
    LOCAL_STORE, OPTIONAL_SECTIONS, OTLP, REMOTE_WRITE,
};
pub use super::program::{GROUP_SECTIONS, Program, Reader, base};
use super::reader::DEFAULT_SECTION;
pub use super::reading::Type;
use std::sync::LazyLock;

/// An option as the table spells it. The agent of Datawave has underscores where this program has dashes.
#[must_use]
pub(crate) fn spelling(section: &str, name: &str) -> String {
    if base(section) == AGENT { name.replace('_', "-") } else { name.to_owned() }
}

/// Rows that no section has a typed value for: what every program reads, what only references use, and names that the user
/// chooses.
#[rustfmt::skip]
static GENERAL: &[&OptionSpec] = &[
    &OptionSpec {
        section: DEFAULT_SECTION, name: "loglevel", kind: Type::LogLevel, default: Some("info"), reader: Reader::All,
        about: "Least severe level that is logged.",
    },
    &OptionSpec {
        section: "paths", name: "base-dir", kind: Type::Directory, default: Some("/var/lib/haproxystats"), reader: Reader::None,
        about: "Base directory, for use as ${paths:base-dir} in this file. Changing it alone has no effect: the \
                built-in defaults of the directories do not refer to it.",
    },
    &OptionSpec {
        section: "hosts", name: "*", kind: Type::Text, default: None, reader: Reader::Process,
        about: "Name of the host to which a pulled address belongs, optionally followed by its cluster. The option is \
                the host part of a server of [pull], or the file name of a socket. If hosts differ only in the port: \
                address:port = name, or indented lines port = name below the address.",
    },
    &OptionSpec {
        section: "frontend-groups", name: "*", kind: Type::Pattern, default: None, reader: Reader::Process,
        about: "Regular expression for the names of frontends that belong to the group; the first match wins.",
    },
    &OptionSpec {
        section: "backend-groups", name: "*", kind: Type::Pattern, default: None, reader: Reader::Process,
        about: "Regular expression for the names of backends that belong to the group, together with their servers.",
    },
    &OptionSpec {
        section: "server-groups", name: "*", kind: Type::Pattern, default: None, reader: Reader::Process,
        about: "Regular expression for the names of servers that belong to the group, as aggr-server-metrics sends them.",
    },
    &OptionSpec {
        section: KAFKA, name: "librdkafka.*", kind: Type::Text, default: None, reader: Reader::Process,
        about: "Any librdkafka property, as in librdkafka.linger.ms = 100.",
    },
    &OptionSpec {
        section: KAFKA_SOURCE, name: "librdkafka.*", kind: Type::Text, default: None, reader: Reader::Process,
        about: "Any librdkafka property, as in librdkafka.session.timeout.ms = 10000.",
    },
];

/// The lists of rows, each in the file of its section.
static TABLES: [&[&[&OptionSpec]]; 4] = [
    &[
        super::pull::ROWS,
        super::process::ROWS,
        super::graphite::ROWS,
        super::local_store::ROWS,
        super::archive::ROWS,
        super::kafka::ROWS,
        super::kafka::SOURCE_ROWS,
        super::exporter::ROWS,
        GENERAL,
        super::log::ROWS,
        super::obsolete::ROWS,
    ],
    super::remote::TABLES,
    super::agent::TABLES,
    super::discovery::TABLES,
];

fn rows() -> impl Iterator<Item = &'static OptionSpec> {
    TABLES.into_iter().flatten().copied().flatten().copied()
}

/// The sections, in the order of haproxystats.conf.
const SECTIONS: [&str; 21] = [
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
    ARCHIVE,
    KAFKA,
    KAFKA_SOURCE,
    OTLP,
    REMOTE_WRITE,
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
