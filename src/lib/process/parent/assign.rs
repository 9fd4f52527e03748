//! Decides which worker gets which snapshot.

use super::Parent;
use super::figures::stamp;
use crate::looked::Moment;
use crate::process::wire::message::{Figures, ToWorker};
use crate::queue::Slot;
use crate::snapshot::Epoch;
use crate::snapshot::list::wall_clock;
use std::time::{Duration, Instant};

impl Parent<'_> {
    /// Assigns snapshots: one to each worker that asked, the least busy one first. If the next snapshot of a destination that
    /// needs them in order is in the queue, and no worker asks because all hold later ones, an idle worker gets it without
    /// asking.
    pub(super) fn assign(&mut self, now: Instant) {
        if self.leaving || self.renewal.moves() {
            return;
        }
        // A worker that got a snapshot without asking may have asked just before; it gets the next one when that is rendered.
        let mut slots: Vec<Slot> = self.pool.with_room().filter(|slot| !self.custody.queue().is_busy(*slot)).collect();
        slots.sort_by_key(|slot| (self.custody.queue().held_by(*slot), *slot));
        for slot in slots {
            if !self.give(slot, now) {
                return;
            }
        }
        let queue = self.custody.queue();
        if !self.turns.order.is_empty() && self.turns.order.is_held_up(queue, &self.custody.coming()) {
            let idle = self.pool.started().filter(|slot| !queue.is_busy(*slot));
            if let Some(slot) = idle.min_by_key(|slot| (queue.held_by(*slot), *slot)) {
                self.give(slot, now);
            }
        }
    }

    /// Gives the oldest ready snapshot to a worker. False if there is none.
    fn give(&mut self, slot: Slot, now: Instant) -> bool {
        let Some(epoch) = self.custody.claim(slot, now, &mut self.totals) else { return false };
        let figures = self.figures(epoch);
        let before = self.before;
        if self.newest.is_none_or(|newest| newest < epoch) {
            self.newest = Some(epoch);
            self.before = self.newest;
        } else {
            self.before = None;
        }
        let directory = self.custody.directory(epoch).unwrap_or_default();
        let had = self.turns.order.had(epoch, &directory);
        // Before the worker starts on it, so that it knows whether there is room.
        self.tell_turns();
        match self.pool.say(slot, &ToWorker::Take { epoch, figures, before, had }) {
            Ok(()) => self.supervisor.asked(slot, Moment::now()),
            Err(error) => {
                tracing::debug!(worker = slot.0, %error, "cannot hand it a snapshot");
                self.custody.unclaim(slot, epoch);
                self.pool.kill(slot, None, Duration::ZERO);
            }
        }
        if let Some(worker) = self.pool.get_mut(slot) {
            worker.has_room = false;
        }
        true
    }

    /// The figures of the daemon to send along with a snapshot. If some destination refuses older samples, they are only sent
    /// with the time of the snapshot. With a later time they would come before the snapshots in between, and some receivers would
    /// refuse those for being much older than the newest sample of any series.
    fn figures(&mut self, epoch: Epoch) -> Option<Figures> {
        if !self.self_metrics {
            return None;
        }
        let stamp = stamp(epoch, wall_clock(), self.interval, self.last_stamp)?;
        if stamp != epoch && !self.turns.order.is_empty() {
            return None;
        }
        self.last_stamp = Some(stamp);
        let workers = self.supervisor.running();
        Some(self.custody.report(stamp, workers, &mut self.totals))
    }
}
