//! `[discovery-server]`, but for its source.

use super::backend::Serves;
use super::source::{self, Source};
use super::words::{number, weight, word};
use crate::config::ini::Ini;
use crate::config::options::DISCOVERY_SERVER;
use crate::config::problem::Report;
use crate::config::section::Section;
use crate::config::value;
use std::time::Duration;

/// `[discovery-server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Where servers are found; `None`: not said, which --server does not accept.
    pub source: Option<Source>,
    /// Whether a name without servers is believed, rather than a failure of the source.
    pub allow_empty: bool,
    /// Time for one listing.
    pub source_timeout: Duration,
    /// Longest pause between two attempts at a source that fails.
    pub longest_pause: Duration,
    /// What the plan goes by.
    pub plan: Plan,
    /// Time after which a lease ends that is not renewed.
    pub lease_time: Duration,
    /// Name among several servers; `None`: host name and process.
    pub name: Option<String>,
}

/// What the plan goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Slots of the list.
    pub list_size: usize,
    /// The weights of a new server.
    pub ramp: Ramp,
    /// Whether weights of the source scale the ramp.
    pub source_weights: bool,
    /// How long a leaving server is drained before its slot is free.
    pub drain_time: Duration,
    /// Listings in a row that must lack a server, or call it unhealthy.
    pub confirmations: u32,
    /// How long listings must lack a server for which nobody waits.
    pub hold_obsolete: Duration,
    /// Part of the servers that may be lost within `hold`.
    pub ratio: f64,
    /// Servers that stay in any case.
    pub floor: usize,
    /// After this time a held removal goes through, down to `floor`; zero: never.
    pub hold: Duration,
    /// Groups that the source is asked for; `None` where the source itself says which there are.
    pub groups: Option<Vec<String>>,
    /// The backends of HAProxy, where this configuration has them.
    pub backends: Vec<(String, Serves)>,
}

/// How the weight of a new server grows: from `min` by `step` with each whole `interval` up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// Weight at the beginning.
    pub min: u16,
    /// Weight at the end.
    pub max: u16,
    /// Weight gained with each interval; 1 or more.
    pub step: u16,
    /// Length of a step; a millisecond or more.
    pub interval: Duration,
}

/// Reads the section. `list_size`: slots of the list.
pub(super) fn read(ini: &Ini, report: &mut Report, list_size: usize) -> Option<Server> {
    let mut section = Section::new(DISCOVERY_SERVER, ini, report);
    let source = source::read(&mut section);
    let allow_empty = section.get("allow-empty", value::boolean);
    let source_timeout = section.get("source-timeout", value::time_limit);
    let longest_pause = section.get("source-longest-pause", value::time_limit);
    let source_weights = section.get("source-weights", value::boolean);
    let min = section.get("haproxy-backend-server-min-weight", weight);
    let max = section.get("haproxy-backend-server-max-weight", weight);
    let step = section.get("haproxy-backend-server-increase-weight", weight);
    let interval = section.get("haproxy-backend-server-increase-weight-interval", value::pause);
    let drain_time = section.get("drain-time", value::pause);
    let confirmations = section.get("removal-confirmations", value::count);
    let ratio = section.get("removal-ratio", value::fraction);
    let hold_obsolete = section.get("hold-obsolete", value::pause);
    let floor = section.get("removal-floor", |text| number(text, usize::MAX));
    let hold = section.get("removal-hold", value::pause);
    let lease_time = section.get("lease-time", value::time_limit);
    let name = section.optional("server-name", word);
    let (min, max, step) = (min?, max?, step?);
    if min > max {
        section.error("haproxy-backend-server-min-weight", format!("is above the largest weight, {max}"));
        return None;
    }
    if max == 0 {
        section.error("haproxy-backend-server-max-weight", "would give no server any traffic; write 1 to 256");
        return None;
    }
    if step == 0 && min < max {
        section
            .error("haproxy-backend-server-increase-weight", "would never reach the largest weight; write 1 or more");
        return None;
    }
    if lease_time.is_some_and(|time| time < Duration::from_secs(1)) {
        section.error("lease-time", "is too short to be renewed in time; write 1 or more");
        return None;
    }
    let ramp = Ramp { min, max, step: step.max(1), interval: interval?.max(Duration::from_millis(1)) };
    let source = source?;
    let groups = match &source {
        Some(Source::Aws { groups, .. }) => Some(groups.clone()),
        Some(Source::Consul(consul)) => Some(consul.services.clone()),
        Some(Source::Dns { names, .. }) => Some(names.clone()),
        Some(Source::File { .. }) | None => None,
    };
    Some(Server {
        source,
        allow_empty: allow_empty?,
        source_timeout: source_timeout?,
        longest_pause: longest_pause?,
        plan: Plan {
            list_size,
            ramp,
            source_weights: source_weights?,
            drain_time: drain_time?,
            confirmations: u32::try_from(confirmations?.get()).unwrap_or(u32::MAX),
            hold_obsolete: hold_obsolete?,
            ratio: ratio?,
            floor: floor?,
            hold: hold?,
            groups,
            backends: Vec::new(),
        },
        lease_time: lease_time?,
        name: name?,
    })
}
