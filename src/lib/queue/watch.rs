//! Hints that the source directory has changed. A hint is never the truth: it may be late, lost or wrong, and all that
//! it leads to is a look at the directory.

use crate::snapshot::Epoch;
use notify::event::{CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Debug, Default)]
struct Shared {
    hints: Mutex<Hints>,
    wake: tokio::sync::Notify,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Hints)) {
        // The lock is held for a few assignments only; a panic in between leaves usable hints.
        change(&mut self.hints.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }
}

/// A watch on one directory, by inode: it does not follow when another directory takes the name.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch `dir`. Everything that happens in it after this call leads to a hint.
    ///
    /// # Errors
    /// When the directory is not there, or the system has no watches left.
    pub fn new(dir: &Path) -> notify::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (to, watched) = (Arc::clone(&shared), dir.to_owned());
        let mut watcher = RecommendedWatcher::new(move |event| note(&to, &watched, event), notify::Config::default())?;
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
        // A directory that somebody holds open, as we do for the lock, does not tell of its own removal; the one
        // above does. Where that cannot be watched, the timer has to do.
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty())
            && let Err(error) = watcher.watch(above, RecursiveMode::NonRecursive)
        {
            tracing::debug!(directory = %above.display(), %error, "cannot watch the directory above");
        }
        Ok(Self { shared, _watcher: watcher })
    }

    /// Waits for a hint. Cancelling it loses nothing.
    pub async fn hinted(&self) {
        self.shared.wake.notified().await;
    }

    /// Takes the hints so far.
    #[must_use]
    pub fn take(&self) -> Hints {
        std::mem::take(&mut *self.shared.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
