//! Which seconds can be published, and with which hosts.

use super::Seconds;
use crate::config::HostName;
use crate::consume::host::Host;
use crate::consume::known::Partition;
use crate::consume::places::Token;
use crate::consume::second::{AHEAD, Going};
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

impl Seconds {
    /// Seconds that can be published now. `is_free` says whether `src-dir` has no snapshot of that name.
    pub(in crate::consume) fn ready(&mut self, now: Instant, is_free: impl Fn(Epoch) -> bool) -> Vec<Going> {
        let mut blocked: BTreeSet<i32> = BTreeSet::new();
        let mut ready = Vec::new();
        for second in self.waiting.keys().copied().collect::<Vec<_>>() {
            let late = self.is_late(second);
            let complete = late || self.is_complete(second, now);
            let Some(waiting) = self.waiting.get(&second) else { continue };
            let in_turn = late || waiting.partitions.is_disjoint(&blocked);
            let in_part_only = complete && waiting.hosts.is_empty();
            if complete && in_turn && !waiting.hosts.is_empty() && !self.out.contains_key(&second) && is_free(second) {
                ready.extend(self.going(second, late));
            } else if !late && !in_part_only {
                // Later seconds of the same partitions wait, so that each host stays in order.
                blocked.extend(waiting.partitions.iter().copied());
            }
        }
        ready
    }

    /// Whether this second of all of its clusters has been published before.
    fn is_late(&self, second: Epoch) -> bool {
        let Some(waiting) = self.waiting.get(&second) else { return false };
        !waiting.hosts.is_empty() && waiting.hosts.iter().all(|(host, tokens)| self.went_out(host, tokens, second))
    }

    fn went_out(&self, host: &HostName, tokens: &[Token], second: Epoch) -> bool {
        let mut partitions = tokens.iter().filter_map(|token| self.partitions.get(&token.partition));
        partitions.any(|partition| partition.is_through(&host.cluster, second))
    }

    /// Whether a partition of a host was assigned after this second was settled: its other hosts are not read again.
    fn is_rest(&self, tokens: &[Token], second: Epoch) -> bool {
        let mut partitions = tokens.iter().filter_map(|token| self.partitions.get(&token.partition));
        partitions.any(|partition| partition.is_rest(second))
    }

    fn is_complete(&mut self, second: Epoch, now: Instant) -> bool {
        self.settle_in(second, now);
        let Some(waiting) = self.waiting.get(&second) else { return false };
        let is_over = now.duration_since(waiting.first) >= self.limits.deadline;
        let known = |partition: &i32| self.partitions.get(partition).is_none_or(Partition::is_settled_in);
        // Look again if a partition has not settled in: that changes with time alone. One that was assigned while the second waited
        // for another partition gets the full time, too.
        let settled_in = waiting.partitions.iter().all(known);
        if waiting.complete || (is_over && settled_in && !self.is_cut_off(second, &waiting.partitions)) {
            return true;
        }
        if !waiting.changed {
            return false;
        }
        let all = settled_in
            && waiting.coming == 0
            && self.partitions.values().all(|of| of.due(second).all(|host| waiting.hosts.contains_key(host)));
        if let Some(waiting) = self.waiting.get_mut(&second) {
            (waiting.complete, waiting.changed) = (all, !settled_in);
        }
        all
    }

    /// Notes which partitions of a second have been read for long enough. Where the rest of it may be unread, the hosts may be, too.
    fn settle_in(&mut self, second: Epoch, now: Instant) {
        let Some(waiting) = self.waiting.get(&second) else { return };
        let is_new = |number: &i32| self.partitions.get(number).is_some_and(|of| !of.is_settled_in());
        let new: Vec<i32> = waiting.partitions.iter().copied().filter(is_new).collect();
        let read = new.into_iter().filter(|number| !self.is_cut_off(second, &BTreeSet::from([*number])));
        for number in read.collect::<Vec<_>>() {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.settle_in(self.limits.deadline, now);
            }
        }
    }

    /// Whether the rest of this second may be unread because its partitions are paused.
    pub(in crate::consume) fn is_cut_off(&self, second: Epoch, partitions: &BTreeSet<i32>) -> bool {
        let last_read = |partition: &&i32| {
            let after = self.waiting.range(second..).skip(1);
            after.filter(|(_, waiting)| waiting.partitions.contains(partition)).count() < AHEAD / 2
        };
        partitions.intersection(&self.paused).any(|partition| last_read(&partition))
    }

    /// Notes which partitions are paused from now on. Incomplete seconds and hosts of partitions that resume get their full time
    /// again.
    pub(in crate::consume) fn pause(&mut self, wanted: &BTreeSet<i32>, now: Instant) {
        let held = |number: &i32| self.partitions.get(number).is_some_and(|partition| partition.held);
        let paused: BTreeSet<i32> = wanted.iter().copied().filter(|number| !held(number)).collect();
        let resumed: BTreeSet<i32> = self.paused.difference(&paused).copied().collect();
        let is_cut_off = |(second, _): &(Epoch, HostName), host: &Host| self.is_cut_off(*second, &host.partitions());
        let hosts =
            self.coming.iter().filter(|(key, host)| is_cut_off(key, host)).map(|(key, _)| key.clone()).collect();
        self.paused = paused;
        self.start_over(&resumed, &hosts, now);
    }

    /// Restarts the deadlines of these partitions and hosts: time during which nothing is read does not count as waiting.
    fn start_over(&mut self, partitions: &BTreeSet<i32>, hosts: &BTreeSet<(Epoch, HostName)>, now: Instant) {
        for number in partitions {
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.resume(now);
            }
        }
        for waiting in self.waiting.values_mut().filter(|waiting| !waiting.complete) {
            if !waiting.partitions.is_disjoint(partitions) {
                waiting.first = now;
            }
        }
        for (_, host) in self.coming.iter_mut().filter(|(key, _)| hosts.contains(*key)) {
            if host.tokens.iter().any(|token| partitions.contains(&token.partition)) {
                host.since = now;
            }
        }
    }

    /// Notes that the program was stopped until now, or got no processor time.
    pub(in crate::consume) fn woke(&mut self, now: Instant) {
        let all = self.partitions.keys().copied().collect();
        let hosts = self.coming.keys().cloned().collect();
        self.start_over(&all, &hosts, now);
    }

    fn going(&self, second: Epoch, late: bool) -> Option<Going> {
        let waiting = self.waiting.get(&second)?;
        let hosts: BTreeSet<HostName> = waiting.hosts.keys().cloned().collect();
        let mut going =
            Going { second, serial: waiting.serial, hosts, again: BTreeSet::new(), clusters: BTreeMap::new(), late };
        if !self.limits.roll_ups {
            return Some(going);
        }
        for (host, tokens) in &waiting.hosts {
            let Some(cluster) = &host.cluster else { continue };
            if self.went_out(host, tokens, second) {
                // Roll up all of its hosts, or none: a partial roll-up would replace the complete one.
                let may = waiting.in_time.contains(host) && !self.is_rest(tokens, second);
                let Some(kept) = self.kept.get(&second).filter(|_| may) else { continue };
                let others =
                    kept.hosts.iter().filter(|other| other.cluster == host.cluster && !going.hosts.contains(*other));
                going.again.extend(others.cloned());
            }
            going.clusters.insert(cluster.clone(), 0);
        }
        for (cluster, missing) in &mut going.clusters {
            let there = |host: &&HostName| !going.hosts.contains(*host) && !going.again.contains(*host);
            let of = |partition: &Partition| partition.members(cluster, second).filter(there).count();
            *missing = self.partitions.values().map(of).sum::<usize>() as u64;
        }
        Some(going)
    }
}
