//! The thread: reads messages, does what [`super::seconds`] decides, and commits offsets.

use super::client::{Client, Event, Read, is_trouble};
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
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many messages are read in a row before other work is done.
const AT_A_TIME: usize = 500;

/// How long to wait for a message.
const WAIT: Duration = Duration::from_millis(50);

/// How often offsets are committed.
const COMMIT: Duration = Duration::from_millis(500);

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
    ends: BTreeMap<i32, i64>,
    committed: Vec<Position>,
    committed_at: Instant,
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
        Self {
            src_dir: src_dir.to_owned(),
            seconds: Seconds::new(limits),
            report,
            wishes,
            figures,
            unsaved: VecDeque::new(),
            disk_at: None,
            ends: BTreeMap::new(),
            committed: Vec::new(),
            committed_at: Instant::now(),
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
            let read = client.poll(time);
            let nothing = read.is_none();
            let whole = match read {
                None => None,
                Some(Ok(read)) => self.take(&read),
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
            if nothing || !self.unsaved.is_empty() || self.seconds.is_over_full() {
                break;
            }
            time = Duration::ZERO;
        }
        let now = Instant::now();
        self.try_disk(spool, now);
        self.seconds.delivered(|second| spool.has(second));
        if !drains {
            self.overdue(spool, now);
            self.publish(spool, now);
        }
        self.commit(client, now);
        self.pause(client, drains);
        self.tell();
    }

    fn take(&mut self, read: &Read<'_>) -> Option<Whole> {
        self.report.well();
        let (partition, offset) = (read.partition, read.offset);
        let refused: Box<dyn std::error::Error> = match &read.label {
            Ok(label) => {
                let taken = self.seconds.take((partition, offset), label, read.payload(), Instant::now(), wall_clock());
                match taken {
                    Ok(whole) => return whole,
                    Err(poison) => Box::new(poison),
                }
            }
            Err(newer @ Refused::Newer(_)) => {
                if self.seconds.hold(partition) {
                    self.report.held(partition, offset, newer);
                }
                return None;
            }
            Err(refused) => {
                self.seconds.pass(partition, offset);
                Box::new(refused.clone())
            }
        };
        self.report.refused(partition, offset, &*refused);
        self.figures.change(|figures| figures.refused += 1);
        None
    }

    fn failed(&mut self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            None | Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AutoOffsetReset) => {
                tracing::debug!(%error, "while reading");
            }
            // librdkafka retries such a set of messages forever, and does not say which partition it is from.
            Some(RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::BadMessage) => self.report.not_unpacked(error),
            Some(code) if is_trouble(code) => self.report.trouble(code, &error.to_string()),
            Some(_) => tracing::debug!(%error, "while reading"),
        }
    }

    fn listen(&mut self, client: &mut Client, spool: &mut Spool) {
        while let Some(event) = client.event() {
            match event {
                Event::Assigned(partitions) => self.assigned(client, &partitions),
                Event::Revoked(partitions) => self.revoked(client, spool, &partitions),
                Event::Trouble(code, reason) if is_trouble(code) => self.report.trouble(code, &reason),
                Event::Trouble(code, reason) => tracing::debug!(error = %code, reason, "broker error"),
                Event::Ends(ends) => self.ends = ends,
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
        let wanted: BTreeSet<i32> = match all {
            true => self.seconds.partitions().map(|(number, _)| number).collect(),
            false => self.seconds.full(),
        };
        self.figures.change(|figures| figures.paused = wanted.len() as u64);
        self.seconds.pause(&wanted, Instant::now());
        if let Err(error) = client.pause(&wanted) {
            tracing::debug!(%error, "cannot pause partitions");
        }
    }

    fn tell(&mut self) {
        let lag: i64 = self
            .seconds
            .partitions()
            .filter_map(|(number, next)| {
                let committed = self.committed.iter().find(|position| position.partition == number);
                let place = committed.map(|position| position.offset).or(next);
                Some((self.ends.get(&number)? - place?).max(0))
            })
            .sum();
        let partitions = self.seconds.partitions().count() as u64;
        let up = self.report.is_well();
        self.figures.change(|figures| {
            figures.up = up;
            figures.partitions = partitions;
            figures.lag = u64::try_from(lag).unwrap_or_default();
            figures.assembling = self.seconds.waiting() as u64;
            figures.buffered = self.seconds.bytes() as u64;
        });
    }
}
