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
use super::keep::EVERY;
use super::{Batch, Counters, Dispatcher, Notice, Notices, aside};
use crate::backoff::{Backoff, jitter};
use crate::batch::Output;
use crate::config;
use crate::looked;
use crate::snapshot::Epoch;
use files::{StoreError, discard, store, tidy};
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
pub const NAME: &str = "local-store";

/// Lines that are held for a disk that can be written to; the worker waits when it is slower than that.
const ROOM: usize = 100_000;

/// Pauses between attempts to write.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// A snapshot that takes longer to write is not waited for: it counts as failing until it is written.
const HANGS: Duration = Duration::from_secs(10);

/// The dispatcher.
#[derive(Debug)]
pub struct LocalStore {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Whose lines in the log they are.
    of_dispatcher: Span,
    /// Oldest first; the first is the one that is being written.
    queue: RefCell<VecDeque<Arc<Batch>>>,
    counters: Cell<Counters>,
    /// Whether the last attempt to write failed.
    failing: Cell<bool>,
    /// What [`Shared::has_room`] and [`Shared::takes_more`] said.
    had_room: Cell<(bool, bool)>,
    /// The snapshot whose pieces are coming, and the number of the next.
    coming: Cell<Option<(Epoch, usize)>>,
    unsent: usize,
    notices: Notices,
    submitted: Notify,
    changed: Notify,
}

impl LocalStore {
    /// Starts with nothing to write. To be called inside a tokio `LocalSet`.
    #[must_use]
    pub fn start(config: &config::LocalStore, notices: Notices) -> Self {
        let shared = Rc::new(Shared {
            // Of the highest level, so that no log level is without.
            of_dispatcher: error_span!("dispatcher", dispatcher = NAME),
            queue: RefCell::default(),
            counters: Cell::default(),
            failing: Cell::new(false),
            had_room: Cell::new((true, true)),
            coming: Cell::new(None),
            unsent: Bounds::get().unsent,
            notices,
            submitted: Notify::new(),
            changed: Notify::new(),
        });
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
        self.shared.had_room.set(self.shared.room());
        self.shared.submitted.notify_one();
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn takes_more(&self) -> bool {
        self.shared.takes_more()
    }

    fn counters(&self) -> Counters {
        let (queued_batches, queued_lines) = (self.shared.queue.borrow().len() as u64, self.shared.lines() as u64);
        let up = u64::from(!self.shared.failing.get());
        Counters { up, queued_batches, queued_lines, ..self.shared.counters.get() }
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

impl Drop for LocalStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lines(&self) -> usize {
        self.queue.borrow().iter().map(|batch| batch.lines).sum()
    }

    fn has_room(&self) -> bool {
        !self.failing.get() && self.lines() < ROOM
    }

    fn takes_more(&self) -> bool {
        !self.failing.get() && self.queue.borrow().iter().map(|batch| batch.text.len()).sum::<usize>() < self.unsent
    }

    fn room(&self) -> (bool, bool) {
        (self.has_room(), self.takes_more())
    }

    fn note_room(&self) {
        let (room, more) = self.room();
        let (had_room, took_more) = self.had_room.replace((room, more));
        if (room && !had_room) || (more && !took_more) {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    /// Forgets a snapshot of which earlier pieces are gone.
    fn lose(&self, epoch: Epoch) {
        self.queue.borrow_mut().retain(|batch| batch.epoch != epoch);
        self.coming.set(self.coming.get().filter(|(coming, _)| *coming != epoch));
        self.tell(Notice::Lost { dispatcher: NAME, epoch });
    }

    fn fails(&self, error: &StoreError) {
        let error = error as &dyn std::error::Error;
        if self.failing.replace(true) {
            tracing::debug!(parent: &self.of_dispatcher, error, "a snapshot still cannot be stored");
        } else {
            tracing::error!(parent: &self.of_dispatcher, error, "cannot store a snapshot; trying again");
        }
        self.note_room();
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
}

async fn run(shared: Rc<Shared>, config: config::LocalStore) {
    let dir = &config.dir;
    let mut tidied: Option<Instant> = None;
    let backoff = Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2);
    let mut failures = 0;
    let mut begun: Option<Begun> = None;
    loop {
        let Some(batch) = shared.queue.borrow().front().cloned() else {
            shared.submitted.notified().await;
            continue;
        };
        if batch.piece == 0
            && let Some(begun) = begun.take()
        {
            // Nothing more came of it.
            let (dir, staged) = (dir.clone(), begun);
            drop(aside::run("local-store", move || discard(&dir, staged.epoch)));
        }
        let offset = begun.map_or(0, |begun| begun.bytes);
        match write(&shared, dir, &batch, offset).await {
            Ok(()) => {
                failures = 0;
                if shared.failing.replace(false) {
                    tracing::info!(parent: &shared.of_dispatcher, dir = %dir.display(), "snapshots can be stored again");
                }
                shared.queue.borrow_mut().pop_front();
                shared.count(|counters| counters.delivered_lines += batch.lines as u64);
                let epoch = batch.epoch;
                begun = batch.more.then_some(Begun { epoch, bytes: offset + batch.text.len() as u64 });
                if !batch.more {
                    shared.tell(Notice::Delivered { dispatcher: NAME, epoch });
                }
            }
            Err(error @ StoreError::Cut { .. }) => {
                tracing::warn!(
                    parent: &shared.of_dispatcher,
                    error = &error as &dyn std::error::Error,
                    "the stored snapshot is damaged; storing it again"
                );
                begun = None;
                shared.lose(batch.epoch);
            }
            Err(error) => {
                failures += 1;
                shared.count(|counters| counters.retries += 1);
                shared.fails(&error);
            }
        }
        shared.note_room();
        shared.changed.notify_one();
        if config.keep.is_bounded() && tidied.is_none_or(|at| at.elapsed() >= EVERY) {
            tidied = Some(Instant::now());
            tidy_aside(&shared, &config).await;
        }
        if failures > 0 {
            sleep(jitter(backoff.after(failures), fastrand::f64())).await;
        }
    }
}

/// Removes what is not to be kept any longer, aside.
async fn tidy_aside(shared: &Shared, config: &config::LocalStore) {
    let config = config.clone();
    let Ok(done) = aside::run(NAME, move || tidy(&config.dir, &config.keep)) else { return };
    match done.await {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(removed)) => {
            tracing::info!(parent: &shared.of_dispatcher, removed, "stored snapshots removed according to keep");
        }
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(parent: &shared.of_dispatcher, error, "cannot remove old snapshots; trying again");
        }
    }
}

/// Writes a batch, and says when that takes too long.
async fn write(shared: &Shared, dir: &Path, batch: &Arc<Batch>, offset: u64) -> Result<(), StoreError> {
    let mut writing = pin!(store_aside(dir, batch, offset));
    match looked::timeout(HANGS, &mut writing).await {
        Some(result) => result,
        None => {
            shared.fails(&StoreError::Hangs { limit: HANGS });
            writing.await
        }
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
    let done = aside::run("local-store", move || store(&dir, &batch, offset)).map_err(StoreError::Thread)?;
    done.await.unwrap_or(Err(StoreError::Failed))
}
