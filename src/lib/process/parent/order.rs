//! Decides whose turn it is, for destinations that need snapshots in the order of their time.
//!
//! Workers render snapshots at the same time and in any order. But some receivers refuse a sample that is older than another one
//! of the same series. For a destination of that kind, a worker only sends a snapshot when the parent gives it its turn. One
//! snapshot at a time has a turn: the oldest one that the destination does not have, whichever worker holds it. Which snapshots
//! the destination has is known even after a crash: a snapshot that all destinations have is removed, and one that others lack is
//! recorded on disk before the next turn begins.
//!
//! A snapshot that cannot be read yet, or is not complete yet, is waited for, but only for [`PATIENCE`], since it delays all
//! snapshots after it.

use crate::looked::Moment;
use crate::queue::{Queue, Slot, Whereabouts};
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long to wait for a snapshot that cannot be read or processed, or does not become complete.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// For each destination, the snapshots that it has although they are still on disk, and the directories that they were.
pub(crate) type Had = BTreeMap<String, BTreeMap<Epoch, String>>;

/// The turn of a snapshot: it may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The worker that holds the snapshot.
    pub(crate) slot: Slot,
    /// The destination.
    pub(crate) dispatcher: &'static str,
    /// The snapshot.
    pub(crate) epoch: Epoch,
}

#[derive(Debug)]
struct Destination {
    name: &'static str,
    has: BTreeMap<Epoch, String>,
    /// The snapshot that has its turn, and the worker that holds it.
    gone: Option<(Epoch, Slot)>,
    /// The snapshot that is waited for, and since when.
    waits: Option<(Epoch, Moment)>,
    /// Snapshots that are no longer waited for.
    passed: BTreeSet<Epoch>,
}

/// The turns of all destinations that need snapshots in order.
#[derive(Debug, Default)]
pub(crate) struct Order {
    destinations: Vec<Destination>,
}

impl Order {
    /// Turns for these destinations; `had` says which snapshots they have.
    #[must_use]
    pub(crate) fn new(names: &[&'static str], mut had: Had) -> Self {
        let mut order = Self::default();
        for name in names {
            order.add(name, had.remove(*name).unwrap_or_default());
        }
        order
    }

    /// Adds a destination. A destination that the configuration no longer has is not removed: workers that still have it get
    /// their turns.
    pub(crate) fn add(&mut self, name: &'static str, has: BTreeMap<Epoch, String>) {
        if self.destinations.iter().all(|destination| destination.name != name) {
            let (gone, waits, passed) = (None, None, BTreeSet::new());
            self.destinations.push(Destination { name, has, gone, waits, passed });
        }
    }

    /// Whether no destination needs snapshots in order.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.destinations.is_empty()
    }

    /// The destinations that have this snapshot, if it is this directory.
    pub(crate) fn had(&mut self, epoch: Epoch, directory: &str) -> Vec<String> {
        let mut names = Vec::new();
        for destination in &mut self.destinations {
            match destination.has.get(&epoch) {
                Some(had) if had == directory => names.push(destination.name.to_owned()),
                // Another directory of the same name.
                Some(_) => drop(destination.has.remove(&epoch)),
                None => {}
            }
        }
        names
    }

    /// Notes that a destination has a snapshot; without a name, that all destinations have it.
    pub(crate) fn delivered(&mut self, name: Option<&str>, epoch: Epoch, directory: &str) {
        for destination in self.destinations.iter_mut().filter(|one| name.is_none_or(|name| name == one.name)) {
            destination.has.insert(epoch, directory.to_owned());
        }
    }

    /// Forgets a snapshot that is no longer on disk.
    pub(crate) fn forget(&mut self, epoch: Epoch) {
        for destination in &mut self.destinations {
            destination.has.remove(&epoch);
            destination.passed.remove(&epoch);
        }
    }

    /// Forgets all snapshots except those for which `is_there` is true.
    pub(crate) fn retain(&mut self, is_there: impl Fn(Epoch) -> bool) {
        for destination in &mut self.destinations {
            destination.has.retain(|epoch, _| is_there(*epoch));
            destination.passed.retain(|epoch| is_there(*epoch));
        }
    }

    /// What to record on disk.
    #[must_use]
    pub(crate) fn to_record(&self) -> Had {
        let some = self.destinations.iter().filter(|destination| !destination.has.is_empty());
        some.map(|destination| (destination.name.to_owned(), destination.has.clone())).collect()
    }

    /// Ends the turns of a worker that is gone.
    pub(crate) fn died(&mut self, slot: Slot) {
        for destination in &mut self.destinations {
            destination.gone.take_if(|(_, to)| *to == slot);
        }
    }

    /// Whether the next snapshot of some destination is in the queue and waits for a worker. Then it must be assigned even if all
    /// workers have enough to do, because what they hold comes after it.
    #[must_use]
    pub(crate) fn is_held_up(&self, queue: &Queue, coming: &[Epoch]) -> bool {
        let free = self.destinations.iter().filter(|destination| !destination.is_gone(queue));
        free.into_iter().any(|destination| matches!(destination.next(queue, coming), Some((_, Whereabouts::Ready))))
    }

    /// The turns that begin now. `coming` are snapshots that are not in the queue yet.
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
