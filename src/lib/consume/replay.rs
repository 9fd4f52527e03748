//! Reads a topic again without joining the group, for `--replay kafka:TOPIC`.
//!
//! Seconds are assembled as a member of the group does it. They are published in `src-dir` one at a time, on request. Offsets are
//! not committed; [`State`] says where another replay would continue.

mod damage;

use super::assembly::Assembly;
use super::client::{Client, Event, Read, is_trouble};
use super::damaged::is_damage;
use super::figures::Shared;
use super::finder::Finder;
use super::places::Position;
use super::reach::{Reach, Verdict};
use super::second::Whole;
use super::spool::Spool;
use super::{PATIENCE, Wish, Wishes};
use crate::config::KafkaSource;
use crate::parcel::Refused;
use crate::snapshot::Epoch;
use crate::snapshot::list::wall_clock;
use crate::snapshot::moment::Span;
use rdkafka::Offset;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io, thread};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How many messages are read in a row before other work is done.
const AT_A_TIME: usize = 500;

/// How long to wait for a message.
const WAIT: Duration = Duration::from_millis(50);

/// How often a second that is ready checks whether it was requested.
const NAP: Duration = Duration::from_millis(10);

/// Most seconds by which the clocks of load balancers and brokers may differ, in case the brokers index messages by the time of their arrival.
const CLOCKS: u64 = 300;

/// After this many searches for messages that cannot be decompressed and are not found, without a message in between, the partitions
/// that are left are given up.
const ATTEMPTS: u32 = 3;

/// Why a topic cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The client or the directory cannot be created.
    #[error(transparent)]
    Start(Box<dyn std::error::Error + Send + Sync>),
    /// The brokers do not describe the topic.
    #[error("the brokers at {brokers} do not describe it")]
    Brokers {
        /// Their addresses.
        brokers: String,
        /// Why.
        source: KafkaError,
    },
    /// The topic does not exist.
    #[error(
        "the brokers at {brokers} have no such topic, or do not show it to this client; name another one, or allow it"
    )]
    NoTopic {
        /// Their addresses.
        brokers: String,
    },
    /// The thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Where to continue reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The first message to read.
    pub offset: i64,
    /// Seconds up to this one were sent, with complete roll-ups.
    pub settled: Option<Epoch>,
}

/// A second that was published, and the size of its files in bytes.
type Entered = (Epoch, u64);

/// The progress of a replay.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Where another replay would continue, by partition.
    pub places: BTreeMap<i32, Place>,
    /// The oldest second that is not delivered completely.
    pub open: Option<Epoch>,
    /// Number of refused messages.
    pub refused: u64,
    /// Number of snapshots of a host with missing files.
    pub incomplete: u64,
    /// Partitions that cannot be read to their end, with the offset at which they stop.
    pub stuck: Vec<(i32, i64)>,
    /// Everything is delivered.
    pub over: bool,
}

/// What [`Replay`] and its thread share.
#[derive(Debug, Clone, Default)]
struct Common {
    wishes: Wishes,
    /// A second was requested.
    wanted: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
}

/// See the module.
#[derive(Debug)]
pub struct Replay {
    common: Common,
    entered: UnboundedReceiver<Entered>,
    thread: thread::JoinHandle<()>,
}

impl Replay {
    /// Looks the topic up and starts reading it. Seconds are published in `src_dir`, which must be empty.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn start(
        config: &KafkaSource,
        src_dir: &Path,
        roll_ups: bool,
        span: Span,
        places: &BTreeMap<i32, Place>,
    ) -> Result<Self, ReplayError> {
        let brokers = config.properties.get("bootstrap.servers").cloned().unwrap_or_default();
        let failed = |source| ReplayError::Brokers { brokers: brokers.clone(), source };
        let spool = Spool::open(src_dir).map_err(|error| ReplayError::Start(error.into()))?;
        let client = Client::beside(config).map_err(|error| ReplayError::Start(error.into()))?;
        let moment = span.from.map(|from| Epoch(from.0.saturating_sub(CLOCKS)));
        let mut begin = client.find(moment).map_err(failed)?;
        if begin.is_empty() {
            return Err(ReplayError::NoTopic { brokers });
        }
        for (number, offset) in &mut begin {
            *offset = places.get(number).map_or(*offset, |place| Offset::Offset(place.offset));
        }
        client.read_from(&begin).map_err(failed)?;
        let mut assembly = Assembly::new(config, roll_ups, Shared::default());
        for number in begin.keys() {
            assembly.seconds.assigned(*number, places.get(number).and_then(|place| place.settled));
        }
        let (sender, entered) = unbounded_channel();
        let common = Common::default();
        common.state().places.clone_from(places);
        let reach = Reach::new(span, begin.keys().copied());
        let (common_too, finder) = (common.clone(), Finder::new(config));
        let reading =
            Reading { assembly, client, spool, reach, common: common_too, entered: sender, finder, attempts: 0 };
        let thread = thread::Builder::new().name("replay".to_owned()).spawn(move || reading.run());
        Ok(Self { common, entered, thread: thread.map_err(ReplayError::Thread)? })
    }

    /// Requests a second.
    pub fn ask(&self) {
        self.common.wanted.store(true, Ordering::Relaxed);
    }

    /// The second that was requested, if it has been published.
    pub(crate) fn entered_now(&mut self) -> Option<Entered> {
        self.entered.try_recv().ok()
    }

    /// Waits for the second that was requested; `None` if there are no more. Cancelling it loses nothing.
    pub(crate) async fn entered(&mut self) -> Option<Entered> {
        self.entered.recv().await
    }

    /// Whether everything is delivered.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.common.state().over
    }

    /// The progress.
    #[must_use]
    pub fn state(&self) -> State {
        self.common.state().clone()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.common.wishes.say(Wish::Leave);
        let until = Instant::now() + PATIENCE;
        while !self.thread.is_finished() && Instant::now() < until {
            thread::sleep(NAP);
        }
    }
}

impl Common {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread.
struct Reading {
    assembly: Assembly,
    client: Client,
    spool: Spool,
    reach: Reach,
    common: Common,
    entered: UnboundedSender<Entered>,
    finder: Finder,
    /// Searches that have found nothing since the last message was read.
    attempts: u32,
}

impl Reading {
    fn run(mut self) {
        while !self.common.wishes.is(Wish::Leave) && !self.is_over() {
            self.turn();
        }
        self.tell();
        self.common.state().over = self.is_over();
    }

    fn is_over(&self) -> bool {
        let seconds = &self.assembly.seconds;
        let nothing_left = seconds.waiting() == 0 && seconds.out() == 0 && self.assembly.is_saved();
        nothing_left && self.reach.open().next().is_none()
    }

    /// Reads on only while no second is ready, so that little waits on the disk.
    fn turn(&mut self) {
        let is_ready = !self.assembly.seconds.ready(Instant::now(), |second| !self.spool.has(second)).is_empty();
        let waits = !self.assembly.is_saved() || (is_ready && !self.common.wanted.load(Ordering::Relaxed));
        self.pause(waits);
        if waits {
            thread::sleep(NAP);
        } else if !is_ready {
            self.read();
        }
        let now = Instant::now();
        self.assembly.try_disk(&mut self.spool, now);
        self.pass_damaged(now);
        self.assembly.seconds.delivered(|second| self.spool.has(second));
        self.assembly.overdue(&mut self.spool, now);
        self.publish(now);
        self.tell();
    }

    fn read(&mut self) {
        let mut time = WAIT;
        for _ in 0..AT_A_TIME {
            let whole = match self.client.poll(time) {
                None => break,
                Some(Ok(read)) => {
                    self.attempts = 0;
                    take(&mut self.assembly, &mut self.reach, &self.common, &read)
                }
                Some(Err(error)) => {
                    self.failed(&error);
                    None
                }
            };
            self.listen();
            if let Some(whole) = whole {
                self.assembly.save(whole, &mut self.spool);
            }
            if !self.assembly.is_saved() || self.assembly.seconds.is_over_full() {
                break;
            }
            time = Duration::ZERO;
        }
    }

    fn failed(&mut self, error: &KafkaError) {
        if let KafkaError::PartitionEOF(partition) = error {
            return self.reach.at_end(*partition, now());
        }
        self.assembly.failed(error);
    }

    fn listen(&mut self) {
        while let Some(event) = self.client.event() {
            match event {
                Event::Trouble(code, reason) if is_damage(code) => self.damaged(&reason),
                Event::Trouble(code, reason) if is_trouble(code) => self.assembly.report.trouble(code, &reason),
                Event::Trouble(code, reason) => tracing::debug!(error = %code, reason, "broker error"),
                Event::Ends(ends, _) => self.reach.ends(&ends, now()),
                Event::Assigned(_) | Event::Revoked(_) | Event::NotCommitted(_) => {}
            }
        }
    }

    fn publish(&mut self, now: Instant) {
        let most = self.assembly.seconds.out() + usize::from(self.common.wanted.load(Ordering::Relaxed));
        for second in self.assembly.publish(&mut self.spool, now, most) {
            self.common.wanted.store(false, Ordering::Relaxed);
            // Without a receiver, the program is shutting down.
            let _ = self.entered.send((second, size(&self.spool.path(second))));
        }
    }

    /// Seconds are not complete because their time is over while nothing is read, or while their partitions are not read to the end: the
    /// rest of them may be the next message, however slow the brokers are.
    fn pause(&mut self, waits: bool) {
        let full = self.assembly.seconds.full();
        if let Err(error) = self.client.pause(&full) {
            tracing::debug!(%error, "cannot pause partitions");
        }
        let mut unread = full;
        if waits {
            unread.extend(self.assembly.seconds.partitions().map(|(number, _)| number));
        }
        unread.extend(self.reach.open().map(|(number, _)| number));
        self.assembly.seconds.pause(&unread, Instant::now());
    }

    fn tell(&mut self) {
        let positions = self.assembly.seconds.positions();
        let (open, figures) = (self.assembly.seconds.oldest(), self.assembly.figures.get());
        let mut state = self.common.state();
        for position in positions {
            let Position { partition, offset, settled } = self.reach.resume(position);
            state.places.insert(partition, Place { offset, settled });
        }
        (state.open, state.refused, state.incomplete) = (open, figures.refused, figures.incomplete);
    }
}

/// Takes a message that is within the span, and returns the host that it completes, if any.
fn take(assembly: &mut Assembly, reach: &mut Reach, common: &Common, read: &Read<'_>) -> Option<Whole> {
    let place @ (partition, offset) = (read.partition, read.offset);
    let verdict = match &read.label {
        Ok(label) => reach.verdict(place, label, now()),
        Err(Refused::Newer(_)) => {
            if reach.stop(partition) {
                common.state().stuck.push(place);
            }
            Verdict::Take
        }
        Err(_) => {
            reach.passed(place, now());
            Verdict::Take
        }
    };
    match verdict {
        Verdict::Take => match assembly.take(read) {
            Ok(whole) => return whole,
            Err(refusal) => {
                assembly.report.refused(&refusal, None);
                assembly.seconds.pass(partition, offset);
                assembly.figures.change(|figures| figures.refused += 1);
            }
        },
        Verdict::Pass => assembly.seconds.pass(partition, offset),
        Verdict::Leave => {}
    }
    None
}

fn now() -> Epoch {
    Epoch(wall_clock().as_secs())
}

/// Size of the files in a directory. An estimate is enough, so errors are ignored.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}
