//! The thread: reads messages, does what [`super::seconds`] decides, and commits offsets.

mod refuse;
mod tell;

use super::aside::Refusal;
use super::client::{Client, Event, Read, is_trouble};
use super::damaged::is_damage;
use super::figures::Shared;
use super::places::Position;
use super::report::Report;
use super::second::{Limits, Whole};
use super::seconds::Seconds;
use super::spool::{Spool, SpoolError};
use super::{Wish, Wishes};
use crate::backoff::{Backoff, jitter};
use crate::config::KafkaSource;
use crate::parcel::Refused;
use crate::snapshot::list::wall_clock;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use refuse::Refusals;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many messages are read in a row before other work is done.
const AT_A_TIME: usize = 500;

/// How long to wait for a message.
const WAIT: Duration = Duration::from_millis(50);

/// How often offsets are committed.
const COMMIT: Duration = Duration::from_millis(500);

/// A turn that takes this long means that the program was stopped, or got no processor time.
const STALL: Duration = Duration::from_secs(2);

/// Pause before writing to the disk is retried.
const DISK: Duration = Duration::from_secs(1);

/// Pauses between attempts to create a client: first one, factor, longest.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// See the module.
pub(super) struct Task {
    config: KafkaSource,
    src_dir: PathBuf,
    seconds: Seconds,
    report: Report,
    wishes: Wishes,
    figures: Shared,
    /// Hosts whose files could not be written yet.
    unsaved: VecDeque<Whole>,
    /// When writing to the disk is retried.
    disk_at: Option<Instant>,
    refusals: Refusals,
    ends: BTreeMap<i32, i64>,
    committed: Vec<Position>,
    committed_at: Instant,
    /// The last turn.
    turned: Instant,
    /// When was last said how things are.
    said: Option<Instant>,
}

impl Task {
    pub(super) fn new(config: KafkaSource, src_dir: &Path, roll_ups: bool, wishes: Wishes, figures: Shared) -> Self {
        let limits = Limits {
            deadline: config.deadline,
            assemble: config.assemble,
            late: config.late.as_secs(),
            buffer: config.buffer_size.get(),
            roll_ups,
        };
        let brokers = config.properties.get("bootstrap.servers").map(String::as_str).unwrap_or_default();
        let report = Report::new(brokers, &config.topic, &config.group);
        let now = Instant::now();
        Self {
            refusals: Refusals::new(&config, src_dir),
            src_dir: src_dir.to_owned(),
            seconds: Seconds::new(limits),
            report,
            wishes,
            figures,
            unsaved: VecDeque::new(),
            disk_at: None,
            ends: BTreeMap::new(),
            committed: Vec::new(),
            committed_at: now,
            turned: now,
            said: None,
            config,
        }
    }

    pub(super) fn run(mut self) {
        let Some(mut spool) = self.persist(|task| Spool::open(&task.src_dir).map_err(|error| task.report.disk(&error)))
        else {
            return;
        };
        self.report.disk_is_well();
        let client = self.persist(|task| Client::new(&task.config).map_err(|error| task.report.no_client(&error)));
        let Some(mut client) = client else { return };
        self.report.well();
        while !self.wishes.is(Wish::Leave) {
            self.turn(&mut client, &mut spool);
        }
        self.seconds.delivered(|second| spool.has(second));
        let positions = self.seconds.positions();
        client.note(&positions);
        // Do not wait for brokers that are unavailable.
        if self.report.is_well()
            && let Err(error) = client.commit(&positions, true)
        {
            tracing::debug!(%error, "offsets not committed at shutdown");
        }
    }

    /// Repeats `attempt` until it succeeds; `None` if the thread should stop first.
    fn persist<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> Result<T, ()>) -> Option<T> {
        let backoff = Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2);
        let mut failures = 0_u32;
        while !self.wishes.is(Wish::Drain) {
            if let Ok(done) = attempt(self) {
                return Some(done);
            }
            failures = failures.saturating_add(1);
            let until = Instant::now() + jitter(backoff.after(failures), fastrand::f64());
            while Instant::now() < until && !self.wishes.is(Wish::Drain) {
                std::thread::sleep(WAIT);
            }
        }
        None
    }

    /// Reads the messages that are available, and does everything that follows from them.
    fn turn(&mut self, client: &mut Client, spool: &mut Spool) {
        let drains = self.wishes.is(Wish::Drain);
        let mut time = WAIT;
        for _ in 0..AT_A_TIME {
            let refusals = self.refusals.partitions().count();
            let read = client.poll(time);
            let nothing = read.is_none();
            let whole = match read {
                None => None,
                Some(Ok(read)) => self.take(client, &read),
                Some(Err(error)) => {
                    self.failed(&error);
                    None
                }
            };
            // Assignments of partitions must be handled before the messages from those partitions.
            self.listen(client, spool);
            if let Some(whole) = whole {
                self.save(whole, spool);
            }
            // What may not be passed is not read on: its partition is paused below.
            let refused = self.refusals.partitions().count() > refusals;
            if nothing || refused || !self.unsaved.is_empty() || self.seconds.is_over_full() {
                break;
            }
            time = Duration::ZERO;
        }
        let now = Instant::now();
        if now.duration_since(std::mem::replace(&mut self.turned, now)) > STALL {
            self.seconds.woke(now);
        }
        self.try_disk(spool, now);
        self.try_refusals(client, now);
        self.seconds.delivered(|second| spool.has(second));
        self.pause(client, drains);
        if !drains {
            self.overdue(spool, now);
            self.publish(spool, now);
        }
        self.commit(client, now);
        self.tell(now);
    }

    fn take(&mut self, client: &Client, read: &Read<'_>) -> Option<Whole> {
        self.report.well();
        let (partition, offset) = (read.partition, read.offset);
        let reason = match &read.label {
            Ok(label) => {
                let taken = self.seconds.take((partition, offset), label, read.payload(), Instant::now(), wall_clock());
                match taken {
                    Ok(whole) => return whole,
                    Err(poison) => poison.to_string(),
                }
            }
            Err(newer @ Refused::Newer(_)) => {
                if self.seconds.hold(partition) {
                    self.report.held(partition, offset, newer);
                }
                return None;
            }
            Err(refused) => refused.to_string(),
        };
        let offsets = offset..offset.saturating_add(1);
        self.refuse(client, Refusal { partition, offsets, reason, content: Some(read.content()) });
        None
    }

    fn failed(&mut self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            None | Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AutoOffsetReset) => {
                tracing::debug!(%error, "while reading");
            }
            Some(code) if is_trouble(code) => self.report.trouble(code, &error.to_string()),
            Some(_) => tracing::debug!(%error, "while reading"),
        }
    }

    fn listen(&mut self, client: &mut Client, spool: &mut Spool) {
        while let Some(event) = client.event() {
            match event {
                Event::Assigned(partitions) => self.assigned(client, &partitions),
                Event::Revoked(partitions) => self.revoked(client, spool, &partitions),
                Event::Trouble(code, reason) if is_damage(code) => self.damaged(&reason),
                Event::Trouble(code, reason) if is_trouble(code) => self.report.trouble(code, &reason),
                Event::Trouble(code, reason) => tracing::debug!(error = %code, reason, "broker error"),
                Event::Ends(ends, connected) => {
                    self.ends = ends;
                    if connected {
                        self.report.connected();
                    }
                }
                Event::NotCommitted(error) => {
                    self.committed.clear();
                    self.report.not_committed(&error);
                }
            }
        }
    }

    fn assigned(&mut self, client: &mut Client, partitions: &[i32]) {
        if partitions.is_empty() {
            return;
        }
        let mut settled = client.settled(partitions);
        for _ in 0..2 {
            if settled.is_ok() || self.wishes.is(Wish::Leave) {
                break;
            }
            settled = client.settled(partitions);
        }
        let settled = settled.unwrap_or_else(|error| {
            tracing::warn!(%error, "committed offsets unknown: roll-ups of a second sent before may be repeated with fewer hosts");
            BTreeMap::new()
        });
        for partition in partitions {
            client.forget(*partition);
            self.seconds.assigned(*partition, settled.get(partition).copied().flatten());
        }
        self.rebalanced();
    }

    fn revoked(&mut self, client: &mut Client, spool: &mut Spool, partitions: &[i32]) {
        for partition in partitions {
            client.forget(*partition);
            self.refusals.forget(*partition);
            self.ends.remove(partition);
            for (serial, host) in self.seconds.revoked(*partition) {
                if let Err(error) = spool.remove(serial, &host) {
                    self.report.disk(&error);
                }
            }
        }
        self.rebalanced();
    }

    fn rebalanced(&mut self) {
        self.figures.change(|figures| figures.rebalances += 1);
        self.report.partitions(&self.seconds.partitions().map(|(number, _)| number).collect());
    }

    /// Writes the files of a host, after those of hosts that are still waiting for the disk.
    fn save(&mut self, whole: Whole, spool: &mut Spool) {
        self.unsaved.push_back(whole);
        if self.disk_at.is_none() {
            self.save_all(spool);
        }
    }

    fn save_all(&mut self, spool: &mut Spool) {
        while let Some(whole) = self.unsaved.pop_front() {
            match self.save_one(&whole, spool) {
                Ok(()) => {}
                Err(error) => {
                    self.report.disk(&error);
                    self.disk_at = Some(Instant::now() + DISK);
                    self.unsaved.push_front(whole);
                    return;
                }
            }
        }
    }

    fn save_one(&mut self, whole: &Whole, spool: &mut Spool) -> Result<(), SpoolError> {
        let Some(serial) = self.seconds.serial(whole.second) else { return Ok(()) };
        spool.store(serial, whole)?;
        if !self.seconds.stored(whole) {
            return spool.remove(serial, &whole.host);
        }
        self.figures.change(|figures| {
            figures.assembled += 1;
            figures.incomplete += u64::from(whole.incomplete);
        });
        if whole.incomplete {
            self.report.incomplete(&whole.host.name, whole.second.0);
        }
        Ok(())
    }

    fn try_disk(&mut self, spool: &mut Spool, now: Instant) {
        if self.disk_at.is_some_and(|at| at <= now) {
            self.disk_at = None;
            self.save_all(spool);
            if self.disk_at.is_none() {
                self.report.disk_is_well();
            }
        }
    }

    fn overdue(&mut self, spool: &mut Spool, now: Instant) {
        let (rest, given_up) = self.seconds.overdue(now);
        if given_up > 0 {
            self.report.given_up(given_up);
            self.figures.change(|figures| figures.incomplete += given_up);
        }
        rest.into_iter().for_each(|whole| self.save(whole, spool));
    }

    fn publish(&mut self, spool: &mut Spool, now: Instant) {
        if self.disk_at.is_some() {
            return;
        }
        for going in self.seconds.ready(now, |second| !spool.has(second)) {
            if self.seconds.out() >= self.config.queue_size.get() {
                break;
            }
            let keep = self.seconds.keeps();
            match spool.publish(&going, keep) {
                Ok(()) => {
                    let hosts = going.hosts.len() + going.again.len();
                    tracing::debug!(second = %going.second, hosts, late = going.late, "assembled");
                    self.figures.change(|figures| figures.late += u64::from(going.late));
                    self.seconds.went(&going, spool.keeps());
                }
                Err(error) => {
                    self.report.disk(&error);
                    self.disk_at = Some(now + DISK);
                    return;
                }
            }
        }
        for second in self.seconds.forget() {
            spool.forget(second);
        }
    }

    fn commit(&mut self, client: &Client, now: Instant) {
        let positions = self.seconds.positions();
        client.note(&positions);
        if positions == self.committed || now.duration_since(self.committed_at) < COMMIT {
            return;
        }
        self.committed_at = now;
        match client.commit(&positions, false) {
            Ok(()) => {
                self.report.committed();
                self.committed = positions;
            }
            Err(error) => self.report.not_committed(&error.to_string()),
        }
    }

    fn pause(&mut self, client: &mut Client, drains: bool) {
        let full = self.seconds.out() >= self.config.queue_size.get();
        self.report.full(full && !drains);
        let all = full || drains || !self.unsaved.is_empty() || self.disk_at.is_some();
        let every = |task: &Self| task.seconds.partitions().map(|(number, _)| number).collect();
        let mut wanted: BTreeSet<i32> = if all { every(self) } else { self.seconds.full() };
        wanted.extend(self.refusals.partitions());
        self.figures.change(|figures| figures.paused = wanted.len() as u64);
        // Without brokers nothing is read either.
        let unread = if self.report.is_well() { wanted.clone() } else { every(self) };
        self.seconds.pause(&unread, Instant::now());
        if let Err(error) = client.pause(&wanted) {
            tracing::debug!(%error, "cannot pause partitions");
        }
    }
}
