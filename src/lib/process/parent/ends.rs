//! Handles the ends of workers, and of the daemon.

use super::death::{Death, classify};
use super::figures::Figure;
use super::{GRACE, Parent};
use crate::daemon::signals::Told;
use crate::daemon::systemd;
use crate::looked::Moment;
use crate::queue::Blame;
use std::time::Instant;

impl Parent<'_> {
    /// Handles workers that are gone.
    pub(super) fn reap(&mut self) {
        let now = Instant::now();
        for gone in self.pool.reap() {
            let death = classify(gone.status, gone.known);
            let (worker, pid) = (gone.slot.0, gone.pid);
            match death {
                Death::Left | Death::NotStarted => tracing::info!(worker, pid, "{}", death.words()),
                _ => tracing::warn!(worker, pid, "{}", death.words()),
            }
            match death {
                Death::Exit(_) => self.totals.add(Figure::WorkerRestartsExit, 1),
                Death::Crash(_) | Death::Killed(_) => self.totals.add(Figure::WorkerRestartsSignal, 1),
                Death::Hang | Death::Stopped => self.totals.add(Figure::WorkerRestartsHang, 1),
                Death::Left | Death::NotStarted => {}
            }
            self.totals.died(gone.slot);
            self.turns.order.died(gone.slot);
            if death == Death::Left {
                self.supervisor.left(gone.slot, Moment::now());
            } else {
                self.supervisor.died(gone.slot, Moment::now());
            }
            // During shutdown, no snapshot is blamed: if the whole process group is killed, any worker may be killed first.
            let blame = if self.leaving { Blame::None } else { death.blame() };
            if self.custody.died(gone.slot, blame, now, &mut self.totals) {
                self.supervisor.progress(gone.slot);
            }
        }
    }

    /// Starts the shutdown, which ends once workers have delivered what they hold.
    pub(super) fn leave(&mut self, told: Told) {
        let queue = self.custody.queue();
        let (settling, in_flight) = (queue.settling(), queue.in_flight() - queue.settling());
        tracing::info!(
            signal = %told,
            in_flight,
            settling,
            grace_s = GRACE.as_secs(),
            "exiting when everything in flight is delivered"
        );
        systemd::stopping();
        self.leaving = true;
        self.source.drain();
        self.supervisor.drain(Moment::now(), GRACE);
        self.pool.drain(GRACE);
    }

    /// Ends the daemon: kills the workers, and returns the exit code.
    pub(super) fn end(&mut self, code: u8) -> u8 {
        self.source.end();
        let queue = self.custody.queue();
        let left = queue.depth() + queue.in_flight();
        let delivered = self.totals.get(Figure::SnapshotsDelivered);
        tracing::info!(delivered, left_on_disk = left, "ended");
        code
    }
}
