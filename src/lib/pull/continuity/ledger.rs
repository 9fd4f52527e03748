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

/// A process whose socket shows another one now is remembered for so long, should it be seen once more.
const REMEMBERED: u64 = 3600;
/// The first release whose workers can share counters (`shm-stats-file`).
const SHARING: (u32, u32) = (3, 3);

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
    accounts: BTreeMap<Host, Account>,
    processes: HashMap<Identity, Process>,
    /// Which process a socket showed last.
    shown: HashMap<String, Identity>,
    counts: Counts,
    epoch: u64,
    /// Of the present snapshot.
    number: u32,
    scratch: Scratch,
}

/// The reply of one process, row by row.
pub(super) struct Reply<'l> {
    ledger: &'l mut Ledger,
    identity: Identity,
    /// The socket that led to it.
    source: String,
    process: Process,
    /// Of its host.
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
    /// Nothing is known; what takes much memory has its place there.
    pub(super) fn new(scratch: Scratch) -> Self {
        Self { scratch, ..Self::default() }
    }

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

    /// Ends the snapshot: what is not in it is carried. `has_ended` says whether the process of this pid is known to the master of
    /// this name no more: that one does not come back, and what it had reached is not needed any more.
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
            // None of them is in a snapshot any more.
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

    /// How many names there are, and how many of them are of objects that have not been seen since this second.
    pub(super) fn names(&self, before: u64) -> (usize, usize) {
        self.accounts.values().fold((0, 0), |(all, stale), account| {
            let (names, old) = account.names(before);
            (all + names, stale + old)
        })
    }

    /// Hosts for which something is carried.
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

    /// Why something that is known could not be read, if that is so. Nothing that follows from it holds.
    pub(super) fn lost(&self) -> Option<io::Error> {
        self.scratch.lost()
    }

    /// Where what takes much memory has its place.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Takes over what an earlier program carried.
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
        let known = self.process.last.read(object, &mut self.bytes);
        let superseded = !self.process.superseded.is_empty() && self.process.superseded.contains(&object);
        if present && known && self.bytes == self.encoded {
            return;
        }
        // As it is nearly always.
        if present && known && !superseded && !self.bytes.is_empty() && follows(&self.bytes, now) {
            return;
        }
        let mut before = std::mem::take(&mut self.before);
        decode(&self.bytes, &mut before);
        self.has_changed(object, known.then_some(before.as_slice()), now, present, superseded);
        self.before = before;
    }

    /// An object is not what it was in the snapshot before, or was not in it.
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

    /// The number of the object that comes next: that which came next the last time, as a rule.
    fn number(&mut self, name: &[u8]) -> u32 {
        let (expected, epoch) = (self.process.order.get(self.order.len()).copied(), self.ledger.epoch);
        if let Some(expected) = expected.filter(|expected| self.account.is(*expected, name, epoch)) {
            return expected;
        }
        self.account.note(name, epoch)
    }

    /// Ends the reply: objects that are not in it are carried.
    pub(super) fn end(mut self) {
        let (mut bytes, mut before) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.before));
        let gone = if self.process.number > 0 { self.process.objects() } else { Vec::new() };
        for object in gone {
            self.process.last.figures(object, &mut bytes, &mut before);
            self.account.carry(object, &before, 1);
        }
        // What is not here now is remembered, should it come back.
        for object in self.process.last.objects().filter(|object| !self.process.has_now(*object, self.ledger.number)) {
            self.process.last.read(object, &mut bytes);
            self.next.push(object, &bytes);
        }
        self.next.settle();
        let last = std::mem::replace(&mut self.process.last, self.next);
        // Its successor is compared with what it had reached before, when that is new, and later only where it shares counters.
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

    /// Carries what counters that have stepped back had reached.
    fn step_back(&mut self, object: u32, before: &Sparse, now: &Sparse) {
        let lost: Vec<(u8, i64)> = before.iter().copied().filter(|(place, before)| at(now, *place) < *before).collect();
        if !lost.is_empty() {
            self.account.carry(object, &lost, 1);
            self.ledger.counts.resets += 1;
        }
    }

    /// An object of a new process: it shares its counters with that of the one before where it begins with what that had.
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

    /// An object that had nothing to compare when the process was new: both processes show the same from the first increment
    /// on.
    fn compare_late(&mut self, object: u32) {
        if !self.process.shares {
            return;
        }
        self.with_predecessor(object, |reply, other| {
            let mut nothing = |packed: &Packed| !packed.read(object, &mut reply.bytes) || reply.bytes.is_empty();
            other.number == reply.ledger.number && nothing(&other.previous) && !nothing(&other.last)
        });
    }

    /// Where `shares` says so, the predecessor's counters of this object count no more: this process has them.
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
