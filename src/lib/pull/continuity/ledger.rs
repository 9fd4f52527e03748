//! Keeps track of the final counters of processes that are gone, so that a sum over processes never decreases.
//!
//! Pure: replies in, corrections out. The published value of a counter is the sum over the processes of a snapshot, plus the
//! correction that is kept here (the "carried" counters). In the steady state the correction does not change; it changes if
//!
//! | event | the correction grows by |
//! |---|---|
//! | a process, or an object of it, is no longer in the snapshot | its last value |
//! | it comes back, with at least that value | minus its last value |
//! | a counter of a process decreases: it was cleared, or its object was deleted and added | its last value |
//! | a process begins with the values of its predecessor: they share their counters | minus these values |
//! | a counter that a newer process shares grows | minus that growth |
//!
//! So a published counter is the sum of all increments that were seen, and never decreases. Objects are matched by type and
//! names, never by their numbers in HAProxy.

mod account;
mod kept;
mod process;

use super::packed::{Packed, Sparse, at, decode, encode, follows, goes_on};
use super::scratch::Scratch;
use super::seen::{Identity, Seen};
use account::Account;
use process::Process;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// The host that a process belongs to, by its name; `None` for this one.
pub(super) type Host = Option<String>;

/// How many seconds a process is remembered after another one has taken over its socket, in case it is seen again.
const REMEMBERED: u64 = 3600;
/// The first release whose workers can share counters (`shm-stats-file`).
const SHARING: (u32, u32) = (3, 3);

/// What was found in a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Objects whose counters decreased.
    pub(super) resets: u64,
    /// Known processes that are not in the snapshot.
    pub(super) absent: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<Host, Account>,
    processes: HashMap<Identity, Process>,
    /// The last process that was seen on each socket.
    shown: HashMap<String, Identity>,
    counts: Counts,
    epoch: u64,
    /// Number of the present snapshot.
    number: u32,
    scratch: Scratch,
}

/// Takes the reply of one process, row by row.
pub(super) struct Reply<'l> {
    ledger: &'l mut Ledger,
    identity: Identity,
    /// The socket that led to it.
    source: String,
    process: Process,
    /// The account of its host.
    account: Account,
    /// What replaces [`Process::last`], and [`Process::order`].
    next: Packed,
    order: Vec<u32>,
    is_new: bool,
    leaving: bool,
    can_share: bool,
    encoded: Vec<u8>,
    bytes: Vec<u8>,
    before: Vec<(u8, i64)>,
    others: Vec<(u8, i64)>,
}

impl Ledger {
    /// An empty ledger, which stores large data in `scratch`.
    pub(super) fn new(scratch: Scratch) -> Self {
        Self { scratch, ..Self::default() }
    }

    /// Begins a snapshot.
    pub(super) fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.number += 1;
        self.counts = Counts::default();
    }

    /// Begins the reply of a process. Leaving processes must come first.
    pub(super) fn reply(&mut self, seen: &Seen<'_>) -> Reply<'_> {
        let known = self.processes.remove(&seen.identity);
        let is_new = known.is_none();
        let mut process = known.unwrap_or_else(|| Process::new(seen.source, &self.scratch));
        if is_new {
            process.predecessor = self.shown.get(seen.source).filter(|_| !seen.leaving).cloned();
        }
        if !seen.leaving {
            self.shown.insert(seen.source.to_owned(), seen.identity.clone());
        }
        let can_share = seen.release.is_none_or(|release| release >= SHARING);
        let mut next = Packed::new(&self.scratch);
        next.reserve_as(&process.last);
        let account = self.accounts.remove(&seen.identity.host);
        Reply {
            identity: seen.identity.clone(),
            source: seen.source.to_owned(),
            account: account.unwrap_or_else(|| Account::new(&self.scratch)),
            next,
            order: Vec::with_capacity(process.order.len()),
            process,
            is_new,
            leaving: seen.leaving,
            can_share,
            encoded: Vec::new(),
            bytes: Vec::new(),
            before: Vec::new(),
            others: Vec::new(),
            ledger: self,
        }
    }

    /// Ends the snapshot, and carries everything that is not in it. `has_ended` says whether the master of this name no longer
    /// knows the process with this pid. Then the process will not come back, and its values need not be remembered separately.
    pub(super) fn end(&mut self, has_ended: impl Fn(&str, u64) -> bool) -> Counts {
        let number = self.number;
        let absent = self.processes.iter().filter(|(_, process)| process.number != number);
        let absent: Vec<Identity> = absent.map(|(identity, _)| identity.clone()).collect();
        let (mut bytes, mut last) = (Vec::new(), Vec::new());
        for identity in absent {
            let Some(mut process) = self.processes.remove(&identity) else { continue };
            let account = self.account(&identity.host);
            for object in process.objects() {
                process.last.figures(object, &mut bytes, &mut last);
                account.carry(object, &last, 1);
            }
            // None of its objects is in a snapshot now.
            process.number = 0;
            process.marks = Vec::new();
            process.order = Vec::new();
            process.previous = Packed::new(&self.scratch);
            let pid = identity.key.as_ref().map(|key| key.pid);
            if process.master.as_ref().zip(pid).is_some_and(|(master, pid)| has_ended(master, pid)) {
                process.ended = true;
                process.last = Packed::new(&self.scratch);
            }
            let replaced = self.shown.get(&process.source) != Some(&identity);
            if !replaced || self.epoch.saturating_sub(process.seen) < REMEMBERED {
                self.counts.absent += 1;
                self.processes.insert(identity, process);
            }
        }
        self.accounts.values_mut().for_each(Account::settle);
        self.counts
    }

    /// Forgets objects that have not been seen since this second.
    pub(super) fn forget(&mut self, before: u64) {
        self.accounts.values_mut().for_each(|account| account.forget(before));
    }

    /// Number of names, and of those whose objects have not been seen since this second.
    pub(super) fn names(&self, before: u64) -> (usize, usize) {
        self.accounts.values().fold((0, 0), |(all, stale), account| {
            let (names, old) = account.names(before);
            (all + names, stale + old)
        })
    }

    /// Hosts with carried counters.
    pub(super) fn hosts(&self) -> Vec<Host> {
        self.accounts.iter().filter(|(_, account)| account.carries()).map(|(host, _)| host.clone()).collect()
    }

    /// See [`Account::carried`].
    pub(super) fn carried(&self, host: &Host, take: impl FnMut(&[u8], &Sparse, u64)) {
        if let Some(account) = self.accounts.get(host) {
            account.carried(take);
        }
    }

    /// See [`Account::carried_of`].
    pub(super) fn carried_of(&self, host: &Host, object: &[u8]) -> Vec<(u8, i64)> {
        self.accounts.get(host).map_or_else(Vec::new, |account| account.carried_of(object))
    }

    /// See [`Account::state`].
    pub(super) fn state(&self, host: &Host) -> Option<u64> {
        self.accounts.get(host).map(|account| account.state(self.epoch))
    }

    /// The second of the present snapshot.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The error if stored data could not be read. Then nothing that was derived from it is valid.
    pub(super) fn lost(&self) -> Option<io::Error> {
        self.scratch.lost()
    }

    /// Where large data is stored.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Restores counters that were carried before a restart.
    pub(super) fn restore(&mut self, host: &Host, object: &[u8], values: &Sparse, seen: u64) {
        let account = self.account(host);
        let object = account.note(object, seen);
        account.carry(object, values, 1);
    }

    fn account(&mut self, host: &Host) -> &mut Account {
        self.accounts.entry(host.clone()).or_insert_with(|| Account::new(&self.scratch))
    }
}

impl Reply<'_> {
    /// Takes an object of the process, with its counters that are not 0.
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
        let known = self.process.last.read(object, &mut self.bytes);
        let superseded = !self.process.superseded.is_empty() && self.process.superseded.contains(&object);
        if present && known && self.bytes == self.encoded {
            return;
        }
        // The usual case.
        if present && known && !superseded && !self.bytes.is_empty() && follows(&self.bytes, now) {
            return;
        }
        let mut before = std::mem::take(&mut self.before);
        decode(&self.bytes, &mut before);
        self.has_changed(object, known.then_some(before.as_slice()), now, present, superseded);
        self.before = before;
    }

    /// Handles an object that is not what it was in the previous snapshot, or was not in it.
    fn has_changed(&mut self, object: u32, before: Option<&Sparse>, now: &Sparse, present: bool, superseded: bool) {
        match (before, present) {
            (before, _) if superseded => {
                let before = before.filter(|_| present).unwrap_or_default();
                self.account.change(object, &[(before, 1), (now, -1)]);
            }
            (None, _) if self.is_new => self.compare(object, now),
            (None, _) => {}
            (Some(before), true) => {
                self.step_back(object, before, now);
                if before.is_empty() {
                    self.compare_late(object);
                }
            }
            (Some(before), false) if goes_on(before, now) => self.account.carry(object, before, -1),
            (Some(_), false) => self.ledger.counts.resets += 1,
        }
    }

    /// The number of an object: usually the one that came at this position the last time.
    fn number(&mut self, name: &[u8]) -> u32 {
        let (expected, epoch) = (self.process.order.get(self.order.len()).copied(), self.ledger.epoch);
        if let Some(expected) = expected.filter(|expected| self.account.is(*expected, name, epoch)) {
            return expected;
        }
        self.account.note(name, epoch)
    }

    /// Ends the reply, and carries objects that are not in it.
    pub(super) fn end(mut self) {
        let (mut bytes, mut before) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.before));
        let gone = if self.process.number > 0 { self.process.objects() } else { Vec::new() };
        for object in gone {
            self.process.last.figures(object, &mut bytes, &mut before);
            self.account.carry(object, &before, 1);
        }
        // Objects that are not in the reply are remembered, in case they come back.
        for object in self.process.last.objects().filter(|object| !self.process.has_now(*object, self.ledger.number)) {
            self.process.last.read(object, &mut bytes);
            self.next.push(object, &bytes);
        }
        self.next.settle();
        let last = std::mem::replace(&mut self.process.last, self.next);
        // A new successor is compared with the previous values. After that, they are only needed if it shares counters.
        let matters = self.leaving && (self.process.master.is_none() || !self.process.superseded.is_empty());
        self.process.previous = if matters { last } else { Packed::new(&self.ledger.scratch) };
        if self.leaving {
            self.process.master = Some(self.source);
        }
        self.process.ended = false;
        self.process.order = self.order;
        self.process.number = self.ledger.number;
        self.process.seen = self.ledger.epoch;
        self.ledger.accounts.insert(self.identity.host.clone(), self.account);
        self.ledger.processes.insert(self.identity, self.process);
    }

    /// Carries the last values of counters that have decreased.
    fn step_back(&mut self, object: u32, before: &Sparse, now: &Sparse) {
        let lost: Vec<(u8, i64)> = before.iter().copied().filter(|(place, before)| at(now, *place) < *before).collect();
        if !lost.is_empty() {
            self.account.carry(object, &lost, 1);
            self.ledger.counts.resets += 1;
        }
    }

    /// Compares an object of a new process with its predecessor: they share counters if the object begins with the predecessor's
    /// values.
    fn compare(&mut self, object: u32, now: &Sparse) {
        self.with_predecessor(object, |reply, other| {
            let there = other.number == reply.ledger.number;
            let before = if there { &other.previous } else { &other.last };
            before.figures(object, &mut reply.bytes, &mut reply.others);
            let shares = !reply.others.is_empty() && goes_on(&reply.others, now);
            reply.process.shares |= shares;
            shares
        });
    }

    /// Compares an object that had no counters to compare when the process was new: if they are shared, both processes show the
    /// same from the first increment on.
    fn compare_late(&mut self, object: u32) {
        if !self.process.shares {
            return;
        }
        self.with_predecessor(object, |reply, other| {
            let mut nothing = |packed: &Packed| !packed.read(object, &mut reply.bytes) || reply.bytes.is_empty();
            other.number == reply.ledger.number && nothing(&other.previous) && !nothing(&other.last)
        });
    }

    /// If `shares` says so, the predecessor's counters of this object no longer count, because this process has them.
    fn with_predecessor(&mut self, object: u32, shares: impl FnOnce(&mut Self, &Process) -> bool) {
        let Some(predecessor) = self.process.predecessor.take() else { return };
        if self.can_share
            && let Some((identity, mut other)) = self.ledger.processes.remove_entry(&predecessor)
        {
            if !other.superseded.contains(&object) && shares(self, &other) {
                other.superseded.insert(object);
                other.last.figures(object, &mut self.bytes, &mut self.others);
                self.account.carry(object, &self.others, -1);
            }
            self.ledger.processes.insert(identity, other);
        }
        self.process.predecessor = Some(predecessor);
    }
}

#[cfg(test)]
mod tests;
