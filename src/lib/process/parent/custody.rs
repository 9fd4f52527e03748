//! The parent's custody of snapshots: which are there, which worker has them, and what happens to their directories. Only the
//! parent changes anything in the source directory; workers only read. So a worker can die at any moment without leaving anything
//! undecided.

use super::figures::{Figure, Totals, oldest_age};
use super::sums::Sums;
use super::trouble::Trouble;
use crate::logging::Chain;
use crate::process::wire::message::{Failure, Figures};
use crate::queue::incoming::{Incoming, IncomingError};
use crate::queue::{Blame, KILLS, Queue, Slot, Verdict};
use crate::snapshot::Epoch;
use crate::snapshot::list::{Identity, identity, wall_clock};
use crate::snapshot::quarantine::{Quarantined, quarantine};
use crate::snapshot::remove::{Removal, RemoveError, finish, remove};
use crate::snapshot::withdraw::put_back;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A snapshot that was given to a worker.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// The directory that it was.
    identity: Identity,
    /// How many lines were rendered from it, once that is known.
    lines: u64,
    /// How long after its pull every destination reported that it has it.
    latency: Option<Duration>,
}

/// The queue, and what is known about snapshots that workers have.
#[derive(Debug)]
pub(crate) struct Custody {
    src_dir: PathBuf,
    incoming: Incoming,
    queue: Queue,
    /// What has to be remembered about snapshots that were given to workers.
    taken: HashMap<Epoch, Taken>,
    /// Remains of removed snapshots that could not be deleted; each is logged once.
    remains: HashSet<Epoch>,
    /// What was logged about snapshots that cannot be read.
    trouble: Trouble,
    /// Whether it was logged that snapshots cannot be moved to quarantine.
    refused: bool,
    sums: Sums,
}

impl Custody {
    /// Opens the source directory.
    ///
    /// # Errors
    /// Another daemon uses it.
    pub(crate) fn open(src_dir: &Path, now: Instant) -> Result<Self, IncomingError> {
        Ok(Self {
            src_dir: src_dir.to_owned(),
            incoming: Incoming::open(src_dir, now)?,
            queue: Queue::new(),
            taken: HashMap::new(),
            remains: HashSet::new(),
            trouble: Trouble::default(),
            refused: false,
            sums: Sums::new(now),
        })
    }

    /// Waits until [`Custody::look`] may find something. Cancelling it loses nothing.
    pub(crate) async fn hinted(&self) {
        self.incoming.hinted().await;
    }

    /// When to call [`Custody::look`] at the latest.
    #[must_use]
    pub(crate) fn next_look(&self) -> Instant {
        self.incoming.next_look()
    }

    /// When a snapshot that is held back will be ready again.
    #[must_use]
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }

    /// The queue, for figures.
    #[must_use]
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Snapshots that are in the source directory, and will be in the queue when they are complete.
    #[must_use]
    pub(crate) fn coming(&self) -> Vec<Epoch> {
        self.incoming.unsettled().collect()
    }

    /// Looks for new snapshots, and retries what could not be done before.
    pub(crate) fn look(&mut self, now: Instant, totals: &mut Totals) {
        let look = self.incoming.look(now, |epoch| self.queue.knows(epoch));
        for epoch in look.arrived {
            self.queue.arrived(epoch);
        }
        if look.rescued {
            totals.add(Figure::WatchRescues, 1);
        }
        let Some(present) = look.present else { return };
        let vanished = self.queue.present(&present);
        if !vanished.is_empty() {
            totals.add(Figure::SnapshotsVanished, u64::try_from(vanished.len()).unwrap_or(u64::MAX));
            tracing::warn!(
                count = vanished.len(),
                "snapshots were removed by another program before they were processed"
            );
        }
        self.taken.retain(|epoch, _| self.queue.knows(*epoch));
        for epoch in self.queue.stuck_ones() {
            self.queue.forget(epoch);
            self.remove(epoch, false);
        }
        self.note_readable();
        for name in look.withdrawn {
            match put_back(&self.src_dir, &name) {
                Ok(true) => tracing::warn!(name, "the removal of a snapshot was interrupted: it is back in the queue"),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(name, %error, "cannot undo the interrupted removal of a snapshot; trying again")
                }
            }
        }
        self.remains.retain(|epoch| look.leftovers.contains(epoch));
        for epoch in look.leftovers {
            match finish(&self.src_dir, epoch) {
                Ok(()) => drop(self.remains.remove(&epoch)),
                Err(error) => self.report_remains(epoch, &error),
            }
        }
    }

    /// Adds a snapshot that is known to be in the source directory and complete.
    pub(crate) fn announce(&mut self, epoch: Epoch) {
        self.queue.arrived(epoch);
    }

    /// Gives the oldest snapshot that is ready to a worker.
    pub(crate) fn claim(&mut self, slot: Slot, now: Instant, totals: &mut Totals) -> Option<Epoch> {
        loop {
            let epoch = self.queue.claim(slot, now)?;
            match identity(&self.path(epoch)) {
                Ok(Some(identity)) => {
                    self.taken.insert(epoch, Taken { identity, lines: 0, latency: None });
                    return Some(epoch);
                }
                Ok(None) => self.gone(slot, epoch, totals),
                Err(error) => self.postponed(slot, epoch, &error.to_string(), now, totals),
            }
        }
    }

    /// The directory of a snapshot that a worker has.
    #[must_use]
    pub(crate) fn directory(&self, epoch: Epoch) -> Option<String> {
        self.taken.get(&epoch).map(|taken| taken.identity.to_string())
    }

    /// Takes back a snapshot, because the worker could not be told about it.
    pub(crate) fn unclaim(&mut self, slot: Slot, epoch: Epoch) {
        self.queue.unclaim(slot, epoch);
    }

    /// The worker has rendered the snapshot. False if it does not hold it.
    pub(crate) fn rendered(&mut self, slot: Slot, epoch: Epoch, lines: u64) -> bool {
        if let Some(taken) = self.taken.get_mut(&epoch) {
            taken.lines = lines;
        }
        let holds = self.queue.rendered(slot, epoch);
        self.note_readable();
        holds
    }

    /// Every destination reports that it has the snapshot, or no longer reports that. False if the worker does not hold it.
    pub(crate) fn settles(&mut self, slot: Slot, epoch: Epoch, settles: bool) -> bool {
        if let Some(taken) = self.taken.get_mut(&epoch) {
            taken.latency = settles.then(|| wall_clock().saturating_sub(Duration::from_secs(epoch.0)));
        }
        self.queue.settles(slot, epoch, settles)
    }

    /// Every destination certainly has the snapshot. False if the worker does not hold it.
    pub(crate) fn done(&mut self, slot: Slot, epoch: Epoch, dropped: bool, totals: &mut Totals) -> bool {
        if !self.queue.finished(slot, epoch) {
            return false;
        }
        let taken = self.taken.get(&epoch);
        let lines = taken.map_or(0, |taken| taken.lines);
        // The time of arrival, not of the confirmation.
        let latency = taken.and_then(|taken| taken.latency);
        let latency = latency.unwrap_or_else(|| wall_clock().saturating_sub(Duration::from_secs(epoch.0)));
        if dropped {
            totals.add(Figure::SnapshotsDropped, 1);
            tracing::info!(snapshot = %epoch, worker = slot.0, lines, "dropped to make room");
        } else {
            totals.delivered(latency);
            let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
            // The first delivery gets a line of its own, which shows that all is well; the others are summed up.
            if self.sums.delivered(lines, latency) {
                tracing::info!(snapshot = %epoch, worker = slot.0, lines, latency_ms, "delivered");
            } else {
                tracing::debug!(snapshot = %epoch, worker = slot.0, lines, latency_ms, "delivered");
            }
        }
        self.remove(epoch, true);
        true
    }

    /// The snapshot is no longer on disk.
    pub(crate) fn gone(&mut self, slot: Slot, epoch: Epoch, totals: &mut Totals) {
        if self.queue.finished(slot, epoch) {
            self.taken.remove(&epoch);
            totals.add(Figure::SnapshotsVanished, 1);
            tracing::warn!(snapshot = %epoch, "removed by another program before it was processed");
        }
    }

    /// The worker could not process the snapshot.
    pub(crate) fn failed(
        &mut self,
        slot: Slot,
        epoch: Epoch,
        failure: Failure,
        reason: &str,
        now: Instant,
        totals: &mut Totals,
    ) {
        // If the parent cannot even see it, the cause is not this snapshot.
        match (failure, identity(&self.path(epoch))) {
            (_, Ok(None)) => return self.gone(slot, epoch, totals),
            (Failure::System, _) | (Failure::Snapshot, Err(_)) => {
                return self.postponed(slot, epoch, reason, now, totals);
            }
            (Failure::Panic, _) => totals.add(Figure::SnapshotsPanicked, 1),
            (Failure::Snapshot, Ok(Some(_))) => totals.add(Figure::SnapshotsFailed, 1),
        }
        let verdict = self.queue.failed(slot, epoch, now);
        self.note_readable();
        match verdict {
            Some(Verdict::Again) => {
                tracing::warn!(snapshot = %epoch, worker = slot.0, error = reason, "cannot process; trying again soon");
            }
            Some(Verdict::Quarantine) => {
                tracing::error!(snapshot = %epoch, worker = slot.0, error = reason, "cannot process");
                self.quarantine(epoch, totals);
            }
            None => {}
        }
    }

    fn postponed(&mut self, slot: Slot, epoch: Epoch, reason: &str, now: Instant, totals: &mut Totals) {
        if !self.queue.postponed(slot, epoch, now) {
            return;
        }
        totals.add(Figure::SnapshotsPostponed, 1);
        let unreadable = self.queue.unreadable();
        if self.trouble.has(unreadable, reason) {
            tracing::error!(
                snapshot = %epoch,
                worker = slot.0,
                error = reason,
                unreadable,
                "cannot be read now; it stays in the queue and will be tried again"
            );
        } else {
            tracing::debug!(snapshot = %epoch, worker = slot.0, error = reason, unreadable, "cannot be read now");
        }
    }

    /// Logs when no unreadable snapshot is left.
    fn note_readable(&mut self) {
        if self.trouble.is_over(self.queue.unreadable()) {
            tracing::info!("all snapshots can be read again");
        }
    }

    /// The worker is gone. Returns whether a snapshot was moved to quarantine because of that, which counts as progress.
    pub(crate) fn died(&mut self, slot: Slot, blame: Blame, now: Instant, totals: &mut Totals) -> bool {
        let returned = self.queue.died(slot, blame, now);
        for epoch in &returned.quarantine {
            tracing::error!(snapshot = %epoch, "crashed too many workers");
            self.quarantine(*epoch, totals);
        }
        for epoch in &returned.suspect {
            tracing::error!(
                snapshot = %epoch,
                kills = KILLS,
                "workers keep being killed while they process it, perhaps by the OOM killer; it is tried again every \
                 few minutes"
            );
        }
        !returned.quarantine.is_empty()
    }

    /// Logs deliveries from time to time; returns when to call this again at the latest.
    pub(crate) fn tell_sums(&mut self, now: Instant) -> Instant {
        self.sums.tell(now, &self.queue)
    }

    /// The status as one line.
    #[must_use]
    pub(crate) fn status(&self, workers: usize, totals: &Totals) -> String {
        let unavailable = match totals.unavailable().as_slice() {
            [] => String::new(),
            names => format!("; unavailable: {}", names.join(", ")),
        };
        format!(
            "{} waiting, {} in flight, {} settling, oldest {} s; {workers} workers; {} delivered, {} quarantined{unavailable}",
            self.queue.depth(),
            self.queue.in_flight() - self.queue.settling(),
            self.queue.settling(),
            oldest_age(&self.queue, wall_clock()).as_secs(),
            totals.get(Figure::SnapshotsDelivered),
            totals.get(Figure::SnapshotsQuarantined),
        )
    }

    /// The daemon's figures, to be sent along with a snapshot.
    pub(crate) fn report(&self, stamp: Epoch, workers: usize, totals: &mut Totals) -> Figures {
        totals.report(stamp, wall_clock(), &self.queue, workers)
    }

    fn path(&self, epoch: Epoch) -> PathBuf {
        self.src_dir.join(epoch.to_string())
    }

    fn remove(&mut self, epoch: Epoch, first: bool) {
        let Some(taken) = self.taken.get_mut(&epoch) else { return };
        match remove(&self.src_dir, epoch, &mut taken.identity) {
            Ok(Removal::Removed | Removal::Missing) => {}
            Ok(Removal::Replaced) => said_replaced(epoch),
            Err(error @ RemoveError::Rename { .. }) => {
                if first {
                    let error = Chain(&error);
                    tracing::error!(snapshot = %epoch, %error, "delivered, but cannot be removed; trying again");
                }
                self.queue.stuck(epoch);
                return;
            }
            Err(error @ RemoveError::Delete { .. }) => self.report_remains(epoch, &error),
        }
        self.taken.remove(&epoch);
    }

    fn quarantine(&mut self, epoch: Epoch, totals: &mut Totals) {
        let Some(taken) = self.taken.get(&epoch) else { return };
        match quarantine(&self.src_dir, epoch, taken.identity) {
            Ok(Quarantined::At(path)) => {
                totals.add(Figure::SnapshotsQuarantined, 1);
                self.refused = false;
                tracing::error!(snapshot = %epoch, to = %path.display(), "moved to quarantine");
            }
            Ok(Quarantined::Missing) => {}
            Ok(Quarantined::Replaced) => said_replaced(epoch),
            Err(error) => {
                totals.add(Figure::QuarantineRefusals, 1);
                let (error, aside) = (Chain(&error), self.queue.done_with());
                if std::mem::replace(&mut self.refused, true) {
                    tracing::debug!(snapshot = %epoch, %error, aside, "left where it is");
                } else {
                    tracing::error!(
                        snapshot = %epoch,
                        %error,
                        "left where it is, like others that cannot be processed; tried again every few minutes"
                    );
                }
                return;
            }
        }
        self.queue.forget(epoch);
        self.taken.remove(&epoch);
    }

    fn report_remains(&mut self, epoch: Epoch, error: &RemoveError) {
        if self.remains.insert(epoch) {
            tracing::warn!(snapshot = %epoch, error = %Chain(error),
                "cannot delete a delivered snapshot completely; trying again");
        }
    }
}

fn said_replaced(epoch: Epoch) {
    tracing::warn!(snapshot = %epoch, "was replaced while it was being processed; the new one is processed as well");
}

#[cfg(test)]
mod tests;
