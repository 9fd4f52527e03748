//! What stores on disk have in common. They write aside, try again with growing pauses, say when that takes too long, and are
//! tidied once in a while.

use super::condition::Condition;
use super::keep::EVERY;
use super::{Counters, Notices, aside};
use crate::backoff::{Backoff, jitter};
use crate::looked;
use std::error::Error;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{Span, error_span};

/// Pauses between attempts to write.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// A snapshot that takes longer to write is not waited for: it counts as failing until it is written.
pub(super) const HANGS: Duration = Duration::from_secs(10);

/// A disk as a dispatcher sees it.
#[derive(Debug)]
pub(super) struct Disk {
    name: &'static str,
    /// What is done with a snapshot: store, archive.
    verb: &'static str,
    /// Whose lines in the log they are.
    pub(super) of_dispatcher: Span,
    pub(super) condition: Condition,
}

impl Disk {
    /// Of a dispatcher that nothing has gone wrong with.
    pub(super) fn new(name: &'static str, verb: &'static str, notices: Notices) -> Self {
        // Of the highest level, so that no log level is without.
        let of_dispatcher = error_span!("dispatcher", dispatcher = name);
        let condition = Condition::new(name, notices);
        condition.well();
        Self { name, verb, of_dispatcher, condition }
    }

    /// Whether the last attempt to write failed.
    pub(super) fn is_failing(&self) -> bool {
        !self.condition.is_well()
    }

    /// The counters so far, and whether the disk works.
    pub(super) fn counters(&self) -> Counters {
        Counters { up: u64::from(!self.is_failing()), ..self.condition.counters() }
    }

    /// A snapshot was not written.
    pub(super) fn fails(&self, error: &(dyn Error + 'static)) {
        let (parent, verb) = (&self.of_dispatcher, self.verb);
        if self.is_failing() {
            tracing::debug!(parent: parent, error, "a snapshot still cannot be {verb}d");
        } else {
            tracing::error!(parent: parent, error, "cannot {verb} a snapshot; trying again");
        }
        self.condition.unwell();
    }

    /// One was.
    pub(super) fn works(&self, dir: &Path) {
        if self.is_failing() {
            tracing::info!(parent: &self.of_dispatcher, dir = %dir.display(), "snapshots can be {}d again", self.verb);
        }
        self.condition.well();
    }

    /// Removes aside what is not to be kept any longer; returns how many snapshots that were.
    async fn tidy<E: Error + Send + 'static>(&self, work: impl FnOnce() -> Result<u64, E> + Send + 'static) -> u64 {
        let Ok(done) = aside::run(self.name, work) else { return 0 };
        match done.await {
            Ok(Ok(0)) | Err(_) => 0,
            Ok(Ok(removed)) => {
                tracing::info!(parent: &self.of_dispatcher, removed, "the oldest {}d snapshots were removed", self.verb);
                removed
            }
            Ok(Err(error)) => {
                let error = &error as &dyn Error;
                tracing::warn!(parent: &self.of_dispatcher, error, "cannot remove old snapshots; trying again");
                0
            }
        }
    }
}

/// Waits until something is written; `late` says that it takes too long.
pub(super) async fn written<F: Future>(writing: F, late: impl FnOnce()) -> F::Output {
    let mut writing = pin!(writing);
    match looked::timeout(HANGS, &mut writing).await {
        Some(result) => result,
        None => {
            late();
            writing.await
        }
    }
}

/// Attempts to write, one after the other.
#[derive(Debug)]
pub(super) struct Attempts {
    backoff: Backoff,
    failures: u32,
    tidied: Option<Instant>,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2), failures: 0, tidied: None }
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Counts one that failed.
    pub(super) fn failed(&mut self, disk: &Disk) {
        self.failures += 1;
        disk.condition.count(|counters| counters.retries += 1);
    }

    /// Tidies when it is time, also while nothing can be written, since it makes room; returns how many snapshots were removed.
    pub(super) async fn tidy<E: Error + Send + 'static>(
        &mut self,
        disk: &Disk,
        work: impl FnOnce() -> Result<u64, E> + Send + 'static,
    ) -> u64 {
        if self.tidied.is_some_and(|at| at.elapsed() < EVERY) {
            return 0;
        }
        self.tidied = Some(Instant::now());
        disk.tidy(work).await
    }

    /// Waits before the next one, if the last failed.
    pub(super) async fn pause(&self) {
        if self.failures > 0 {
            sleep(jitter(self.backoff.after(self.failures), fastrand::f64())).await;
        }
    }
}
