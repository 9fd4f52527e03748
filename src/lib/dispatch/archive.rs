//! The snapshots themselves, as files: `<dir>/<day>/<epoch>.tar.zst`. For sending them again some day.
//!
//! What is archived is the files of the snapshot as they lie in the queue, not what was made of them; so a batch says only that
//! there is something to archive. An archive has its name only when it is complete and on the disk.
//!
//! A snapshot that cannot be archived (the disk is full) is tried again, with growing pauses, and its directory stays in the
//! queue until then. That does not stop the others, as in the local store.

mod files;

use super::condition::Room;
use super::disk::{self, Attempts, Disk, HANGS};
use super::{Batch, Counters, Dispatcher, Notice, Notices, aside};
use crate::batch::Output;
use crate::config;
use crate::snapshot::Epoch;
use crate::snapshot::origin::Origin;
use files::{Done, Files, StoreError};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Name of this dispatcher.
pub const NAME: &str = "archive";

/// Snapshots that may wait for the disk; the worker waits when it is slower than that.
const ROOM: usize = 8;

/// The dispatcher.
#[derive(Debug)]
pub(crate) struct Archive {
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
    disk: Disk,
    /// Oldest first; the first is the one that is being written.
    queue: RefCell<VecDeque<Entry>>,
    /// The snapshot of which pieces are coming.
    coming: Cell<Option<Entry>>,
}

impl Archive {
    /// Starts with nothing to write. Snapshots are those in `src_dir`, of the host with this name. To be called inside a tokio
    /// `LocalSet`.
    #[must_use]
    pub(crate) fn start(config: &config::Archive, src_dir: &Path, hostname: &str, notices: Notices) -> Self {
        let disk = Disk::new(NAME, "archive", notices);
        let shared = Rc::new(Shared { disk, queue: RefCell::default(), coming: Cell::new(None) });
        let origin = Origin { host: hostname.to_owned() };
        let (src_dir, dir) = (src_dir.to_owned(), config.dir.clone());
        let files = Files { src_dir, dir, origin, keep: config.keep, min_free: config.min_free };
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
        self.shared.disk.condition.know_room(self.shared.room());
        self.shared.disk.condition.submitted.notify_one();
    }

    fn has_room(&self) -> bool {
        self.shared.room().snapshot
    }

    /// Pieces cost nothing here.
    fn takes_more(&self) -> bool {
        true
    }

    fn counters(&self) -> Counters {
        let queue = self.shared.queue.borrow();
        let queued_lines = queue.iter().map(|entry| entry.lines as u64).sum();
        Counters { queued_batches: queue.len() as u64, queued_lines, ..self.shared.disk.counters() }
    }

    /// Ends early while nothing can be written.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            while !self.shared.queue.borrow().is_empty() && !self.shared.disk.is_failing() {
                if timeout_at(deadline, self.shared.disk.condition.changed.notified()).await.is_err() {
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
    /// Pieces cost nothing here.
    fn room(&self) -> Room {
        Room { snapshot: !self.disk.is_failing() && self.queue.borrow().len() < ROOM, piece: true }
    }

    fn fails(&self, error: &StoreError) {
        self.disk.fails(error);
        self.disk.condition.know_room(self.room());
    }

    fn done(&self, entry: Entry, done: Done, dir: &Path) {
        self.disk.works(dir);
        self.queue.borrow_mut().pop_front();
        match done {
            Done::Stored { bytes } => self.disk.condition.count(|counters| {
                counters.delivered_lines += entry.lines as u64;
                counters.stored_bytes += bytes;
            }),
            // The parent counts it among those that have vanished.
            Done::Gone => tracing::warn!(parent: &self.disk.of_dispatcher, snapshot = %entry.epoch,
                "not archived: removed by another program"),
        }
        self.disk.condition.tell(Notice::Delivered { dispatcher: NAME, epoch: entry.epoch });
    }
}

async fn run(shared: Rc<Shared>, files: Arc<Files>) {
    let (disk, mut attempts) = (&shared.disk, Attempts::new());
    loop {
        let Some(entry) = shared.queue.borrow().front().copied() else {
            disk.condition.submitted.notified().await;
            continue;
        };
        let late = || shared.fails(&StoreError::Hangs { limit: HANGS });
        match disk::written(write_aside(&files, entry.epoch), late).await {
            Ok(done) => {
                attempts.succeeded();
                shared.done(entry, done, &files.dir);
            }
            Err(error) => {
                attempts.failed(disk);
                shared.fails(&error);
            }
        }
        disk.condition.note_room(shared.room());
        disk.condition.changed.notify_one();
        let work = Arc::clone(&files);
        let removed = attempts.tidy(disk, move || work.tidy()).await;
        disk.condition.count(|counters| counters.expired_snapshots += removed);
        attempts.pause().await;
    }
}

/// Writes aside: a disk that hangs must not hold up what goes to Graphite.
async fn write_aside(files: &Arc<Files>, epoch: Epoch) -> Result<Done, StoreError> {
    let files = Arc::clone(files);
    let done = aside::run(NAME, move || files.store(epoch)).map_err(StoreError::Thread)?;
    done.await.unwrap_or(Err(StoreError::Failed))
}
