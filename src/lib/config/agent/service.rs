//! One service.

use super::super::ini::Ini;
use super::super::nearest::did_you_mean;
use super::super::problem::Report;
use super::super::value::{self, Refusal};
use super::http::{Http, Rules};
use super::load::Load;
use super::network::{Network, networks};
use super::patroni::Patroni;
use super::reader::Reader;
use super::responses::Responses;
use super::words::{percent, request, words};
use crate::config::option::{Reading, Type, choice, options};
use crate::config::options::{AGENT, Reader as ReadBy};
use crate::haproxy::answer::AdminState;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

options! {
    /// Its rows.
    pub(in crate::config) static ROWS: AGENT, ReadBy::Agent {
        BIND: IpAddr = value::ADDRESS, "bind", Some("0.0.0.0"),
            "Address to listen on; :: for IPv6 and IPv4.";
        PORT: u16 = value::PORT, "port", Some("5555"),
            "TCP port to listen on; services on the same port are distinguished by request.";
        ALLOW: Vec<Network> = Reading::new(Type::Text, networks), "allow", None,
            "Addresses and networks (10.0.0.0/8) that may ask, separated by commas; unset: anyone.";
        REQUEST: String = Reading::new(Type::Text, request), "request", None,
            "Line with which HAProxy asks for this service (agent-send); unset: the service answers any request.";
        REQUEST_TIMEOUT: Duration = value::TIME_LIMIT, "request-timeout", Some("0.1"),
            "Time allowed for the request to arrive, on ports where a service has one.";
        MAX_CONNECTIONS: NonZeroUsize = value::COUNT, "max-connections", Some("1000"),
            "Most simultaneous connections to a port; further ones are closed without an answer, which changes \
             nothing.";
        CHECKS: Vec<(Kind, u32)> = Reading::new(Type::Text, checks), "checks", Some("datawave"),
            "Checks that make up the answer, separated by spaces: datawave, http, patroni, load, file, command. A \
             suffix such as http:3 sets the share of a check in combine = mean.";
        COMBINE: Combine = choice![("worst", Combine::Worst), ("mean", Combine::Mean)], "combine", Some("worst"),
            "Weight from several checks: the lowest, or their weighted mean; the state is always the worst.";
        OWN_ADMIN_STATE: bool = value::BOOLEAN, "own-admin-state", Some("false"),
            "Let the agent decide about ready, drain and maint; false: these are the operator's, drain is sent as \
             weight 0 and maint as down.";
        MAXCONN: u32 = Reading::new(Type::Count, maxconn), "maxconn", None,
            "Connection limit of the server for each HAProxy process, sent with every answer.";
        WEIGHT_STEP: u8 = Reading::new(Type::Percent, percent), "weight-step", Some("1"),
            "Smallest change of the weight that changes the answer.";
        FALL_DELAY: Duration = value::PAUSE, "fall-delay", Some("0"),
            "How long a worse state must last before it is answered.";
        RISE_DELAY: Duration = value::PAUSE, "rise-delay", Some("0"),
            "How long a better state must last before it is answered.";
        INTERVAL: Option<Duration> = value::OPTIONAL_TIME_LIMIT, "interval", Some("1.0"),
            "Pause between two checks; 0: check when HAProxy asks, once for all who ask at the same time.";
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
            "File read by the check file: one of up, drain, maint and down, or a maximum weight such as 50%, \
             optionally followed by for SECONDS and #reason; no override if it does not exist.";
        COMMAND: Vec<String> = Reading::new(Type::Text, words), "command", None,
            "Program and arguments of the check command, separated by spaces, run without a shell: exit code 0 is \
             up, 1 is up with warning-weight, 2 is down, any other error-response.";
        WARNING_WEIGHT: u8 = Reading::new(Type::Percent, percent), "warning-weight", Some("50"),
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
    /// Who may ask; empty: everybody.
    pub allow: Vec<Network>,
    /// What HAProxy sends to ask for it.
    pub request: Option<String>,
    /// Time for the request to come.
    pub request_timeout: Duration,
    /// Most connections at a time.
    pub max_connections: NonZeroUsize,
    /// Who owns ready, drain and maint.
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

/// `maxconn`
fn maxconn(text: &str) -> Result<u32, value::Refusal> {
    let count = value::count(text)?;
    u32::try_from(count.get()).map_err(|_| "too large; write 100, for example".to_owned())
}

/// Reads a section with all that it inherits from `[agent]`.
pub(super) fn read(own: &str, ini: &Ini, report: &mut Report) -> Option<Service> {
    let mut r = Reader { own, ini, report };
    let name = own.strip_prefix("agent:").unwrap_or(own).to_owned();
    let bind = r.get(&BIND);
    let port = r.get(&PORT);
    let allow = r.optional(&ALLOW);
    let request = r.optional(&REQUEST);
    let request_timeout = r.get(&REQUEST_TIMEOUT);
    let max_connections = r.get(&MAX_CONNECTIONS);
    let own_admin = r.get(&OWN_ADMIN_STATE);
    let maxconn = r.optional(&MAXCONN);
    let checks = r.get(&CHECKS);
    let combine = r.get(&COMBINE);
    let weight_step = r.get(&WEIGHT_STEP);
    let fall_delay = r.get(&FALL_DELAY);
    let rise_delay = r.get(&RISE_DELAY);
    let interval = r.get(&INTERVAL);
    let check_timeout = r.get(&CHECK_TIMEOUT);
    let staleness = r.optional(&STALENESS_INTERVAL);
    let initial_grace = r.get(&INITIAL_GRACE);
    let responses = Responses::read(&mut r);
    let http = Http::read(&mut r);
    let rules = Rules::read(&mut r);
    let datawave = [&CONNECTION_USAGE_REDUCTION, &OS_LOAD_REDUCTION, &SWAP_USAGE_REDUCTION].map(|option| r.get(option));
    let patroni = Patroni::read(&mut r);
    let load = Load::read(&mut r);
    let override_file = r.optional(&OVERRIDE_FILE);
    let command = r.optional(&COMMAND);
    let warning_weight = r.get(&WARNING_WEIGHT);

    let (checks, http) = (checks?, http?);
    let mut complete = true;
    for (kind, option, missing) in [
        (Kind::Http, "check-url", http.url.is_none()),
        (Kind::File, "override-file", override_file == Some(None)),
        (Kind::Command, "command", command == Some(None)),
    ] {
        if missing && checks.iter().any(|(check, _)| *check == kind) {
            r.error(option, &format!("is not set, and the check {} needs it", kind.word()));
            complete = false;
        }
    }
    let endpoints = [Kind::Datawave, Kind::Http, Kind::Patroni];
    if checks.iter().filter(|(kind, _)| endpoints.contains(kind)).count() > 1 {
        r.error("checks", "has two that ask check-url; make a service for each");
        complete = false;
    }
    let (interval, check_timeout) = (interval?, check_timeout?);
    let own_staleness = interval.unwrap_or_default().saturating_mul(3);
    let staleness = match staleness? {
        Some(Some(limit)) => limit,
        // As in the agent of Datawave, 0 switches it off.
        Some(None) => Duration::MAX,
        None => own_staleness.max(check_timeout.saturating_add(interval.unwrap_or_default())),
    };
    complete.then_some(())?;
    Some(Service {
        name,
        bind: bind?,
        port: port?,
        allow: allow?.unwrap_or_default(),
        request: request?,
        request_timeout: request_timeout?,
        max_connections: max_connections?,
        owner: if own_admin? { AdminState::Agent } else { AdminState::Operator },
        maxconn: maxconn?,
        checks,
        combine: combine?,
        weight_step: weight_step?,
        fall_delay: fall_delay?,
        rise_delay: rise_delay?,
        interval,
        check_timeout,
        staleness,
        initial_grace: initial_grace?,
        responses: responses?,
        http,
        rules: rules?,
        datawave: all(datawave)?,
        patroni: patroni?,
        load: load?,
        override_file: override_file?,
        command: command?.unwrap_or_default(),
        warning_weight: warning_weight?,
    })
}

/// All values, if all are there.
pub(super) fn all<const N: usize>(values: [Option<f64>; N]) -> Option<[f64; N]> {
    values.iter().all(Option::is_some).then(|| values.map(Option::unwrap_or_default))
}

/// Names of checks, each with its share (`http:3`) at will.
fn checks(text: &str) -> Result<Vec<(Kind, u32)>, Refusal> {
    let mut kinds = Vec::new();
    for word in text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()) {
        let (name, share) = word.split_once(':').unwrap_or((word, "1"));
        let kind = Kind::WORDS.iter().find(|(word, _)| *word == name).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| {
            let advice = did_you_mean(name, Kind::WORDS.iter().map(|(name, _)| *name));
            format!("{name:?} is no check; write names such as http or load{advice}")
        })?;
        let share = share.parse().ok().filter(|share| (1..=1000).contains(share));
        let share = share.ok_or_else(|| format!("{word:?} has no share; write for example {name}:3, up to 1000"))?;
        if kinds.iter().any(|(other, _)| *other == kind) {
            return Err(format!("{name:?} stands twice; write it once"));
        }
        kinds.push((kind, share));
    }
    if kinds.is_empty() { Err("empty; write the name of a check, such as http".to_owned()) } else { Ok(kinds) }
}
