//! Processes, and hosts as sums of their processes.

use super::group::Pair;
use super::object::{Delta, Known, delta};
use super::totals::Totals;
use crate::parse::part::Part;
use crate::top::model::group::Member;
use crate::top::read::field::Field;
use crate::top::read::tick::Rank;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A process of HAProxy.
#[derive(Debug, Clone)]
pub(in crate::top) struct ProcessLine {
    pub(in crate::top) socket: String,
    pub(in crate::top) host: Arc<str>,
    pub(in crate::top) part: Part,
    pub(in crate::top) version: String,
    pub(in crate::top) pid: Option<u64>,
    pub(in crate::top) uptime: Option<u64>,
    pub(in crate::top) totals: Totals,
}

/// A host.
#[derive(Debug, Clone)]
pub(in crate::top) struct HostLine {
    pub(in crate::top) name: Arc<str>,
    pub(in crate::top) processes: usize,
    /// Number of workers that are leaving.
    pub(in crate::top) leaving: usize,
    pub(in crate::top) totals: Totals,
}

impl ProcessLine {
    /// Whether it is a worker that is leaving.
    pub(in crate::top) fn is_leaving(&self) -> bool {
        self.part == Part::Leaving
    }

    pub(super) fn of(pair: &Pair<'_>, interval: Option<f64>) -> Self {
        let process = pair.now;
        let mut totals = Totals {
            sessions: process.figure("CurrConns").unwrap_or_default(),
            limit: process.figure("Maxconn").filter(|_| process.part == Part::Live),
            idle: process.figure("Idle_pct").filter(|_| process.part == Part::Live),
            ..Totals::default()
        };
        let mut sums = [0.0; 4];
        let (mut any, mut missing) = (false, false);
        for (row, before) in process.rows.iter().zip(&pair.rows) {
            #[expect(clippy::cast_precision_loss, reason = "it is looked at")]
            if row.key.kind != Rank::Frontend {
                totals.queued += row.get(Field::Queued).unwrap_or_default() as f64;
            }
            totals.down += usize::from(row.key.kind == Rank::Server && row.state.word.starts_with("DOWN"));
            let member = Member { process: 0, row, before: *before };
            for (sum, field) in sums.iter_mut().zip(counted(row.key.kind, row.http)) {
                match field.map(|field| delta(&member, field)) {
                    Some(Delta::Grown(by)) => {
                        *sum += by;
                        any = true;
                    }
                    Some(Delta::Unknown) => missing = true,
                    Some(Delta::Blank) | None => {}
                }
            }
        }
        if let Some(seconds) = interval.filter(|_| any) {
            let [requests, errors, bytes_in, bytes_out] = sums.map(|sum| Some(sum / seconds));
            totals = Totals { requests, errors, bytes_in, bytes_out, ..totals };
        }
        totals.known = match (any, missing) {
            (_, false) => Known::All,
            (true, true) => Known::Part,
            (false, true) => Known::Nothing,
        };
        Self {
            socket: process.socket.clone(),
            host: Arc::clone(&process.host),
            part: process.part,
            version: process.version.clone(),
            pid: process.pid,
            uptime: process.uptime,
            totals,
        }
    }
}

/// The fields that a row adds to the totals of its process: requests, errors, bytes in, bytes out. Clients are counted at
/// frontends; proxies that do not use HTTP only show their errors at backends.
const fn counted(kind: Rank, http: bool) -> [Option<Field>; 4] {
    let (into, out) = (Some(Field::BytesIn), Some(Field::BytesOut));
    match (kind, http) {
        (Rank::Frontend, true) => [Some(Field::Requests), Some(Field::Status5xx), into, out],
        (Rank::Frontend, false) => [Some(Field::SessionsTotal), None, into, out],
        (Rank::Backend, false) => [None, Some(Field::FailedConnects), None, None],
        _ => [None; 4],
    }
}

/// The hosts of these processes, by name.
pub(super) fn hosts(processes: &[ProcessLine]) -> Vec<HostLine> {
    let mut hosts: BTreeMap<&Arc<str>, Vec<&ProcessLine>> = BTreeMap::new();
    for process in processes {
        hosts.entry(&process.host).or_default().push(process);
    }
    let line = |(name, processes): (&Arc<str>, Vec<&ProcessLine>)| {
        let leaving = processes.iter().filter(|process| process.part == Part::Leaving).count();
        HostLine {
            name: Arc::clone(name),
            processes: processes.len() - leaving,
            leaving,
            totals: Totals::of(processes),
        }
    };
    hosts.into_iter().map(line).collect()
}
