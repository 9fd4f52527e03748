//! The same lines as Graphite gets, as files: `<dir>/<epoch>/stats`. For looking at what is sent.
//!
//! A file has its name only when it is complete: it is written as `.stats.new` beside it and renamed, over an earlier
//! one of the same snapshot if there is one. The pieces of a large snapshot are appended to it one after the other.
//! Nothing here is cleaned up, as in the original, unless `keep` says so.
//!
//! A snapshot that cannot be written (the disk is full) is tried again, with growing pauses, and its directory stays in
//! the queue until then. That does not stop Graphite: while writing fails there is no room here, so the worker goes on with
//! the others, and further snapshots stay on disk, to be rendered once more for this destination when it has room again.

mod files;

use super::bounds::Bounds;
use super::condition::Room;
use super::disk::{self, Attempts, Disk, HANGS};
use super::{Batch, Counters, Dispatcher, Notice, Notices, aside};
use crate::batch::Output;
use crate::config;
use crate::snapshot::Epoch;
use files::{StoreError, discard, store, tidy};
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
pub const NAME: &str = "local-store";

/// Lines that are held for a disk that can be written to; the worker waits when it is slower than that.
const ROOM: usize = 100_000;

/// The dispatcher.
#[derive(Debug)]
pub struct LocalStore {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    /// Oldest first; the first is the one that is being written.
    queue: RefCell<VecDeque<Arc<Batch>>>,
    /// The snapshot whose pieces are coming, and the number of the next.
    coming: Cell<Option<(Epoch, usize)>>,
    unsent: usize,
}

impl LocalStore {
    /// Starts with nothing to write. To be called inside a tokio `LocalSet`.
    #[must_use]
    pub fn start(config: &config::LocalStore, notices: Notices) -> Self {
        let (disk, unsent) = (Disk::new(NAME, "store", notices), Bounds::get().unsent);
        let shared = Rc::new(Shared { disk, queue: RefCell::default(), coming: Cell::new(None), unsent });
        let task = tokio::task::spawn_local(run(Rc::clone(&shared), config.clone()));
        Self { shared, task }
    }
}

impl Dispatcher for LocalStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output(&self) -> Output {
        Output::Plaintext
    }

    fn submit(&self, batch: Arc<Batch>) {
        if batch.piece > 0 && self.shared.coming.get() != Some((batch.epoch, batch.piece)) {
            return;
        }
        self.shared.coming.set(batch.more.then_some((batch.epoch, batch.piece + 1)));
        self.shared.queue.borrow_mut().push_back(batch);
        self.shared.disk.condition.know_room(self.shared.room());
        self.shared.disk.condition.submitted.notify_one();
    }

    fn has_room(&self) -> bool {
        self.shared.room().snapshot
    }

    fn takes_more(&self) -> bool {
        self.shared.room().piece
    }

    fn counters(&self) -> Counters {
        let (queued_batches, queued_lines) = (self.shared.queue.borrow().len() as u64, self.shared.lines() as u64);
        Counters { queued_batches, queued_lines, ..self.shared.disk.counters() }
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

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lines(&self) -> usize {
        self.queue.borrow().iter().map(|batch| batch.lines).sum()
    }

    fn room(&self) -> Room {
        let (works, bytes) = (!self.disk.is_failing(), |batch: &Arc<Batch>| batch.text.len());
        Room {
            snapshot: works && self.lines() < ROOM,
            piece: works && self.queue.borrow().iter().map(bytes).sum::<usize>() < self.unsent,
        }
    }

    /// Forgets a snapshot of which earlier pieces are gone.
    fn lose(&self, epoch: Epoch) {
        self.queue.borrow_mut().retain(|batch| batch.epoch != epoch);
        self.coming.set(self.coming.get().filter(|(coming, _)| *coming != epoch));
        self.disk.condition.tell(Notice::Lost { dispatcher: NAME, epoch });
    }

    fn fails(&self, error: &StoreError) {
        self.disk.fails(error);
        self.disk.condition.note_room(self.room());
    }
}

async fn run(shared: Rc<Shared>, config: config::LocalStore) {
    let (dir, disk, mut attempts) = (&config.dir, &shared.disk, Attempts::new());
    let mut begun: Option<Begun> = None;
    loop {
        let Some(batch) = shared.queue.borrow().front().cloned() else {
            disk.condition.submitted.notified().await;
            continue;
        };
        if batch.piece == 0
            && let Some(begun) = begun.take()
        {
            // Nothing more came of it.
            let (dir, staged) = (dir.clone(), begun);
            drop(aside::run(NAME, move || discard(&dir, staged.epoch)));
        }
        let offset = begun.map_or(0, |begun| begun.bytes);
        let late = || shared.fails(&StoreError::Hangs { limit: HANGS });
        match disk::written(store_aside(dir, &batch, offset), late).await {
            Ok(()) => {
                attempts.succeeded();
                disk.works(dir);
                shared.queue.borrow_mut().pop_front();
                disk.condition.count(|counters| counters.delivered_lines += batch.lines as u64);
                let epoch = batch.epoch;
                begun = batch.more.then_some(Begun { epoch, bytes: offset + batch.text.len() as u64 });
                if !batch.more {
                    disk.condition.tell(Notice::Delivered { dispatcher: NAME, epoch });
                }
            }
            Err(error @ StoreError::Cut { .. }) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(parent: &disk.of_dispatcher, error, "the stored snapshot is damaged; storing it again");
                begun = None;
                shared.lose(batch.epoch);
            }
            Err(error) => {
                attempts.failed(disk);
                shared.fails(&error);
            }
        }
        disk.condition.note_room(shared.room());
        disk.condition.changed.notify_one();
        if config.keep.is_bounded() {
            let (dir, keep) = (dir.clone(), config.keep);
            attempts.tidy(disk, move || tidy(&dir, &keep)).await;
        }
        attempts.pause().await;
    }
}

/// A snapshot of which further pieces are to come, and how many bytes of it are written.
#[derive(Debug, Clone, Copy)]
struct Begun {
    epoch: Epoch,
    bytes: u64,
}

/// Writes aside: a disk that hangs must not hold up what goes to Graphite.
async fn store_aside(dir: &Path, batch: &Arc<Batch>, offset: u64) -> Result<(), StoreError> {
    let (dir, batch) = (dir.to_owned(), Arc::clone(batch));
    let done = aside::run(NAME, move || store(&dir, &batch, offset)).map_err(StoreError::Thread)?;
    done.await.unwrap_or(Err(StoreError::Failed))
}
