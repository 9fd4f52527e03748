//! The snapshots that wait and those that workers hold, as the parent knows them. No files, no clock: the caller
//! says what happened and when, and does what the answers ask for.
//!
//! A snapshot is in exactly one state:
//!
//! ```text
//! arrived ─► ready ─► taken by a worker ─► delivered ─► (removed by the caller, forgotten)
//!              ▲          │      │                └ cannot be removed: stuck
//!              │          │      └ the worker died: back to ready
//!              ├─ held ◄──┤ failed once, or postponed because the system is in trouble
//!              │            or workers were killed over it
//!              └─ aside ◄─┘ failed twice, or crashed two workers: (moved away by the caller, forgotten)
//!                           cannot be moved: stays aside, and is tried once more after a while
//! ```

mod held;
pub mod incoming;
pub mod watch;
mod words;

pub use words::Slot;
pub(crate) use words::{Blame, Returned};
pub(crate) use words::{Verdict, Whereabouts};

use crate::snapshot::Epoch;
use held::Held;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Failures after which a snapshot is quarantined: it crashed this many workers, or was refused this often.
pub(crate) const FAILURES: u32 = 2;
/// Workers killed from outside (an operator, the kernel for lack of memory) over one snapshot after which the log says so.
/// A kill never condemns a snapshot: it says little about it, and delivery must not depend on who kills what. From the
/// second kill on the snapshot is held for a while, twice as long each time, up to [`HOLD_MAX`]: one for which memory
/// is short does not take the rest with it, and goes out by itself when there is more.
pub(crate) const KILLS: u32 = 5;
/// Pause before a snapshot that failed is tried again.
pub(crate) const HOLD: Duration = Duration::from_secs(3);
/// Longest pause before a snapshot over which workers were killed is tried again.
pub(crate) const HOLD_MAX: Duration = Duration::from_secs(300);
/// Longest pause before a snapshot that could not be read is tried again. Shorter, since all of them may wait for the same
/// disk; when one of them can be read again, the others are tried at once.
pub(crate) const UNREADABLE_MAX: Duration = Duration::from_secs(60);
/// First pause before a snapshot is tried again that should be in quarantine and could not be moved there.
pub(crate) const ASIDE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    by: Slot,
    rendered: bool,
    settles: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    failures: u32,
    kills: u32,
    /// How often in a row it could not be read.
    postponed: u32,
    /// How often it was to be moved away.
    condemned: u32,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    ready: BTreeSet<Epoch>,
    held: Held,
    aside: Held,
    taken: BTreeMap<Epoch, Taken>,
    /// Delivered, and not removed yet.
    stuck: BTreeSet<Epoch>,
    /// Those that could not be read when they were last tried.
    unreadable: BTreeSet<Epoch>,
    records: HashMap<Epoch, Record>,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A snapshot is there. False when it was known already.
    pub fn arrived(&mut self, epoch: Epoch) -> bool {
        !self.knows(epoch) && self.ready.insert(epoch)
    }

    /// Everything that is there, by a look at the directory. Forgets what waited and is gone, and returns it; what a
    /// worker holds is left to that worker to report. New snapshots are *not* taken from here: they may still be
    /// in the making.
    pub fn present(&mut self, there: &BTreeSet<Epoch>) -> Vec<Epoch> {
        self.stuck.retain(|epoch| there.contains(epoch));
        // They were taken away, as the log has asked for.
        let taken_away: Vec<Epoch> = self.aside.epochs().filter(|epoch| !there.contains(epoch)).collect();
        let waiting = self.ready.iter().copied().chain(self.held.epochs());
        let gone: Vec<Epoch> = waiting.filter(|epoch| !there.contains(epoch)).collect();
        for epoch in gone.iter().chain(&taken_away) {
            self.forget(*epoch);
        }
        gone
    }

    /// Gives the oldest snapshot that is ready to a worker.
    pub(crate) fn claim(&mut self, by: Slot, now: Instant) -> Option<Epoch> {
        while let Some(epoch) = self.held.pop_due(now).or_else(|| self.aside.pop_due(now)) {
            self.ready.insert(epoch);
        }
        let epoch = self.ready.pop_first()?;
        self.taken.insert(epoch, Taken { by, rendered: false, settles: false });
        Some(epoch)
    }

    /// The worker has processed the snapshot and now delivers it: whatever happens to that worker later is not the
    /// snapshot's fault. When it could not be read before, the others of which that is true are tried at once. False when
    /// the worker does not hold it.
    pub fn rendered(&mut self, by: Slot, epoch: Epoch) -> bool {
        match self.taken.get_mut(&epoch) {
            Some(taken) if taken.by == by => taken.rendered = true,
            _ => return false,
        }
        if self.unreadable.remove(&epoch) {
            if let Some(record) = self.records.get_mut(&epoch) {
                record.postponed = 0;
            }
            for epoch in self.unreadable.iter().copied() {
                if self.held.remove(epoch) {
                    self.ready.insert(epoch);
                }
            }
        }
        true
    }

    /// Every destination says that it has the snapshot, which is not certain yet; or that is in doubt again. False when the worker
    /// does not hold it.
    pub fn settles(&mut self, by: Slot, epoch: Epoch, settles: bool) -> bool {
        match self.taken.get_mut(&epoch) {
            Some(taken) if taken.by == by => {
                taken.settles = settles;
                true
            }
            _ => false,
        }
    }

    /// The worker never got to know that it has this snapshot: it is ready again. False when the worker does not hold
    /// it.
    pub(crate) fn unclaim(&mut self, by: Slot, epoch: Epoch) -> bool {
        let held = self.holds(by, epoch);
        if held {
            self.taken.remove(&epoch);
            self.ready.insert(epoch);
        }
        held
    }

    /// The worker is done with the snapshot: delivered, or gone from the disk. It is forgotten. False when the worker
    /// does not hold it.
    pub(crate) fn finished(&mut self, by: Slot, epoch: Epoch) -> bool {
        let held = self.holds(by, epoch);
        if held {
            self.forget(epoch);
        }
        held
    }

    /// The worker could not process the snapshot. `None` when the worker does not hold it.
    pub fn failed(&mut self, by: Slot, epoch: Epoch, now: Instant) -> Option<Verdict> {
        if !self.holds(by, epoch) {
            return None;
        }
        self.taken.remove(&epoch);
        // It was read.
        self.unreadable.remove(&epoch);
        let record = self.records.entry(epoch).or_default();
        record.failures += 1;
        if record.failures >= FAILURES {
            self.condemn(epoch, now);
            return Some(Verdict::Quarantine);
        }
        self.held.insert(epoch, now + HOLD);
        Some(Verdict::Again)
    }

    /// The snapshot could not be read, for reasons that have nothing to do with it: it is held back for a while, as often
    /// as need be. False when the worker does not hold it.
    pub(crate) fn postponed(&mut self, by: Slot, epoch: Epoch, now: Instant) -> bool {
        if !self.holds(by, epoch) {
            return false;
        }
        self.taken.remove(&epoch);
        self.unreadable.insert(epoch);
        let record = self.records.entry(epoch).or_default();
        record.postponed = record.postponed.saturating_add(1);
        self.held.insert(epoch, now + doubled(HOLD, record.postponed, UNREADABLE_MAX));
        true
    }

    /// Snapshots that could not be read when they were last tried.
    #[must_use]
    pub(crate) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// The worker died: what it held is ready again, save a snapshot that was in the making and is held for a while, or
    /// crashed too many.
    pub fn died(&mut self, by: Slot, blame: Blame, now: Instant) -> Returned {
        let held: Vec<(Epoch, Taken)> =
            self.taken.iter().filter(|(_, taken)| taken.by == by).map(|(epoch, taken)| (*epoch, *taken)).collect();
        let mut returned = Returned::default();
        for (epoch, taken) in held {
            self.taken.remove(&epoch);
            if !taken.rendered {
                let record = self.records.entry(epoch).or_default();
                match blame {
                    Blame::None => {}
                    Blame::Outside => record.kills += 1,
                    Blame::Snapshot => record.failures += 1,
                }
                if record.failures >= FAILURES {
                    self.condemn(epoch, now);
                    returned.quarantine.push(epoch);
                    continue;
                }
                if blame == Blame::Outside && record.kills > 1 {
                    self.held.insert(epoch, now + hold_after(record.kills));
                    if record.kills == KILLS {
                        returned.suspect.push(epoch);
                    }
                    continue;
                }
            }
            self.ready.insert(epoch);
            returned.ready.push(epoch);
        }
        returned
    }

    /// A forgotten snapshot that could not be removed: it is known, but not worked on.
    pub fn stuck(&mut self, epoch: Epoch) {
        if !self.knows(epoch) {
            self.stuck.insert(epoch);
        }
    }

    /// Those whose removal should be tried again.
    #[must_use]
    pub(crate) fn stuck_ones(&self) -> Vec<Epoch> {
        self.stuck.iter().copied().collect()
    }

    /// Snapshots that are done with and still there: delivered and not removed, or condemned and not moved away.
    #[must_use]
    pub(crate) fn done_with(&self) -> usize {
        self.stuck.len() + self.aside.len()
    }

    /// Whether the snapshot is in any state.
    #[must_use]
    pub fn knows(&self, epoch: Epoch) -> bool {
        self.ready.contains(&epoch)
            || self.taken.contains_key(&epoch)
            || self.held.contains(epoch)
            || self.aside.contains(epoch)
            || self.stuck.contains(&epoch)
    }

    /// Snapshots that wait for a worker.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.ready.len() + self.held.len()
    }

    /// Snapshots that workers hold.
    #[must_use]
    pub(crate) fn in_flight(&self) -> usize {
        self.taken.len()
    }

    /// Those of them that every destination says it has.
    #[must_use]
    pub fn settling(&self) -> usize {
        self.taken.values().filter(|taken| taken.settles).count()
    }

    /// Snapshots that this worker holds, without those that settle: they are no work any more.
    #[must_use]
    pub(crate) fn held_by(&self, by: Slot) -> usize {
        self.taken.values().filter(|taken| taken.by == by && !taken.settles).count()
    }

    /// The oldest snapshot that some destination does not have.
    #[must_use]
    pub fn oldest(&self) -> Option<Epoch> {
        let taken = self.taken.iter().find(|(_, taken)| !taken.settles).map(|(epoch, _)| *epoch);
        let oldest = [self.ready.first().copied(), self.held.epochs().next(), taken];
        oldest.into_iter().flatten().min()
    }

    /// The oldest snapshot that is to be delivered, and where it is, among those that `counts`.
    #[must_use]
    pub(crate) fn oldest_of(&self, counts: impl Fn(Epoch, Whereabouts) -> bool) -> Option<(Epoch, Whereabouts)> {
        let ready = self.ready.iter().map(|epoch| (*epoch, Whereabouts::Ready)).find(|(epoch, at)| counts(*epoch, *at));
        let held = self.held.epochs().map(|epoch| (epoch, Whereabouts::Held)).find(|(epoch, at)| counts(*epoch, *at));
        let taken = self.taken.iter().map(|(epoch, taken)| (*epoch, Whereabouts::With(taken.by)));
        let taken = taken.into_iter().find(|(epoch, at)| counts(*epoch, *at));
        [ready, held, taken].into_iter().flatten().min_by_key(|(epoch, _)| *epoch)
    }

    /// The worker that has this snapshot.
    #[must_use]
    pub fn holder(&self, epoch: Epoch) -> Option<Slot> {
        self.taken.get(&epoch).map(|taken| taken.by)
    }

    /// Whether this worker has a snapshot that it has not processed yet.
    #[must_use]
    pub(crate) fn is_busy(&self, slot: Slot) -> bool {
        self.taken.values().any(|taken| taken.by == slot && !taken.rendered)
    }

    /// Whether the snapshot is delivered, and could not be removed.
    #[must_use]
    pub(crate) fn is_stuck(&self, epoch: Epoch) -> bool {
        self.stuck.contains(&epoch)
    }

    /// When the next snapshot becomes ready by itself.
    #[must_use]
    pub(crate) fn next_due(&self) -> Option<Instant> {
        [self.held.next(), self.aside.next()].into_iter().flatten().min()
    }

    fn holds(&self, by: Slot, epoch: Epoch) -> bool {
        self.taken.get(&epoch).is_some_and(|taken| taken.by == by)
    }

    /// Nothing is known of the snapshot any more: it is removed, or moved away, or about to be.
    pub fn forget(&mut self, epoch: Epoch) {
        self.ready.remove(&epoch);
        self.held.remove(epoch);
        self.aside.remove(epoch);
        self.taken.remove(&epoch);
        self.stuck.remove(&epoch);
        self.unreadable.remove(&epoch);
        self.records.remove(&epoch);
    }

    /// The snapshot is to be moved away. Should that fail, it is tried once more later: it may have become a good one.
    fn condemn(&mut self, epoch: Epoch, now: Instant) {
        let record = self.records.entry(epoch).or_default();
        record.failures = FAILURES - 1;
        record.condemned = record.condemned.saturating_add(1);
        self.aside.insert(epoch, now + doubled(ASIDE, record.condemned, HOLD_MAX));
    }
}

/// How long a snapshot is held after so many kills, the second at the least.
fn hold_after(kills: u32) -> Duration {
    doubled(HOLD, kills, HOLD_MAX)
}

/// A pause that doubles with each time after the first.
fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most)
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests;
