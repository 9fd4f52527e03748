//! Passes the snapshots of a replay through the daemon.

use super::pace::Pace;
use super::supply::{Inside, Offer, Supply};
use super::tell;
use crate::logging::Chain;
use crate::process::parent::{Feed, Seen, Turn};
use crate::snapshot::moment::Rfc3339;
use crate::snapshot::quarantine;
use std::future::Future;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Most snapshots in the source directory. They stay there until they settle, which takes half a minute by default.
const MOST: usize = 2000;

/// Most bytes of them, unless it is a single one.
const MOST_BYTES: u64 = 1 << 30;

/// Snapshots that may wait for the worker.
const WAITING: usize = 1;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_secs(10);

/// How often progress is saved.
const SAVE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Stream {
    src_dir: PathBuf,
    supply: Box<dyn Supply>,
    pace: Pace,
    /// In the source directory, with their sizes.
    inside: Inside,
    metrics: u64,
    begun: Instant,
    printed: Instant,
    saved: Instant,
    /// A failure to write the progress was reported.
    complained: bool,
    finished: bool,
}

impl Stream {
    pub(super) fn new(src_dir: PathBuf, supply: Box<dyn Supply>, rate: NonZeroU64) -> Self {
        let now = Instant::now();
        Self {
            src_dir,
            supply,
            pace: Pace::new(rate, now),
            inside: Inside::new(),
            metrics: 0,
            begun: now,
            printed: now,
            saved: now,
            complained: false,
            finished: false,
        }
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

    fn save(&mut self, now: Instant) {
        self.saved = now;
        if let Err(error) = self.supply.save(&self.inside)
            && !std::mem::replace(&mut self.complained, true)
        {
            tell(&format!("{}; continuing", Chain(&error)));
        }
    }

    fn progress(&mut self, now: Instant) {
        self.printed = now;
        let progress = self.supply.progress(&self.inside, now.duration_since(self.begun));
        tell(&format!("{progress}; {} in flight, {} metrics", self.inside.len(), self.metrics));
    }

    /// Prints the result; returns whether every snapshot was delivered.
    pub(super) fn end(mut self) -> bool {
        self.leave();
        self.save(Instant::now());
        let failed = quarantine::list(&self.src_dir);
        let summary = self.supply.end(&self.inside, &failed);
        if !self.finished {
            let next = self.supply.first_open(&self.inside);
            tell(&format!("stopped; continue with --from {next} ({})", Rfc3339(next)));
        }
        summary.lines.iter().for_each(|line| tell(line));
        if let Some(first) = failed.first() {
            let count = failed.len();
            tell(&format!("{count} snapshots could not be processed, the first of them {first} ({})", Rfc3339(*first)));
        }
        tell(&format!("replayed {}, {} metrics", summary.replayed, self.metrics));
        self.finished && summary.complete
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
        if now.duration_since(self.printed) >= PROGRESS {
            self.progress(now);
        }
        let held: u64 = self.inside.values().sum();
        let next = self.pace.next();
        let may_come = seen.waiting < WAITING && self.inside.len() < MOST && next <= now;
        let has_room = |bytes: u64| may_come && (held + bytes <= MOST_BYTES || held == 0);
        let wake = now + SAVE;
        match self.supply.next(now, &has_room) {
            Offer::Entered(epoch, bytes) => {
                self.inside.insert(epoch, bytes);
                Turn::Fed(epoch)
            }
            Offer::Exhausted if self.inside.is_empty() => {
                self.finished = true;
                Turn::Finished
            }
            // Otherwise, a message from the worker wakes the daemon when there is room.
            Offer::Full if next > now => Turn::Wait(wake.min(next)),
            Offer::Full | Offer::Later | Offer::Exhausted => Turn::Wait(wake),
        }
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        self.supply.ready()
    }
}
