//! The same lines as Graphite gets, as files: `<dir>/<epoch>/stats`. For looking at what is sent.
//!
//! A file has its name only when it is complete: it is written as `.stats.new` beside it and renamed, over an earlier
//! one of the same snapshot if there is one. Nothing here is ever cleaned up, as in the original.
//!
//! A snapshot that cannot be written (the disk is full) is tried again, with growing pauses, and its directory stays in
//! the queue until then. That shall not stop Graphite, which is what the programs are for: while writing fails, further
//! snapshots are taken, held up to a bound, and beyond it the oldest are given up here.

use super::{Batch, Counters, Dispatcher, Notice, Notices, aside};
use crate::backoff::{Backoff, jitter};
use crate::config;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Name of this dispatcher.
pub const NAME: &str = "local-store";

/// Lines that are held for a disk that can be written to; the worker waits when it is slower than that.
const ROOM: usize = 100_000;

/// Most lines that are held for a disk that cannot be written to, around 20 MB: half an hour of a host with 200 servers.
const MOST: usize = 250_000;

/// Pauses between attempts to write.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// A snapshot that takes longer to write is not waited for: it counts as failing until it is written.
const HANGS: Duration = Duration::from_secs(10);

/// Name of a file that is being written.
const STAGED: &str = ".stats.new";

/// Why a snapshot is not stored.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("the directory {} cannot be made", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("the file {} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the file {} cannot be renamed", path.display())]
    Rename { path: PathBuf, source: io::Error },
    #[error("the disk has not taken a snapshot within {limit:?}")]
    Hangs { limit: Duration },
    #[error("no thread to write files with")]
    Thread(#[source] io::Error),
    #[error("the thread that writes files failed")]
    Failed,
}

/// The dispatcher.
#[derive(Debug)]
pub struct LocalStore {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Oldest first; the first is the one that is being written.
    queue: RefCell<VecDeque<Arc<Batch>>>,
    counters: Cell<Counters>,
    /// Whether the last attempt to write failed.
    failing: Cell<bool>,
    had_room: Cell<bool>,
    dropping: Cell<bool>,
    notices: Notices,
    submitted: Notify,
    changed: Notify,
}

impl LocalStore {
    /// Starts with nothing to write. To be called inside a tokio `LocalSet`.
    #[must_use]
    pub fn start(config: &config::LocalStore, notices: Notices) -> Self {
        let shared = Rc::new(Shared {
            queue: RefCell::default(),
            counters: Cell::default(),
            failing: Cell::new(false),
            had_room: Cell::new(true),
            dropping: Cell::new(false),
            notices,
            submitted: Notify::new(),
            changed: Notify::new(),
        });
        let task = tokio::task::spawn_local(run(Rc::clone(&shared), config.dir.clone()));
        Self { shared, task }
    }
}

impl Dispatcher for LocalStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn submit(&self, batch: Arc<Batch>) {
        self.shared.queue.borrow_mut().push_back(batch);
        self.shared.drop_oldest();
        self.shared.had_room.set(self.shared.has_room());
        self.shared.submitted.notify_one();
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn counters(&self) -> Counters {
        let (queued_batches, queued_lines) = (self.shared.queue.borrow().len() as u64, self.shared.lines() as u64);
        Counters { queued_batches, queued_lines, ..self.shared.counters.get() }
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
        self.failing.get() || self.lines() < ROOM
    }

    fn note_room(&self) {
        let room = self.has_room();
        let had_room = self.had_room.replace(room);
        if room && !had_room {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    fn drop_oldest(&self) {
        // The first is being written, and the newest always has a place.
        while self.failing.get() && self.lines() > MOST {
            let mut queue = self.queue.borrow_mut();
            let Some(batch) = (queue.len() > 2).then(|| queue.remove(1)).flatten() else { break };
            drop(queue);
            self.count(|counters| counters.dropped_lines += batch.lines as u64);
            self.tell(Notice::Dropped { dispatcher: NAME, epoch: batch.epoch });
            if !self.dropping.replace(true) {
                tracing::error!(dispatcher = NAME, "too much waits to be stored, the oldest snapshots are not stored");
            }
        }
    }

    fn fails(&self, error: &StoreError) {
        let error = error as &dyn std::error::Error;
        if self.failing.replace(true) {
            tracing::debug!(dispatcher = NAME, error, "a snapshot is still not stored");
        } else {
            tracing::error!(dispatcher = NAME, error, "a snapshot is not stored, trying again");
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

async fn run(shared: Rc<Shared>, dir: PathBuf) {
    let backoff = Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2);
    let mut failures = 0;
    loop {
        let Some(batch) = shared.queue.borrow().front().cloned() else {
            shared.submitted.notified().await;
            continue;
        };
        let mut writing = pin!(store_aside(&dir, &batch));
        let result = match timeout(HANGS, &mut writing).await {
            Ok(result) => result,
            Err(_) => {
                shared.fails(&StoreError::Hangs { limit: HANGS });
                writing.await
            }
        };
        match result {
            Ok(()) => {
                failures = 0;
                if shared.failing.replace(false) {
                    shared.dropping.set(false);
                    tracing::info!(dispatcher = NAME, dir = %dir.display(), "snapshots can be stored again");
                }
                shared.queue.borrow_mut().pop_front();
                shared.count(|counters| counters.delivered_lines += batch.lines as u64);
                shared.tell(Notice::Delivered { dispatcher: NAME, epoch: batch.epoch });
            }
            Err(error) => {
                failures += 1;
                shared.count(|counters| counters.retries += 1);
                shared.fails(&error);
            }
        }
        shared.note_room();
        shared.changed.notify_one();
        if failures > 0 {
            sleep(jitter(backoff.after(failures), fastrand::f64())).await;
        }
    }
}

/// Writes aside: a disk that hangs must not hold up what goes to Graphite.
async fn store_aside(dir: &Path, batch: &Arc<Batch>) -> Result<(), StoreError> {
    let (dir, batch) = (dir.to_owned(), Arc::clone(batch));
    let done = aside::run("local-store", move || store(&dir, &batch)).map_err(StoreError::Thread)?;
    done.await.unwrap_or(Err(StoreError::Failed))
}

fn store(dir: &Path, batch: &Batch) -> Result<(), StoreError> {
    let folder = dir.join(batch.epoch.to_string());
    let (staged, path) = (folder.join(STAGED), folder.join("stats"));
    let made = DirBuilder::new().recursive(true).mode(0o755).create(&folder);
    made.map_err(|source| StoreError::Directory { path: folder.clone(), source })?;
    let stored = write(&staged, &batch.text)
        .map_err(|source| StoreError::Write { path: staged.clone(), source })
        .and_then(|()| std::fs::rename(&staged, &path).map_err(|source| StoreError::Rename { path, source }));
    if stored.is_err() {
        // Leaves nothing behind, as far as that is possible; a folder with an earlier copy in it stays.
        let _ = std::fs::remove_file(&staged);
        let _ = std::fs::remove_dir(&folder);
    }
    stored
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // What a crash left, or somebody's link, is not written to.
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Epoch;

    fn batch(text: &str) -> Batch {
        Batch { epoch: Epoch(1_457_298_067), text: text.into(), lines: text.lines().count(), ..Batch::default() }
    }

    #[test]
    fn a_later_copy_replaces_an_earlier_one_and_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        store(dir.path(), &batch("a 1 2\nb 3 4\n")).unwrap();
        std::fs::write(folder.join(STAGED), "half a li").unwrap();
        store(dir.path(), &batch("c 5 6\n")).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "c 5 6\n");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, precious) = (dir.path().join("1457298067"), dir.path().join("precious"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&precious, "precious").unwrap();
        for name in [STAGED, "stats"] {
            std::os::unix::fs::symlink(&precious, folder.join(name)).unwrap();
        }
        store(dir.path(), &batch("a 1 2\n")).unwrap();
        assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "a 1 2\n");
    }

    #[test]
    fn a_failure_leaves_nothing_behind_and_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        std::fs::create_dir_all(folder.join("stats/in the way")).unwrap();
        let error = store(dir.path(), &batch("a 1 2\n")).unwrap_err();
        assert!(matches!(&error, StoreError::Rename { path, .. } if path.ends_with("1457298067/stats")), "{error}");
        assert!(!folder.join(STAGED).exists());
    }
}
