//! Hints that the source directory has changed. A hint is never the truth: it may be late, lost or wrong, and all that
//! it leads to is a look at the directory.
//!
//! inotify is read by the main loop itself, without a thread: where threads or memory are short there is one thing less that
//! can fail; see docs/adr/0013-inotify-without-a-thread.md.

use crate::snapshot::Epoch;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Number of snapshots that are remembered as moved in; more make a look at the whole directory cheaper anyway.
const MAX_MOVED: usize = 10_000;

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

impl Hints {
    fn any(&self) -> bool {
        self.look || self.lost || !self.moved_in.is_empty()
    }
}

/// What tokio waits for.
#[derive(Debug)]
struct Events(Inotify);

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A watch on one directory, by inode: it does not follow when another directory takes the name.
#[derive(Debug)]
pub struct Watch {
    events: AsyncFd<Events>,
    directory: WatchDescriptor,
    /// The directory above, and the name of this one in it.
    above: Option<(WatchDescriptor, OsString)>,
    hints: RefCell<Hints>,
}

impl Watch {
    /// Begins to watch `dir`. Everything that happens in it after this call leads to a hint. To be called on a tokio runtime.
    ///
    /// # Errors
    /// When the directory is not there, or the system has no watches left.
    pub fn new(dir: &Path) -> io::Result<Self> {
        // Without a runtime tokio would panic.
        tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(|errno| match errno {
            Errno::EMFILE => io::Error::other("no inotify instances are left (fs.inotify.max_user_instances)"),
            errno => errno.into(),
        })?;
        let in_it = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let itself = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ONLYDIR;
        let directory = inotify.add_watch(dir, in_it | itself).map_err(|errno| match errno {
            Errno::ENOSPC => io::Error::other("no inotify watches are left (fs.inotify.max_user_watches)"),
            errno => errno.into(),
        })?;
        let above = watch_above(&inotify, dir);
        // SAFETY: the descriptor belongs to the value that is handed over, which never gives it away or closes it before it
        // is dropped itself.
        let events = unsafe { AsyncFd::register_with_interest(Events(inotify), Interest::READABLE) };
        let events = events.map_err(|error| error.into_parts().1)?;
        Ok(Self { events, directory, above, hints: RefCell::default() })
    }

    /// Waits for a hint. Cancelling it loses nothing.
    pub async fn hinted(&self) {
        while !self.hints.borrow().any() {
            let Ok(mut ready) = self.events.readable().await else { return std::future::pending().await };
            // Until the kernel has no more: only then does tokio wait for the next.
            loop {
                match ready.try_io(|events| events.get_ref().0.read_events().map_err(Into::into)) {
                    Ok(Ok(events)) => events.into_iter().for_each(|event| self.note(event)),
                    Ok(Err(error)) => {
                        self.fail(&error);
                        ready.clear_ready();
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
    }

    /// Takes the hints so far.
    #[must_use]
    pub fn take(&self) -> Hints {
        loop {
            match self.events.get_ref().0.read_events() {
                Ok(events) => events.into_iter().for_each(|event| self.note(event)),
                Err(Errno::EAGAIN) => break,
                Err(errno) => {
                    self.fail(&errno.into());
                    break;
                }
            }
        }
        self.hints.take()
    }

    fn fail(&self, error: &io::Error) {
        tracing::debug!(%error, "inotify cannot be read");
        let mut hints = self.hints.borrow_mut();
        (hints.look, hints.lost) = (true, true);
    }

    fn note(&self, event: InotifyEvent) {
        let mut hints = self.hints.borrow_mut();
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            (hints.look, hints.lost) = (true, true);
        } else if event.wd == self.directory {
            let epoch = event.name.as_ref().and_then(|name| name.to_str()).and_then(Epoch::from_name);
            match epoch {
                Some(epoch) if event.mask.contains(AddWatchFlags::IN_MOVED_TO) && hints.moved_in.len() < MAX_MOVED => {
                    hints.moved_in.push(epoch);
                }
                Some(_) => hints.look = true,
                // The directory itself was moved or deleted, or its file system unmounted.
                None => hints.look |= event.name.is_none(),
            }
        } else if let Some((above, name)) = &self.above {
            hints.look |= event.wd == *above && event.name.as_ref().is_none_or(|of| of == name);
        }
    }
}

/// A directory that somebody holds open, as we do for the lock, does not tell of its own removal; the one above does. Where
/// that cannot be watched, the timer has to do.
fn watch_above(inotify: &Inotify, dir: &Path) -> Option<(WatchDescriptor, OsString)> {
    use AddWatchFlags as Flags;
    let above = dir.parent()?;
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    let name = dir.file_name()?.to_owned();
    match inotify.add_watch(above, Flags::IN_CREATE | Flags::IN_DELETE | Flags::IN_MOVED_FROM | Flags::IN_MOVED_TO) {
        Ok(descriptor) => Some((descriptor, name)),
        Err(error) => {
            tracing::debug!(directory = %above.display(), %error, "cannot watch the directory above");
            None
        }
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

    #[test]
    fn without_a_runtime_there_is_no_watch_and_no_panic() {
        let base = tempfile::tempdir().unwrap();
        assert!(Watch::new(base.path()).is_err());
    }

    #[tokio::test]
    async fn what_is_not_waited_for_is_taken_all_the_same() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("incoming");
        fs::create_dir(&dir).unwrap();
        let watch = Watch::new(&dir).unwrap();
        fs::create_dir(base.path().join("staged")).unwrap();
        fs::rename(base.path().join("staged"), dir.join("1500000000")).unwrap();
        assert_eq!(watch.take().moved_in, vec![Epoch(1_500_000_000)]);
        assert_eq!(watch.take(), Hints::default());
        // Nothing but other entries: no hint, and no busy loop.
        fs::write(dir.join("foreign"), "").unwrap();
        fs::write(base.path().join("foreign"), "").unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(50), watch.hinted()).await;
        assert!(quiet.is_err(), "{:?}", watch.take());
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
}
