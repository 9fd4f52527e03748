//! Whose turn it is where snapshots are sent in the order of their time.
//!
//! Workers render snapshots at the same time and in no order. Some receivers refuse a sample that is older than another one of the
//! same series; for a destination of that kind a worker sends a snapshot only when it is told to go. That is said of one snapshot at
//! a time, the oldest that the destination does not have, whichever worker has it. Which ones it has is certain, also after a crash: a
//! snapshot that all destinations have is removed, and one that others lack is written down before the next one goes.
//!
//! A snapshot that cannot be read now, or is not complete yet, is waited for, but not for ever: it would hold up all that come after
//! it.

use crate::looked::Moment;
use crate::queue::{Queue, Slot, Whereabouts};
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So long a snapshot is waited for that cannot be read or processed now, or does not become complete.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Snapshots that a destination has, though they are still on disk, and which directories they were.
pub(crate) type Had = BTreeMap<String, BTreeMap<Epoch, String>>;

/// A snapshot may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The worker that has it.
    pub(crate) slot: Slot,
    /// Where to.
    pub(crate) dispatcher: &'static str,
    /// Which.
    pub(crate) epoch: Epoch,
}

#[derive(Debug)]
struct Destination {
    name: &'static str,
    has: BTreeMap<Epoch, String>,
    /// What was told to go, and to whom.
    gone: Option<(Epoch, Slot)>,
    /// What is held back and waited for, and since when.
    waits: Option<(Epoch, Moment)>,
    /// Those that were waited for long enough.
    passed: BTreeSet<Epoch>,
}

/// The turns of all destinations that have some.
#[derive(Debug, Default)]
pub(crate) struct Order {
    destinations: Vec<Destination>,
}

impl Order {
    /// For these destinations, of which it is known what they `had`.
    #[must_use]
    pub(crate) fn new(names: &[&'static str], mut had: Had) -> Self {
        let mut order = Self::default();
        for name in names {
            order.add(name, had.remove(*name).unwrap_or_default());
        }
        order
    }

    /// There is this destination as well. One that was taken away stays: workers that still have it are told to go.
    pub(crate) fn add(&mut self, name: &'static str, has: BTreeMap<Epoch, String>) {
        if self.destinations.iter().all(|destination| destination.name != name) {
            let (gone, waits, passed) = (None, None, BTreeSet::new());
            self.destinations.push(Destination { name, has, gone, waits, passed });
        }
    }

    /// Whether no destination has an order.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.destinations.is_empty()
    }

    /// The destinations that have the snapshot, which is this directory.
    pub(crate) fn had(&mut self, epoch: Epoch, directory: &str) -> Vec<String> {
        let mut names = Vec::new();
        for destination in &mut self.destinations {
            match destination.has.get(&epoch) {
                Some(had) if had == directory => names.push(destination.name.to_owned()),
                // Another one of the same name.
                Some(_) => drop(destination.has.remove(&epoch)),
                None => {}
            }
        }
        names
    }

    /// A destination has a snapshot; without a name, all of them.
    pub(crate) fn delivered(&mut self, name: Option<&str>, epoch: Epoch, directory: &str) {
        for destination in self.destinations.iter_mut().filter(|one| name.is_none_or(|name| name == one.name)) {
            destination.has.insert(epoch, directory.to_owned());
        }
    }

    /// The snapshot is not on disk any more.
    pub(crate) fn forget(&mut self, epoch: Epoch) {
        for destination in &mut self.destinations {
            destination.has.remove(&epoch);
            destination.passed.remove(&epoch);
        }
    }

    /// Forgets all that do not pass.
    pub(crate) fn retain(&mut self, is_there: impl Fn(Epoch) -> bool) {
        for destination in &mut self.destinations {
            destination.has.retain(|epoch, _| is_there(*epoch));
            destination.passed.retain(|epoch| is_there(*epoch));
        }
    }

    /// What is to be written down.
    #[must_use]
    pub(crate) fn to_record(&self) -> Had {
        let some = self.destinations.iter().filter(|destination| !destination.has.is_empty());
        some.map(|destination| (destination.name.to_owned(), destination.has.clone())).collect()
    }

    /// The worker is gone, with what it was told.
    pub(crate) fn died(&mut self, slot: Slot) {
        for destination in &mut self.destinations {
            destination.gone.take_if(|(_, to)| *to == slot);
        }
    }

    /// Whether the oldest snapshot that waits for a worker is the next of some destination: that all workers have enough to do
    /// is no reason then, for what they have comes after it.
    #[must_use]
    pub(crate) fn is_held_up(&self, queue: &Queue, coming: &[Epoch]) -> bool {
        let free = self.destinations.iter().filter(|destination| !destination.is_gone(queue));
        free.into_iter().any(|destination| matches!(destination.next(queue, coming), Some((_, Whereabouts::Ready))))
    }

    /// Turns that begin now. `coming` are snapshots that are not in the queue yet.
    pub(crate) fn turns(&mut self, queue: &Queue, coming: &[Epoch], now: Moment) -> Vec<Turn> {
        self.destinations.iter_mut().filter_map(|destination| destination.turn(queue, coming, now)).collect()
    }
}

impl Destination {
    fn is_gone(&self, queue: &Queue) -> bool {
        let is_under_way =
            |(epoch, to): (Epoch, Slot)| queue.holder(epoch) == Some(to) && !self.has.contains_key(&epoch);
        self.gone.is_some_and(is_under_way)
    }

    fn next(&self, queue: &Queue, coming: &[Epoch]) -> Option<(Epoch, Whereabouts)> {
        let counts = |epoch: Epoch, at: Whereabouts| {
            let passed = at == Whereabouts::Held && self.passed.contains(&epoch);
            !passed && !self.has.contains_key(&epoch)
        };
        let coming = coming.iter().map(|epoch| (*epoch, Whereabouts::Held)).filter(|(epoch, at)| counts(*epoch, *at));
        coming.chain(queue.oldest_of(counts)).min_by_key(|(epoch, _)| *epoch)
    }

    fn turn(&mut self, queue: &Queue, coming: &[Epoch], now: Moment) -> Option<Turn> {
        if self.is_gone(queue) {
            return None;
        }
        self.gone = None;
        loop {
            match self.next(queue, coming)? {
                (epoch, Whereabouts::With(slot)) => {
                    (self.gone, self.waits) = (Some((epoch, slot)), None);
                    return Some(Turn { slot, dispatcher: self.name, epoch });
                }
                (_, Whereabouts::Ready) => {
                    self.waits = None;
                    return None;
                }
                (epoch, Whereabouts::Held) => {
                    let since = self.waits.filter(|(of, _)| *of == epoch).map_or(now, |(_, since)| since);
                    self.waits = Some((epoch, since));
                    if now.since(since) < PATIENCE {
                        return None;
                    }
                    self.passed.insert(epoch);
                    tracing::warn!(
                        dispatcher = self.name,
                        snapshot = %epoch,
                        "cannot be processed for now: later snapshots are sent before it"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
