//! One tick: check the queue, pull the sockets, publish or not, count and log.

mod report;

use super::continuity::Continuity;
use super::ended::Ended;
use super::health::Health;
use super::latency::Latency;
use super::masters::{Masters, Round};
use super::outcome::{Outcome, Standing};
use super::pace::Pace;
use super::poll::{Poller, Slow};
use super::sockets;
use super::step::Step;
use super::sums::Sums;
use crate::config::{self, OnSocketFailure};
use crate::daemon::systemd;
use crate::logging::Chain;
use crate::snapshot::stage::{Published, Snapshot, StageError, Staging};
use crate::snapshot::{Epoch, PULL_COUNTERS};
use crate::telemetry::pull::{Counter, Counters};
use report::{failing, notes};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Everything that lives from tick to tick.
#[derive(Debug)]
pub(super) struct Puller {
    config: config::Pull,
    staging: Staging,
    poller: Poller,
    counters: Counters,
    /// For the page of metrics.
    shown: Rc<RefCell<Shown>>,
    sums: Sums,
    masters: Masters,
    hosts: config::Hosts,
    continuity: Option<Continuity>,
    ended: Option<Ended>,
    latency: Option<Latency>,
    health: Health,
    condition: Condition,
    socket_dir_error: Option<io::ErrorKind>,
    late: bool,
    last: Option<Epoch>,
    /// What is to be known of the sockets of the last pull.
    notes: Vec<String>,
}

/// What the page of metrics shows: how it was after the last tick.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) counters: Counters,
    /// Whether each socket has answered.
    pub(super) sockets: BTreeMap<String, bool>,
}

/// What ticks come to; a change is logged, the rest of the time goes without saying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Publishing,
    Suspended,
    Exists,
    NoSockets,
    SocketsFail,
    DiskFails(io::ErrorKind),
}

impl Puller {
    pub(super) fn new(config: config::Pull, hosts: config::Hosts, staging: Staging, pace: Pace) -> Self {
        let poller = Poller::new(&config, hosts.clone(), pace);
        let mut counters = Counters::default();
        let ended = ended(&config, hosts.clone());
        let continuity = config.continuous_counters.then(|| continuity(&config, hosts.clone(), &mut counters));
        let latency = Latency::of(None, &config, &hosts, &staging, &mut counters);
        Self {
            masters: poller.masters(&config.master_sockets),
            poller,
            hosts,
            continuity,
            ended,
            latency,
            config,
            staging,
            counters,
            shown: Rc::default(),
            sums: Sums::new(),
            health: Health::default(),
            condition: Condition::Publishing,
            socket_dir_error: None,
            late: false,
            last: None,
            notes: Vec::new(),
        }
    }

    /// Goes on with another configuration. Where its directories cannot be used, everything stays as it is.
    pub(super) fn go_on(&mut self, config: config::Pull, hosts: config::Hosts, pace: Pace) -> Result<(), StageError> {
        self.staging.move_to(&config.tmp_dst_dir, &config.dst_dir, config.fsync)?;
        self.poller = Poller::new(&config, hosts.clone(), pace);
        self.masters = self.poller.masters(&config.master_sockets);
        self.continuity = match (self.continuity.take(), config.continuous_counters) {
            (_, false) => None,
            (None, true) => Some(continuity(&config, hosts.clone(), &mut self.counters)),
            (Some(continuity), true) => {
                let (continuity, damaged) = continuity.go_on(&config.dst_dir, hosts.clone(), config.forget_after);
                self.counters.add(Counter::DamagedStates, u64::from(damaged));
                Some(continuity)
            }
        };
        self.ended = ended(&config, hosts.clone());
        self.latency = Latency::of(self.latency.take(), &config, &hosts, &self.staging, &mut self.counters);
        self.hosts = hosts;
        self.config = config;
        Ok(())
    }

    /// What the page of metrics shows.
    pub(super) fn shown(&self) -> Rc<RefCell<Shown>> {
        Rc::clone(&self.shown)
    }

    /// The last second that was published, by this program or the one before it.
    pub(super) fn published(&self) -> Option<Epoch> {
        self.staging.last().max(self.last)
    }

    /// Whether there is a snapshot of this second.
    pub(super) fn has(&self, epoch: Epoch) -> bool {
        self.staging.has(epoch)
    }

    /// Ticks went by without a pull.
    pub(super) fn skipped(&mut self, ticks: u64) {
        self.counters.add(Counter::SkippedTicks, ticks);
        if ticks > 0 && !self.late {
            tracing::warn!(
                ticks,
                "ticks were skipped: pulls take longer than pull-interval, or the program was stopped"
            );
        }
        self.late = ticks > 0;
    }

    /// The wall clock was set.
    pub(super) fn clock_set(&mut self, seconds: f64) {
        self.counters.add(Counter::ClockSet, 1);
        tracing::warn!(seconds, "the wall clock was set; pulling continues with the new time");
    }

    /// Makes the snapshot of this tick. Dropped in the middle, it leaves nothing behind.
    pub(super) async fn tick(&mut self, epoch: Epoch) {
        let condition = match self.pull(epoch).await {
            Ok(condition) => condition,
            Err(StageError::Exists { path }) => {
                if self.condition != Condition::Exists {
                    tracing::warn!(snapshot = %epoch, directory = %path.display(),
                        "nothing is published: there is already a snapshot for this second; the clock went back");
                }
                Condition::Exists
            }
            Err(error) => {
                let condition = Condition::DiskFails(error.kind());
                if self.condition != condition {
                    tracing::error!(snapshot = %epoch, error = %Chain(&error), "nothing is published");
                }
                condition
            }
        };
        match condition {
            Condition::Publishing => {
                self.last = Some(epoch);
                self.staging.remember(epoch, &self.notes);
                Step::Noted.reached();
            }
            Condition::Exists => self.counters.add(Counter::ExistingSnapshots, 1),
            Condition::Suspended => self.counters.add(Counter::SuspendedTicks, 1),
            Condition::NoSockets | Condition::SocketsFail | Condition::DiskFails(_) => {
                self.counters.add(Counter::FailedTicks, 1);
            }
        }
        if condition == Condition::Publishing && self.condition != Condition::Publishing {
            tracing::info!(snapshot = %epoch, "snapshots are published again");
        }
        self.condition = condition;
        self.shown.borrow_mut().counters = self.counters.clone();
        self.sums.tell();
        systemd::status(&format!("{}{}", self.counters.status(self.last), failing(&self.shown.borrow().sockets)));
    }

    async fn pull(&mut self, epoch: Epoch) -> Result<Condition, StageError> {
        let waiting = self.staging.waiting()?;
        self.staging.hold()?;
        self.counters.set(Counter::Waiting, waiting as u64);
        if waiting >= self.config.queue_size.get() {
            if self.condition != Condition::Suspended {
                tracing::error!(snapshots = waiting, directory = %self.config.dst_dir.display(),
                    "queue-size is reached: pulling is suspended until haproxystats-process has delivered some \
                     snapshots");
            }
            return Ok(Condition::Suspended);
        }
        self.counters.add(Counter::Ticks, 1);
        let config = &self.config;
        let (found, scanned) = sockets::find(
            config.socket_dir.as_deref(),
            &config.exclude_sockets,
            &config.servers,
            &config.master_sockets,
        );
        self.socket_dir(scanned);
        let targets = self.poller.admit(found.targets, &found.others);
        self.counters.set(Counter::Sockets, targets.len() as u64);
        self.counters.set(Counter::LeftOutSockets, self.poller.left_out().count() as u64);
        if targets.is_empty() {
            self.report(&[]);
            return Ok(self.no_sockets());
        }
        let snapshot = self.staging.begin(epoch)?;
        Step::Begun.reached();
        let begun = Instant::now();
        let Self { poller, masters, counters, shown, .. } = self;
        let mut slow = |slow: &[Slow]| {
            let seconds = begun.elapsed().as_secs();
            for Slow { name, progress } in slow {
                tracing::warn!(socket = %name, seconds, %progress,
                    "the pull is still waiting for this socket, and nothing is published until it answers, since \
                     pull-timeout is 0");
            }
            counters.add(Counter::SlowSockets, slow.len() as u64);
            shown.borrow_mut().counters = counters.clone();
            let names: Vec<&str> = slow.iter().map(|slow| slow.name.as_str()).collect();
            systemd::status(&format!("waiting for {seconds} s for {}", names.join(", ")));
        };
        let folder = snapshot.folder();
        let further = poller.further_of_workers(epoch);
        let round = poller.round(targets, epoch, &folder, &mut slow);
        let ((outcomes, mut further), mut leaving) = tokio::try_join!(round, masters.round(&folder, further))?;
        leaving.leave_out_live(&outcomes, &self.hosts, &folder)?;
        further += leaving.further;
        self.counters.set(Counter::UnknownFields, self.poller.unknown_fields());
        self.counters.add(Counter::FurtherReplies, further.answered);
        self.counters.add(Counter::RefusedQuestions, further.refused);
        self.counters.add(Counter::FailedQuestions, further.failed);
        self.counters.set(Counter::OldWorkers, leaving.workers.len() as u64);
        self.counters.add(Counter::FailedMasters, leaving.failed);
        self.finish(snapshot, &outcomes, &leaving, begun.elapsed()).await
    }

    fn no_sockets(&self) -> Condition {
        if self.condition != Condition::NoSockets {
            tracing::error!("nothing is published: there are no sockets to pull from");
        }
        Condition::NoSockets
    }

    /// Counts, logs, and publishes where something is to be published.
    async fn finish(
        &mut self,
        snapshot: Snapshot,
        outcomes: &[Outcome],
        leaving: &Round,
        elapsed: Duration,
    ) -> Result<Condition, StageError> {
        let epoch = snapshot.epoch();
        self.report(outcomes);
        let counts = outcomes.iter().filter(|outcome| outcome.standing == Standing::Counts);
        let (count, failed) = (counts.clone().count(), counts.filter(|outcome| outcome.result.is_err()).count());
        let twins = outcomes.iter().filter(|outcome| matches!(outcome.standing, Standing::Twin(_))).count();
        let bytes = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().ok()).sum();
        self.counters.add(Counter::Bytes, bytes);
        self.counters.set_duration(elapsed);
        self.counters.set(Counter::DuplicateSockets, twins as u64);
        self.counters.set(Counter::LeftOutSockets, self.poller.left_out().count() as u64);
        self.notes = notes(outcomes).chain(self.poller.left_out()).collect();
        if count == 0 {
            return Ok(self.no_sockets());
        }
        let keep_rest = self.config.on_socket_failure == OnSocketFailure::KeepRest && failed < count;
        let publish = failed == 0 || keep_rest;
        if publish {
            if let Some(continuity) = &mut self.continuity {
                let continued = continuity.tick(epoch, &snapshot.folder(), outcomes, leaving)?;
                self.counters.add(Counter::Resets, continued.resets);
                self.counters.set(Counter::CarriedProcesses, continued.absent);
                self.counters.add(Counter::DamagedStates, continued.damaged);
                self.counters.add(Counter::UnsavedStates, continued.unsaved);
            }
            if let Some(ended) = &mut self.ended {
                let ended = ended.tick(&snapshot.folder(), outcomes);
                self.counters.add(Counter::EndedObjects, ended);
            }
            if let Some(latency) = &mut self.latency {
                latency.tick(epoch, &snapshot.folder(), outcomes, &leaving.workers, &mut self.counters)?;
            }
            let mut counters = self.counters.clone();
            counters.add(Counter::Published, 1);
            self.publish(snapshot, &counters.render()).await?;
            self.counters = counters;
            self.latency.iter_mut().for_each(Latency::published);
        } else {
            drop(snapshot);
            if self.condition != Condition::SocketsFail {
                tracing::error!(snapshot = %epoch, failed, sockets = count,
                    "nothing is published: sockets failed");
            }
        }
        let elapsed_ms = elapsed.as_millis() as u64;
        let sockets = outcomes.len();
        // Of the first one it is said that it goes well; the others are summed up.
        if self.sums.pulled(publish, failed, bytes, elapsed) {
            tracing::info!(snapshot = %epoch, sockets, failed, twins, bytes, elapsed_ms, published = publish, "pulled");
        } else {
            tracing::debug!(snapshot = %epoch, sockets, failed, twins, bytes, elapsed_ms, published = publish, "pulled");
        }
        Ok(if publish { Condition::Publishing } else { Condition::SocketsFail })
    }

    async fn publish(&mut self, snapshot: Snapshot, counters: &str) -> Result<(), StageError> {
        let folder = snapshot.folder();
        let written = folder.file(PULL_COUNTERS)?.write_all(counters.as_bytes());
        written.map_err(|source| StageError::Write { path: folder.path(PULL_COUNTERS), source })?;
        Step::Counted.reached();
        let published = if self.config.fsync {
            // A slow disk must not keep signals waiting.
            match tokio::task::spawn_blocking(move || snapshot.publish()).await {
                Ok(result) => result?,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        } else {
            snapshot.publish()?
        };
        Step::Published.reached();
        if published == Published::Copied {
            self.staging.move_inside();
        }
        Ok(())
    }
}

/// What counters have reached, as it was kept on disk.
fn continuity(config: &config::Pull, hosts: config::Hosts, counters: &mut Counters) -> Continuity {
    let (continuity, damaged) = Continuity::open(&config.dst_dir, hosts, config.forget_after);
    counters.add(Counter::DamagedStates, u64::from(damaged));
    continuity
}

/// What was in the last snapshot, where those that follow are to say what of it is no more.
fn ended(config: &config::Pull, hosts: config::Hosts) -> Option<Ended> {
    if config.mark_ended {
        return Some(Ended::open(&config.dst_dir, hosts));
    }
    Ended::forget(&config.dst_dir);
    None
}
