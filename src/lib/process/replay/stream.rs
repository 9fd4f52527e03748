//! The snapshots of a replay, on their way through the daemon.

use super::feeder::{Feeder, Unpacked};
use super::note::Note;
use super::pace::Pace;
use super::settings::src_dir;
use super::tell;
use crate::archive::{Scratch, Stored};
use crate::logging::Chain;
use crate::process::parent::{Feed, Seen, Turn};
use crate::snapshot::moment::Rfc3339;
use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, disk, quarantine};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Most snapshots in the source directory: they wait there until they settle, half a minute by default.
const MOST: usize = 2000;

/// Most bytes of them, unless it is a single one.
const MOST_BYTES: u64 = 1 << 30;

/// Snapshots that may wait for the worker.
const WAITING: usize = 1;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_secs(10);

/// How often it is written down.
const SAVE: Duration = Duration::from_secs(1);

/// Pause before a snapshot for which there was no room on the disk is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Stream {
    src_dir: PathBuf,
    feeder: Feeder,
    pace: Pace,
    note: Note,
    /// In order; those from `next` on are not in the source directory yet.
    snapshots: Vec<Stored>,
    next: usize,
    /// That of `next`.
    stage: Stage,
    /// In the source directory, with their sizes.
    inside: BTreeMap<Epoch, u64>,
    /// A result of the feeder that was waited for.
    result: Option<Unpacked>,
    bad: Vec<Epoch>,
    metrics: u64,
    begun: Instant,
    told: Instant,
    saved: Instant,
    /// It was said that there is no room, or that progress cannot be written down.
    complained: bool,
    finished: bool,
}

/// How far the next snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Packed { not_before: Instant },
    Unpacking,
    Unpacked { bytes: u64 },
}

impl Stream {
    pub(super) fn new(
        scratch: &Scratch,
        snapshots: Vec<Stored>,
        rate: NonZeroU64,
        origin: Origin,
        note: Note,
    ) -> io::Result<Self> {
        let (src_dir, staging) = (src_dir(scratch), scratch.path().join("staging"));
        disk::make(&staging)?;
        let now = Instant::now();
        let feeder = Feeder::start(&staging, origin)?;
        let (pace, stage) = (Pace::new(rate, now), Stage::Packed { not_before: now });
        Ok(Self {
            src_dir,
            feeder,
            pace,
            note,
            snapshots,
            next: 0,
            stage,
            inside: BTreeMap::new(),
            result: None,
            bad: Vec::new(),
            metrics: 0,
            begun: now,
            told: now,
            saved: now,
            complained: false,
            finished: false,
        })
    }

    /// Notes which snapshots have left the source directory: delivered, or in quarantine.
    fn leave(&mut self) {
        while let Some((epoch, _)) = self.inside.first_key_value() {
            let epoch = *epoch;
            if self.src_dir.join(epoch.to_string()).exists() {
                break;
            }
            self.inside.pop_first();
        }
    }

    /// The first snapshot that is not done; behind the last when all are.
    fn first_open(&self) -> Epoch {
        let next = self.snapshots.get(self.next).map(|stored| stored.epoch);
        let last = self.snapshots.last().map_or(0, |stored| stored.epoch.0);
        self.inside.keys().next().copied().or(next).unwrap_or(Epoch(last + 1))
    }

    fn done(&self) -> usize {
        self.next - self.inside.len()
    }

    /// Takes what the feeder has; a bad archive costs nothing else.
    fn unpacked(&mut self, unpacked: Unpacked, now: Instant) {
        self.stage = match unpacked {
            Ok(bytes) => Stage::Unpacked { bytes },
            Err(error) if error.is_of_the_system() => {
                if !std::mem::replace(&mut self.complained, true) {
                    tell(&format!("{}; trying again", Chain(&error)));
                }
                Stage::Packed { not_before: now + RETRY }
            }
            Err(error) => {
                tell(&format!("skipped: {}", Chain(&error)));
                self.bad.extend(self.snapshots.get(self.next).map(|stored| stored.epoch));
                self.next += 1;
                Stage::Packed { not_before: now }
            }
        };
    }

    fn has_room(&self, seen: Seen, bytes: u64) -> bool {
        let held: u64 = self.inside.values().sum();
        seen.waiting < WAITING && self.inside.len() < MOST && (held + bytes <= MOST_BYTES || held == 0)
    }

    /// Moves the snapshot that is unpacked into the source directory.
    fn enter(&mut self, bytes: u64, now: Instant) -> Option<Epoch> {
        let stored = self.snapshots.get(self.next)?;
        let (from, to) = (self.feeder.path(stored), self.src_dir.join(stored.epoch.to_string()));
        if let Err(error) = disk::rename_new(&from, &to) {
            tell(&format!("cannot move {} to {}: {error}", from.display(), to.display()));
            let _ = disk::remove_directory(&from);
            self.stage = Stage::Packed { not_before: now + RETRY };
            return None;
        }
        self.inside.insert(stored.epoch, bytes);
        let epoch = stored.epoch;
        self.next += 1;
        self.stage = Stage::Packed { not_before: now };
        Some(epoch)
    }

    fn save(&mut self, now: Instant) {
        self.saved = now;
        if let Err(error) = self.note.save(self.first_open())
            && !std::mem::replace(&mut self.complained, true)
        {
            tell(&format!("{}; going on", Chain(&error)));
        }
    }

    fn progress(&mut self, now: Instant) {
        self.told = now;
        let (done, all) = (self.done(), self.snapshots.len());
        let mut line = format!("{done} of {all} snapshots, up to {}", Rfc3339(self.first_open()));
        line.push_str(&format!("; {} in flight, {} metrics", self.inside.len(), self.metrics));
        if !self.bad.is_empty() {
            line.push_str(&format!(", {} skipped", self.bad.len()));
        }
        if let (Ok(done @ 1..), Ok(left)) = (u32::try_from(done), u32::try_from(all - done)) {
            let left = now.duration_since(self.begun) / done * left;
            line.push_str(&format!("; about {} s left", left.as_secs()));
        }
        tell(&line);
    }

    /// Says how it has ended; whether every snapshot was delivered.
    pub(super) fn end(mut self) -> bool {
        self.leave();
        self.save(Instant::now());
        let (done, all) = (self.done(), self.snapshots.len());
        if !self.finished {
            let next = self.first_open();
            tell(&format!("stopped: {done} of {all} snapshots are done; go on with --from {next} ({})", Rfc3339(next)));
        }
        let failed = quarantine::list(&self.src_dir);
        for (epochs, what) in [(&self.bad, "could not be read"), (&failed, "could not be processed")] {
            if let Some(first) = epochs.first() {
                tell(&format!("{} snapshots {what}, the first of them {first} ({})", epochs.len(), Rfc3339(*first)));
            }
        }
        let sent = done.saturating_sub(self.bad.len() + failed.len());
        tell(&format!("replayed {sent} of {all} snapshots, {} metrics", self.metrics));
        self.finished && sent == all
    }
}

impl Feed for Stream {
    fn turn(&mut self, now: Instant, seen: Seen) -> Turn {
        self.metrics = seen.lines;
        self.pace.count(seen.lines, now);
        self.leave();
        if now.duration_since(self.saved) >= SAVE {
            self.save(now);
        }
        if now.duration_since(self.told) >= PROGRESS {
            self.progress(now);
        }
        if self.stage == Stage::Unpacking
            && let Some(unpacked) = self.result.take().or_else(|| self.feeder.result_now())
        {
            self.unpacked(unpacked, now);
        }
        let mut wake = now + SAVE;
        match (self.stage, self.snapshots.get(self.next)) {
            (Stage::Packed { not_before }, Some(stored)) if not_before <= now => {
                self.feeder.ask(stored);
                self.stage = Stage::Unpacking;
            }
            (Stage::Unpacked { bytes }, Some(_)) if self.has_room(seen, bytes) && self.pace.next() <= now => {
                if let Some(epoch) = self.enter(bytes, now) {
                    return Turn::Fed(epoch);
                }
            }
            // Otherwise the worker says something when there is room.
            (Stage::Unpacked { .. }, Some(_)) if self.pace.next() > now => wake = wake.min(self.pace.next()),
            (_, None) if self.inside.is_empty() => {
                self.finished = true;
                return Turn::Finished;
            }
            _ => {}
        }
        Turn::Wait(wake)
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            match self.feeder.result().await {
                Some(unpacked) => self.result = Some(unpacked),
                // The thread has died, which it does not.
                None => std::future::pending().await,
            }
        })
    }
}
