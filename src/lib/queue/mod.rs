//! The snapshots that wait and those that workers hold, as the parent knows them. No files, no clock: the caller
//! says what happened and when, and does what the answers ask for.
//!
//! A snapshot is in exactly one state:
//!
//! ```text
//! arrived ─► ready ─► taken by a worker ─► delivered ─► (removed by the caller, forgotten)
//!              ▲          │      │                └ cannot be removed: stuck
//!              │          │      └ the worker died: back to ready
//!              └─ held ◄──┘ failed once, or postponed because the system is in trouble
//!                 or workers were killed over it
//!                            failed twice, or felled two workers: (moved away by the caller, forgotten)
//!                                                 └ cannot be moved: stuck
//! ```

pub mod incoming;
pub mod watch;

use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Failures after which a snapshot is quarantined: it felled this many workers, or was refused this often.
pub const FAILURES: u32 = 2;
/// Workers killed from outside (an operator, the kernel for lack of memory) over one snapshot after which that is told.
/// A kill never condemns a snapshot: it says little about it, and delivery must not depend on who kills what. From the
/// second kill on the snapshot is held for a while, twice as long each time, up to [`HOLD_MAX`]: one for which memory
/// is short does not take the rest with it, and goes out by itself when there is more.
pub const KILLS: u32 = 5;
/// Pause before a snapshot that failed is tried again: a passing trouble of the disk may be over by then.
pub const HOLD: Duration = Duration::from_secs(3);
/// Longest pause before a snapshot over which workers were killed is tried again.
pub const HOLD_MAX: Duration = Duration::from_secs(300);

/// The place of a worker in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// What the death of a worker says about the snapshot that it was processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing: the worker was stopped by somebody, or left as it was told.
    None,
    /// Perhaps something: it was killed from outside.
    Outside,
    /// The snapshot felled it: a crash, a panic, a hang.
    Snapshot,
}

/// What to do with a snapshot after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays in the queue and is tried again.
    Again,
    /// It is out of the queue; move it away.
    Quarantine,
}

/// What a dead worker leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Snapshots that are ready again.
    pub ready: Vec<Epoch>,
    /// Snapshots to move away; at most one from a worker that takes one at a time.
    pub quarantine: Vec<Epoch>,
    /// Snapshots over which [`KILLS`] workers were killed by now; each is named once.
    pub suspect: Vec<Epoch>,
}

/// What could not be done to a snapshot yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposal {
    /// It is delivered.
    Remove,
    /// It cannot be processed.
    Quarantine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    by: Slot,
    rendered: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Record {
    failures: u32,
    kills: u32,
    postponed: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    ready: BTreeSet<Epoch>,
    held: BTreeMap<Epoch, Instant>,
    taken: BTreeMap<Epoch, Taken>,
    stuck: BTreeMap<Epoch, Disposal>,
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
        self.stuck.retain(|epoch, _| there.contains(epoch));
        let waiting = self.ready.iter().chain(self.held.keys());
        let gone: Vec<Epoch> = waiting.filter(|epoch| !there.contains(epoch)).copied().collect();
        for epoch in &gone {
            self.forget(*epoch);
        }
        gone
    }

    /// Gives the oldest snapshot that is ready to a worker.
    pub fn claim(&mut self, by: Slot, now: Instant) -> Option<Epoch> {
        let due: Vec<Epoch> = self.held.iter().filter(|(_, until)| **until <= now).map(|(epoch, _)| *epoch).collect();
        for epoch in due {
            self.held.remove(&epoch);
            self.ready.insert(epoch);
        }
        let epoch = self.ready.pop_first()?;
        self.taken.insert(epoch, Taken { by, rendered: false });
        Some(epoch)
    }

    /// The worker has processed the snapshot and now delivers it: whatever happens to that worker later is not the
    /// snapshot's fault. False when the worker does not hold it.
    pub fn rendered(&mut self, by: Slot, epoch: Epoch) -> bool {
        match self.taken.get_mut(&epoch) {
            Some(taken) if taken.by == by => {
                taken.rendered = true;
                true
            }
            _ => false,
        }
    }

    /// The worker never got to know that it has this snapshot: it is ready again. False when the worker does not hold
    /// it.
    pub fn unclaim(&mut self, by: Slot, epoch: Epoch) -> bool {
        let held = self.holds(by, epoch);
        if held {
            self.taken.remove(&epoch);
            self.ready.insert(epoch);
        }
        held
    }

    /// The worker is done with the snapshot: delivered, or gone from the disk. It is forgotten. False when the worker
    /// does not hold it.
    pub fn finished(&mut self, by: Slot, epoch: Epoch) -> bool {
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
        let record = self.records.entry(epoch).or_default();
        record.failures += 1;
        if record.failures >= FAILURES {
            self.forget(epoch);
            return Some(Verdict::Quarantine);
        }
        self.held.insert(epoch, now + HOLD);
        Some(Verdict::Again)
    }

    /// The snapshot could not be processed for reasons that have nothing to do with it: it is held back for a while,
    /// as often as need be. Returns whether this is the first time; `None` when the worker does not hold it.
    pub fn postponed(&mut self, by: Slot, epoch: Epoch, now: Instant) -> Option<bool> {
        if !self.holds(by, epoch) {
            return None;
        }
        self.taken.remove(&epoch);
        self.held.insert(epoch, now + HOLD);
        Some(!std::mem::replace(&mut self.records.entry(epoch).or_default().postponed, true))
    }

    /// The worker died: what it held is ready again, save a snapshot that was in the making and is held for a while, or
    /// has felled too many.
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
                    self.forget(epoch);
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

    /// A forgotten snapshot that could not be removed or moved away: it is known, but not worked on.
    pub fn stuck(&mut self, epoch: Epoch, disposal: Disposal) {
        if !self.knows(epoch) {
            self.stuck.insert(epoch, disposal);
        }
    }

    /// Those whose removal or move should be tried again.
    pub fn stuck_ones(&self) -> impl Iterator<Item = (Epoch, Disposal)> + '_ {
        self.stuck.iter().map(|(epoch, disposal)| (*epoch, *disposal))
    }

    /// A stuck snapshot is dealt with.
    pub fn freed(&mut self, epoch: Epoch) {
        self.stuck.remove(&epoch);
    }

    /// Whether the snapshot is in any state.
    #[must_use]
    pub fn knows(&self, epoch: Epoch) -> bool {
        self.ready.contains(&epoch)
            || self.taken.contains_key(&epoch)
            || self.held.contains_key(&epoch)
            || self.stuck.contains_key(&epoch)
    }

    /// Snapshots that wait for a worker.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.ready.len() + self.held.len()
    }

    /// Snapshots that workers hold.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.taken.len()
    }

    /// Snapshots that this worker holds.
    #[must_use]
    pub fn held_by(&self, by: Slot) -> usize {
        self.taken.values().filter(|taken| taken.by == by).count()
    }

    /// The oldest snapshot that is not delivered.
    #[must_use]
    pub fn oldest(&self) -> Option<Epoch> {
        let oldest = [self.ready.first(), self.held.keys().next(), self.taken.keys().next()];
        oldest.into_iter().flatten().min().copied()
    }

    /// When the next snapshot becomes ready by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.held.values().min().copied()
    }

    fn holds(&self, by: Slot, epoch: Epoch) -> bool {
        self.taken.get(&epoch).is_some_and(|taken| taken.by == by)
    }

    fn forget(&mut self, epoch: Epoch) {
        self.ready.remove(&epoch);
        self.held.remove(&epoch);
        self.taken.remove(&epoch);
        self.stuck.remove(&epoch);
        self.records.remove(&epoch);
    }
}

/// How long a snapshot is held after so many kills, the second at the least.
fn hold_after(kills: u32) -> Duration {
    HOLD.saturating_mul(1 << kills.saturating_sub(1).min(16)).min(HOLD_MAX)
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    const A: Epoch = Epoch(1_500_000_000);
    const B: Epoch = Epoch(1_500_000_010);
    const ONE: Slot = Slot(0);
    const TWO: Slot = Slot(1);

    fn with(epochs: &[Epoch]) -> Queue {
        let mut queue = Queue::new();
        for epoch in epochs {
            assert!(queue.arrived(*epoch));
        }
        queue
    }

    #[test]
    fn the_oldest_goes_first_and_each_goes_once() {
        let now = Instant::now();
        let mut queue = with(&[B, A]);
        assert!(!queue.arrived(A));
        assert_eq!(queue.claim(ONE, now), Some(A));
        assert!(!queue.arrived(A));
        assert_eq!(queue.claim(TWO, now), Some(B));
        assert_eq!(queue.claim(ONE, now), None);
        assert_eq!(queue.oldest(), Some(A));
        assert!(!queue.finished(TWO, A));
        assert!(queue.finished(ONE, A));
        assert_eq!(queue.oldest(), Some(B));
        assert!(queue.arrived(A), "a finished snapshot is forgotten");
    }

    #[test]
    fn two_crashes_condemn_only_the_one_in_the_making() {
        let now = Instant::now();
        let mut queue = with(&[A, B]);
        queue.claim(ONE, now);
        assert!(queue.rendered(ONE, A));
        queue.claim(ONE, now);
        assert_eq!(queue.died(ONE, Blame::Snapshot, now), Returned { ready: vec![A, B], ..Returned::default() });
        assert_eq!(queue.claim(TWO, now), Some(A));
        queue.rendered(TWO, A);
        assert_eq!(queue.claim(TWO, now), Some(B));
        assert_eq!(
            queue.died(TWO, Blame::Snapshot, now),
            Returned { ready: vec![A], quarantine: vec![B], suspect: vec![] }
        );
        assert!(!queue.knows(B));
    }

    #[test]
    fn kills_from_outside_and_stops_condemn_nothing() {
        let mut now = Instant::now();
        let mut queue = with(&[A]);
        for _ in 0..20 {
            queue.claim(ONE, now);
            assert_eq!(queue.died(ONE, Blame::None, now), Returned { ready: vec![A], ..Returned::default() });
        }
        queue.claim(ONE, now);
        assert_eq!(queue.died(ONE, Blame::Outside, now), Returned { ready: vec![A], ..Returned::default() });
        let mut pauses = Vec::new();
        for kills in 2..12 {
            assert_eq!(queue.claim(ONE, now), Some(A));
            let suspect = if kills == KILLS { vec![A] } else { vec![] };
            assert_eq!(queue.died(ONE, Blame::Outside, now), Returned { suspect, ..Returned::default() });
            assert_eq!(queue.claim(ONE, now), None);
            let due = queue.next_due().unwrap();
            pauses.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(pauses, [6, 12, 24, 48, 96, 192, 300, 300, 300, 300]);
        assert_eq!(queue.claim(ONE, now), Some(A));
    }

    #[test]
    fn a_failure_is_tried_again_after_a_pause_and_once_only() {
        let now = Instant::now();
        let mut queue = with(&[A]);
        queue.claim(ONE, now);
        assert_eq!(queue.failed(ONE, A, now), Some(Verdict::Again));
        assert_eq!(queue.claim(ONE, now), None);
        assert_eq!(queue.next_due(), Some(now + HOLD));
        assert_eq!(queue.depth(), 1);
        assert_eq!(queue.claim(TWO, now + HOLD), Some(A));
        assert_eq!(queue.failed(ONE, A, now), None);
        assert_eq!(queue.failed(TWO, A, now), Some(Verdict::Quarantine));
        assert!(!queue.knows(A));
    }

    #[test]
    fn trouble_of_the_system_condemns_nothing_and_is_said_once() {
        let mut now = Instant::now();
        let mut queue = with(&[A]);
        for round in 0..100 {
            assert_eq!(queue.claim(ONE, now), Some(A));
            assert_eq!(queue.postponed(ONE, A, now), Some(round == 0));
            assert_eq!(queue.claim(ONE, now), None);
            now += HOLD;
        }
        assert_eq!(queue.postponed(ONE, A, now), None);
    }

    #[test]
    fn what_is_gone_is_forgotten_unless_a_worker_has_it() {
        let now = Instant::now();
        let mut queue = with(&[A, B]);
        queue.claim(ONE, now);
        assert_eq!(queue.present(&BTreeSet::new()), vec![B]);
        assert_eq!((queue.depth(), queue.in_flight()), (0, 1));
    }

    #[test]
    fn the_stuck_are_known_and_left_alone() {
        let now = Instant::now();
        let mut queue = with(&[A]);
        queue.claim(ONE, now);
        queue.finished(ONE, A);
        queue.stuck(A, Disposal::Remove);
        assert!(!queue.arrived(A));
        assert_eq!(queue.claim(ONE, now), None);
        assert_eq!(queue.stuck_ones().collect::<Vec<_>>(), vec![(A, Disposal::Remove)]);
        queue.freed(A);
        assert!(queue.arrived(A));
    }
}
