//! `[discovery-server]`, but for its source.

use super::backend::Serves;
use super::source::{self, Source};
use super::words::{number, weight, word};
use crate::config::ini::Ini;
use crate::config::option::options;
use crate::config::problem::Report;
use crate::config::program::DISCOVERY_SERVER;
use crate::config::reading::{Reading, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use std::num::NonZeroUsize;
use std::time::Duration;

options! {
    pub(crate) static ROWS: DISCOVERY_SERVER, Discovery {
        SOURCE_WEIGHTS: bool = value::BOOLEAN, "source-weights", Some("true"),
            "Whether the weights in Consul, SRV records or the file scale the weight of a server.";
        ALLOW_EMPTY: bool = value::BOOLEAN, "allow-empty", Some("false"),
            "Accept that a source returns no servers for a name: a Consul service without instances, a DNS name \
             without records, a group that the file does not mention; false: treat that as a failure, and keep the \
             servers of that name.";
        SOURCE_TIMEOUT: Duration = value::TIME_LIMIT, "source-timeout", Some("10"),
            "Time allowed for one query of the source.";
        SOURCE_LONGEST_PAUSE: Duration = value::TIME_LIMIT, "source-longest-pause", Some("60"),
            "Longest pause before a failed query of the source is repeated; the pause starts at interval and doubles.";
        HAPROXY_BACKEND_SERVER_MIN_WEIGHT: u16 = Reading::new(Type::Weight, weight), "haproxy-backend-server-min-weight", Some("1"),
            "Weight of a server that has just been added.";
        HAPROXY_BACKEND_SERVER_MAX_WEIGHT: u16 = Reading::new(Type::Weight, weight), "haproxy-backend-server-max-weight", Some("10"),
            "Weight of a server at the end of its ramp.";
        HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT: u16 = Reading::new(Type::Weight, weight), "haproxy-backend-server-increase-weight", Some("1"),
            "Weight that a new server gains with each step.";
        HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL: Duration = value::PAUSE, "haproxy-backend-server-increase-weight-interval", Some("30"),
            "Time between two steps.";
        DRAIN_TIME: Duration = value::PAUSE, "drain-time", Some("60"),
            "How long a server that was removed is drained before its slot can be reused.";
        REMOVAL_CONFIRMATIONS: NonZeroUsize = value::COUNT, "removal-confirmations", Some("3"),
            "Number of consecutive query results in which a server must be missing or unhealthy before it is removed.";
        HOLD_OBSOLETE: Duration = value::PAUSE, "hold-obsolete", Some("30"),
            "How long a server must be missing from query results before it is removed, unless another server is \
             waiting for its slot.";
        REMOVAL_RATIO: f64 = value::FRACTION, "removal-ratio", Some("0.5"),
            "Largest share of all servers, and of those of each group and backend, that may be removed without \
             replacement within removal-hold; beyond that they are kept.";
        REMOVAL_FLOOR: usize = Reading::new(Type::Text, |text| number(text, usize::MAX)), "removal-floor", Some("1"),
            "Number of servers in the list, in each group and in each backend that are always kept, whatever the \
             source says.";
        REMOVAL_HOLD: Duration = value::PAUSE, "removal-hold", Some("300"),
            "Time after which the source is followed anyway, down to removal-floor; 0: never.";
        LEASE_TIME: Duration = value::TIME_LIMIT, "lease-time", Some("15"),
            "Time after which another haproxystats-discovery --server takes over from one that has stopped renewing \
             its lease.";
        SERVER_NAME: String = Reading::new(Type::Text, word), "server-name", None,
            "Name of this haproxystats-discovery --server among those that share the store; unset: host name and \
             process ID.";
    }
}

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
    let section = &mut Section::new(DISCOVERY_SERVER, ini, report);
    let source = source::read(section);
    let groups = source.as_ref().and_then(Option::as_ref).and_then(Source::groups);
    gather!(Server {
        source,
        allow_empty: section.get(&ALLOW_EMPTY),
        source_timeout: section.get(&SOURCE_TIMEOUT),
        longest_pause: section.get(&SOURCE_LONGEST_PAUSE),
        plan: plan(section, list_size, groups),
        lease_time: lease_time(section),
        name: section.optional(&SERVER_NAME),
    })
}

fn plan(section: &mut Section<'_>, list_size: usize, groups: Option<Vec<String>>) -> Option<Plan> {
    let confirmations = section.get(&REMOVAL_CONFIRMATIONS);
    gather!(Plan {
        list_size: Some(list_size),
        ramp: ramp(section),
        source_weights: section.get(&SOURCE_WEIGHTS),
        drain_time: section.get(&DRAIN_TIME),
        confirmations: confirmations.map(|count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        hold_obsolete: section.get(&HOLD_OBSOLETE),
        ratio: section.get(&REMOVAL_RATIO),
        floor: section.get(&REMOVAL_FLOOR),
        hold: section.get(&REMOVAL_HOLD),
        groups: Some(groups),
        backends: Some(Vec::new()),
    })
}

fn ramp(section: &mut Section<'_>) -> Option<Ramp> {
    let ramp = gather!(Ramp {
        min: section.get(&HAPROXY_BACKEND_SERVER_MIN_WEIGHT),
        max: section.get(&HAPROXY_BACKEND_SERVER_MAX_WEIGHT),
        step: section.get(&HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT),
        interval: section.get(&HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL),
    })?;
    let Ramp { min, max, step, interval } = ramp;
    if min > max {
        section.error("haproxy-backend-server-min-weight", format!("is above the largest weight, {max}"));
    } else if max == 0 {
        section.error("haproxy-backend-server-max-weight", "would give no server any traffic; write 1 to 256");
    } else if step == 0 && min < max {
        section
            .error("haproxy-backend-server-increase-weight", "would never reach the largest weight; write 1 or more");
    } else {
        return Some(Ramp { step: step.max(1), interval: interval.max(Duration::from_millis(1)), ..ramp });
    }
    None
}

fn lease_time(section: &mut Section<'_>) -> Option<Duration> {
    let time = section.get(&LEASE_TIME)?;
    if time < Duration::from_secs(1) {
        section.error("lease-time", "is too short to be renewed in time; write 1 or more");
        return None;
    }
    Some(time)
}
