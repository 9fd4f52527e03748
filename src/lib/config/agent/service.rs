//! One service.

use super::http::{Http, Rules};
use super::load::Load;
use super::network::{Network, networks};
use super::patroni::Patroni;
use super::responses::Responses;
use super::words::{request, words};
use crate::config::ini::Ini;
use crate::config::nearest::did_you_mean;
use crate::config::option::{choice, options};
use crate::config::problem::Report;
use crate::config::program::AGENT;
use crate::config::reading::{Reading, Refusal, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use crate::haproxy::answer::AdminState;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: AGENT, Agent {
        BIND: IpAddr = value::ADDRESS, "bind", Some("0.0.0.0"),
            "IP address to listen on; :: for IPv6 and IPv4.";
        PORT: u16 = value::PORT, "port", Some("5555"),
            "TCP port to listen on; services on the same port are distinguished by request.";
        ALLOW: Vec<Network> = Reading::new(Type::Text, networks), "allow", None,
            "Addresses and networks (10.0.0.0/8) that are answered, separated by commas; unset: all.";
        REQUEST: String = Reading::new(Type::Text, request), "request", None,
            "Line that HAProxy sends to ask for this service (agent-send); unset: the service answers any request.";
        REQUEST_TIMEOUT: Duration = value::TIME_LIMIT, "request-timeout", Some("0.1"),
            "Time allowed for the request to arrive, on ports where a service has a request.";
        MAX_CONNECTIONS: NonZeroUsize = value::COUNT, "max-connections", Some("1000"),
            "Most simultaneous connections to a port; further ones are closed without an answer, which changes nothing \
             in HAProxy.";
        CHECKS: Vec<(Kind, u32)> = Reading::new(Type::Text, checks), "checks", Some("datawave"),
            "Checks that make up the answer, separated by spaces: datawave, http, patroni, load, file, command. A \
             suffix such as http:3 sets the share of a check in combine = mean.";
        COMBINE: Combine = choice![("worst", Combine::Worst), ("mean", Combine::Mean)], "combine", Some("worst"),
            "Weight from several checks: the lowest, or their weighted mean; the state is always the worst.";
        OWN_ADMIN_STATE: AdminState = Reading::new(Type::Boolean, owner), "own-admin-state", Some("false"),
            "Let the agent set ready, drain and maint; false: leave these to the operator, send drain as weight 0 and \
             maint as down.";
        MAXCONN: u32 = Reading::new(Type::Count, maxconn), "maxconn", None,
            "Connection limit of the server for each HAProxy process, sent with every answer.";
        WEIGHT_STEP: u8 = value::PERCENT, "weight-step", Some("1"),
            "Smallest change of the weight that changes the answer.";
        FALL_DELAY: Duration = value::PAUSE, "fall-delay", Some("0"),
            "How long a worse state must last before it is reported.";
        RISE_DELAY: Duration = value::PAUSE, "rise-delay", Some("0"),
            "How long a better state must last before it is reported.";
        INTERVAL: Option<Duration> = value::OPTIONAL_TIME_LIMIT, "interval", Some("1.0"),
            "Pause between two checks; 0: check when HAProxy asks, once for all requests that arrive at the same time.";
        CHECK_TIMEOUT: Duration = value::TIME_LIMIT, "check-timeout", Some("2"),
            "Time allowed for a whole check.";
        STALENESS_INTERVAL: Option<Duration> = value::OPTIONAL_TIME_LIMIT, "staleness-interval", None,
            "Age at which a result is stale; unset: three intervals, but at least interval plus check-timeout.";
        INITIAL_GRACE: Duration = value::PAUSE, "initial-grace", Some("60"),
            "Maximum age of the last answer of the previous run for it to be repeated until the first result; 0: \
             never.";
        CONNECTION_USAGE_REDUCTION: f64 = value::FRACTION, "connection-usage-reduction", Some("0.7"),
            "Share of the weight removed when all query slots are in use (datawave).";
        OS_LOAD_REDUCTION: f64 = value::FRACTION, "os-load-reduction", Some("0.4"),
            "Share of the weight removed at a load of 1 (datawave).";
        SWAP_USAGE_REDUCTION: f64 = value::FRACTION, "swap-usage-reduction", Some("0.3"),
            "Share of the weight removed when any swap is in use (datawave).";
        OVERRIDE_FILE: PathBuf = value::FILE, "override-file", None,
            "Override file, read by the check file: one of up, drain, maint and down, or a maximum weight such as 50%, \
             optionally followed by for SECONDS and #reason. Without the file there is no override.";
        COMMAND: Vec<String> = Reading::new(Type::Text, words), "command", None,
            "Program and arguments of the check command, separated by spaces, run without a shell: exit code 0 is \
             up, 1 is up with warning-weight, 2 is down, any other error-response.";
        WARNING_WEIGHT: u8 = value::PERCENT, "warning-weight", Some("50"),
            "Weight when the command exits with 1.";
    }
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// NAME of its section; `agent` for the section without one.
    pub name: String,
    /// Where it is asked.
    pub bind: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Clients that are answered; empty: all.
    pub allow: Vec<Network>,
    /// What HAProxy sends to ask for it.
    pub request: Option<String>,
    /// Time for the request to come.
    pub request_timeout: Duration,
    /// Most connections at a time.
    pub max_connections: NonZeroUsize,
    /// Whether the operator or the agent sets ready, drain and maint.
    pub owner: AdminState,
    /// Part of every answer when it is set.
    pub maxconn: Option<u32>,
    /// What the answer is made from, each with its share of the mean weight.
    pub checks: Vec<(Kind, u32)>,
    /// Weight of several checks.
    pub combine: Combine,
    /// Least change of the weight that is answered, percent.
    pub weight_step: u8,
    /// How long a worse state must last.
    pub fall_delay: Duration,
    /// How long a better state must last.
    pub rise_delay: Duration,
    /// Pause between checks; `None`: when asked.
    pub interval: Option<Duration>,
    /// Time for a whole check.
    pub check_timeout: Duration,
    /// Age at which a result is stale.
    pub staleness: Duration,
    /// How long the last answer of the run before is the answer, until the first result.
    pub initial_grace: Duration,
    /// Answers for what is not a result.
    pub responses: Responses,
    /// How endpoints are asked.
    pub http: Http,
    /// `http`
    pub rules: Rules,
    /// `datawave`: the three factors: query slots, load, swap.
    pub datawave: [f64; 3],
    /// `patroni`
    pub patroni: Patroni,
    /// `load`
    pub load: Load,
    /// `file`
    pub override_file: Option<PathBuf>,
    /// `command`: program and arguments.
    pub command: Vec<String>,
    /// `command`: weight at exit code 1.
    pub warning_weight: u8,
}

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The health endpoint of Datawave's web server.
    Datawave,
    /// Any HTTP endpoint.
    Http,
    /// The REST API of Patroni.
    Patroni,
    /// Load of this host.
    Load,
    /// An operator's override on disk.
    File,
    /// A program.
    Command,
}

impl Kind {
    const WORDS: [(&'static str, Self); 6] = [
        ("datawave", Self::Datawave),
        ("http", Self::Http),
        ("patroni", Self::Patroni),
        ("load", Self::Load),
        ("file", Self::File),
        ("command", Self::Command),
    ];

    /// Its name in `checks`.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// `combine`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// The lowest weight.
    Worst,
    /// The mean of the weights, by the shares of the checks.
    Mean,
}

/// `own-admin-state`
fn owner(text: &str) -> Result<AdminState, Refusal> {
    value::boolean(text).map(|own| if own { AdminState::Agent } else { AdminState::Operator })
}

/// `maxconn`
fn maxconn(text: &str) -> Result<u32, Refusal> {
    let count = value::count(text)?;
    u32::try_from(count.get()).map_err(|_| "too large; write 100, for example".to_owned())
}

/// Reads a section with all that it inherits from `[agent]`.
pub(super) fn read(own: &str, ini: &Ini, report: &mut Report) -> Option<Service> {
    let section = &mut Section::above(AGENT, own, ini, report);
    let check_timeout = section.get(&CHECK_TIMEOUT);
    let interval = section.get(&INTERVAL);
    let mut complete = true;
    let service = gather!(
        Service {
            name: Some(own.strip_prefix("agent:").unwrap_or(own).to_owned()),
            bind: section.get(&BIND),
            port: section.get(&PORT),
            allow: section.or_default(&ALLOW),
            request: section.optional(&REQUEST),
            request_timeout: section.get(&REQUEST_TIMEOUT),
            max_connections: section.get(&MAX_CONNECTIONS),
            owner: section.get(&OWN_ADMIN_STATE),
            maxconn: section.optional(&MAXCONN),
            checks: section.get(&CHECKS),
            combine: section.get(&COMBINE),
            weight_step: section.get(&WEIGHT_STEP),
            fall_delay: section.get(&FALL_DELAY),
            rise_delay: section.get(&RISE_DELAY),
            interval,
            check_timeout,
            staleness: staleness(section, interval, check_timeout),
            initial_grace: section.get(&INITIAL_GRACE),
            responses: Responses::read(section),
            http: Http::read(section),
            rules: Rules::read(section),
            datawave: section.numbers([&CONNECTION_USAGE_REDUCTION, &OS_LOAD_REDUCTION, &SWAP_USAGE_REDUCTION]),
            patroni: Patroni::read(section),
            load: Load::read(section),
            override_file: section.optional(&OVERRIDE_FILE),
            command: section.or_default(&COMMAND),
            warning_weight: section.get(&WARNING_WEIGHT),
        },
        if let (Some(checks), Some(http)) = (&checks, &http) {
            let missing = [
                (Kind::Http, "check-url", http.url.is_none()),
                (Kind::File, "override-file", override_file == Some(None)),
                (Kind::Command, "command", command.as_ref().is_some_and(Vec::is_empty)),
            ];
            complete = is_complete(section, checks, missing);
        }
    );
    service.filter(|_| complete)
}

/// Whether each check has what it needs, and no other one asks the same endpoint.
fn is_complete(section: &mut Section<'_>, checks: &[(Kind, u32)], missing: [(Kind, &str, bool); 3]) -> bool {
    let mut complete = true;
    for (kind, option, missing) in missing {
        if missing && checks.iter().any(|(check, _)| *check == kind) {
            section.error(option, format!("is not set, and the check {} needs it", kind.word()));
            complete = false;
        }
    }
    let endpoints = [Kind::Datawave, Kind::Http, Kind::Patroni];
    if checks.iter().filter(|(kind, _)| endpoints.contains(kind)).count() > 1 {
        section.error("checks", "has two that query check-url; define a service for each");
        complete = false;
    }
    complete
}

fn staleness(
    section: &mut Section<'_>,
    interval: Option<Option<Duration>>,
    check_timeout: Option<Duration>,
) -> Option<Duration> {
    let written = section.optional(&STALENESS_INTERVAL)?;
    let (interval, check_timeout) = (interval?.unwrap_or_default(), check_timeout?);
    Some(match written {
        Some(Some(limit)) => limit,
        // As in the agent of Datawave, 0 switches it off.
        Some(None) => Duration::MAX,
        None => interval.saturating_mul(3).max(check_timeout.saturating_add(interval)),
    })
}

/// Names of checks, each with an optional share (`http:3`).
fn checks(text: &str) -> Result<Vec<(Kind, u32)>, Refusal> {
    let mut kinds = Vec::new();
    for word in text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()) {
        let (name, share) = word.split_once(':').unwrap_or((word, "1"));
        let kind = Kind::WORDS.iter().find(|(word, _)| *word == name).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| {
            let advice = did_you_mean(name, Kind::WORDS.iter().map(|(name, _)| *name));
            format!("{name:?} is not a check; write names such as http or load{advice}")
        })?;
        let share = share.parse().ok().filter(|share| (1..=1000).contains(share));
        let share =
            share.ok_or_else(|| format!("{word:?} has no valid share; write for example {name}:3, up to 1000"))?;
        if kinds.iter().any(|(other, _)| *other == kind) {
            return Err(format!("{name:?} is listed twice; remove one"));
        }
        kinds.push((kind, share));
    }
    if kinds.is_empty() { Err("empty; write the name of a check, such as http".to_owned()) } else { Ok(kinds) }
}
