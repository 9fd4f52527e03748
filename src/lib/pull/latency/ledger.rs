//! What the latency tables of all processes come to, over time.
//!
//! Pure: rows in, totals out. A process counts in rows of its own (their keys end with its pid), and what its rows grow by is
//! added to the totals of its host:
//!
//! | a row | grows by |
//! |---|---|
//! | of a process whose table is known | the difference; what it is, where it was not there or has begun again |
//! | of a process that is new, and has started since counting began | what it is |
//! | of a process that is new and older | nothing yet: how much of it was counted before is not known |
//! | of a process that is not in the snapshot, in the table of another (`peers`) | the difference, if that process was known |
//! | of any other process, which a table that is shared among hosts has | nothing |
//!
//! Totals are not of 32 bits, and never step back, but for servers that are forgotten.

use crate::latency::counter::growth;
use crate::latency::{carried, table};
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// A process that is in no snapshot any more is remembered for so long, should it be seen once more.
const REMEMBERED: u64 = 3600;

/// A process, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) host: Option<String>,
    pub(super) node: String,
    pub(super) pid: u32,
    /// When it started, in seconds.
    pub(super) started: u64,
    /// The socket of one of several that say the same of themselves.
    pub(super) socket: Option<String>,
}

/// Whether a process continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Live,
    /// It is leaving after a reload: HAProxy empties its tables at once, or when it has handed them on.
    Leaving,
}

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) seen: u64,
    pub(super) rows: HashMap<Box<str>, Box<[u32]>>,
}

/// The counters of a server, of all processes.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) total: Box<[u64]>,
    /// As the last snapshot that was published has them.
    pub(super) published: Box<[u64]>,
    pub(super) seen: u64,
}

/// A row of a process in the table of another.
#[derive(Debug)]
struct Foreign {
    host: Option<String>,
    pid: u32,
    object: Box<str>,
    of_timer: usize,
    counters: Box<[u32]>,
}

/// The objects of a host: backend, server and layout.
pub(super) type Objects = BTreeMap<Box<str>, Object>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// When counting began.
    pub(super) since: Option<Epoch>,
    now: u64,
    pub(super) processes: HashMap<Process, Known>,
    pub(super) hosts: BTreeMap<Option<String>, Objects>,
    foreign: Vec<Foreign>,
    /// Rows that have started over although their process continues.
    resets: u64,
}

impl Ledger {
    /// A snapshot begins.
    pub(super) fn begin(&mut self, epoch: Epoch) {
        self.since.get_or_insert(epoch);
        (self.now, self.resets) = (epoch.0, 0);
        self.foreign.clear();
    }

    /// The rows of a process follow. A process that was there before in this snapshot is not taken twice.
    pub(super) fn table(&mut self, process: &Process, stage: Stage) -> Option<Table<'_>> {
        if self.processes.get(process).is_some_and(|known| known.seen == self.now) {
            return None;
        }
        let known = self.processes.remove(process);
        let counts = known.is_some() || self.since.is_some_and(|since| process.started >= since.0);
        let before = known.map(|known| known.rows).unwrap_or_default();
        let now = Known { seen: self.now, rows: HashMap::with_capacity(before.len()) };
        Some(Table { ledger: self, process: process.clone(), stage, before, now, counts })
    }

    /// No more tables follow. Returns how many rows have begun again although their process goes on.
    pub(super) fn end(&mut self, forget_before: u64) -> u64 {
        for Foreign { host, pid, object, of_timer, counters } in std::mem::take(&mut self.foreign) {
            let gone = |(process, known): &(&Process, &mut Known)| {
                process.host == host && process.pid == pid && known.seen != self.now
            };
            let owner = self.processes.iter_mut().filter(gone).max_by_key(|(_, known)| known.seen);
            let Some((_, known)) = owner else { continue };
            let none = vec![0; counters.len()];
            let before = known.rows.get(&object).map_or(&*none, |row| &**row);
            // It is gone, and cannot begin again: what is behind was sent before we looked.
            if let Some(grown) = growth(before, &counters, of_timer) {
                add(self.hosts.entry(host).or_default(), &object, &grown, self.now);
                known.rows.insert(object, counters);
            }
        }
        let now = self.now;
        self.processes.retain(|_, known| known.seen.saturating_add(REMEMBERED) >= now);
        self.hosts.values_mut().for_each(|objects| forget(objects, now, forget_before));
        self.resets
    }

    /// The next table of each process is one of which nothing is known.
    pub(super) fn forget_rows(&mut self) {
        self.processes.clear();
    }

    /// The hosts of which there are totals.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Option<String>> {
        self.hosts.iter().filter(|(_, objects)| !objects.is_empty()).map(|(host, _)| host)
    }

    /// What a snapshot carries of a host.
    pub(super) fn carried(&self, host: &Option<String>) -> Vec<u8> {
        let mut out = Vec::new();
        carried::begin(self.since.unwrap_or(Epoch(self.now)), &mut out);
        for (object, Object { total, published, .. }) in self.hosts.get(host).into_iter().flatten() {
            carried::push(object, total, published, &mut out);
        }
        out
    }

    /// The snapshot is published: increments are those since then.
    pub(super) fn published(&mut self) {
        for object in self.hosts.values_mut().flat_map(BTreeMap::values_mut) {
            object.published.clone_from(&object.total);
        }
    }
}

/// Adds to the counters of an object.
fn add(objects: &mut Objects, object: &str, grown: &[u64], now: u64) {
    let known = match objects.get_mut(object) {
        Some(known) => known,
        None => objects.entry(object.into()).or_default(),
    };
    known.seen = now;
    if known.total.len() != grown.len() {
        (known.total, known.published) = (vec![0; grown.len()].into(), vec![0; grown.len()].into());
    }
    for (total, grown) in known.total.iter_mut().zip(grown) {
        *total = total.saturating_add(*grown);
    }
}

/// Forgets servers that no table has had since then, and at once those that are counted with other bounds now.
fn forget(objects: &mut Objects, now: u64, before: u64) {
    let server = |object: &str| object.match_indices('/').nth(1).map_or(object.len(), |(at, _)| at);
    let mut outdated: Vec<Box<str>> = Vec::new();
    for (object, known) in objects.iter().filter(|(_, known)| known.seen < now) {
        let end = server(object);
        let prefix = object.get(..=end).unwrap_or(object);
        let mut siblings = objects
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(other, _)| other.starts_with(prefix));
        if known.seen < before || siblings.any(|(_, other)| other.seen == now) {
            outdated.push(object.clone());
        }
    }
    outdated.iter().for_each(|object| drop(objects.remove(object)));
}

/// The table of a process, which is being read.
pub(super) struct Table<'l> {
    ledger: &'l mut Ledger,
    process: Process,
    stage: Stage,
    before: HashMap<Box<str>, Box<[u32]>>,
    now: Known,
    /// Whether what was not there before has been counted since.
    counts: bool,
}

impl Table<'_> {
    /// A row.
    pub(super) fn row(&mut self, row: &table::Row<'_>) {
        let (key, of_timer) = (row.key, row.of_timer);
        if key.pid != self.process.pid {
            self.ledger.foreign.push(Foreign {
                host: self.process.host.clone(),
                pid: key.pid,
                object: key.object.into(),
                of_timer,
                counters: row.counters.into(),
            });
            return;
        }
        let whole = || row.counters.iter().copied().map(u64::from).collect();
        let grown = match self.before.remove(key.object) {
            Some(before) => growth(&before, row.counters, of_timer).unwrap_or_else(|| {
                self.ledger.resets += u64::from(self.stage == Stage::Live);
                whole()
            }),
            None if self.counts => whole(),
            None => vec![0; row.counters.len()],
        };
        let objects = self.ledger.hosts.entry(self.process.host.clone()).or_default();
        add(objects, key.object, &grown, self.now.seen);
        self.now.rows.insert(key.object.into(), row.counters.into());
    }

    /// The table is read. Rows that are missing begin again when they come back; where some could not be read, they may be those.
    pub(super) fn end(self, complete: bool) {
        let Self { ledger, process, before, mut now, .. } = self;
        if !complete {
            for (object, counters) in before {
                now.rows.entry(object).or_insert(counters);
            }
        }
        ledger.processes.insert(process, now);
    }
}

#[cfg(test)]
mod tests;
