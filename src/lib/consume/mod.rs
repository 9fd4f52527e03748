//! Reads snapshots from a Kafka topic as a member of a consumer group: assembles them and moves them into `src-dir`, where they
//! become snapshots like any other.
//!
//! ```text
//! topic ─► client ─► seconds (what belongs together) ─► spool (disk) ─► src-dir/<second>/ ─► queue, workers, destinations
//!                      └─ places: what may be committed ◄─ the directory is gone: every destination has it
//! ```
//!
//! Everything here runs on one separate thread in the parent of haproxystats-process. It learns about delivery from what every
//! program can see: the directory that it created is gone. Offsets are committed only after that. So if anything dies, what was
//! not delivered is read again, by this member or another one.

mod aside;
mod assembly;
mod awaited;
mod client;
mod damaged;
mod figures;
mod finder;
mod host;
mod known;
mod places;
mod probe;
mod reach;
mod replay;
mod report;
mod second;
mod seconds;
mod spool;
mod task;

pub use figures::Figures;
pub use probe::probe;
pub(crate) use replay::ReplayError;
pub use replay::{Place, Replay, State};

use crate::config::KafkaSource;
use crate::logging::Chain;
use figures::Shared;
use spool::Spool;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use task::Task;

/// How long to wait for the thread to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the thread should do instead of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Wish {
    /// Read nothing more.
    Drain = 1,
    /// Commit what has been delivered, and leave the group.
    Leave = 2,
}

/// Messages to the thread.
#[derive(Debug, Clone, Default)]
struct Wishes(Arc<AtomicU8>);

impl Wishes {
    fn say(&self, wish: Wish) {
        self.0.fetch_max(wish as u8, Ordering::Relaxed);
    }

    fn is(&self, wish: Wish) -> bool {
        self.0.load(Ordering::Relaxed) >= wish as u8
    }
}

/// The thread.
#[derive(Debug)]
pub struct Source {
    wishes: Wishes,
    figures: Shared,
    thread: JoinHandle<()>,
}

impl Source {
    /// Joins the group. Snapshots go into `src_dir`, to which no other program may write; `roll_ups` says whether they are rolled
    /// up by cluster.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(config: &KafkaSource, src_dir: &Path, roll_ups: bool) -> io::Result<Self> {
        let (wishes, figures) = (Wishes::default(), Shared::default());
        let task = Task::new(config.clone(), src_dir, roll_ups, wishes.clone(), figures.clone());
        let thread = std::thread::Builder::new().name("kafka-source".to_owned()).spawn(move || task.run())?;
        Ok(Self { wishes, figures, thread })
    }

    /// Stops reading, but keeps committing what is delivered.
    pub fn drain(&self) {
        self.wishes.say(Wish::Drain);
    }

    /// Commits what is delivered, and leaves the group, so that others take over at once. Does not wait for that.
    pub fn leave(&self) {
        self.wishes.say(Wish::Leave);
    }

    /// Like [`Self::leave`], but waits for that for a few seconds: it can take long if brokers are unavailable.
    pub fn end(self) {
        self.leave();
        let until = Instant::now() + PATIENCE;
        while !self.has_ended() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.figures.get()
    }

    /// Whether the thread has ended.
    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Removes the snapshots that an earlier run assembled in `src_dir`: they are not committed, and will be read again. Must be
/// called before anything else looks there.
pub fn clean(src_dir: &Path) {
    match Spool::clean(src_dir) {
        Ok(0) => {}
        Ok(snapshots) => {
            tracing::info!(snapshots, "removed snapshots assembled before the restart; they are read from Kafka again")
        }
        Err(error) => tracing::error!(error = %Chain(&error), "sending snapshots assembled before the restart again"),
    }
}
