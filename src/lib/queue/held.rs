//! Snapshots that wait for a moment.

use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Snapshots and until when each is held back. Tens of thousands may be held at once, so the next one is found without
/// looking at all of them.
#[derive(Debug, Default)]
pub(super) struct Held {
    until: BTreeMap<Epoch, Instant>,
    order: BTreeSet<(Instant, Epoch)>,
}

impl Held {
    pub(super) fn insert(&mut self, epoch: Epoch, until: Instant) {
        self.remove(epoch);
        self.until.insert(epoch, until);
        self.order.insert((until, epoch));
    }

    /// True when it was held.
    pub(super) fn remove(&mut self, epoch: Epoch) -> bool {
        let until = self.until.remove(&epoch);
        until.is_some_and(|until| self.order.remove(&(until, epoch)))
    }

    /// Takes out one whose time has come.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Epoch> {
        let (_, epoch) = self.order.first().copied().filter(|(until, _)| *until <= now)?;
        self.remove(epoch);
        Some(epoch)
    }

    /// When the time of the next one comes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(until, _)| *until)
    }

    pub(super) fn contains(&self, epoch: Epoch) -> bool {
        self.until.contains_key(&epoch)
    }

    /// All of them, the oldest first.
    pub(super) fn epochs(&self) -> impl Iterator<Item = Epoch> + '_ {
        self.until.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.until.len()
    }
}
