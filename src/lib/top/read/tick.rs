//! What was seen at one moment.

use super::field::{COUNT, Field};
use crate::haproxy::columns::Kind;
use crate::haproxy::status::State;
use crate::haproxy::traffic::{self, Counter};
use crate::parse::info::Info;
use crate::parse::part::Part;
use crate::snapshot::Epoch;
use crate::value::ABSENT;
use std::sync::Arc;

/// A moment, with everything that HAProxy has said.
#[derive(Debug, Default)]
pub(in crate::top) struct Tick {
    /// When, as the clock on the wall has it.
    pub(in crate::top) epoch: Epoch,
    /// When, on a clock that is not set, in seconds: only differences mean anything.
    pub(in crate::top) seconds: f64,
    pub(in crate::top) processes: Vec<Process>,
    pub(in crate::top) certificates: Vec<Certificate>,
    /// Sockets that were asked and count.
    pub(in crate::top) sockets: usize,
    /// Sockets that have not answered, and why.
    pub(in crate::top) silent: Vec<Silent>,
    /// Files and rows that cannot be read.
    pub(in crate::top) refused: u64,
}

/// Something that should have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) struct Silent {
    /// Name of the socket.
    pub(in crate::top) socket: String,
    pub(in crate::top) reason: String,
}

/// A process of HAProxy.
#[derive(Debug)]
pub(in crate::top) struct Process {
    /// The socket that was asked; of a worker that is leaving, its master, `@` and its pid.
    pub(in crate::top) socket: String,
    pub(in crate::top) host: Arc<str>,
    pub(in crate::top) part: Part,
    pub(in crate::top) version: String,
    pub(in crate::top) pid: Option<u64>,
    /// Second of its start, where HAProxy says it (2.4 and later).
    pub(in crate::top) started: Option<u64>,
    pub(in crate::top) uptime: Option<u64>,
    pub(in crate::top) info: Option<Info>,
    pub(in crate::top) rows: Vec<Row>,
}

impl Process {
    /// A figure of `show info`.
    pub(in crate::top) fn figure(&self, name: &str) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "it is looked at")]
        self.info.as_ref()?.get(name).map(|value| value as f64)
    }

    /// Whether this is the process of an earlier tick. Old releases do not say when they were started; their time must not run
    /// backwards.
    pub(in crate::top) fn is_later_of(&self, earlier: &Self) -> bool {
        self.pid == earlier.pid
            && match (self.started, earlier.started) {
                (Some(own), Some(other)) => own == other,
                _ => self.uptime >= earlier.uptime,
            }
    }
}

/// What a row is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::top) struct Key {
    pub(in crate::top) kind: Rank,
    pub(in crate::top) proxy: Arc<str>,
    /// Of a server; empty for the others.
    pub(in crate::top) name: Arc<str>,
}

/// A kind that can be put in order.
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
    /// The state as HAProxy writes it, where it says more than the word.
    pub(in crate::top) said: Option<Box<str>>,
    /// `check_status`, without the mark of a check that runs.
    pub(in crate::top) check: Option<Box<str>>,
    /// `last_chk`
    pub(in crate::top) check_text: Option<Box<str>>,
    /// `agent_status` and `last_agt`.
    pub(in crate::top) agent: Option<Box<str>>,
    /// `addr`, which HAProxy shows to operators.
    pub(in crate::top) address: Option<Box<str>>,
}

impl Row {
    /// A figure, where the row has it.
    pub(in crate::top) fn get(&self, field: Field) -> Option<i64> {
        self.figures.get(field as usize).copied().filter(|value| *value != ABSENT)
    }

    /// How many requests its averages are over.
    pub(in crate::top) fn traffic(&self) -> i64 {
        traffic::weight(|counter| {
            self.get(match counter {
                Counter::Requests => Field::Requests,
                Counter::Sessions => Field::SessionsTotal,
                Counter::Balanced => Field::Balanced,
            })
        })
    }

    /// The last check as HAProxy's own page writes it: `L7STS/503 in 2ms: Service Unavailable`.
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
    /// Second in which it expires.
    pub(in crate::top) end: i64,
}
