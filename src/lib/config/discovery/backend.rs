//! `[discovery-backend:NAME]`.

use super::words::{is_name, names, word, words};
use crate::config::ini::Ini;
use crate::config::option::{choice, options};
use crate::config::problem::Report;
use crate::config::program::{self, DISCOVERY_BACKEND};
use crate::config::reading::{Reading, Type};
use crate::config::section::{Section, gather};
use crate::config::value;

options! {
    pub(crate) static ROWS: DISCOVERY_BACKEND, Discovery {
        BASE_NAME: String = Reading::new(Type::Text, word), "base-name", None,
            "Prefix of the server-template, and of the names of servers that are added with mode dynamic.";
        PORT: u16 = value::PORT, "port", None,
            "Port of servers for which the source knows none; unset: haproxy-backend-server-port.";
        MODE: BackendMode = choice![("template", BackendMode::Template), ("dynamic", BackendMode::Dynamic)], "mode", Some("template"),
            "Use the slots of a server-template, or add and delete servers (HAProxy 2.6 and later).";
        ASG_NAMES: Vec<String> = Reading::new(Type::Text, names), "asg-names", None,
            "Groups that belong to this backend, separated by commas; unset: with dedicated-asg, those of \
             [discovery-client], otherwise all.";
        FALLBACK: String = Reading::new(Type::Text, word), "fallback", None,
            "Backend for the servers of other groups; it needs a section of its own.";
        SERVER_OPTIONS: String = Reading::new(Type::Text, words), "server-options", Some("check"),
            "Server keywords to append after address and weight when a server is added with mode dynamic.";
    }
}

/// A backend of HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Prefix of its servers' names; the number of the slot follows.
    pub base_name: String,
    /// Port of servers for which the source knows none.
    pub port: u16,
    /// How servers come into it.
    pub mode: BackendMode,
    /// Which servers belong to it.
    pub serves: Serves,
    /// `mode = dynamic`: what follows address and weight in `add server`.
    pub server_options: String,
}

/// How servers come into a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendMode {
    /// Slots of server-template are given addresses.
    Template,
    /// Servers are added and deleted.
    Dynamic,
}

/// Which servers belong to a backend, by group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serves {
    /// All.
    All,
    /// Those of these groups.
    Only(Vec<String>),
    /// Those of other groups: a fallback.
    Except(Vec<String>),
}

impl Serves {
    /// Whether servers of a group belong to it.
    #[must_use]
    pub fn takes(&self, group: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == group);
        match self {
            Self::All => true,
            Self::Only(names) => named(names),
            Self::Except(names) => !named(names),
        }
    }
}

/// The backends that have a section. `port` and `own` hold where their section says nothing.
pub(super) fn written(ini: &Ini, report: &mut Report, port: u16, own: &Serves) -> Option<Vec<Backend>> {
    let sections: Vec<&str> =
        ini.sections().filter(|name| *name != DISCOVERY_BACKEND && program::base(name) == DISCOVERY_BACKEND).collect();
    if sections.is_empty() {
        // Nobody uses them, but what cannot be right should not wait for that.
        Written::read(DISCOVERY_BACKEND, ini, report)?;
    }
    let mut backends = Vec::new();
    let mut fallbacks: Vec<(&str, String, Vec<String>)> = Vec::new();
    let mut good = true;
    for title in sections {
        let Some(written) = Written::read(title, ini, report) else {
            good = false;
            continue;
        };
        let section = &mut Section::new(title, ini, report);
        let name = title.split_once(':').map_or("", |(_, name)| name).to_owned();
        if !is_name(&name) {
            section.error("base-name", "is in a section whose name cannot be that of an HAProxy backend");
            good = false;
        }
        let Some(base_name) = written.base_name else {
            section.error("base-name", "is not set; write the prefix of server-template");
            good = false;
            continue;
        };
        // A backend that has it from [discovery-backend] is not its own fallback.
        if let (Some(fallback), Some(groups)) = (written.fallback.filter(|fallback| *fallback != name), &written.groups)
        {
            fallbacks.push((title, fallback, groups.clone()));
        }
        let serves = written.groups.map_or_else(|| own.clone(), Serves::Only);
        let Written { mode, server_options, .. } = written;
        backends.push(Backend { name, base_name, port: written.port.unwrap_or(port), mode, serves, server_options });
    }
    (give_the_rest(&mut backends, fallbacks, ini, report) && good).then_some(backends)
}

/// Gives the servers of other groups to the fallback backends; `false` when one cannot be right.
fn give_the_rest(
    backends: &mut [Backend],
    fallbacks: Vec<(&str, String, Vec<String>)>,
    ini: &Ini,
    report: &mut Report,
) -> bool {
    let mut good = true;
    let mut taken: Vec<(String, Vec<String>)> = Vec::new();
    for (title, fallback, groups) in fallbacks {
        let section = &mut Section::new(title, ini, report);
        let Some(backend) = backends.iter_mut().find(|backend| backend.name == fallback) else {
            section.error("fallback", "is a backend without a section; add it");
            good = false;
            continue;
        };
        if taken.iter().any(|(name, other)| *name == fallback && *other != groups) {
            section.error("fallback", "is also that of another backend with different asg-names; each needs its own");
            good = false;
            continue;
        }
        taken.push((fallback, groups.clone()));
        backend.serves = Serves::Except(groups);
    }
    good
}

/// The options of a backend as they stand, in its own section or else in `[discovery-backend]`.
struct Written {
    base_name: Option<String>,
    port: Option<u16>,
    mode: BackendMode,
    groups: Option<Vec<String>>,
    fallback: Option<String>,
    server_options: String,
}

impl Written {
    fn read(title: &str, ini: &Ini, report: &mut Report) -> Option<Self> {
        let section = &mut Section::above(DISCOVERY_BACKEND, title, ini, report);
        gather!(Self {
            base_name: section.optional(&BASE_NAME),
            port: section.optional(&PORT),
            mode: section.get(&MODE),
            groups: section.optional(&ASG_NAMES),
            fallback: section.optional(&FALLBACK),
            server_options: section.get(&SERVER_OPTIONS),
        })
    }
}
