//! The snapshots themselves, as files: `<dir>/<day>/<epoch>.tar.zst`. For sending them again some day.
//!
//! What is archived is the files of the snapshot as they lie in the queue, not what was made of them; so a batch says only that
//! there is something to archive. An archive has its name only when it is complete and on the disk.
//!
//! A snapshot that cannot be archived (the disk is full) is tried again, with growing pauses, and its directory stays in the
//! queue until then. That does not stop the others, as in the local store.

mod files;

use super::keep::EVERY;
use super::{Batch, Counters, Dispatcher, Notice, Notices, aside};
use crate::backoff::{Backoff, jitter};
use crate::batch::Output;
use crate::config;
use crate::looked;
use crate::snapshot::Epoch;
use crate::snapshot::origin::Origin;
use files::{Done, Files, StoreError};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{Span, error_span};

/// Name of this dispatcher.
pub const NAME: &str = "archive";

/// Snapshots that may wait for the disk; the worker waits when it is slower than that.
const ROOM: usize = 8;

/// Pauses between attempts to write.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// A snapshot that takes longer to write is not waited for: it counts as failing until it is written.
const HANGS: Duration = Duration::from_secs(10);

/// The dispatcher.
#[derive(Debug)]
pub struct Archive {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

/// A snapshot that is to be archived, and how many lines it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    epoch: Epoch,
    lines: usize,
}

#[derive(Debug)]
struct Shared {
    /// Whose lines in the log they are.
    of_dispatcher: Span,
    /// Oldest first; the first is the one that is being written.
    queue: RefCell<VecDeque<Entry>>,
    /// The snapshot of which pieces are coming.
    coming: Cell<Option<Entry>>,
    counters: Cell<Counters>,
    /// Whether the last attempt to write failed.
    failing: Cell<bool>,
    had_room: Cell<bool>,
    notices: Notices,
    submitted: Notify,
    changed: Notify,
}

impl Archive {
    /// Starts with nothing to write. Snapshots are those in `src_dir`, of the host with this name. To be called inside a tokio
    /// `LocalSet`.
    #[must_use]
    pub fn start(config: &config::Archive, src_dir: &Path, hostname: &str, notices: Notices) -> Self {
        let shared = Rc::new(Shared {
            // Of the highest level, so that no log level is without.
            of_dispatcher: error_span!("dispatcher", dispatcher = NAME),
            queue: RefCell::default(),
            coming: Cell::new(None),
            counters: Cell::default(),
            failing: Cell::new(false),
            had_room: Cell::new(true),
            notices,
            submitted: Notify::new(),
            changed: Notify::new(),
        });
        let origin = Origin { host: hostname.to_owned() };
        let files = Files { src_dir: src_dir.to_owned(), dir: config.dir.clone(), origin, keep: config.keep };
        let task = tokio::task::spawn_local(run(Rc::clone(&shared), Arc::new(files)));
        Self { shared, task }
    }
}

impl Dispatcher for Archive {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output(&self) -> Output {
        Output::Files
    }

    fn submit(&self, batch: Arc<Batch>) {
        let before = self.shared.coming.take().filter(|coming| coming.epoch == batch.epoch && batch.piece > 0);
        let lines = before.map_or(0, |coming| coming.lines) + batch.lines;
        let entry = Entry { epoch: batch.epoch, lines };
        if batch.more {
            // It could still turn out to be unreadable.
            self.shared.coming.set(Some(entry));
            return;
        }
        self.shared.queue.borrow_mut().push_back(entry);
        self.shared.had_room.set(self.shared.has_room());
        self.shared.submitted.notify_one();
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Pieces cost nothing here.
    fn takes_more(&self) -> bool {
        true
    }

    fn counters(&self) -> Counters {
        let queue = self.shared.queue.borrow();
        let queued_lines = queue.iter().map(|entry| entry.lines as u64).sum();
        Counters { queued_batches: queue.len() as u64, queued_lines, ..self.shared.counters.get() }
    }

    /// Ends early while nothing can be written.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            while !self.shared.queue.borrow().is_empty() && !self.shared.failing.get() {
                if timeout_at(deadline, self.shared.changed.notified()).await.is_err() {
                    break;
                }
            }
        })
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        !self.failing.get() && self.queue.borrow().len() < ROOM
    }

    fn note_room(&self) {
        let room = self.has_room();
        if room && !self.had_room.replace(room) {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    fn fails(&self, error: &StoreError) {
        let error = error as &dyn std::error::Error;
        if self.failing.replace(true) {
            tracing::debug!(parent: &self.of_dispatcher, error, "a snapshot still cannot be archived");
        } else {
            tracing::error!(parent: &self.of_dispatcher, error, "cannot archive a snapshot; trying again");
        }
        self.had_room.set(false);
        self.changed.notify_one();
    }

    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    fn tell(&self, notice: Notice) {
        // Without a receiver the worker is on its way out.
        let _ = self.notices.send(notice);
    }

    fn done(&self, entry: Entry, done: Done, dir: &Path) {
        if self.failing.replace(false) {
            tracing::info!(parent: &self.of_dispatcher, dir = %dir.display(), "snapshots can be archived again");
        }
        self.queue.borrow_mut().pop_front();
        match done {
            Done::Stored { bytes } => self.count(|counters| {
                counters.delivered_lines += entry.lines as u64;
                counters.stored_bytes += bytes;
            }),
            // The parent counts it among those that have vanished.
            Done::Gone => tracing::warn!(parent: &self.of_dispatcher, snapshot = %entry.epoch,
                "not archived: removed by another program"),
        }
        self.tell(Notice::Delivered { dispatcher: NAME, epoch: entry.epoch });
    }
}

async fn run(shared: Rc<Shared>, files: Arc<Files>) {
    let backoff = Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2);
    let mut failures = 0;
    let mut tidied: Option<Instant> = None;
    loop {
        let Some(entry) = shared.queue.borrow().front().copied() else {
            shared.submitted.notified().await;
            continue;
        };
        match write(&shared, &files, entry.epoch).await {
            Ok(done) => {
                failures = 0;
                shared.done(entry, done, &files.dir);
            }
            Err(error) => {
                failures += 1;
                shared.count(|counters| counters.retries += 1);
                shared.fails(&error);
            }
        }
        shared.note_room();
        shared.changed.notify_one();
        // Also while nothing can be written: it makes room.
        if tidied.is_none_or(|at| at.elapsed() >= EVERY) {
            tidied = Some(Instant::now());
            tidy(&shared, &files).await;
        }
        if failures > 0 {
            sleep(jitter(backoff.after(failures), fastrand::f64())).await;
        }
    }
}

/// Removes what is not to be kept any longer.
async fn tidy(shared: &Shared, files: &Arc<Files>) {
    let work = Arc::clone(files);
    let Ok(done) = aside::run(NAME, move || work.tidy()) else { return };
    match done.await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(removed)) => {
            shared.count(|counters| counters.expired_snapshots += removed);
            tracing::info!(parent: &shared.of_dispatcher, removed, "archived snapshots removed according to keep");
        }
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(parent: &shared.of_dispatcher, error, "cannot remove old snapshots; trying again");
        }
    }
}

/// Writes a snapshot, and says when that takes too long.
async fn write(shared: &Shared, files: &Arc<Files>, epoch: Epoch) -> Result<Done, StoreError> {
    let mut writing = pin!(write_aside(files, epoch));
    match looked::timeout(HANGS, &mut writing).await {
        Some(result) => result,
        None => {
            shared.fails(&StoreError::Hangs { limit: HANGS });
            writing.await
        }
    }
}

/// Writes aside: a disk that hangs must not hold up what goes to Graphite.
async fn write_aside(files: &Arc<Files>, epoch: Epoch) -> Result<Done, StoreError> {
    let files = Arc::clone(files);
    let done = aside::run(NAME, move || files.store(epoch)).map_err(StoreError::Thread)?;
    done.await.unwrap_or(Err(StoreError::Failed))
}
