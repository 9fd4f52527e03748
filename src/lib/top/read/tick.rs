//! Everything that was read at one time.

use super::field::{COUNT, Field};
use crate::haproxy::columns::Kind;
use crate::haproxy::status::State;
use crate::haproxy::traffic::{self, Counter};
use crate::parse::info::Info;
use crate::parse::part::Part;
use crate::snapshot::Epoch;
use crate::value::ABSENT;
use std::sync::Arc;

/// Everything that HAProxy has reported at one time.
#[derive(Debug, Default)]
pub(in crate::top) struct Tick {
    /// The time, by the wall clock.
    pub(in crate::top) epoch: Epoch,
    /// The time in seconds, by a monotonic clock: only differences are meaningful.
    pub(in crate::top) seconds: f64,
    pub(in crate::top) processes: Vec<Process>,
    pub(in crate::top) certificates: Vec<Certificate>,
    /// Number of sockets that were queried and count.
    pub(in crate::top) sockets: usize,
    /// Sockets that have not answered, and why.
    pub(in crate::top) silent: Vec<Silent>,
    /// Number of files and rows that could not be read.
    pub(in crate::top) refused: u64,
}

/// A socket that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) struct Silent {
    /// Name of the socket.
    pub(in crate::top) socket: String,
    pub(in crate::top) reason: String,
}

/// A process of HAProxy.
#[derive(Debug)]
pub(in crate::top) struct Process {
    /// The socket that was queried; for a worker that is leaving, its master, `@` and its pid.
    pub(in crate::top) socket: String,
    pub(in crate::top) host: Arc<str>,
    pub(in crate::top) part: Part,
    pub(in crate::top) version: String,
    pub(in crate::top) pid: Option<u64>,
    /// Second of its start, if HAProxy reports it (2.4 and later).
    pub(in crate::top) started: Option<u64>,
    pub(in crate::top) uptime: Option<u64>,
    pub(in crate::top) info: Option<Info>,
    pub(in crate::top) rows: Vec<Row>,
}

impl Process {
    /// A number from `show info`.
    pub(in crate::top) fn figure(&self, name: &str) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "it is looked at")]
        self.info.as_ref()?.get(name).map(|value| value as f64)
    }

    /// Whether this is the same process as one of an earlier tick. Old releases do not report their start; their uptime must not
    /// decrease.
    pub(in crate::top) fn is_later_of(&self, earlier: &Self) -> bool {
        self.pid == earlier.pid
            && match (self.started, earlier.started) {
                (Some(own), Some(other)) => own == other,
                _ => self.uptime >= earlier.uptime,
            }
    }
}

/// Identifies the object of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::top) struct Key {
    pub(in crate::top) kind: Rank,
    pub(in crate::top) proxy: Arc<str>,
    /// Name of a server; empty for other objects.
    pub(in crate::top) name: Arc<str>,
}

/// A kind of object that can be sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::top) enum Rank {
    Frontend,
    Backend,
    Server,
}

impl Rank {
    pub(in crate::top) const fn kind(self) -> Kind {
        match self {
            Self::Frontend => Kind::Frontend,
            Self::Backend => Kind::Backend,
            Self::Server => Kind::Server,
        }
    }
}

impl From<Kind> for Rank {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Frontend => Self::Frontend,
            Kind::Backend => Self::Backend,
            Kind::Server => Self::Server,
        }
    }
}

/// A row of `show stat`.
#[derive(Debug)]
pub(in crate::top) struct Row {
    pub(in crate::top) key: Key,
    pub(in crate::top) figures: [i64; COUNT],
    pub(in crate::top) http: bool,
    pub(in crate::top) state: &'static State,
    /// The state as HAProxy writes it, if that is more specific.
    pub(in crate::top) said: Option<Box<str>>,
    /// `check_status`, without the mark of a check in progress.
    pub(in crate::top) check: Option<Box<str>>,
    /// `last_chk`
    pub(in crate::top) check_text: Option<Box<str>>,
    /// `agent_status` and `last_agt`.
    pub(in crate::top) agent: Option<Box<str>>,
    /// `addr`, which HAProxy only shows at level operator.
    pub(in crate::top) address: Option<Box<str>>,
}

impl Row {
    /// The value of a field, if the row has it.
    pub(in crate::top) fn get(&self, field: Field) -> Option<i64> {
        self.figures.get(field as usize).copied().filter(|value| *value != ABSENT)
    }

    /// Number of requests behind its averages.
    pub(in crate::top) fn traffic(&self) -> i64 {
        traffic::weight(|counter| {
            self.get(match counter {
                Counter::Requests => Field::Requests,
                Counter::Sessions => Field::SessionsTotal,
                Counter::Balanced => Field::Balanced,
            })
        })
    }

    /// The last check in the format of HAProxy's own page: `L7STS/503 in 2ms: Service Unavailable`.
    pub(in crate::top) fn last_check(&self) -> Option<String> {
        let mut text = self.check.as_deref()?.to_owned();
        if let Some(code) = self.get(Field::CheckCode).filter(|code| *code > 0) {
            text.push_str(&format!("/{code}"));
        }
        if let Some(duration) = self.get(Field::CheckDuration) {
            text.push_str(&format!(" in {duration}ms"));
        }
        if let Some(more) = self.check_text.as_deref() {
            text.push_str(&format!(": {more}"));
        }
        Some(text)
    }
}

/// A certificate that HAProxy has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) struct Certificate {
    pub(in crate::top) host: Arc<str>,
    pub(in crate::top) file: String,
    /// Second of its expiry.
    pub(in crate::top) end: i64,
}
