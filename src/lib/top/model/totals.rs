//! Sums over processes, and servers counted by their states.

use super::object::{Known, Object};
use super::process::ProcessLine;
use crate::haproxy::status;

/// Sums over processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::top) struct Totals {
    /// Requests per second.
    pub(in crate::top) requests: Option<f64>,
    /// Responses with status 5xx, and failed connections of proxies that do not use HTTP, per second.
    pub(in crate::top) errors: Option<f64>,
    pub(in crate::top) bytes_in: Option<f64>,
    pub(in crate::top) bytes_out: Option<f64>,
    pub(in crate::top) known: Known,
    /// Open connections.
    pub(in crate::top) sessions: f64,
    /// Maximum number of connections.
    pub(in crate::top) limit: Option<f64>,
    /// Waiting requests.
    pub(in crate::top) queued: f64,
    /// Idle time of the busiest process, in percent.
    pub(in crate::top) idle: Option<f64>,
    /// Servers that are down, in the process that sees most of them down.
    pub(in crate::top) down: usize,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            requests: None,
            errors: None,
            bytes_in: None,
            bytes_out: None,
            known: Known::Nothing,
            sessions: 0.0,
            limit: None,
            queued: 0.0,
            idle: None,
            down: 0,
        }
    }
}

impl Totals {
    /// The sums over these processes.
    pub(super) fn of<'a>(processes: impl IntoIterator<Item = &'a ProcessLine>) -> Self {
        let all = processes.into_iter().map(|process| process.totals);
        all.reduce(|sum, other| Self {
            requests: both(sum.requests, other.requests, |a, b| a + b),
            errors: both(sum.errors, other.errors, |a, b| a + b),
            bytes_in: both(sum.bytes_in, other.bytes_in, |a, b| a + b),
            bytes_out: both(sum.bytes_out, other.bytes_out, |a, b| a + b),
            known: if sum.known == other.known { sum.known } else { Known::Part },
            sessions: sum.sessions + other.sessions,
            limit: both(sum.limit, other.limit, |a, b| a + b),
            queued: sum.queued + other.queued,
            idle: both(sum.idle, other.idle, f64::min),
            down: sum.down.max(other.down),
        })
        .unwrap_or_default()
    }
}

fn both(one: Option<f64>, other: Option<f64>, combine: impl Fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(combine(one, other)),
        (one, other) => one.or(other),
    }
}

/// Servers by their states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::top) struct Counts {
    pub(in crate::top) up: usize,
    pub(in crate::top) down: usize,
    pub(in crate::top) drain: usize,
    pub(in crate::top) maint: usize,
    /// Up, but their own checks have stopped new sessions.
    pub(in crate::top) nolb: usize,
    /// Servers that are up and have no health checks.
    pub(in crate::top) unchecked: usize,
}

impl Counts {
    pub(super) fn of(servers: &[Object]) -> Self {
        let mut counts = Self::default();
        for server in servers {
            let count = match status::of_server(server.state) {
                "UP" => &mut counts.up,
                "DRAIN" => &mut counts.drain,
                "MAINT" => &mut counts.maint,
                "NOLB" => &mut counts.nolb,
                _ => &mut counts.down,
            };
            *count += 1;
            counts.unchecked += usize::from(server.state.word == "no check");
        }
        counts
    }
}
