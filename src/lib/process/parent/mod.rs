//! The parent: one thread that never processes anything itself. It watches the source directory, hands snapshots to workers one
//! at a time, replaces workers, and shuts down on request.

mod assign;
mod custody;
mod death;
mod ends;
mod error;
mod feed;
pub mod figures;
mod heartbeat;
mod order;
mod page;
mod pool;
mod processor;
mod record;
mod renewal;
#[cfg_attr(not(feature = "kafka"), path = "no_source.rs")]
mod source;
pub(super) mod spawn;
mod sums;
mod supervisor;
mod trouble;
mod turns;
mod unconfirmed;

use crate::config::{self, Config};
use crate::daemon::signals::{Signals, Told};
use crate::daemon::systemd;
use crate::dispatch::{graphite, http};
use crate::exit;
use crate::exporter::{self, Door, Scrapes};
use crate::logging::Chain;
use crate::looked::{self, Moment};
use crate::process::statistics;
use crate::process::wire::message::{ToParent, ToWorker};
use crate::queue::Slot;
use crate::snapshot::Epoch;
use crate::snapshot::list::wall_clock;
use custody::Custody;
use death::Death;
pub(crate) use error::StartError;
pub(super) use feed::{Feed, Seen, Turn};
use figures::Totals;
use heartbeat::Heartbeat;
use page::page;
use pool::{Event, Pool, WorkerEvent};
use renewal::Renewal;
use source::Source;
use spawn::Spawner;
use std::ffi::OsString;
use std::time::{Duration, Instant};
use supervisor::{Action, KillReason, Policy, Supervisor};
use tokio::signal::unix::{Signal, SignalKind, signal};
use turns::Turns;
use unconfirmed::{Unconfirmed, Word};

/// How long workers have to deliver what they hold after the first signal to stop. What is not delivered by then stays on disk
/// for the next start.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// If no messages were read for this long, all workers are heard before any is judged.
const ABSENCE: Duration = Duration::from_millis(100);

/// Runs the daemon until it is asked to stop or gives up; returns the exit code. `arguments` is the command line, `text` the
/// configuration as the workers will read it. With a `feed`, it ends when the feed is finished, and does not reload.
///
/// # Errors
/// The daemon cannot start.
pub(super) fn run(
    config: &Config,
    text: &str,
    arguments: Vec<OsString>,
    feed: Option<&mut dyn Feed>,
) -> Result<u8, StartError> {
    graphite::check(config)?;
    http::check(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_park(looked::parks).build()?;
    let spawner = Spawner::new(arguments.clone(), text)?;
    runtime.block_on(async {
        // Before anything else, so that a signal during startup does not kill the program.
        let mut signals = Signals::listen()?;
        let mut child = signal(SignalKind::child())?;
        let mut parent = Parent::new(config, spawner, arguments, feed)?;
        let version = crate::version::line();
        tracing::info!(version, workers = config.process.workers.get(), "haproxystats-process is running");
        Ok(parent.run(&mut signals, &mut child).await)
    })
}

/// The policy for the pool, from the configuration.
fn policy(process: &config::Process) -> Policy {
    Policy {
        workers: process.workers.get(),
        ask_every: process.liveness_check_interval,
        patience: process.worker_timeout,
    }
}

struct Parent<'f> {
    custody: Custody,
    supervisor: Supervisor,
    pool: Pool,
    totals: Totals,
    self_metrics: bool,
    interval: Duration,
    last_stamp: Option<Epoch>,
    /// The newest snapshot that a worker was given.
    newest: Option<Epoch>,
    /// The same, or `None` if an older one was given after it.
    before: Option<Epoch>,
    /// Whose turn it is, for destinations that need snapshots in order.
    turns: Turns,
    leaving: bool,
    /// Whether the last attempt to start a worker failed.
    short: bool,
    heartbeat: Heartbeat,
    unconfirmed: Unconfirmed,
    door: Door,
    scrapes: Scrapes,
    renewal: Renewal,
    source: Source,
    feed: Option<&'f mut dyn Feed>,
}

impl<'f> Parent<'f> {
    fn new(
        config: &Config,
        spawner: Spawner,
        arguments: Vec<OsString>,
        feed: Option<&'f mut dyn Feed>,
    ) -> Result<Self, StartError> {
        let process = &config.process;
        let now = Instant::now();
        statistics::tidy(&process.src_dir, config.exporter.statistics);
        let (scrapes, door) = exporter::start(&config.exporter);
        let custody = Custody::open(&process.src_dir, now)?;
        Ok(Self {
            source: Source::open(config),
            custody,
            supervisor: Supervisor::new(policy(process), Moment::now()),
            pool: Pool::new(spawner),
            totals: Totals::default(),
            self_metrics: process.self_metrics,
            interval: config.pull.pull_interval,
            last_stamp: None,
            newest: None,
            before: None,
            turns: Turns::open(config),
            leaving: false,
            short: false,
            heartbeat: Heartbeat::new(now),
            unconfirmed: Unconfirmed::default(),
            door,
            scrapes,
            renewal: Renewal::new(arguments, process),
            feed,
        })
    }

    async fn run(&mut self, signals: &mut Signals, child: &mut Signal) -> u8 {
        systemd::ready();
        let mut away = Moment::away();
        loop {
            if Moment::away() - away >= ABSENCE {
                looked::turn().await;
                self.listen();
            }
            away = Moment::away();
            let now = Instant::now();
            looked::leave();
            if !self.leaving {
                self.custody.look(now, &mut self.totals);
            }
            let (end, wake) = self.supervise();
            if let Some(code) = end {
                return self.end(code);
            }
            self.renew();
            self.source.look();
            self.totals.consumed = self.source.figures();
            let fed = self.feed(now);
            self.assign(now);
            self.tell_turns();
            let moment = Moment::now();
            let silent = self.supervisor.some_are_silent(moment);
            let figures = || (!silent).then(|| self.totals.dispatchers());
            self.unconfirmed.look(figures, moment).iter().for_each(Word::log);
            self.totals.unconfirmed = self.unconfirmed.count(moment);
            looked::back();
            let mut wake = wake.at().into_std();
            wake = wake.min(self.heartbeat.tell(now, || self.custody.status(self.supervisor.running(), &self.totals)));
            wake = wake.min(self.custody.tell_sums(now));
            if !self.leaving {
                wake = wake.min(self.custody.next_look());
            }
            for due in self.custody.next_due().into_iter().chain(fed) {
                wake = wake.min(due.max(now));
            }
            tokio::select! {
                Some(event) = self.pool.event() => {
                    looked::leave();
                    self.hear(event);
                    self.listen();
                }
                _ = child.recv() => self.listen(),
                told = signals.next() => match told {
                    Told::Hangup if self.leaving || self.feed.is_some() => {}
                    Told::Hangup => {
                        looked::leave();
                        self.reload();
                        looked::back();
                    }
                    _ if self.leaving => {
                        tracing::warn!(signal = %told, "exiting at once");
                        self.pool.kill_all();
                        return self.end(exit::OK);
                    }
                    _ => self.leave(told),
                },
                scrape = self.scrapes.next() => {
                    let workers = self.supervisor.running();
                    let page = page(&self.totals, self.custody.queue(), workers, wall_clock());
                    page::answer(scrape, page, self.door.config().statistics.then(|| self.renewal.src_dir()));
                }
                () = self.custody.hinted(), if !self.leaving => {}
                () = feed::ready(&mut self.feed), if !self.leaving => {}
                () = looked::sleep_until_time(wake.into()) => {}
            }
        }
    }

    /// Reads the messages of workers. The time that this takes (for example on a slow disk, when directories are removed) does
    /// not count against the workers.
    fn listen(&mut self) {
        looked::leave();
        while let Some(event) = self.pool.event_now() {
            self.hear(event);
        }
        self.reap();
        looked::back();
    }

    /// Performs what the supervisor decides. Returns the exit code if the daemon should end, and when to call this again.
    fn supervise(&mut self) -> (Option<u8>, Moment) {
        let now = Moment::now();
        let (actions, mut wake) = self.supervisor.step(now);
        for action in actions {
            // Call this again at once, so that the supervisor sees the result of the action.
            wake = now;
            match action {
                Action::Spawn(slot) => self.spawn(slot, now),
                Action::Ping(slot) => {
                    // A worker that does not get the message will not answer, and is then killed.
                    let _ = self.pool.say(slot, &ToWorker::Ping);
                    self.pool.mark(slot);
                    self.supervisor.pinged(slot, now);
                }
                Action::Kill(slot, why) => {
                    let quiet = self.supervisor.quiet(slot, now);
                    if why == KillReason::Hang
                        && let Some(starved) = self.pool.starved(slot, quiet)
                    {
                        tracing::debug!(
                            worker = slot.0,
                            ?quiet,
                            ?starved,
                            "does not respond, but has had no CPU time either"
                        );
                        self.supervisor.excused(slot, starved, now);
                        continue;
                    }
                    self.pool.kill(slot, Some(why), quiet);
                    self.supervisor.killed(slot);
                    if why == KillReason::Grace {
                        tracing::warn!(worker = slot.0, "did not deliver everything in time; the rest stays on disk");
                    }
                }
                Action::GiveUp => {
                    tracing::error!("workers keep dying before they process anything; giving up");
                    return (Some(exit::WORKERS_FAIL), wake);
                }
                Action::Finished => return (Some(exit::OK), wake),
            }
        }
        (None, wake)
    }

    fn spawn(&mut self, slot: Slot, now: Moment) {
        match self.pool.spawn(slot) {
            Ok(pid) => {
                tracing::info!(worker = slot.0, pid, "started");
                self.short = false;
                self.supervisor.spawned(slot, now);
            }
            Err(error) => {
                let error = Chain(&error);
                if std::mem::replace(&mut self.short, true) {
                    tracing::debug!(worker = slot.0, %error, "{}", Death::NotStarted.words());
                } else {
                    tracing::error!(worker = slot.0, %error, "{}; trying again", Death::NotStarted.words());
                }
                self.supervisor.not_started(slot, now);
            }
        }
    }

    fn hear(&mut self, from: WorkerEvent) {
        let (now, moment) = (Instant::now(), Moment::now());
        let slot = from.slot;
        let Some(worker) = self.pool.of(&from) else { return };
        self.supervisor.heard(slot, moment);
        let message = match &from.event {
            Event::Said(message) => message.clone(),
            Event::Garbled(error) => {
                tracing::error!(worker = slot.0, %error, "invalid message from the worker");
                return self.pool.kill(slot, None, Duration::ZERO);
            }
            Event::Silent => {
                // The worker has ended or is about to; otherwise it is killed for the answer that it owes.
                self.supervisor.asked(slot, moment);
                return self.pool.silent(&from);
            }
        };
        match message {
            ToParent::Room => {
                worker.has_room = worker.stays();
                if !std::mem::replace(&mut worker.started, true) {
                    self.supervisor.answered(slot, moment);
                }
            }
            ToParent::Pong => self.supervisor.ponged(slot, moment),
            ToParent::Counters { dispatcher, counters } => self.totals.heard(slot, dispatcher, *counters),
            ToParent::Rendered(rendered) => {
                if self.custody.rendered(slot, rendered.epoch, rendered.lines) {
                    self.supervisor.answered(slot, moment);
                    self.supervisor.progress(slot);
                    self.totals.rendered(&rendered);
                } else {
                    self.surprised(slot, rendered.epoch);
                }
            }
            ToParent::Settles { epoch, settles } => {
                if !self.custody.settles(slot, epoch, settles) {
                    self.surprised(slot, epoch);
                }
            }
            ToParent::Delivered { dispatcher, epoch } => {
                if !self.delivered(slot, &dispatcher, epoch) {
                    self.surprised(slot, epoch);
                }
            }
            ToParent::Done { epoch, dropped } => {
                let directory = self.custody.directory(epoch);
                if self.custody.done(slot, epoch, dropped, &mut self.totals) {
                    self.turns.done(epoch, directory, self.custody.queue());
                } else {
                    self.surprised(slot, epoch);
                }
            }
            ToParent::Gone(epoch) => {
                self.supervisor.answered(slot, moment);
                self.custody.gone(slot, epoch, &mut self.totals);
            }
            ToParent::Failed { epoch, failure, reason } => {
                self.supervisor.answered(slot, moment);
                self.custody.failed(slot, epoch, failure, &reason, now, &mut self.totals);
            }
        }
    }

    /// A worker refers to a snapshot that it does not have, so nothing that it reports can be trusted.
    fn surprised(&mut self, slot: Slot, epoch: Epoch) {
        tracing::error!(worker = slot.0, snapshot = %epoch, "refers to a snapshot that it was not given");
        self.pool.kill(slot, None, Duration::ZERO);
    }
}
