//! Decides when a second is complete: all parts of all files of a host, and all hosts of a second. Has no side effects.
//!
//! ```text
//! message ─► host and second ─► complete: its files go to disk ─► second: all known hosts ─► src-dir ─► delivered
//!               └► assemble-timeout                                  └► cluster-deadline
//! ```
//!
//! A second is published ("goes out") when every host is there that was in the seconds before, or when its time is over. Hosts
//! that arrive later are late: they are published as another snapshot of the same second.

mod ready;

use super::host::Host;
use super::known::Partition;
use super::places::{Position, Token};
use super::second::{AHEAD, FUTURE, Going, Limits, Poison, Waiting, Whole};
use crate::config::HostName;
use crate::parcel::Label;
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Hosts of a second that may be rolled up again.
#[derive(Debug, Default)]
struct Kept {
    hosts: BTreeSet<HostName>,
    /// The partitions that they came from.
    partitions: BTreeSet<i32>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Seconds {
    limits: Limits,
    partitions: BTreeMap<i32, Partition>,
    coming: HashMap<(Epoch, HostName), Host>,
    waiting: BTreeMap<Epoch, Waiting>,
    /// Seconds that were published and are not delivered yet.
    out: BTreeMap<Epoch, Vec<(Token, usize)>>,
    /// Hosts of published seconds that may be rolled up again.
    kept: BTreeMap<Epoch, Kept>,
    /// Partitions that are paused, except those that are stopped by a message of a later version.
    paused: BTreeSet<i32>,
    serial: u64,
    bytes: usize,
}

impl Seconds {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            partitions: BTreeMap::new(),
            coming: HashMap::new(),
            waiting: BTreeMap::new(),
            out: BTreeMap::new(),
            kept: BTreeMap::new(),
            paused: BTreeSet::new(),
            serial: 0,
            bytes: 0,
        }
    }

    /// A partition was assigned to this member. `settled` is the last second that was settled before.
    pub(super) fn assigned(&mut self, partition: i32, settled: Option<Epoch>) {
        self.serial += 1;
        let token = Token { partition, generation: self.serial };
        self.partitions.insert(partition, Partition::new(token, settled));
    }

    /// A partition was assigned, and it is not known yet what is settled: nothing of it is taken before [`Seconds::assigned`].
    pub(super) fn awaited(&mut self, partition: i32) {
        self.assigned(partition, None);
        if let Some(partition) = self.partitions.get_mut(&partition) {
            partition.awaited = true;
        }
    }

    /// A partition was revoked: forgets what was not published. Returns the directories and the hosts whose files have to be
    /// removed from them.
    pub(super) fn revoked(&mut self, partition: i32) -> Vec<(u64, HostName)> {
        self.partitions.remove(&partition);
        let is_of = |tokens: &[Token]| tokens.iter().any(|token| token.partition == partition);
        let mut void = Vec::new();
        // A host can have parts in other partitions, if their number has changed. Those are done then, too.
        let mut gone: Vec<(Epoch, Vec<Token>)> = Vec::new();
        for ((second, name), host) in self.coming.extract_if(|_, host| is_of(&host.tokens)) {
            self.bytes = self.bytes.saturating_sub(host.bytes);
            if let Some(waiting) = self.waiting.get_mut(&second) {
                waiting.coming = waiting.coming.saturating_sub(1);
                waiting.in_time.remove(&name);
            }
            gone.push((second, host.tokens));
        }
        for (second, waiting) in &mut self.waiting {
            for (host, tokens) in waiting.hosts.extract_if(.., |_, tokens| is_of(tokens)) {
                waiting.in_time.remove(&host);
                void.push((waiting.serial, host));
                gone.push((*second, tokens));
            }
            waiting.partitions.remove(&partition);
            waiting.changed = true;
        }
        gone.iter().for_each(|(second, tokens)| self.close(*second, tokens));
        self.tidy();
        void
    }

    /// Takes a message, and returns the host that it completes, if any. Ignores messages of partitions that are not assigned, or
    /// stopped.
    /// A refused message only counts as read once it is passed: see [`Seconds::pass`].
    pub(super) fn take(
        &mut self,
        (partition, offset): (i32, i64),
        label: &Label,
        payload: &[u8],
        now: Instant,
        wall_clock: Duration,
    ) -> Result<Option<Whole>, Poison> {
        let Some(of) = self.partitions.get_mut(&partition).filter(|of| of.is_read()) else { return Ok(None) };
        if payload.len() > self.limits.buffer {
            return Err(Poison::TooLarge);
        }
        if label.time.0 > wall_clock.as_secs().saturating_add(FUTURE) {
            return Err(Poison::Future);
        }
        let (second, host) = (label.time, HostName { name: label.host.clone(), cluster: label.cluster.clone() });
        let key = (second, host.clone());
        if let Some(coming) = self.coming.get(&key) {
            coming.check(label)?;
        }
        let token = of.token;
        of.places.read(offset, Some(second));
        of.saw(&host, second, label.interval, now);
        // Not when it is published: much more may have been read by then.
        let in_time = of.places.newest().is_some_and(|newest| newest.0.saturating_sub(second.0) <= self.limits.late);
        if self.waiting.get(&second).is_some_and(|waiting| waiting.hosts.contains_key(&host)) {
            // Sent twice.
            return Ok(None);
        }
        let serial = &mut self.serial;
        let waiting = self.waiting.entry(second).or_insert_with(|| {
            *serial += 1;
            Waiting::new(*serial, now)
        });
        waiting.partitions.insert(partition);
        if in_time {
            waiting.in_time.insert(host);
        }
        if !self.coming.contains_key(&key) {
            waiting.coming += 1;
            // Its partition may have been so far behind that nobody waited for its other hosts.
            waiting.complete = false;
            waiting.changed = true;
            // One of these may have been waiting for this host.
            self.waiting.range_mut(..second).for_each(|(_, older)| older.changed = true);
        }
        let coming = self.coming.entry(key.clone()).or_insert_with(|| Host::new(label.files, now));
        if !coming.tokens.contains(&token) {
            coming.tokens.push(token);
            of.places.open(second);
        }
        let before = coming.bytes;
        coming.add(label, payload)?;
        self.bytes = (self.bytes + coming.bytes).saturating_sub(before);
        if !coming.is_whole() {
            return Ok(None);
        }
        Ok(self.coming.remove(&key).map(|host| self.whole(key, host, false)))
    }

    /// Notes a message that is not processed, and was set aside.
    pub(super) fn pass(&mut self, partition: i32, offset: i64) {
        if let Some(partition) = self.partitions.get_mut(&partition).filter(|of| of.is_read()) {
            partition.places.read(offset, None);
        }
    }

    /// Stops a partition at a message of a later version, until a member understands it. True if it was not stopped before.
    pub(super) fn hold(&mut self, partition: i32) -> bool {
        self.partitions.get_mut(&partition).is_some_and(|partition| !std::mem::replace(&mut partition.held, true))
    }

    fn whole(&mut self, (second, name): (Epoch, HostName), host: Host, incomplete: bool) -> Whole {
        self.bytes = self.bytes.saturating_sub(host.bytes);
        let tokens = host.tokens.clone();
        Whole { host: name, second, tokens, files: host.files(), incomplete }
    }

    /// Number of the directory of a second.
    pub(super) fn serial(&self, second: Epoch) -> Option<u64> {
        self.waiting.get(&second).map(|waiting| waiting.serial)
    }

    /// Whether the files of a host are still wanted: none of its partitions has been revoked since it was read.
    pub(super) fn wants(&self, whole: &Whole) -> bool {
        let ours = |token: &Token| self.partitions.get(&token.partition).is_some_and(|of| of.token == *token);
        whole.tokens.iter().all(ours)
    }

    /// Notes that the files of a host are on disk.
    pub(super) fn stored(&mut self, whole: &Whole) {
        if let Some(waiting) = self.waiting.get_mut(&whole.second) {
            waiting.changed = true;
            waiting.coming = waiting.coming.saturating_sub(1);
            waiting.hosts.insert(whole.host.clone(), whole.tokens.clone());
        }
    }

    /// Notes that the files of a host are not wanted, and not on disk.
    pub(super) fn dropped(&mut self, whole: &Whole) {
        self.left_out(whole.second, &whole.tokens);
        self.tidy();
    }

    /// A host will not be a part of this second.
    fn left_out(&mut self, second: Epoch, tokens: &[Token]) {
        self.close(second, tokens);
        if let Some(waiting) = self.waiting.get_mut(&second) {
            waiting.coming = waiting.coming.saturating_sub(1);
            waiting.changed = true;
        }
    }

    /// Hosts whose time is over: those whose files that arrived are all complete, and the number of the others, which are
    /// dropped.
    /// Time in which a partition is not read does not count: the rest of a host may be its next message.
    pub(super) fn overdue(&mut self, now: Instant) -> (Vec<Whole>, u64) {
        let is_over = |(second, _): &(Epoch, HostName), host: &Host| {
            now.duration_since(host.since) >= self.limits.assemble && self.is_read(*second, host)
        };
        let full = self.is_over_full();
        let all = self.coming.iter().map(|(key, host)| (host.since, is_over(key, host), key));
        let mut some: Vec<(Instant, bool, (Epoch, HostName))> =
            all.filter(|(_, over, _)| full || *over).map(|(since, over, key)| (since, over, key.clone())).collect();
        some.sort_unstable();
        let (mut rest, mut given_up) = (Vec::new(), 0);
        for (_, over, key) in some {
            // The oldest make room, whether their time is over or not.
            if !over && !self.is_over_full() {
                continue;
            }
            let Some(host) = self.coming.remove(&key) else { continue };
            if host.has_whole_files() {
                rest.push(self.whole(key, host, true));
                continue;
            }
            given_up += 1;
            self.bytes = self.bytes.saturating_sub(host.bytes);
            self.left_out(key.0, &host.tokens);
        }
        self.tidy();
        (rest, given_up)
    }

    /// Whether the rest of a host would have been read by now. A partition that is paused because too many of its seconds wait for such
    /// hosts counts as read, except for the last of them: it would stay paused otherwise.
    fn is_read(&self, second: Epoch, host: &Host) -> bool {
        let partitions = host.partitions();
        let held = |number: &i32| self.partitions.get(number).is_some_and(|partition| partition.held);
        !partitions.iter().any(held) && !self.is_cut_off(second, &partitions)
    }

    /// Notes that a second was published in `src-dir`.
    pub(super) fn went(&mut self, going: &Going, kept: bool) {
        let Some(waiting) = self.waiting.remove(&going.second) else { return };
        let mut tokens: BTreeMap<Token, usize> = BTreeMap::new();
        for (host, of) in &waiting.hosts {
            for token in of {
                *tokens.entry(*token).or_default() += 1;
                if let Some(partition) = self.partitions.get_mut(&token.partition) {
                    partition.went_out(&host.cluster, going.second);
                }
            }
        }
        self.out.insert(going.second, tokens.into_iter().collect());
        if waiting.coming > 0 {
            // The remaining hosts form another snapshot of this second, with another directory.
            self.serial += 1;
            let mut rest = Waiting::new(self.serial, waiting.first);
            (rest.coming, rest.partitions, rest.in_time) = (waiting.coming, waiting.partitions, waiting.in_time);
            self.waiting.insert(going.second, rest);
        }
        if kept && self.keeps() {
            let kept = self.kept.entry(going.second).or_default();
            kept.hosts.extend(going.hosts.iter().cloned());
            kept.partitions.extend(waiting.hosts.values().flatten().map(|token| token.partition));
        }
    }

    /// Whether published seconds may be rolled up again.
    pub(super) fn keeps(&self) -> bool {
        self.limits.roll_ups && self.limits.late > 0
    }

    /// Whether a second can no longer be rolled up again for the hosts of a partition. Another partition may be far ahead.
    fn is_too_late(&self, second: Epoch, partition: i32) -> bool {
        let newest = self.partitions.get(&partition).and_then(|partition| partition.places.newest());
        newest.is_none_or(|newest| newest.0.saturating_sub(second.0) > self.limits.late)
    }

    /// Removes and returns the seconds that can no longer be rolled up again.
    pub(super) fn forget(&mut self) -> Vec<Epoch> {
        let is_over = |second: Epoch, kept: &Kept| {
            let late_host_waits = self.waiting.get(&second).is_some_and(|waiting| !waiting.in_time.is_empty());
            !late_host_waits && kept.partitions.iter().all(|number| self.is_too_late(second, *number))
        };
        let over = self.kept.iter().filter(|(second, kept)| is_over(**second, kept));
        let over: Vec<Epoch> = over.map(|(second, _)| *second).collect();
        over.iter().for_each(|second| drop(self.kept.remove(second)));
        over
    }

    /// Notes which seconds have left `src-dir`, because every destination has them. Returns how many.
    pub(super) fn delivered(&mut self, is_there: impl Fn(Epoch) -> bool) -> usize {
        let gone: Vec<Epoch> = self.out.keys().copied().filter(|second| !is_there(*second)).collect();
        for second in &gone {
            for (token, hosts) in self.out.remove(second).unwrap_or_default() {
                (0..hosts).for_each(|_| self.close(*second, &[token]));
            }
        }
        gone.len()
    }

    fn close(&mut self, second: Epoch, tokens: &[Token]) {
        for token in tokens {
            // Hosts of an earlier assignment are not counted here.
            let partition = self.partitions.get_mut(&token.partition).filter(|of| of.token == *token);
            if let Some(partition) = partition {
                partition.places.close(second);
            }
        }
    }

    /// Removes seconds of which nothing is left.
    fn tidy(&mut self) {
        self.waiting.retain(|_, waiting| waiting.coming > 0 || !waiting.hosts.is_empty());
    }

    /// What to commit, for each partition.
    pub(super) fn positions(&mut self) -> Vec<Position> {
        // One that is exactly this late is still rolled up again.
        let late = if self.keeps() { self.limits.late.saturating_add(1) } else { 0 };
        let partitions = self.partitions.iter_mut();
        partitions.filter_map(|(number, partition)| partition.places.position(*number, late)).collect()
    }

    /// Partitions that should be paused.
    pub(super) fn full(&self) -> BTreeSet<i32> {
        let mut ahead: BTreeMap<i32, usize> = BTreeMap::new();
        for partition in self.waiting.values().flat_map(|waiting| &waiting.partitions) {
            *ahead.entry(*partition).or_default() += 1;
        }
        let stopped = self.partitions.iter().filter(|(_, partition)| !partition.is_read()).map(|(number, _)| *number);
        ahead.into_iter().filter(|(_, seconds)| *seconds >= AHEAD).map(|(number, _)| number).chain(stopped).collect()
    }

    /// Partitions that wait for a later version of this program.
    pub(super) fn held(&self) -> usize {
        self.partitions.values().filter(|partition| partition.held).count()
    }

    /// The oldest second of which something was read that is not delivered.
    pub(super) fn oldest(&self) -> Option<Epoch> {
        self.partitions.values().filter_map(|partition| partition.places.oldest()).min()
    }

    /// All partitions, with the offset at which each is read next.
    pub(super) fn partitions(&self) -> impl Iterator<Item = (i32, Option<i64>)> {
        self.partitions.iter().map(|(number, partition)| (*number, partition.places.next()))
    }

    /// Number of seconds in `src-dir`.
    pub(super) fn out(&self) -> usize {
        self.out.len()
    }

    /// Number of seconds that are being assembled.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether more is in memory than `buffer-size` allows.
    pub(super) fn is_over_full(&self) -> bool {
        self.bytes > self.limits.buffer
    }

    /// Bytes in memory of files that are not complete.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
