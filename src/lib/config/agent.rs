//! `[agent]`, and `[agent:NAME]` for each service.

use super::ini::Ini;
use super::options::AGENT;
use super::problem::Report;
use super::section::Section;
use super::value::{self, Refusal};
use super::{LogLevel, options};
use crate::haproxy::answer::grammar::{self, Admin, Health, Version, Weight};
use crate::haproxy::answer::{AdminState, Answer, State};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// The section and its services.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Messages below this level are dropped.
    pub loglevel: LogLevel,
    /// How long the agent answers `stop-response` before it ends.
    pub stop_timeout: Duration,
    /// Never empty: without `[agent:NAME]` sections the only service is `[agent]` itself.
    pub services: Vec<Service>,
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
    /// What the answer is made from.
    pub checks: Vec<Kind>,
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
    /// Answers for what is not a result.
    pub responses: Responses,
    /// How endpoints are asked.
    pub http: Http,
    /// `http`: statuses that are good.
    pub expect_status: Vec<u16>,
    /// `http`: where the state stands.
    pub status_pointer: Option<String>,
    /// `http`: numbers that lower the weight.
    pub reductions: Vec<Reduction>,
    /// `datawave`: the three factors: query slots, load, swap.
    pub datawave: [f64; 3],
    /// `patroni`
    pub patroni: Patroni,
    /// `load`: the factors of CPU, pressure, memory, swap.
    pub load: [f64; 4],
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
    /// The mean of the weights.
    Mean,
}

/// A response; `None` (written as nothing) changes nothing at HAProxy.
pub type Response = Option<Answer>;

/// Answers for what is not a result.
#[derive(Debug, Clone)]
pub struct Responses {
    /// Before the first result.
    pub initial: Response,
    /// Instead of a stale one.
    pub stale: Response,
    /// The endpoint is not there.
    pub down: Response,
    /// The endpoint says that it is unavailable.
    pub unavailable: Response,
    /// The check took too long.
    pub timeout: Response,
    /// The check ended with what it should not.
    pub error: Response,
    /// While the agent stops.
    pub stop: Response,
}

/// How endpoints are asked.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// `None`: the check's own default.
    pub url: Option<String>,
    /// Connect there rather than to the host in the URL.
    pub socket: Option<PathBuf>,
    /// `Name: value` lines.
    pub headers_file: Option<PathBuf>,
    /// `user:password`.
    pub credentials_file: Option<PathBuf>,
    /// Trusted authorities.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key of the agent.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A number that lowers the weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduction {
    /// JSON pointer to it.
    pub pointer: String,
    /// Part of the weight that it takes off at `to` and beyond.
    pub factor: f64,
    /// Value at which it begins to take something off.
    pub from: f64,
    /// Value at which it takes off `factor`; may be below `from`, for numbers of which more is better.
    pub to: f64,
}

/// `patroni`
#[derive(Debug, Clone)]
pub struct Patroni {
    /// Read-only rather than read-write.
    pub read_only: bool,
    /// The leader of a standby cluster counts as read-write node.
    pub standby_cluster: bool,
    /// Answer of healthy nodes for which read-write is not.
    pub replica: Response,
    /// Answer of nodes in transition.
    pub transition: Response,
    /// Path of the replicas that serve read-only: `/replica`, `/sync`, `/async`.
    pub replica_path: &'static str,
    /// Tags that they must have, as name and value.
    pub tags: Vec<(String, String)>,
    /// Bytes.
    pub max_lag: u64,
    /// How long `max_lag` must be exceeded.
    pub lag_delay: Duration,
    /// Weight of the primary for read-only; 0: drained.
    pub primary_weight: u8,
    /// How long the last answer is kept without Patroni.
    pub grace: Duration,
}

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address belongs to it. An IPv4 address that came in over IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let rest = u32::from(width - self.bits.min(width));
        (own ^ other).checked_shr(rest).unwrap_or(0) == 0
    }
}

/// Reads the section and its services; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Agent> {
    let mut section = Section::new(AGENT, ini, report);
    let loglevel = section.get("loglevel", value::loglevel);
    let stop_timeout = section.get("stop-timeout", value::pause);
    let names: Vec<&str> = ini.sections().filter(|name| *name != AGENT && options::base(name) == AGENT).collect();
    let names = if names.is_empty() { vec![AGENT] } else { names };
    let services: Vec<Option<Service>> = names.iter().map(|name| service(name, ini, report)).collect();
    for name in names.iter().filter(|name| **name != AGENT) {
        for option in ["loglevel", "stop-timeout"] {
            if ini.has_own(name, option) {
                Section::new(name, ini, report).warn(option, "has no effect here; set it in [agent]");
            }
        }
    }
    let services = services.into_iter().collect::<Option<Vec<_>>>()?;
    let good = pairs(&names, &services, ini, report);
    let config = Agent { loglevel: loglevel?, stop_timeout: stop_timeout?, services };
    good.then_some(config)
}

/// Services of one port must be told apart, and share what belongs to the port.
fn pairs(names: &[&str], services: &[Service], ini: &Ini, report: &mut Report) -> bool {
    let mut good = true;
    for (index, service) in services.iter().enumerate() {
        let Some(name) = names.get(index) else { continue };
        let mut section = Section::new(name, ini, report);
        for other in services.iter().take(index).filter(|other| other.port == service.port) {
            if other.bind != service.bind {
                section.error("bind", format!("is another than that of {}, which has the same port", other.name));
                good = false;
            } else if other.request == service.request {
                let message =
                    format!("is that of {} on the same port; write what HAProxy sends (agent-send)", other.name);
                section.error("request", message);
                good = false;
            }
            if other.max_connections != service.max_connections || other.request_timeout != service.request_timeout {
                section.warn("port", format!("shares max-connections and request-timeout of {}", other.name));
            }
        }
        let spare = service.check_timeout.saturating_add(service.interval.unwrap_or_default());
        if service.staleness < spare {
            section.warn("staleness-interval", "is below interval and check-timeout together: slow results are stale");
        }
    }
    good
}

/// Where a service has the value of an option: in its own section or in `[agent]`, with dashes or underscores.
fn whereabouts<'a>(ini: &Ini, own: &'a str, option: &str) -> (&'a str, String) {
    let old = option.replace('-', "_");
    let written = |section: &str, name: &str| {
        ini.has_own(section, name) && ini.raw(section, name).is_some_and(|raw| raw.place.is_some())
    };
    for section in [own, AGENT] {
        for name in [option, &old] {
            if written(section, name) {
                return (section, name.to_owned());
            }
        }
    }
    (AGENT, option.to_owned())
}

/// The options of one service.
struct Reader<'a> {
    own: &'a str,
    ini: &'a Ini,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn get<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        let (section, option) = whereabouts(self.ini, self.own, option);
        Section::new(section, self.ini, self.report).get(&option, parse)
    }

    fn optional<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<Option<T>> {
        let (section, option) = whereabouts(self.ini, self.own, option);
        Section::new(section, self.ini, self.report).optional(&option, parse)
    }

    fn error(&mut self, option: &str, message: &str) {
        let (section, option) = whereabouts(self.ini, self.own, option);
        Section::new(section, self.ini, self.report).error(&option, message);
    }
}

fn service(own: &str, ini: &Ini, report: &mut Report) -> Option<Service> {
    let mut r = Reader { own, ini, report };
    let name = own.strip_prefix("agent:").unwrap_or(own).to_owned();
    let bind = r.get("bind", address);
    let port = r.get("port", value::port);
    let allow = r.optional("allow", networks);
    let request = r.optional("request", request);
    let request_timeout = r.get("request-timeout", value::time_limit);
    let max_connections = r.get("max-connections", value::count);
    let own_admin = r.get("own-admin-state", value::boolean);
    let maxconn = r.optional("maxconn", |text| {
        value::count(text)
            .and_then(|n| u32::try_from(n.get()).map_err(|_| "too large; write 100, for example".to_owned()))
    });
    let checks = r.get("checks", checks);
    let combine = r.get("combine", |text| value::choice(text, &[("worst", Combine::Worst), ("mean", Combine::Mean)]));
    let weight_step = r.get("weight-step", percent);
    let fall_delay = r.get("fall-delay", value::pause);
    let rise_delay = r.get("rise-delay", value::pause);
    let interval = r.get("interval", value::optional_time_limit);
    let check_timeout = r.get("check-timeout", value::time_limit);
    let staleness = r.optional("staleness-interval", value::optional_time_limit);
    let initial = r.get("initial-response", response);
    let stale = r.get("staleness-response", response);
    let down = r.get("down-response", response);
    let unavailable = r.get("unavailable-response", response);
    let timeout = r.get("timeout-response", response);
    let error = r.get("error-response", response);
    let stop = r.get("stop-response", response);
    let url = r.optional("check-url", url);
    let socket = r.optional("check-socket", value::path);
    let headers_file = r.optional("headers-file", value::path);
    let credentials_file = r.optional("credentials-file", value::path);
    let ca_file = r.optional("tls-ca-file", value::path);
    let certificate = r.optional("tls-certificate-file", value::path);
    let key = r.optional("tls-key-file", value::path);
    let expect_status = r.get("expect-status", statuses);
    let status_pointer = r.optional("status-pointer", pointer);
    let reductions = r.optional("reductions", reductions);
    let datawave = ["connection-usage-reduction", "os-load-reduction", "swap-usage-reduction"]
        .map(|option| r.get(option, fraction));
    let mode = r.get("patroni-mode", |text| value::choice(text, &[("read-write", false), ("read-only", true)]));
    let standby_cluster = r.get("standby-cluster", value::boolean);
    let replica = r.get("replica-response", response);
    let transition = r.get("transition-response", response);
    let replica_path =
        r.get("replicas", |text| value::choice(text, &[("any", "/replica"), ("sync", "/sync"), ("async", "/async")]));
    let tags = r.optional("replica-tags", tags);
    let max_lag = r.get("max-lag", value::bytes);
    let lag_delay = r.get("lag-delay", value::pause);
    let primary_weight = r.get("primary-weight", percent);
    let grace = r.get("grace", value::pause);
    let load = ["cpu-reduction", "pressure-reduction", "memory-reduction", "swap-reduction"]
        .map(|option| r.get(option, fraction));
    let override_file = r.optional("override-file", value::path);
    let command = r.optional("command", words);
    let warning_weight = r.get("warning-weight", percent);

    let checks = checks?;
    let mut complete = true;
    for (kind, option, missing) in [
        (Kind::Http, "check-url", url == Some(None)),
        (Kind::File, "override-file", override_file == Some(None)),
        (Kind::Command, "command", command == Some(None)),
    ] {
        if missing && checks.contains(&kind) {
            r.error(option, &format!("is not set, and the check {} needs it", kind.word()));
            complete = false;
        }
    }
    let endpoints = [Kind::Datawave, Kind::Http, Kind::Patroni];
    if checks.iter().filter(|kind| endpoints.contains(kind)).count() > 1 {
        r.error("checks", "has two that ask check-url; make a service for each");
        complete = false;
    }
    let identity = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            r.error("tls-key-file", "and tls-certificate-file belong together; set both or none");
            complete = false;
            None
        }
    };
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
        responses: Responses {
            initial: initial?,
            stale: stale?,
            down: down?,
            unavailable: unavailable?,
            timeout: timeout?,
            error: error?,
            stop: stop?,
        },
        http: Http {
            url: url?,
            socket: socket?,
            headers_file: headers_file?,
            credentials_file: credentials_file?,
            ca_file: ca_file?,
            identity,
        },
        expect_status: expect_status?,
        status_pointer: status_pointer?,
        reductions: reductions?.unwrap_or_default(),
        datawave: all(datawave)?,
        patroni: Patroni {
            read_only: mode?,
            standby_cluster: standby_cluster?,
            replica: replica?,
            transition: transition?,
            replica_path: replica_path?,
            tags: tags?.unwrap_or_default(),
            max_lag: max_lag?.get(),
            lag_delay: lag_delay?,
            primary_weight: primary_weight?,
            grace: grace?,
        },
        load: all(load)?,
        override_file: override_file?,
        command: command?.unwrap_or_default(),
        warning_weight: warning_weight?,
    })
}

fn all<const N: usize>(values: [Option<f64>; N]) -> Option<[f64; N]> {
    values.iter().all(Option::is_some).then(|| values.map(Option::unwrap_or_default))
}

fn address(text: &str) -> Result<IpAddr, Refusal> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "not an address; write 0.0.0.0, ::, or an address of this host".to_owned())
}

fn networks(text: &str) -> Result<Vec<Network>, Refusal> {
    let network = |text: &str| {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width))?;
        Some(Network { address, bits })
    };
    let parts = text.split(',').map(str::trim);
    parts
        .map(|part| network(part).ok_or_else(|| format!("{part:?} is no network; write 10.0.0.0/8, 192.0.2.1 or ::1")))
        .collect()
}

/// Longest request that is read, bytes.
pub const LONGEST_REQUEST: usize = 256;

fn request(text: &str) -> Result<String, Refusal> {
    // The escapes of HAProxy's configuration may be kept; the line end belongs to the protocol.
    let bare = text.strip_suffix("\\n").unwrap_or(text).trim();
    if bare.is_empty() || bare.len() > LONGEST_REQUEST || bare.contains(char::is_control) {
        return Err("not one line; write what follows agent-send, such as web".to_owned());
    }
    Ok(bare.to_owned())
}

fn checks(text: &str) -> Result<Vec<Kind>, Refusal> {
    let mut kinds = Vec::new();
    for word in text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()) {
        let kind = Kind::WORDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| {
            let advice = super::nearest::did_you_mean(word, Kind::WORDS.iter().map(|(name, _)| *name));
            format!("{word:?} is no check; write names such as http or load{advice}")
        })?;
        if kinds.contains(&kind) {
            return Err(format!("{word:?} stands twice; write it once"));
        }
        kinds.push(kind);
    }
    if kinds.is_empty() { Err("empty; write the name of a check, such as http".to_owned()) } else { Ok(kinds) }
}

fn percent(text: &str) -> Result<u8, Refusal> {
    let number = value::integer(text.strip_suffix('%').unwrap_or(text));
    number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| *number <= 100)
        .ok_or_else(|| "not a percentage; write a whole number from 0 to 100".to_owned())
}

fn fraction(text: &str) -> Result<f64, Refusal> {
    value::float(text)
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "not a fraction; write a number from 0 to 1, such as 0.7".to_owned())
}

fn words(text: &str) -> Result<Vec<String>, Refusal> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() || text.contains('\0') {
        return Err("empty; write a program and its arguments".to_owned());
    }
    Ok(words)
}

fn url(text: &str) -> Result<String, Refusal> {
    let good = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme) && text.len() > scheme.len());
    if !good || text.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return Err("not a URL; write http://host:port/path or https://host/path".to_owned());
    }
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err("has credentials in it; put them into credentials-file".to_owned());
    }
    Ok(text.to_owned())
}

fn statuses(text: &str) -> Result<Vec<u16>, Refusal> {
    let status = |word: &str| word.parse().ok().filter(|status| (100..600).contains(status));
    let statuses: Option<Vec<u16>> = text.split_whitespace().map(status).collect();
    statuses
        .filter(|statuses| !statuses.is_empty())
        .ok_or_else(|| "not a list of statuses; write for example 200 204".to_owned())
}

fn pointer(text: &str) -> Result<String, Refusal> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err("not a JSON pointer; write for example /status or /data/0/load".to_owned())
}

fn reductions(text: &str) -> Result<Vec<Reduction>, Refusal> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, factor, range) = match words.as_slice() {
            [name, factor] => (name, factor, (0.0, 1.0)),
            [name, factor, from, to] => (name, factor, (value::float(from)?, value::float(to)?)),
            _ => return None,
        };
        let good = range.0 < range.1 || range.1 < range.0;
        let factor = fraction(factor).ok()?;
        let pointer = pointer(name).ok().filter(|_| good)?;
        Some(Reduction { pointer, factor, from: range.0, to: range.1 })
    };
    text.lines()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| line(text).ok_or_else(|| format!("{text:?} is no reduction; write for example /load 0.4 0 8")))
        .collect()
}

fn tags(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let good = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    text.split_whitespace()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if good(name) && good(value) => Ok((name.to_owned(), value.to_owned())),
            _ => Err(format!("{word:?} is no tag; write for example zone=a")),
        })
        .collect()
}

/// Words of an answer, as the agents that went before have them in their configuration. No words: no change.
fn response(text: &str) -> Result<Response, Refusal> {
    let right = "write for example down, 0% drain, maint #why, or nothing for no change";
    let reading =
        grammar::read(format!("{text}\n").as_bytes(), Version::Until30).map_err(|error| format!("{error}; {right}"))?;
    if let Some(word) = reading.unknown.first() {
        return Err(format!("{word:?} is no word of an answer; {right}"));
    }
    if reading.maxconn.is_some() {
        return Err(format!("maxconn has an option of its own; {right}"));
    }
    let state = match (reading.admin, reading.health) {
        (Some(Admin::Maint), _) => State::Maint,
        (_, Some(Health::Down)) => State::Down,
        (Some(Admin::Drain), _) => State::Drain,
        (_, Some(Health::Up)) | (Some(Admin::Ready), None) => State::Up,
        (None, None) if reading.weight.is_some() => State::Up,
        (None, None) => return Ok(None),
    };
    let weight = match reading.weight {
        None => 100,
        Some(Ok(Weight::Percent(percent))) if percent <= 100 => u8::try_from(percent).unwrap_or(100),
        Some(_) => return Err(format!("the weight is no percentage from 0% to 100%; {right}")),
    };
    // A drained server answers weight 0 anyhow; its weight comes back with the next result.
    let weight = if state == State::Drain { 0 } else { weight };
    Ok(Some(Answer { state, weight, maxconn: None, reason: reading.description.unwrap_or_default() }))
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::super::options::Program;
    use super::*;

    fn services(text: &str) -> Vec<Service> {
        load::from_text(Program::Agent, text, "x.conf").unwrap().config.agent.services
    }

    fn refusal(text: &str) -> String {
        let refused = load::from_text(Program::Agent, text, "x.conf").unwrap_err();
        refused.report.errors.iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn the_defaults_are_one_service() {
        let services = services("");
        assert_eq!(services.len(), 1);
        assert_eq!((services[0].port, services[0].checks.as_slice()), (5555, [Kind::Datawave].as_slice()));
        assert_eq!(services[0].staleness, Duration::from_secs(3));
        assert_eq!(services[0].responses.unavailable.as_ref().unwrap().state, State::Drain);
        assert_eq!(services[0].responses.initial, None);
    }

    #[test]
    fn services_inherit_and_underscores_are_dashes() {
        let text = "[agent]\nport = 7000\ncheck_url = http://a/\n[agent:x]\nrequest = x\\n\nos_load_reduction = 0.1\n\
                    [agent:y]\nrequest = y\ninterval = 5\n";
        let services = services(text);
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["x", "y"]);
        assert!(
            services.iter().all(|service| service.port == 7000 && service.http.url.as_deref() == Some("http://a/"))
        );
        assert_eq!((services[0].datawave[1], services[1].datawave[1]), (0.1, 0.4));
        assert_eq!((services[0].request.as_deref(), services[1].interval), (Some("x"), Some(Duration::from_secs(5))));
    }

    #[test]
    fn refusals_say_where_and_what() {
        for (text, words) in [
            ("[agent:a]\n[agent:b]\n", "agent-send"),
            ("[agent:a]\nchecks = http\n", "the check http needs it"),
            ("[agent:a]\nchecks = htp\n", "did you mean \"http\"?"),
            ("[agent]\ndown-response = dwn\n", "\"dwn\" is no word of an answer"),
            ("[agent]\nallow = 10.0.0.0/33\n", "no network"),
            ("[agent]\ncheck-url = http://u:p@h/\n", "credentials-file"),
            ("[agent]\nos-load-reduction = 2\n", "fraction"),
            ("[agent]\nchecks = datawave patroni\n", "a service for each"),
            ("[agent]\nreductions = load 1\n", "no reduction"),
            ("[agent]\ntls-key-file = /k\n", "both or none"),
        ] {
            assert!(refusal(text).contains(words), "{text:?}: {}", refusal(text));
        }
    }

    #[test]
    fn networks_contain_what_they_should() {
        let list = networks("10.0.0.0/8, 192.0.2.1, ::1, 2001:db8::/32").unwrap();
        let allowed = |text: &str| list.iter().any(|network| network.contains(text.parse().unwrap()));
        for address in ["10.1.2.3", "192.0.2.1", "::1", "2001:db8:5::9", "::ffff:10.9.9.9"] {
            assert!(allowed(address), "{address}");
        }
        for address in ["11.0.0.1", "192.0.2.2", "::2", "2001:db9::"] {
            assert!(!allowed(address), "{address}");
        }
        assert!(networks("0.0.0.0/0").unwrap()[0].contains("1.2.3.4".parse().unwrap()));
    }
}
