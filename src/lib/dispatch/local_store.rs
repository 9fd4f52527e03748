//! The same lines as Graphite gets, as files: `<dir>/<epoch>/stats`. For looking at what is sent.
//!
//! A file has its name only when it is complete: it is written as `.stats.new` beside it and renamed, over an earlier
//! one of the same snapshot if there is one. The pieces of a large snapshot are appended to it one after the other.
//! Nothing here is ever cleaned up, as in the original.
//!
//! A snapshot that cannot be written (the disk is full) is tried again, with growing pauses, and its directory stays in
//! the queue until then. That shall not stop Graphite, which is what the programs are for: while writing fails, further
//! snapshots are taken, held up to a bound, and beyond it the oldest are given up here.

use super::bounds::Bounds;
use super::{Batch, Counters, Dispatcher, Notice, Notices, aside};
use crate::backoff::{Backoff, jitter};
use crate::config;
use crate::snapshot::Epoch;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::future::Future;
use std::io::{self, Seek, SeekFrom, Write};
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
    /// The pieces before are gone.
    #[error("the file {} has not what was written to it", path.display())]
    Cut { path: PathBuf },
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
    /// What [`Shared::has_room`] and [`Shared::takes_more`] said.
    had_room: Cell<(bool, bool)>,
    dropping: Cell<bool>,
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
            queue: RefCell::default(),
            counters: Cell::default(),
            failing: Cell::new(false),
            had_room: Cell::new((true, true)),
            dropping: Cell::new(false),
            coming: Cell::new(None),
            unsent: Bounds::get().unsent,
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
        if batch.piece > 0 && self.shared.coming.get() != Some((batch.epoch, batch.piece)) {
            return;
        }
        self.shared.coming.set(batch.more.then_some((batch.epoch, batch.piece + 1)));
        self.shared.queue.borrow_mut().push_back(batch);
        self.shared.drop_oldest();
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

    fn takes_more(&self) -> bool {
        self.failing.get() || self.queue.borrow().iter().map(|batch| batch.text.len()).sum::<usize>() < self.unsent
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

    /// Gives up snapshots. The first is being written, and the newest always has a place.
    fn drop_oldest(&self) {
        while self.failing.get() && self.lines() > MOST {
            let mut queue = self.queue.borrow_mut();
            let (first, newest) = (queue.front().map(|batch| batch.epoch), queue.back().map(|batch| batch.epoch));
            let other = |batch: &Arc<Batch>| Some(batch.epoch) != first && Some(batch.epoch) != newest;
            let Some(epoch) = queue.iter().find(|batch| other(batch)).map(|batch| batch.epoch) else { break };
            let before = queue.iter().map(|batch| batch.lines).sum::<usize>();
            queue.retain(|batch| batch.epoch != epoch);
            let lines = before - queue.iter().map(|batch| batch.lines).sum::<usize>();
            drop(queue);
            self.count(|counters| counters.dropped_lines += lines as u64);
            self.tell(Notice::Dropped { dispatcher: NAME, epoch });
            if !self.dropping.replace(true) {
                tracing::error!(dispatcher = NAME, "too much waits to be stored, the oldest snapshots are not stored");
            }
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
            drop(aside::run("local-store", move || discard(&dir.join(staged.epoch.to_string()))));
        }
        let offset = begun.map_or(0, |begun| begun.bytes);
        let mut writing = pin!(store_aside(&dir, &batch, offset));
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
                let epoch = batch.epoch;
                begun = batch.more.then_some(Begun { epoch, bytes: offset + batch.text.len() as u64 });
                if !batch.more {
                    shared.tell(Notice::Delivered { dispatcher: NAME, epoch });
                }
            }
            Err(error @ StoreError::Cut { .. }) => {
                tracing::warn!(
                    dispatcher = NAME,
                    error = &error as &dyn std::error::Error,
                    "a snapshot is stored again"
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
        if failures > 0 {
            sleep(jitter(backoff.after(failures), fastrand::f64())).await;
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

/// Stores a snapshot, or a piece of one, before which `offset` bytes were written.
fn store(dir: &Path, batch: &Batch, offset: u64) -> Result<(), StoreError> {
    let folder = dir.join(batch.epoch.to_string());
    let (staged, path) = (folder.join(STAGED), folder.join("stats"));
    let stored = if batch.piece == 0 {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&folder);
        made.map_err(|source| StoreError::Directory { path: folder.clone(), source })?;
        write(&staged, &batch.text).map_err(|source| StoreError::Write { path: staged.clone(), source })
    } else {
        append(&staged, &batch.text, offset)
    };
    if batch.more && (stored.is_ok() || batch.piece > 0) {
        return stored;
    }
    let stored =
        stored.and_then(|()| std::fs::rename(&staged, &path).map_err(|source| StoreError::Rename { path, source }));
    if stored.is_err() && batch.piece == 0 {
        discard(&folder);
    }
    stored
}

/// Leaves nothing behind, as far as that is possible; a folder with an earlier copy in it stays.
fn discard(folder: &Path) {
    let _ = std::fs::remove_file(folder.join(STAGED));
    let _ = std::fs::remove_dir(folder);
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

/// Writes behind the first `offset` bytes; what an earlier attempt left there is overwritten.
fn append(path: &Path, text: &[u8], offset: u64) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::Cut { path: path.to_owned() }),
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().map_err(failed)?.len() < offset {
        return Err(StoreError::Cut { path: path.to_owned() });
    }
    file.set_len(offset).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
    file.write_all(text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Batch {
        Batch { epoch: Epoch(1_457_298_067), text: text.into(), lines: text.lines().count(), ..Batch::default() }
    }

    #[test]
    fn a_later_copy_replaces_an_earlier_one_and_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        store(dir.path(), &batch("a 1 2\nb 3 4\n"), 0).unwrap();
        std::fs::write(folder.join(STAGED), "half a li").unwrap();
        store(dir.path(), &batch("c 5 6\n"), 0).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "c 5 6\n");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    fn piece(text: &str, piece: usize, more: bool) -> Batch {
        Batch { piece, more, ..batch(text) }
    }

    #[test]
    fn pieces_are_put_together_also_after_a_failed_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        store(dir.path(), &piece("a 1 2\n", 0, true), 0).unwrap();
        store(dir.path(), &piece("b 3 4\n", 1, true), 6).unwrap();
        assert!(!folder.join("stats").exists());
        store(dir.path(), &piece("b 3 4\n", 1, true), 6).unwrap();
        store(dir.path(), &piece("c 5 6\n", 2, false), 12).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "a 1 2\nb 3 4\nc 5 6\n");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn pieces_before_that_are_gone_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), &piece("a 1 2\n", 0, true), 0).unwrap();
        let cut = |result| matches!(result, Err(StoreError::Cut { .. }));
        assert!(cut(store(dir.path(), &piece("c 5 6\n", 2, false), 12)));
        std::fs::remove_file(dir.path().join("1457298067").join(STAGED)).unwrap();
        assert!(cut(store(dir.path(), &piece("b 3 4\n", 1, true), 6)));
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
        store(dir.path(), &batch("a 1 2\n"), 0).unwrap();
        assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "a 1 2\n");
    }

    #[test]
    fn a_failure_leaves_nothing_behind_and_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        std::fs::create_dir_all(folder.join("stats/in the way")).unwrap();
        let error = store(dir.path(), &batch("a 1 2\n"), 0).unwrap_err();
        assert!(matches!(&error, StoreError::Rename { path, .. } if path.ends_with("1457298067/stats")), "{error}");
        assert!(!folder.join(STAGED).exists());
    }
}
