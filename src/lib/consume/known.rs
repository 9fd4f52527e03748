//! What is known about a partition: its hosts, and which of their seconds have been published.

use super::places::{Places, Token};
use crate::config::HostName;
use crate::snapshot::Epoch;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many intervals to wait for a host that does not arrive.
const PATIENCE: u64 = 3;

/// After how many intervals such a host is forgotten.
const FORGOTTEN: u64 = 100;

/// How many hosts of a partition are remembered; further ones are not waited for.
const MOST: usize = 100_000;

/// When a host was seen.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The first and the last second that messages were read of.
    first: Epoch,
    last: Epoch,
    interval: u64,
}

impl Known {
    /// Whether it is still expected in this second: this is one of its pulls, and it was there in one of the last few.
    fn is_due(&self, second: Epoch) -> bool {
        let since = second.0.saturating_sub(self.last.0);
        since > 0 && since.is_multiple_of(self.interval) && since <= PATIENCE.saturating_mul(self.interval)
    }

    /// Whether it belongs to this second, even if it was left out.
    fn belongs(&self, second: Epoch) -> bool {
        let left_out = self.first < second && second < self.last;
        self.is_due(second) || (left_out && (self.last.0 - second.0).is_multiple_of(self.interval))
    }
}

/// A partition that is assigned to this member.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) token: Token,
    pub(super) places: Places,
    hosts: HashMap<HostName, Known>,
    /// When the first message arrived.
    began: Option<Instant>,
    /// Whether every host has had time to arrive once.
    settled_in: bool,
    /// The last published second of each cluster.
    through: HashMap<Option<String>, Epoch>,
    /// Whether it is stopped by a message that this version does not understand.
    pub(super) held: bool,
    /// Whether it is not known yet what is settled, so that nothing of it is taken.
    pub(super) awaited: bool,
    /// What was settled before the assignment.
    settled_before: Option<Epoch>,
}

impl Partition {
    pub(super) fn new(token: Token, settled: Option<Epoch>) -> Self {
        Self {
            token,
            places: Places::new(settled),
            hosts: HashMap::new(),
            began: None,
            settled_in: false,
            through: HashMap::new(),
            held: false,
            awaited: false,
            settled_before: settled,
        }
    }

    /// Whether its messages are taken.
    pub(super) fn is_read(&self) -> bool {
        !self.held && !self.awaited
    }

    /// Whether this second was settled before the assignment: only the rest of it is read again.
    pub(super) fn is_rest(&self, second: Epoch) -> bool {
        Some(second) <= self.settled_before
    }

    /// Notes that a message of a host has arrived.
    pub(super) fn saw(&mut self, host: &HostName, second: Epoch, interval: u64, now: Instant) {
        self.began.get_or_insert(now);
        let room = self.hosts.len() < MOST;
        match self.hosts.get_mut(host) {
            Some(known) => {
                (known.first, known.last) = (known.first.min(second), known.last.max(second));
                known.interval = interval;
            }
            None if room => drop(self.hosts.insert(host.clone(), Known { first: second, last: second, interval })),
            None => {}
        }
    }

    /// Whether every host has had time to arrive once.
    pub(super) fn is_settled_in(&self) -> bool {
        self.settled_in
    }

    /// Notes that messages were read until now: every host has had time to arrive if that is long enough.
    pub(super) fn settle_in(&mut self, deadline: Duration, now: Instant) {
        self.settled_in |= self.began.is_some_and(|began| now.duration_since(began) >= deadline);
    }

    /// Notes that nothing was read for some time, until now: that was no time to arrive.
    pub(super) fn resume(&mut self, now: Instant) {
        self.began = self.began.map(|_| now);
    }

    /// Hosts that are still expected in this second.
    pub(super) fn due(&self, second: Epoch) -> impl Iterator<Item = &HostName> {
        self.hosts.iter().filter(move |(_, known)| known.is_due(second)).map(|(host, _)| host)
    }

    /// Hosts of a cluster that should have been there in this second.
    pub(super) fn members<'a>(&'a self, cluster: &'a str, second: Epoch) -> impl Iterator<Item = &'a HostName> {
        let of =
            move |host: &HostName, known: &Known| host.cluster.as_deref() == Some(cluster) && known.belongs(second);
        self.hosts.iter().filter(move |(host, known)| of(host, known)).map(|(host, _)| host)
    }

    /// Whether this second of the cluster has been published.
    pub(super) fn is_through(&self, cluster: &Option<String>, second: Epoch) -> bool {
        Some(second) <= self.places.settled() || self.through.get(cluster).is_some_and(|last| second <= *last)
    }

    /// Notes that a second of the cluster was published, and forgets hosts that have not been seen for long.
    pub(super) fn went_out(&mut self, cluster: &Option<String>, second: Epoch) {
        match self.through.get_mut(cluster) {
            Some(last) => *last = second.max(*last),
            None => drop(self.through.insert(cluster.clone(), second)),
        }
        let newest = self.places.newest().map_or(0, |newest| newest.0);
        self.hosts.retain(|_, host| newest.saturating_sub(host.last.0) <= FORGOTTEN.saturating_mul(host.interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_waited_for_on_their_own_grid_and_for_a_while() {
        let host = Known { first: Epoch(100), last: Epoch(120), interval: 10 };
        let due: Vec<u64> = (100..200).filter(|second| host.is_due(Epoch(*second))).collect();
        assert_eq!(due, [130, 140, 150]);
        let belongs: Vec<u64> = (90..200).filter(|second| host.belongs(Epoch(*second))).collect();
        assert_eq!(belongs, [110, 130, 140, 150], "and those that it has left out");
    }
}
