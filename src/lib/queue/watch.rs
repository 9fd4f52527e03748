//! Hints that the source directory has changed. A hint is never the truth: it may be late, lost or wrong, and all that
//! it leads to is a look at the directory.
//!
//! notify runs a thread for each watch. Where that thread cannot be started, or has ended, notify panics, and panics once
//! more when the watcher is dropped: during unwinding that aborts the process. Where memory is short it may wait for the
//! thread for good. So a watch is set up on a thread of our own that nobody waits for longer than two seconds, panics are
//! caught there, and a watcher is never dropped by unwinding; see docs/adr/0013-notify-when-threads-are-short.md.

use crate::snapshot::Epoch;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use notify::event::{CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Number of snapshots that are remembered as moved in; more make a look at the whole directory cheaper anyway.
const MAX_MOVED: usize = 10_000;

/// How long the main loop waits for a watch to be set up, which takes less than a millisecond when all is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Memory that has to be left for the threads of a watch: two stacks of two mebibytes, and what the threads allocate. A
/// thread that has no room for the stack of its signal handlers panics in the standard library, before any code of ours.
const ROOM: NonZeroUsize = NonZeroUsize::new(6 << 20).unwrap();

/// Why a directory cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The limit of threads or of memory is reached.
    #[error("cannot start a thread")]
    NoThread(#[from] io::Error),
    /// The thread that sets up a watch, this one or an earlier one, does not come to an end.
    #[error("setting up the watch took longer than {PATIENCE:?}")]
    Hangs,
    /// A panic inside notify.
    #[error("setting up the watch has failed")]
    Panicked,
    /// The directory is not there, or the system has no watches or instances left.
    #[error(transparent)]
    Notify(#[from] notify::Error),
}

/// What happened since the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Snapshots that were moved into the directory, and so were complete at that moment.
    pub moved_in: Vec<Epoch>,
    /// Something else happened: look at the whole directory.
    pub look: bool,
    /// The kernel's queue of events ran over, or the watch failed: hints were lost.
    pub lost: bool,
}

#[derive(Debug, Default)]
struct Shared {
    hints: Mutex<Hints>,
    wake: tokio::sync::Notify,
    ended: AtomicBool,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Hints)) {
        // The lock is held for a few assignments only; a panic in between leaves usable hints.
        change(&mut self.hints.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }
}

/// What notify's thread holds: dropped with it, whatever ends it.
struct Thread(Arc<Shared>);

impl Drop for Thread {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.change(|hints| (hints.look, hints.lost) = (true, true));
    }
}

/// notify's watcher, whose destructor panics when its thread has ended.
#[derive(Debug)]
struct Guarded(Option<RecommendedWatcher>);

impl Drop for Guarded {
    fn drop(&mut self) {
        let watcher = self.0.take();
        if thread::panicking() {
            // A second panic would abort the process; the loss is a few hundred bytes.
            std::mem::forget(watcher);
        } else if catch_unwind(AssertUnwindSafe(|| drop(watcher))).is_err() {
            tracing::debug!("the thread of a watch had ended before the watch");
        }
    }
}

/// A watch on one directory, by inode: it does not follow when another directory takes the name.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    _watcher: Guarded,
}

impl Watch {
    /// Begins to watch `dir`. Everything that happens in it after this call leads to a hint.
    ///
    /// # Errors
    /// When the directory is not there, or the system has no watches, threads or memory left. Takes two seconds at most.
    pub fn new(dir: &Path) -> Result<Self, WatchError> {
        /// A set-up that did not end in time.
        static HANGING: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);
        let mut hanging = HANGING.lock().unwrap_or_else(PoisonError::into_inner);
        if hanging.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Err(WatchError::Hangs);
        }
        check_room()?;
        let shared = Arc::new(Shared::default());
        let (tell, told) = sync_channel(1);
        let (to, watched) = (Arc::clone(&shared), dir.to_owned());
        let set_up = move || {
            let watcher = catch_unwind(AssertUnwindSafe(|| begin(to, &watched))).unwrap_or(Err(WatchError::Panicked));
            // A receiver that is gone has no use for it.
            drop(tell.send(watcher));
        };
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(set_up)?;
        match told.recv_timeout(PATIENCE) {
            Ok(watcher) => Ok(Self { shared, _watcher: watcher? }),
            Err(RecvTimeoutError::Disconnected) => Err(WatchError::Panicked),
            Err(RecvTimeoutError::Timeout) => {
                *hanging = Some(thread);
                Err(WatchError::Hangs)
            }
        }
    }

    /// False when no more hints will come, since the thread that notices events has ended. A last hint tells of it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.shared.ended.load(Ordering::Acquire)
    }

    /// Waits for a hint. Cancelling it loses nothing.
    pub(crate) async fn hinted(&self) {
        self.shared.wake.notified().await;
    }

    /// Takes the hints so far.
    #[must_use]
    pub fn take(&self) -> Hints {
        std::mem::take(&mut *self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An error when the process may not have as much memory as the threads of a watch need.
fn check_room() -> io::Result<()> {
    let (protection, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    // SAFETY: the kernel chooses an address where nothing is, and nobody else knows of the mapping.
    let mapping = unsafe { mmap_anonymous(None, ROOM, protection, flags) }?;
    // SAFETY: it has this length, and was not used.
    unsafe { munmap(mapping, ROOM.get()) }.map_err(Into::into)
}

fn begin(shared: Arc<Shared>, dir: &Path) -> Result<Guarded, WatchError> {
    // notify would not notice that its thread cannot be started.
    let probe = thread::Builder::new().name("probe".to_owned()).spawn(|| ())?;
    // It does nothing that could panic.
    drop(probe.join());
    let (thread, watched) = (Thread(shared), dir.to_owned());
    let handler = move |event| note(&thread.0, &watched, event);
    let mut guarded = Guarded(Some(RecommendedWatcher::new(handler, notify::Config::default())?));
    if let Some(watcher) = &mut guarded.0 {
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
        // A directory that is held open, as ours is for the lock, does not tell of its own removal; the one
        // above does. Where that cannot be watched, the timer has to do.
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty())
            && let Err(error) = watcher.watch(above, RecursiveMode::NonRecursive)
        {
            tracing::debug!(directory = %above.display(), %error, "cannot watch the directory above");
        }
    }
    Ok(guarded)
}

/// Runs on the watcher's thread.
fn note(shared: &Shared, dir: &Path, event: notify::Result<Event>) {
    let Ok(event) = event else {
        return shared.change(|hints| (hints.look, hints.lost) = (true, true));
    };
    if event.need_rescan() {
        return shared.change(|hints| (hints.look, hints.lost) = (true, true));
    }
    let Some(path) = event.paths.first() else { return };
    if path == dir {
        // The directory itself was made, moved or deleted. Its being opened or listed, by us too, is no news.
        if matches!(event.kind, EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            shared.change(|hints| hints.look = true);
        }
        return;
    }
    if path.parent() != Some(dir) {
        return;
    }
    let epoch = path.file_name().and_then(|name| name.to_str()).and_then(Epoch::from_name);
    match (event.kind, epoch) {
        (EventKind::Modify(ModifyKind::Name(RenameMode::To)), Some(epoch)) => shared.change(|hints| {
            if hints.moved_in.len() < MAX_MOVED {
                hints.moved_in.push(epoch);
            } else {
                hints.look = true;
            }
        }),
        (EventKind::Create(CreateKind::Folder), Some(_)) => shared.change(|hints| hints.look = true),
        // A snapshot that is gone is found out when it is its turn.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    async fn until(watch: &Watch, seen: &mut Hints, enough: impl Fn(&Hints) -> bool) {
        tokio::time::timeout(Duration::from_secs(10), async {
            while !enough(seen) {
                watch.hinted().await;
                let more = watch.take();
                seen.moved_in.extend(more.moved_in);
                seen.look |= more.look;
                seen.lost |= more.lost;
            }
        })
        .await
        .expect("no hint came");
    }

    #[tokio::test]
    async fn a_snapshot_moved_in_is_named_and_one_made_in_place_asks_for_a_look() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("incoming");
        fs::create_dir(&dir).unwrap();
        let watch = Watch::new(&dir).unwrap();

        fs::create_dir(base.path().join("staged")).unwrap();
        fs::write(dir.join("foreign"), "").unwrap();
        fs::rename(base.path().join("staged"), dir.join("1500000000")).unwrap();
        let mut seen = Hints::default();
        until(&watch, &mut seen, |hints| !hints.moved_in.is_empty()).await;
        assert_eq!(seen, Hints { moved_in: vec![Epoch(1_500_000_000)], look: false, lost: false });

        fs::create_dir(dir.join("1500000010")).unwrap();
        until(&watch, &mut seen, |hints| hints.look).await;
        assert_eq!(seen.moved_in.len(), 1);
    }

    #[tokio::test]
    async fn a_watch_whose_thread_has_ended_says_so() {
        let base = tempfile::tempdir().unwrap();
        let watch = Watch::new(base.path()).unwrap();
        assert!(watch.is_alive() && watch.take() == Hints::default());
        // What becomes of the handler when its thread panics.
        drop(Thread(Arc::clone(&watch.shared)));
        watch.hinted().await;
        assert!(!watch.is_alive());
        assert_eq!(watch.take(), Hints { moved_in: Vec::new(), look: true, lost: true });
    }

    #[test]
    fn a_panic_never_drops_a_watcher() {
        let watcher = || Guarded(Some(RecommendedWatcher::new(|_| (), notify::Config::default()).unwrap()));
        let (held, gone) = (watcher(), watcher());
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _held = held;
            std::panic::resume_unwind(Box::new("for the test"));
        }));
        assert!(unwound.is_err(), "and the process is still there");
        drop(gone);
    }

    #[tokio::test]
    async fn the_loss_of_the_directory_asks_for_a_look() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("incoming");
        for lose in [|dir: &Path| fs::remove_dir(dir), |dir: &Path| fs::rename(dir, dir.with_extension("old"))] {
            fs::create_dir(&dir).unwrap();
            let watch = Watch::new(&dir).unwrap();
            let _held_open = fs::File::open(&dir).unwrap();
            lose(&dir).unwrap();
            until(&watch, &mut Hints::default(), |hints| hints.look).await;
        }
        assert!(Watch::new(&dir).is_err(), "it is not there");
    }

    #[test]
    fn more_than_can_be_remembered_ask_for_a_look() {
        let (shared, dir) = (Shared::default(), Path::new("/incoming"));
        let moved_in = |number: usize| {
            let path = dir.join((1_500_000_000 + number).to_string());
            Ok(Event::new(EventKind::Modify(ModifyKind::Name(RenameMode::To))).add_path(path))
        };
        (0..MAX_MOVED).for_each(|number| note(&shared, dir, moved_in(number)));
        assert!(!shared.hints.lock().unwrap().look);
        note(&shared, dir, moved_in(MAX_MOVED));
        let hints = shared.hints.lock().unwrap();
        assert_eq!((hints.moved_in.len(), hints.look, hints.lost), (MAX_MOVED, true, false));
    }
}
