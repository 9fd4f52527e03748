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

mod kept;

use super::names::Names;
use super::packed::{Packed, Sparse, at, decode, encode, goes_on};
use super::seen::{Identity, Seen};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The host that a process belongs to, by its name; `None` for this one.
pub(super) type Host = Option<String>;

/// A process whose socket shows another one now is remembered for so long, should it be seen once more.
const REMEMBERED: u64 = 3600;
/// The first release whose workers can share counters (`shm-stats-file`).
const SHARING: (u32, u32) = (3, 3);

/// What is known of a process.
#[derive(Debug, Default)]
struct Process {
    source: String,
    /// What its objects had reached when they were last seen.
    last: Packed,
    /// Of one that leaves: what they had reached in the snapshot before, as long as that matters.
    previous: Packed,
    /// Of one that leaves: its master, and whether that has said that it has ended.
    master: Option<String>,
    ended: bool,
    /// By object, the last snapshot in which it was, by number.
    marks: Vec<u32>,
    /// The objects in the order in which they came last.
    order: Vec<u32>,
    /// The last snapshot in which it was, by number and by time.
    number: u32,
    seen: u64,
    /// Objects whose counters a newer process shows as well.
    superseded: HashSet<u32>,
    predecessor: Option<Identity>,
    /// Whether it shares counters with its predecessor.
    shares: bool,
}

impl Process {
    /// Whether an object was in the last snapshot in which the process was.
    fn has(&self, object: u32) -> bool {
        self.marks.get(object as usize).is_some_and(|mark| *mark == self.number && *mark > 0)
    }

    /// Objects that were in the last snapshot in which the process was.
    fn objects(&self) -> Vec<u32> {
        (0..).zip(&self.marks).filter(|(_, mark)| **mark == self.number).map(|(object, _)| object).collect()
    }
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Objects whose counters stepped back.
    pub(super) resets: u64,
    /// Processes that are known, and not in the snapshot.
    pub(super) absent: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    names: Names,
    /// When each object was last seen.
    seen: Vec<u64>,
    processes: HashMap<Identity, Process>,
    /// Which process a socket showed last.
    shown: HashMap<String, Identity>,
    /// Corrections, by host and object, encoded: what is published is a sum over the processes of a host.
    carried: BTreeMap<Host, HashMap<u32, Box<[u8]>, foldhash::fast::FixedState>>,
    counts: Counts,
    epoch: u64,
    /// Of the present snapshot.
    number: u32,
    /// Memory for the next reply.
    spare: Packed,
}

/// The reply of one process, row by row.
pub(super) struct Reply<'l> {
    ledger: &'l mut Ledger,
    identity: Identity,
    /// The socket that led to it.
    source: String,
    process: Process,
    /// What replaces [`Process::last`], and [`Process::order`].
    next: Packed,
    order: Vec<u32>,
    is_new: bool,
    leaving: bool,
    can_share: bool,
    encoded: Vec<u8>,
    before: Vec<(u8, i64)>,
    others: Vec<(u8, i64)>,
}

impl Ledger {
    /// Begins a snapshot.
    pub(super) fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.number += 1;
        self.counts = Counts::default();
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
        let mut next = std::mem::take(&mut self.spare);
        next.clear();
        next.reserve_as(&process.last);
        Reply {
            identity: seen.identity.clone(),
            source: seen.source.to_owned(),
            next,
            order: Vec::with_capacity(process.order.len()),
            process,
            is_new,
            leaving: seen.leaving,
            can_share,
            encoded: Vec::new(),
            before: Vec::new(),
            others: Vec::new(),
            ledger: self,
        }
    }

    /// Ends the snapshot: what is not in it is carried. `has_ended` says whether the process of this pid is known to the master of
    /// this name no more: that one does not come back, and what it had reached is not needed any more.
    pub(super) fn end(&mut self, has_ended: impl Fn(&str, u64) -> bool) -> Counts {
        let number = self.number;
        let absent = self.processes.iter().filter(|(_, process)| process.number != number);
        let absent: Vec<Identity> = absent.map(|(identity, _)| identity.clone()).collect();
        let mut last = Vec::new();
        for identity in absent {
            let Some(mut process) = self.processes.remove(&identity) else { continue };
            for object in process.objects() {
                decode(process.last.get(object).unwrap_or_default(), &mut last);
                self.carry(&identity.host, object, &last, 1);
            }
            // None of them is in a snapshot any more.
            process.number = 0;
            process.marks.clear();
            let pid = identity.key.as_ref().map(|key| key.pid);
            if process.master.as_ref().zip(pid).is_some_and(|(master, pid)| has_ended(master, pid)) {
                process.ended = true;
                process.last = Packed::default();
                process.previous = Packed::default();
            }
            let replaced = self.shown.get(&process.source) != Some(&identity);
            if !replaced || self.epoch.saturating_sub(process.seen) < REMEMBERED {
                self.counts.absent += 1;
                self.processes.insert(identity, process);
            }
        }
        self.counts
    }

    /// Forgets objects that have not been seen since this second.
    pub(super) fn forget(&mut self, before: u64) {
        for carried in self.carried.values_mut() {
            carried.retain(|object, _| self.seen.get(*object as usize).is_some_and(|seen| *seen >= before));
        }
        self.carried.retain(|_, carried| !carried.is_empty());
    }

    /// Hosts for which something is carried.
    pub(super) fn hosts(&self) -> Vec<Host> {
        self.carried.keys().cloned().collect()
    }

    /// Tells `take` what is carried for a host, in the order in which objects came first, which is that of the replies: the
    /// object, its corrections, and when it was last seen.
    pub(super) fn carried(&self, host: &Host, mut take: impl FnMut(&[u8], &Sparse, u64)) {
        let carried = self.carried.get(host).into_iter().flatten();
        let mut entries: Vec<(u32, &[u8])> = carried.map(|(object, values)| (*object, &**values)).collect();
        entries.sort_unstable();
        let mut values = Vec::new();
        for (object, encoded) in entries {
            let Some(name) = self.names.get(object) else { continue };
            decode(encoded, &mut values);
            take(name, &values, self.seen.get(object as usize).copied().unwrap_or(0));
        }
    }

    /// Takes over what an earlier program carried.
    pub(super) fn restore(&mut self, host: &Host, object: &[u8], values: &Sparse, seen: u64) {
        let object = self.note(object, seen);
        self.carry(host, object, values, 1);
    }

    /// The number of an object that was seen at this time.
    fn note(&mut self, object: &[u8], seen: u64) -> u32 {
        let number = self.names.number(object);
        let index = number as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, 0);
        }
        if let Some(last) = self.seen.get_mut(index) {
            *last = (*last).max(seen);
        }
        number
    }

    /// Adds `times` these figures to what is carried.
    fn carry(&mut self, host: &Host, object: u32, figures: &Sparse, times: i64) {
        if figures.is_empty() {
            return;
        }
        if !self.carried.contains_key(host) {
            self.carried.insert(host.clone(), HashMap::default());
        }
        let Some(carried) = self.carried.get_mut(host) else { return };
        let mut sums = Vec::new();
        decode(carried.get(&object).map(|encoded| &**encoded).unwrap_or_default(), &mut sums);
        for (place, figure) in figures {
            let figure = figure.saturating_mul(times);
            match sums.binary_search_by_key(place, |(place, _)| *place) {
                Ok(index) => sums.iter_mut().skip(index).take(1).for_each(|(_, sum)| *sum = sum.saturating_add(figure)),
                Err(index) => sums.insert(index, (*place, figure)),
            }
        }
        sums.retain(|(_, sum)| *sum != 0);
        if sums.is_empty() {
            carried.remove(&object);
        } else {
            let mut encoded = Vec::new();
            encode(&sums, &mut encoded);
            carried.insert(object, encoded.into());
        }
    }
}

impl Reply<'_> {
    /// An object of the process, and what its counters have reached, those that are not 0.
    pub(super) fn object(&mut self, name: &[u8], now: &Sparse) {
        let object = self.number(name);
        let index = object as usize;
        if self.process.marks.len() <= index {
            self.process.marks.resize(index + 1, 0);
        }
        let present = self.process.has(object);
        let Some(mark) = self.process.marks.get_mut(index).filter(|mark| **mark != self.ledger.number) else { return };
        *mark = self.ledger.number;
        self.order.push(object);
        self.encoded.clear();
        encode(now, &mut self.encoded);
        self.next.push(object, &self.encoded);
        let last = self.process.last.get(object);
        if present && last == Some(&*self.encoded) {
            return;
        }
        let known = last.is_some();
        let mut before = std::mem::take(&mut self.before);
        decode(last.unwrap_or_default(), &mut before);
        match (known, present) {
            _ if self.process.superseded.contains(&object) => {
                if present {
                    self.carry(object, &before, 1);
                }
                self.carry(object, now, -1);
            }
            (false, _) if self.is_new => self.compare(object, now),
            (false, _) => {}
            (true, true) => {
                self.step_back(object, &before, now);
                if before.is_empty() {
                    self.compare_late(object);
                }
            }
            (true, false) if goes_on(&before, now) => self.carry(object, &before, -1),
            (true, false) => self.ledger.counts.resets += 1,
        }
        self.before = before;
    }

    /// The number of the object that comes next: that which came next the last time, as a rule.
    fn number(&mut self, name: &[u8]) -> u32 {
        let expected = self.process.order.get(self.order.len()).copied();
        if let Some(expected) = expected.filter(|expected| self.ledger.names.get(*expected) == Some(name)) {
            if let Some(seen) = self.ledger.seen.get_mut(expected as usize) {
                *seen = self.ledger.epoch;
            }
            return expected;
        }
        let epoch = self.ledger.epoch;
        self.ledger.note(name, epoch)
    }

    /// Ends the reply: objects that are not in it are carried.
    pub(super) fn end(mut self) {
        let mut before = std::mem::take(&mut self.before);
        let gone = if self.process.number > 0 { self.process.objects() } else { Vec::new() };
        for object in gone {
            decode(self.process.last.get(object).unwrap_or_default(), &mut before);
            self.carry(object, &before, 1);
        }
        // What is not here now is remembered, should it come back.
        let absent: Vec<u32> = self.process.last.objects().filter(|object| self.next.get(*object).is_none()).collect();
        for object in absent {
            self.next.push(object, self.process.last.get(object).unwrap_or_default());
        }
        let last = std::mem::replace(&mut self.process.last, self.next);
        // Its successor is compared with what it had reached before, when that is new, and later only where it shares counters.
        let matters = self.leaving && (self.process.master.is_none() || !self.process.superseded.is_empty());
        let before = std::mem::take(&mut self.process.previous);
        (self.process.previous, self.ledger.spare) = if matters { (last, before) } else { (Packed::default(), last) };
        if self.leaving {
            self.process.master = Some(self.source);
        }
        self.process.ended = false;
        self.process.order = self.order;
        self.process.number = self.ledger.number;
        self.process.seen = self.ledger.epoch;
        self.ledger.processes.insert(self.identity, self.process);
    }

    fn carry(&mut self, object: u32, figures: &Sparse, times: i64) {
        self.ledger.carry(&self.identity.host, object, figures, times);
    }

    /// Carries what counters that have stepped back had reached.
    fn step_back(&mut self, object: u32, before: &Sparse, now: &Sparse) {
        let lost: Vec<(u8, i64)> = before.iter().copied().filter(|(place, before)| at(now, *place) < *before).collect();
        if !lost.is_empty() {
            self.carry(object, &lost, 1);
            self.ledger.counts.resets += 1;
        }
    }

    /// An object of a new process: it shares its counters with that of the one before where it begins with what that had.
    fn compare(&mut self, object: u32, now: &Sparse) {
        self.with_predecessor(object, |reply, other| {
            let there = other.number == reply.ledger.number;
            let before = if there { &other.previous } else { &other.last };
            decode(before.get(object).unwrap_or_default(), &mut reply.others);
            let shares = !reply.others.is_empty() && goes_on(&reply.others, now);
            reply.process.shares |= shares;
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
            let nothing = |packed: &Packed| packed.get(object).is_none_or(<[u8]>::is_empty);
            other.number == reply.ledger.number && nothing(&other.previous) && !nothing(&other.last)
        });
    }

    /// Where `shares` says so, the predecessor's counters of this object count no more: this process has them.
    fn with_predecessor(&mut self, object: u32, shares: impl FnOnce(&mut Self, &Process) -> bool) {
        let Some(predecessor) = self.process.predecessor.clone().filter(|_| self.can_share) else { return };
        let Some(mut other) = self.ledger.processes.remove(&predecessor) else { return };
        if !other.superseded.contains(&object) && shares(self, &other) {
            other.superseded.insert(object);
            decode(other.last.get(object).unwrap_or_default(), &mut self.others);
            let reached = std::mem::take(&mut self.others);
            self.ledger.carry(&predecessor.host, object, &reached, -1);
            self.others = reached;
        }
        self.ledger.processes.insert(predecessor, other);
    }
}

#[cfg(test)]
mod tests;
