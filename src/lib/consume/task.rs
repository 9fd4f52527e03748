//! The thread: reads messages, does what [`super::seconds`] decides, and commits offsets.

mod refuse;
mod tell;

use super::assembly::Assembly;
use super::awaited::Awaited;
use super::client::{Client, Event, is_trouble};
use super::damaged::is_damage;
use super::figures::Shared;
use super::places::Position;
use super::spool::Spool;
use super::{Wish, Wishes};
use crate::backoff::{Backoff, jitter};
use crate::config::KafkaSource;
use refuse::Refusals;
use std::collections::{BTreeMap, BTreeSet};
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

/// How long to wait at the end for an answer of the brokers.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Pauses between attempts to create a client: first one, factor, longest.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// See the module.
pub(super) struct Task {
    config: KafkaSource,
    src_dir: PathBuf,
    assembly: Assembly,
    awaited: Awaited,
    wishes: Wishes,
    refusals: Refusals,
    ends: BTreeMap<i32, i64>,
    committed: Vec<Position>,
    committed_at: Instant,
    /// The time of the last turn.
    turned: Instant,
    /// When the file for `--status` was last written.
    status_at: Option<Instant>,
}

impl Task {
    pub(super) fn new(config: KafkaSource, src_dir: &Path, roll_ups: bool, wishes: Wishes, figures: Shared) -> Self {
        let now = Instant::now();
        Self {
            refusals: Refusals::new(&config, src_dir),
            src_dir: src_dir.to_owned(),
            assembly: Assembly::new(&config, roll_ups, figures),
            awaited: Awaited::default(),
            wishes,
            ends: BTreeMap::new(),
            committed: Vec::new(),
            committed_at: now,
            turned: now,
            status_at: None,
            config,
        }
    }

    pub(super) fn run(mut self) {
        let Some(mut spool) =
            self.persist(|task| Spool::open(&task.src_dir).map_err(|error| task.assembly.report.disk(&error)))
        else {
            return;
        };
        self.assembly.report.disk_is_well();
        let client =
            self.persist(|task| Client::new(&task.config).map_err(|error| task.assembly.report.no_client(&error)));
        let Some(mut client) = client else { return };
        self.assembly.report.well();
        while !self.wishes.is(Wish::Leave) {
            self.turn(&mut client, &mut spool);
        }
        self.assembly.seconds.delivered(|second| spool.has(second));
        let positions = self.assembly.seconds.positions();
        client.note(&positions);
        // Do not wait for brokers that are unavailable.
        if self.assembly.report.is_well() {
            self.awaited.end(LAST_ANSWER);
            if let Err(error) = client.commit(&positions, true) {
                tracing::debug!(%error, "offsets not committed at shutdown");
            }
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
                Some(Ok(read)) => self.assembly.take(&read).unwrap_or_else(|refusal| {
                    self.refuse(client, refusal);
                    None
                }),
                Some(Err(error)) => {
                    self.assembly.failed(&error);
                    None
                }
            };
            // Assignments of partitions must be handled before the messages from those partitions.
            self.listen(client, spool);
            if let Some(whole) = whole {
                self.assembly.save(whole, spool);
            }
            // A partition whose refused message cannot be set aside is paused below.
            let refused = self.refusals.partitions().count() > refusals;
            if nothing || refused || !self.assembly.is_saved() || self.assembly.seconds.is_over_full() {
                break;
            }
            time = Duration::ZERO;
        }
        let now = Instant::now();
        if now.duration_since(std::mem::replace(&mut self.turned, now)) > STALL {
            self.assembly.seconds.woke(now);
        }
        self.assembly.try_disk(spool, now);
        self.try_refusals(client, now);
        if !drains {
            self.begin(client, now);
        }
        self.assembly.seconds.delivered(|second| spool.has(second));
        self.pause(client, drains);
        if !drains {
            self.assembly.overdue(spool, now);
            self.assembly.publish(spool, now, self.config.queue_size.get());
        }
        self.commit(client, now);
        self.tell(now);
    }

    fn listen(&mut self, client: &mut Client, spool: &mut Spool) {
        while let Some(event) = client.event() {
            match event {
                Event::Assigned(partitions) => self.assigned(client, &partitions),
                Event::Revoked(partitions) => self.revoked(client, spool, &partitions),
                Event::Trouble(code, reason) if is_damage(code) => self.damaged(&reason),
                Event::Trouble(code, reason) if is_trouble(code) => self.assembly.report.trouble(code, &reason),
                Event::Trouble(code, reason) => tracing::debug!(error = %code, reason, "broker error"),
                Event::Ends(ends, connected) => {
                    self.ends = ends;
                    if connected {
                        self.assembly.report.connected();
                    }
                }
                Event::NotCommitted(error) => {
                    self.committed.clear();
                    self.assembly.report.not_committed(&error);
                }
            }
        }
    }

    fn assigned(&mut self, client: &mut Client, partitions: &[i32]) {
        if partitions.is_empty() {
            return;
        }
        if let Err(error) = client.hold(partitions) {
            tracing::debug!(%error, "cannot pause partitions that were assigned");
        }
        partitions.iter().for_each(|partition| self.assembly.seconds.awaited(*partition));
        self.awaited.add(partitions);
        self.rebalanced();
    }

    /// Begins to read partitions that were assigned, once it is known what is committed of them.
    fn begin(&mut self, client: &Client, now: Instant) {
        let (known, mut failed) = self.awaited.ask(now, |partitions| client.ask(partitions));
        let any = !known.is_empty();
        for (partition, committed) in known {
            match client.begin(partition, committed) {
                Ok(()) => {
                    self.awaited.remove(partition);
                    self.assembly.seconds.assigned(partition, committed.settled);
                }
                // It has not started yet, or the brokers are about to revoke it.
                Err(error) => failed = Some(format!("partition {partition}: {error}")),
            }
        }
        if let Some(error) = failed {
            self.awaited.failed(now);
            self.assembly.report.not_begun(&error);
        } else if any {
            self.awaited.succeeded();
            self.assembly.report.begun();
        }
    }

    fn revoked(&mut self, client: &mut Client, spool: &mut Spool, partitions: &[i32]) {
        for partition in partitions {
            client.forget(*partition);
            self.awaited.remove(*partition);
            self.refusals.forget(*partition);
            self.ends.remove(partition);
            let void = self.assembly.seconds.revoked(*partition);
            self.assembly.discard(void, spool);
        }
        self.rebalanced();
    }

    fn rebalanced(&mut self) {
        self.assembly.figures.change(|figures| figures.rebalances += 1);
        self.assembly.report.partitions(&self.assembly.seconds.partitions().map(|(number, _)| number).collect());
    }

    fn commit(&mut self, client: &Client, now: Instant) {
        let positions = self.assembly.seconds.positions();
        client.note(&positions);
        if positions == self.committed || now.duration_since(self.committed_at) < COMMIT {
            return;
        }
        self.committed_at = now;
        if !self.committed.is_empty() {
            // Only failures are reported, and this one has not failed.
            self.assembly.report.committed();
        }
        match client.commit(&positions, false) {
            Ok(()) => self.committed = positions,
            Err(error) => self.assembly.report.not_committed(&error.to_string()),
        }
    }

    fn pause(&mut self, client: &mut Client, drains: bool) {
        let full = self.assembly.seconds.out() >= self.config.queue_size.get();
        if !drains {
            self.assembly.report.full(full, Instant::now());
        }
        let all = full || drains || !self.assembly.is_saved();
        let every = |task: &Self| task.assembly.seconds.partitions().map(|(number, _)| number).collect();
        let mut wanted: BTreeSet<i32> = if all { every(self) } else { self.assembly.seconds.full() };
        wanted.extend(self.refusals.partitions());
        self.assembly.figures.change(|figures| figures.paused = wanted.len() as u64);
        // Without brokers, nothing is read at all.
        let unread = if self.assembly.report.is_well() { wanted.clone() } else { every(self) };
        self.assembly.seconds.pause(&unread, Instant::now());
        if let Err(error) = client.pause(&wanted) {
            tracing::debug!(%error, "cannot pause partitions");
        }
    }
}
