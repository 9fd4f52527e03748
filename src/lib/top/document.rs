//! What `--json` prints: a document for each tick. Names are stable, and may only be added; docs/top.md lists them.

use super::model::{Change, Expiry, HostLine, Known, Model, Object, ProcessLine, Totals, What};
use super::read::field::Field;
use super::read::tick::{Rank, Silent};
use crate::parse::part::Part;
use crate::snapshot::moment::Rfc3339;
use serde::{Serialize, Serializer};

/// A tick.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    time: String,
    epoch: u64,
    /// The period of rates in seconds.
    interval: Option<Rounded>,
    host: Option<&'a str>,
    sockets: usize,
    silent: Vec<Quiet<'a>>,
    refused: u64,
    totals: Sums,
    servers_by_state: States,
    old_workers: usize,
    old_worker_sessions: Rounded,
    hosts: Vec<Host<'a>>,
    processes: Vec<Process<'a>>,
    frontends: Vec<Item<'a>>,
    backends: Vec<Item<'a>>,
    servers: Vec<Item<'a>>,
    certificates: Vec<Certificate<'a>>,
    changes: Vec<Sentence<'a>>,
}

/// A number with at most three decimals.
#[derive(Debug, Clone, Copy)]
struct Rounded(f64);

impl Serialize for Rounded {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = (self.0 * 1000.0).round() / 1000.0;
        if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
            serializer.serialize_i64(rounded as i64)
        } else {
            serializer.serialize_f64(rounded)
        }
    }
}

fn rounded(value: Option<f64>) -> Option<Rounded> {
    value.filter(|value| value.is_finite()).map(Rounded)
}

#[derive(Debug, Serialize)]
struct Quiet<'a> {
    socket: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct States {
    up: usize,
    down: usize,
    drain: usize,
    maint: usize,
    nolb: usize,
    unchecked: usize,
}

#[derive(Debug, Serialize)]
struct Sums {
    requests_per_second: Option<Rounded>,
    errors_per_second: Option<Rounded>,
    bytes_in_per_second: Option<Rounded>,
    bytes_out_per_second: Option<Rounded>,
    rates: &'static str,
    sessions: Rounded,
    session_limit: Option<Rounded>,
    queued: Rounded,
    idle_percent: Option<Rounded>,
}

impl From<&Totals> for Sums {
    fn from(totals: &Totals) -> Self {
        Self {
            requests_per_second: rounded(totals.requests),
            errors_per_second: rounded(totals.errors),
            bytes_in_per_second: rounded(totals.bytes_in),
            bytes_out_per_second: rounded(totals.bytes_out),
            rates: known(totals.known),
            sessions: Rounded(totals.sessions),
            session_limit: rounded(totals.limit),
            queued: Rounded(totals.queued),
            idle_percent: rounded(totals.idle),
        }
    }
}

const fn known(known: Known) -> &'static str {
    match known {
        Known::All => "complete",
        Known::Part => "partial",
        Known::Nothing => "none",
    }
}

#[derive(Debug, Serialize)]
struct Host<'a> {
    name: &'a str,
    processes: usize,
    old_workers: usize,
    servers_down: usize,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Debug, Serialize)]
struct Process<'a> {
    socket: &'a str,
    host: &'a str,
    leaving: bool,
    version: &'a str,
    pid: Option<u64>,
    uptime_seconds: Option<u64>,
    #[serde(flatten)]
    sums: Sums,
}

#[derive(Debug, Serialize)]
struct Item<'a> {
    proxy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    mode: &'static str,
    state: &'static str,
    status: &'a str,
    since_seconds: Option<i64>,
    processes_in_state: usize,
    processes: usize,
    rates: &'static str,
    requests_per_second: Option<Rounded>,
    errors_per_second: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_ms: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_ms: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_ms: Option<Rounded>,
    queued: Rounded,
    sessions: Option<Rounded>,
    session_limit: Option<Rounded>,
    bytes_in_per_second: Option<Rounded>,
    bytes_out_per_second: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_share: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_share: Option<Rounded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_check: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_agent_check: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Certificate<'a> {
    host: &'a str,
    file: &'a str,
    expires_in_seconds: i64,
}

#[derive(Debug, Serialize)]
struct Sentence<'a> {
    what: What,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    text: &'a str,
}

/// The document of a tick, on one line.
pub(super) fn render(model: &Model) -> serde_json::Result<String> {
    serde_json::to_string(&Document::of(model))
}

impl<'a> Document<'a> {
    fn of(model: &'a Model) -> Self {
        let counts = model.counts;
        let (old_workers, sessions) = model.leaving();
        Self {
            time: Rfc3339(model.epoch).to_string(),
            epoch: model.epoch.0,
            interval: rounded(model.interval),
            host: model.scope.as_deref(),
            sockets: model.sockets,
            silent: model.silent.iter().map(|Silent { socket, reason }| Quiet { socket, reason }).collect(),
            refused: model.refused,
            totals: (&model.totals).into(),
            servers_by_state: States {
                up: counts.up,
                down: counts.down,
                drain: counts.drain,
                maint: counts.maint,
                nolb: counts.nolb,
                unchecked: counts.unchecked,
            },
            old_workers,
            old_worker_sessions: Rounded(sessions),
            hosts: model.hosts.iter().map(host).collect(),
            processes: model.processes.iter().map(process).collect(),
            frontends: model.frontends.iter().map(item).collect(),
            backends: model.backends.iter().map(item).collect(),
            servers: model.servers.iter().map(item).collect(),
            certificates: model.certificates.iter().map(certificate).collect(),
            changes: model.changes.iter().map(sentence).collect(),
        }
    }
}

fn host(line: &HostLine) -> Host<'_> {
    let HostLine { name, processes, leaving, totals } = line;
    Host { name, processes: *processes, old_workers: *leaving, servers_down: totals.down, sums: totals.into() }
}

fn process(line: &ProcessLine) -> Process<'_> {
    Process {
        socket: &line.socket,
        host: &line.host,
        leaving: line.part == Part::Leaving,
        version: &line.version,
        pid: line.pid,
        uptime_seconds: line.uptime,
        sums: (&line.totals).into(),
    }
}

fn item(object: &Object) -> Item<'_> {
    let figure = |field| rounded(object.get(field));
    let is_server = object.key.kind == Rank::Server;
    Item {
        proxy: &object.key.proxy,
        server: is_server.then_some(&object.key.name),
        mode: if object.http { "http" } else { "tcp" },
        state: object.state.word,
        status: object.said.as_deref().unwrap_or(object.state.word),
        since_seconds: object.since,
        processes_in_state: object.agree.0,
        processes: object.agree.1,
        rates: known(object.known),
        requests_per_second: rounded(object.requests()),
        errors_per_second: rounded(object.errors()),
        response_ms: figure(Field::ResponseTime),
        connect_ms: figure(Field::ConnectTime),
        queue_ms: figure(Field::QueueTime),
        total_ms: figure(Field::TotalTime),
        queued: Rounded(object.waiting),
        sessions: figure(Field::Sessions),
        session_limit: figure(Field::SessionLimit),
        bytes_in_per_second: figure(Field::BytesIn),
        bytes_out_per_second: figure(Field::BytesOut),
        weight: figure(Field::Weight),
        request_share: rounded(object.share.and_then(|share| share.requests)),
        weight_share: rounded(object.share.map(|share| share.weight)),
        last_check: object.check.as_deref(),
        last_agent_check: object.agent.as_deref(),
    }
}

fn certificate(expiry: &Expiry) -> Certificate<'_> {
    Certificate { host: &expiry.host, file: &expiry.file, expires_in_seconds: expiry.left }
}

fn sentence(change: &Change) -> Sentence<'_> {
    let key = change.key.as_ref();
    Sentence {
        what: change.what,
        kind: key.map(|key| key.kind.kind().word()),
        proxy: key.map(|key| &*key.proxy),
        server: key.map(|key| &*key.name).filter(|name| !name.is_empty()),
        text: &change.text,
    }
}
