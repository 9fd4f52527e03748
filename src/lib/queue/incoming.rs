//! The source directory as a source of snapshots: watched, looked at again whenever a hint may have been lost, waited
//! for when it is gone, and locked so that two daemons do not process the same snapshots.
//!
//! Order matters: first the watch, then the look; so nothing falls between the two. The directory is identified by
//! device and inode: when another one takes its name (deleted and made again, replaced, mounted or unmounted), it is
//! watched and scanned again.
//!
//! When is a snapshot complete? One that was renamed into the directory is, at once. One that was created in place
//! (copied by hand, or by a writer that does not rename) announces nothing when it is complete; it is taken when
//! neither it nor a file in it has changed for [`SETTLE`]. The same holds for a snapshot that is found by a look
//! without having been announced, since nobody saw how it came.

use super::watch::{Hints, Watch};
use crate::logging::Chain;
use crate::snapshot::Epoch;
use crate::snapshot::list::{Listing, Place, identity, last_change, list, place_behind, wall_clock};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A snapshot that was not renamed into place must be left alone for this long before it counts as complete.
pub const SETTLE: Duration = Duration::from_secs(3);
/// Time between two looks at the whole directory when all is well: the safety net under the watch.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Time between two looks while the directory is missing or cannot be watched, or a snapshot has to settle.
pub(crate) const LOOK_OFTEN: Duration = Duration::from_secs(1);

/// Why the daemon cannot start on this directory.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// Two daemons on one directory would process everything twice.
    #[error("another haproxystats-process is already processing {}", path.display())]
    Locked {
        /// The source directory.
        path: PathBuf,
    },
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Complete snapshots that were not known before.
    pub arrived: Vec<Epoch>,
    /// Every snapshot in the directory, complete or not; `None` when only hints were followed, or when the directory cannot
    /// be read, which says nothing about what is in it.
    pub present: Option<BTreeSet<Epoch>>,
    /// Removals to finish.
    pub leftovers: Vec<Epoch>,
    /// Names of snapshots to put back.
    pub withdrawn: Vec<String>,
    /// The directory turned out to be another one, or events were lost.
    pub rescued: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Watched,
    Polled(String),
    Missing(String),
    Unreadable(String),
    Locked,
}

#[derive(Debug)]
struct Opened {
    place: Place,
    watch: Result<Watch, String>,
    // Keeps the lock for as long as this directory is ours. Closed on exec, so that no worker holds it.
    _lock: Option<File>,
}

#[derive(Debug, Clone, Copy)]
struct Unsettled {
    changed: Duration,
    since: Instant,
}

/// The source directory.
#[derive(Debug)]
pub struct Incoming {
    path: PathBuf,
    state: Option<State>,
    opened: Option<Opened>,
    unsettled: HashMap<Epoch, Unsettled>,
    next_look: Instant,
    rewatch_at: Instant,
    foreign: usize,
}

impl Incoming {
    /// Watches and locks the directory. One that is missing is waited for.
    ///
    /// # Errors
    /// When another daemon has it.
    pub fn open(path: &Path, now: Instant) -> Result<Self, IncomingError> {
        let mut incoming = Self {
            path: path.to_owned(),
            state: None,
            opened: None,
            unsettled: HashMap::new(),
            next_look: now,
            rewatch_at: now,
            foreign: 0,
        };
        if let Err(error) = incoming.check(now) {
            incoming.enter(State::Unreadable(error.to_string()));
        }
        match incoming.state {
            Some(State::Locked) => Err(IncomingError::Locked { path: path.to_owned() }),
            _ => Ok(incoming),
        }
    }

    /// Waits until a look may find something. Cancelling it loses nothing.
    pub(crate) async fn hinted(&self) {
        match self.watch() {
            Some(watch) => watch.hinted().await,
            None => std::future::pending().await,
        }
    }

    /// When to look at the latest.
    #[must_use]
    pub(crate) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Snapshots that are there, and may not be complete yet.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = Epoch> + '_ {
        self.unsettled.keys().copied()
    }

    /// Follows the hints, and looks at the whole directory when that is due. `known` says which snapshots the caller
    /// has already.
    pub fn look(&mut self, now: Instant, known: impl Fn(Epoch) -> bool) -> Look {
        let hints = self.hints();
        let mut look = Look { rescued: hints.lost, ..Look::default() };
        if hints.lost {
            tracing::warn!(directory = %self.path.display(), "events were lost; scanning the whole directory");
        }
        if hints.look || now >= self.next_look {
            self.next_look = now + LOOK_OFTEN;
            match self.check(now) {
                Ok(another) => look.rescued |= another,
                // It cannot be known now what is in it.
                Err(error) => {
                    self.enter(State::Unreadable(error.to_string()));
                    return look;
                }
            }
            // Whatever was announced before this moment is in the list as well.
            let announced: HashSet<Epoch> = hints.moved_in.into_iter().chain(self.hints().moved_in).collect();
            self.look_at_all(now, &announced, known, &mut look);
        } else {
            for epoch in hints.moved_in {
                let there = identity(&self.path.join(epoch.to_string()));
                if matches!(there, Ok(Some(_))) && !known(epoch) && !look.arrived.contains(&epoch) {
                    self.unsettled.remove(&epoch);
                    look.arrived.push(epoch);
                }
            }
        }
        look
    }

    fn hints(&self) -> Hints {
        // The last of them is that no more will come.
        let watch = self.opened.as_ref().and_then(|opened| opened.watch.as_ref().ok());
        watch.map(Watch::take).unwrap_or_default()
    }

    fn watch(&self) -> Option<&Watch> {
        self.opened.as_ref().and_then(|opened| opened.watch.as_ref().ok()).filter(|watch| watch.is_alive())
    }

    /// Makes sure that what is watched is what bears the name. True when another directory had taken it. An error says that
    /// this cannot be known now; what is watched and locked stays so.
    fn check(&mut self, now: Instant) -> io::Result<bool> {
        let Some(found) = place_behind(&self.path)? else {
            self.opened = None;
            self.enter(State::Missing("there is no such directory".to_owned()));
            return Ok(false);
        };
        let same = self.opened.as_ref().is_some_and(|opened| opened.place == found);
        if same && (self.watch().is_some() || now < self.rewatch_at) {
            return Ok(false);
        }
        self.rewatch_at = now + LOOK_EVERY;
        let first = self.state.is_none();
        let lock = match self.opened.take() {
            Some(Opened { _lock: lock, .. }) if same => lock,
            _ => match lock(&self.path) {
                Ok(lock) => lock,
                Err(IncomingError::Locked { .. }) => {
                    self.rewatch_at = now;
                    self.enter(State::Locked);
                    return Ok(false);
                }
            },
        };
        let watch = Watch::new(&self.path).map_err(|error| Chain(&error).to_string());
        self.opened = Some(Opened { place: found, watch, _lock: lock });
        Ok(!same && !first)
    }

    /// Logs a change of state, once.
    fn enter(&mut self, state: State) {
        if self.state.as_ref() == Some(&state) {
            return;
        }
        let directory = self.path.display();
        match &state {
            State::Watched => tracing::info!(%directory, "watching for snapshots"),
            State::Polled(error) => {
                tracing::warn!(%directory, %error, "cannot watch the directory; scanning it every second instead");
            }
            State::Missing(error) => {
                tracing::error!(%directory, %error, "cannot find snapshots; waiting for the directory");
            }
            State::Unreadable(error) => {
                tracing::error!(%directory, %error, "cannot scan for snapshots now; trying again");
            }
            State::Locked => tracing::error!(%directory, "another haproxystats-process uses the directory; waiting"),
        }
        self.state = Some(state);
    }

    fn look_at_all(
        &mut self,
        now: Instant,
        announced: &HashSet<Epoch>,
        known: impl Fn(Epoch) -> bool,
        look: &mut Look,
    ) {
        let state = match &self.opened {
            None => {
                look.present = Some(BTreeSet::new());
                return;
            }
            Some(Opened { watch: Ok(watch), .. }) if watch.is_alive() => State::Watched,
            Some(Opened { watch: Ok(_), .. }) => State::Polled("the watcher thread has ended".to_owned()),
            Some(Opened { watch: Err(error), .. }) => State::Polled(error.clone()),
        };
        let listing = match list(&self.path) {
            Ok(listing) => listing,
            // Gone since the check.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.enter(State::Unreadable(error.to_string())),
        };
        self.enter(state);
        self.report_foreign(&listing);
        self.unsettled.retain(|epoch, _| listing.snapshots.contains(epoch));
        for epoch in listing.snapshots.iter().copied().filter(|epoch| !known(*epoch)) {
            if announced.contains(&epoch) || self.settled(epoch, now) {
                self.unsettled.remove(&epoch);
                look.arrived.push(epoch);
            }
        }
        look.present = Some(listing.snapshots);
        look.leftovers = listing.leftovers;
        look.withdrawn = listing.withdrawn;
        if self.unsettled.is_empty() && self.state == Some(State::Watched) {
            self.next_look = now + LOOK_EVERY;
        }
    }

    /// Whether nothing has changed in a snapshot for long enough, by the file system's times or by our own watching
    /// (after a jump of the clock the former may lie in the future for hours).
    fn settled(&mut self, epoch: Epoch, now: Instant) -> bool {
        let Ok(changed) = last_change(&self.path.join(epoch.to_string())) else {
            // Vanished again, or not readable: a worker will say so.
            return true;
        };
        if wall_clock().checked_sub(changed).is_some_and(|age| age >= SETTLE) {
            return true;
        }
        let seen = self.unsettled.entry(epoch).or_insert(Unsettled { changed, since: now });
        if seen.changed != changed {
            *seen = Unsettled { changed, since: now };
        }
        now.duration_since(seen.since) >= SETTLE
    }

    fn report_foreign(&mut self, listing: &Listing) {
        if listing.foreign > self.foreign {
            let example = listing.foreign_example.as_deref().unwrap_or_default();
            let directory = self.path.display();
            tracing::warn!(%directory, count = listing.foreign, example, "ignoring entries that are not snapshots");
            self.foreign = listing.foreign;
        }
        if listing.foreign == 0 {
            self.foreign = 0;
        }
    }
}

/// Locks the directory itself: no file is left behind, and the lock ends with the process, however it ends.
fn lock(path: &Path) -> Result<Option<File>, IncomingError> {
    let locked = File::open(path).and_then(|dir| match dir.try_lock() {
        Ok(()) => Ok(Some(dir)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    match locked {
        Ok(Some(dir)) => Ok(Some(dir)),
        Ok(None) => Err(IncomingError::Locked { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            // Some network file systems cannot lock a directory.
            tracing::warn!(directory = %path.display(), %error,
                "cannot lock the directory; make sure that only one haproxystats-process uses it");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
