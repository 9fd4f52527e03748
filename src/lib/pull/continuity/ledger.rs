//! What the counters of processes that are gone had reached, so that a sum over processes never steps back.
//!
//! Pure: replies in, corrections out. What is published of a counter is the sum over the processes of a snapshot, and the
//! correction that this keeps. In the steady state the correction does not change; it changes when
//!
//! | event | the correction grows by |
//! |---|---|
//! | a process, or an object of it, is not in the snapshot any more | what it had reached |
//! | it comes back, and is not behind what it had reached | minus that |
//! | a counter of a process steps back: it was cleared, or its object was deleted and added | what it had reached |
//! | a process begins with what its predecessor had reached: they share their counters | minus that |
//! | a counter grows that a newer process shares | minus that growth |
//!
//! So a published counter is the sum of all increments that were seen, and never steps back. Objects are matched by type and
//! names, never by their numbers in HAProxy.

use super::packed::Packed;
use crate::haproxy::identity::ProcessKey;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A process whose socket shows another one now is remembered for so long, should it be seen once more.
const REMEMBERED: u64 = 3600;
/// The first release whose workers can share counters (`shm-stats-file`).
const SHARING: (u32, u32) = (3, 3);

/// What tells one process from another: its host, and what it says of itself, or the socket of one that says too little.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) host: Option<String>,
    pub(super) key: Option<ProcessKey>,
    pub(super) source: Option<String>,
}

/// A process, in a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Seen<'a> {
    pub(super) identity: Identity,
    /// The socket that led to it.
    pub(super) source: &'a str,
    /// Whether it is leaving, and was asked through its master.
    pub(super) leaving: bool,
    /// HAProxy's release line, where it says it.
    pub(super) release: Option<(u32, u32)>,
}

/// What is known of a process.
#[derive(Debug, Default)]
struct Process {
    source: String,
    /// What its objects had reached when they were last seen.
    last: Packed,
    /// Of one that leaves: what they had reached in the snapshot before.
    previous: Packed,
    /// The objects of the last snapshot in which it was.
    present: HashSet<u32>,
    /// The snapshot in which it was last, and whether that is the last of all.
    seen: u64,
    is_present: bool,
    /// Objects whose counters a newer process shows as well.
    superseded: HashSet<u32>,
    predecessor: Option<Identity>,
    /// Whether it shares counters with its predecessor.
    shares: bool,
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Objects whose counters stepped back.
    pub(super) resets: u64,
    /// Processes that left the snapshot, or came back to it.
    pub(super) changes: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What identifies an object, and its number.
    numbers: HashMap<Box<[u8]>, u32>,
    names: Vec<Box<[u8]>>,
    /// When each object was last seen.
    seen: Vec<u64>,
    processes: HashMap<Identity, Process>,
    /// Which process a socket showed last.
    shown: HashMap<String, Identity>,
    /// Corrections, by socket and object.
    carried: BTreeMap<String, HashMap<u32, Vec<i64>>>,
    /// Sockets whose corrections have changed.
    changed: HashSet<String>,
    counts: Counts,
    epoch: u64,
}

/// The reply of one process, row by row.
pub(super) struct Reply<'l> {
    ledger: &'l mut Ledger,
    identity: Identity,
    process: Process,
    /// What replaces [`Process::last`].
    next: Packed,
    present: HashSet<u32>,
    is_new: bool,
    leaving: bool,
    can_share: bool,
    before: Vec<Option<u64>>,
    others: Vec<Option<u64>>,
}

impl Ledger {
    /// Begins a snapshot.
    pub(super) fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.counts = Counts::default();
        self.processes.values_mut().for_each(|process| process.is_present = false);
    }

    /// Begins the reply of a process; those that leave come first.
    pub(super) fn reply(&mut self, seen: &Seen<'_>) -> Reply<'_> {
        let known = self.processes.remove(&seen.identity);
        let is_new = known.is_none();
        let mut process = known.unwrap_or_default();
        if is_new {
            seen.source.clone_into(&mut process.source);
            process.predecessor = self.shown.get(seen.source).filter(|_| !seen.leaving).cloned();
        }
        if !seen.leaving {
            self.shown.insert(seen.source.to_owned(), seen.identity.clone());
        }
        let can_share = seen.release.is_none_or(|release| release >= SHARING);
        Reply {
            identity: seen.identity.clone(),
            process,
            next: Packed::default(),
            present: HashSet::new(),
            is_new,
            leaving: seen.leaving,
            can_share,
            before: Vec::new(),
            others: Vec::new(),
            ledger: self,
        }
    }

    /// Ends the snapshot: what is not in it is carried.
    pub(super) fn end(&mut self) -> Counts {
        let absent: Vec<Identity> =
            self.processes.iter().filter(|(_, process)| !process.is_present).map(|(of, _)| of.clone()).collect();
        for identity in absent {
            let Some(mut process) = self.processes.remove(&identity) else { continue };
            let present = std::mem::take(&mut process.present);
            self.counts.changes += u64::from(!present.is_empty());
            let mut last = Vec::new();
            for object in present {
                self.read(&process.last, object, &mut last);
                self.carry(&process.source, object, &last, 1);
            }
            let replaced = self.shown.get(&process.source) != Some(&identity);
            if !replaced || self.epoch.saturating_sub(process.seen) < REMEMBERED {
                self.processes.insert(identity, process);
            }
        }
        self.counts
    }

    /// Forgets objects that have not been seen since this second.
    pub(super) fn forget(&mut self, before: u64) {
        for (source, carried) in &mut self.carried {
            let known = carried.len();
            carried.retain(|object, _| self.seen.get(*object as usize).is_some_and(|seen| *seen >= before));
            if carried.len() < known {
                self.changed.insert(source.clone());
            }
        }
        self.carried.retain(|_, carried| !carried.is_empty());
    }

    /// Sockets for which something is carried, and whether that has changed since the last call.
    pub(super) fn sources(&mut self) -> Vec<(String, bool)> {
        let changed = std::mem::take(&mut self.changed);
        self.carried.keys().map(|source| (source.clone(), changed.contains(source))).collect()
    }

    /// What is carried for a socket: the object, its corrections, and when it was last seen.
    pub(super) fn carried(&self, source: &str) -> Vec<(&[u8], &[i64], u64)> {
        let carried = self.carried.get(source).into_iter().flatten();
        let entry = |(object, values): (&u32, &'_ Vec<i64>)| -> Option<(&[u8], &[i64], u64)> {
            let name = self.names.get(*object as usize)?;
            // Borrowed from the ledger, as the vector is.
            let values = self.carried.get(source)?.get(object).filter(|own| own.len() == values.len())?;
            Some((name, values, self.seen.get(*object as usize).copied().unwrap_or(0)))
        };
        let mut entries: Vec<_> =
            carried.filter_map(entry).filter(|(_, values, _)| values.iter().any(|v| *v != 0)).collect();
        entries.sort_unstable_by_key(|(name, ..)| *name);
        entries
    }

    /// Takes over what an earlier program carried.
    pub(super) fn restore(&mut self, source: &str, object: &[u8], values: &[i64], seen: u64) {
        let object = self.number(object);
        if let Some(last) = self.seen.get_mut(object as usize) {
            *last = (*last).max(seen);
        }
        self.carried.entry(source.to_owned()).or_default().insert(object, values.to_vec());
    }

    /// How many processes are carried: those that are known and not in the last snapshot.
    pub(super) fn absent(&self) -> usize {
        self.processes.values().filter(|process| !process.is_present).count()
    }

    fn number(&mut self, object: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(object) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(object.into(), number);
        self.names.push(object.into());
        self.seen.push(0);
        number
    }

    fn width(&self, object: u32) -> usize {
        let name = self.names.get(object as usize);
        if name.is_some_and(|name| **name == *super::replies::DAEMON) {
            super::replies::INFO.len()
        } else {
            super::replies::STAT.len()
        }
    }

    fn read(&self, packed: &Packed, object: u32, counters: &mut Vec<Option<u64>>) -> bool {
        counters.clear();
        counters.resize(self.width(object), None);
        packed.get(object, counters)
    }

    /// Adds `times` the counters to what is carried.
    fn carry(&mut self, source: &str, object: u32, counters: &[Option<u64>], times: i64) {
        if counters.iter().all(|counter| counter.unwrap_or(0) == 0) {
            return;
        }
        let width = self.width(object);
        let carried = self.carried.entry(source.to_owned()).or_default();
        let sums = carried.entry(object).or_insert_with(|| vec![0; width]);
        for (sum, counter) in sums.iter_mut().zip(counters) {
            let counter = i64::try_from(counter.unwrap_or(0)).unwrap_or(i64::MAX);
            *sum = sum.saturating_add(counter.saturating_mul(times));
        }
        self.changed.insert(source.to_owned());
    }
}

/// Whether nothing has stepped back.
fn goes_on(before: &[Option<u64>], now: &[Option<u64>]) -> bool {
    before.iter().zip(now).all(|(before, now)| match (before, now) {
        (Some(before), Some(now)) => now >= before,
        _ => true,
    })
}

fn is_nothing(counters: &[Option<u64>]) -> bool {
    counters.iter().all(|counter| counter.unwrap_or(0) == 0)
}

impl Reply<'_> {
    /// An object of the process, and what its counters have reached.
    pub(super) fn object(&mut self, name: &[u8], now: &[Option<u64>]) {
        let object = self.ledger.number(name);
        if let Some(seen) = self.ledger.seen.get_mut(object as usize) {
            *seen = self.ledger.epoch;
        }
        if !self.present.insert(object) {
            return;
        }
        self.next.push(object, now);
        let mut before = std::mem::take(&mut self.before);
        let known = self.ledger.read(&self.process.last, object, &mut before);
        let superseded = self.process.superseded.contains(&object);
        match (known, self.process.present.contains(&object)) {
            (false, _) if superseded => self.carry(object, now, -1),
            (false, _) if self.is_new => self.compare(object, now),
            (false, _) => {}
            (true, true) if superseded => {
                self.carry(object, &before, 1);
                self.carry(object, now, -1);
            }
            (true, true) => {
                self.step_back(object, &before, now);
                if is_nothing(&before) && !is_nothing(now) {
                    self.compare_late(object);
                }
            }
            (true, false) if superseded => self.carry(object, now, -1),
            (true, false) if goes_on(&before, now) => self.carry(object, &before, -1),
            (true, false) => self.ledger.counts.resets += 1,
        }
        self.before = before;
    }

    /// Ends the reply: objects that are not in it are carried.
    pub(super) fn end(mut self) {
        let mut before = std::mem::take(&mut self.before);
        let gone: Vec<u32> = self.process.present.difference(&self.present).copied().collect();
        for object in gone {
            self.ledger.read(&self.process.last, object, &mut before);
            self.carry(object, &before, 1);
        }
        // What is not here now is remembered, should it come back.
        let absent: Vec<u32> = self.process.last.objects().filter(|object| !self.next.has(*object)).collect();
        for object in absent {
            self.ledger.read(&self.process.last, object, &mut before);
            self.next.push(object, &before);
        }
        self.ledger.counts.changes += u64::from(self.is_new);
        let last = std::mem::replace(&mut self.process.last, self.next);
        self.process.previous = if self.leaving { last } else { Packed::default() };
        self.process.present = self.present;
        self.process.seen = self.ledger.epoch;
        self.process.is_present = true;
        self.ledger.processes.insert(self.identity, self.process);
    }

    fn carry(&mut self, object: u32, counters: &[Option<u64>], times: i64) {
        self.ledger.carry(&self.process.source, object, counters, times);
    }

    /// Carries what counters that have stepped back had reached.
    fn step_back(&mut self, object: u32, before: &[Option<u64>], now: &[Option<u64>]) {
        if goes_on(before, now) {
            return;
        }
        let lost: Vec<Option<u64>> = before
            .iter()
            .zip(now)
            .map(|(before, now)| before.zip(*now).filter(|(before, now)| now < before).map(|(before, _)| before))
            .collect();
        self.carry(object, &lost, 1);
        self.ledger.counts.resets += 1;
    }

    /// An object of a new process: it shares its counters with that of the one before where it begins with what that had.
    fn compare(&mut self, object: u32, now: &[Option<u64>]) {
        self.with_predecessor(object, |reply, other| {
            let before = if other.is_present { &other.previous } else { &other.last };
            let mut reached = std::mem::take(&mut reply.others);
            let known = reply.ledger.read(before, object, &mut reached);
            let shares = known && !is_nothing(&reached) && goes_on(&reached, now);
            reply.process.shares |= shares;
            reply.others = reached;
            shares
        });
    }

    /// An object that had nothing to compare when the process was new: both processes show the same from the first increment
    /// on.
    fn compare_late(&mut self, object: u32) {
        if !self.process.shares {
            return;
        }
        self.with_predecessor(object, |reply, other| {
            let mut counters = std::mem::take(&mut reply.others);
            let had_nothing = !reply.ledger.read(&other.previous, object, &mut counters) || is_nothing(&counters);
            let has_some = reply.ledger.read(&other.last, object, &mut counters) && !is_nothing(&counters);
            reply.others = counters;
            other.is_present && had_nothing && has_some
        });
    }

    /// Where `shares` says so, the predecessor's counters of this object count no more: this process has them.
    fn with_predecessor(&mut self, object: u32, shares: impl FnOnce(&mut Self, &Process) -> bool) {
        let Some(predecessor) = self.process.predecessor.clone().filter(|_| self.can_share) else { return };
        let Some(mut other) = self.ledger.processes.remove(&predecessor) else { return };
        if !other.superseded.contains(&object) && shares(self, &other) {
            other.superseded.insert(object);
            let mut reached = std::mem::take(&mut self.others);
            self.ledger.read(&other.last, object, &mut reached);
            self.ledger.carry(&other.source, object, &reached, -1);
            self.others = reached;
        }
        self.ledger.processes.insert(predecessor, other);
    }
}

#[cfg(test)]
mod tests;
