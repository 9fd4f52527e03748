//! haproxystats-pull: asks HAProxy's sockets at every tick and publishes what they answer as one snapshot.
//!
//! [`Pull::open`] has the directories ready and nothing running; [`Pull::run`] pulls until a signal comes. SIGHUP has it read its
//! configuration again between two pulls.

mod answer;
pub mod ask;
pub mod check;
mod continuity;
mod ended;
pub mod failure;
mod further;
#[cfg(feature = "top")]
pub mod gather;
mod gathering;
pub mod health;
mod job;
mod latency;
mod masters;
pub mod outcome;
pub mod pace;
mod pages;
pub mod poll;
mod rules;
pub mod schedule;
pub mod sockets;
mod step;
mod stop;
mod strangers;
mod sums;
mod tick;
mod twins;
mod unknown;

use crate::cli::{Action, Arguments};
use crate::config::load::Loaded;
use crate::config::problem::{Problem, Report};
use crate::config::{self, Program, check_directories_pull};
use crate::daemon::{host, signals, systemd};
use crate::exit;
use crate::exporter::{Page, Served};
use crate::haproxy::setup::setup;
use crate::logging::{self, Chain, Output};
use crate::snapshot::stage::{StageError, Staging};
use crate::startup::{self, Front, Purpose, say};
use crate::telemetry::pull as telemetry;
use pace::Pace;
use schedule::{Now, Plan, Schedule, Wake};
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stop::{Grace, Next, Stop};
use tick::{Puller, Shown};
use tokio::task::LocalSet;

/// Threads that resolve names. They exist only while names have to be resolved.
const RESOLVERS: usize = 16;
/// Time beyond pull-timeout that a pull which is under way has to end after a signal: what was pulled is to be written.
const GRACE: Duration = Duration::from_secs(1);
/// The time in all, where pull-timeout is longer, or there is none. Well below what systemd waits.
const LONGEST_GRACE: Duration = Duration::from_secs(5);

const FRONT: Front = Front { program: Program::Pull, look, failure: "directories cannot be used" };

/// Looks at the directories, which a start makes; a check also looks for sockets that lead to the same HAProxy.
fn look(loaded: &Loaded, purpose: Purpose) -> Report {
    let mut report = check_directories_pull(&loaded.config, &loaded.ini, purpose == Purpose::Start);
    if purpose == Purpose::Check {
        let findings = check::look(&loaded.config.pull, &loaded.config.hosts);
        report.warnings.extend(findings.into_iter().map(|finding| Problem::new(finding).section("pull")));
    }
    report
}

/// `--setup` and `--check --ask`
fn own(arguments: &Arguments) -> u8 {
    signals::release_hangup();
    let paths = match &arguments.action {
        Action::Setup(paths) => paths,
        Action::LatencyRules(rules) => return rules::print(rules),
        _ => return ask(arguments),
    };
    match setup(paths) {
        Ok(text) => startup::say(&text),
        Err(error) => startup::complain(&format!("error: {}\n", Chain(&error)), exit::NO_INPUT),
    }
}

/// The whole program: command line, configuration, log, and pulling until a signal comes.
#[must_use]
pub fn main() -> ExitCode {
    signals::ignore_meaningless();
    signals::hold_hangup();
    let config = match FRONT.begin(std::env::args_os()) {
        startup::Next::Run(loaded) => {
            logging::init(log_settings(&loaded.config), Output::Stdout);
            loaded.log();
            loaded.config
        }
        startup::Next::Own(asked) => return ExitCode::from(own(&asked)),
        startup::Next::Done(code) => return ExitCode::from(code),
    };
    match Pull::open(config.pull, config.hosts, config.exporter).and_then(Pull::run) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-pull failed");
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// How the program logs.
fn log_settings(config: &config::Config) -> logging::Settings {
    logging::Settings { level: config.pull.loglevel, format: config.log_format }
}

/// `--check --ask`: a table of what every socket answers; the exit code.
fn ask(arguments: &Arguments) -> u8 {
    match FRONT.load_with_permissions(arguments) {
        Ok(loaded) => {
            FRONT.note_rights(arguments);
            match ask::table(&loaded.config.pull) {
                (table, true) => say(&table),
                (table, false) => say(&table).max(exit::FAILURE),
            }
        }
        Err(code) => code,
    }
}

/// The page for Prometheus.
fn page(shown: &Shown) -> Page {
    let mut page = Page::of("pull");
    for (definition, value) in shown.counters.values() {
        page.figure("haproxystats_", definition).sample(&[], value);
    }
    if !shown.sockets.is_empty() {
        let mut family = page.figure("haproxystats_", &telemetry::SOCKET_UP);
        for (name, up) in &shown.sockets {
            family.sample(&[("socket", name)], if *up { 1.0 } else { 0.0 });
        }
    }
    page
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// `dst-dir` or `tmp-dst-dir` cannot be used.
    #[error(transparent)]
    Staging(#[from] StageError),
    /// The event loop or its signals cannot be set up.
    #[error("cannot set up the event loop")]
    EventLoop(#[source] io::Error),
}

/// The program, ready to run.
#[derive(Debug)]
pub struct Pull {
    schedule: Schedule,
    puller: Puller,
    pace: Pace,
    /// For a pull that is under way when a signal comes.
    grace: Grace,
    exporter: config::Exporter,
}

impl Pull {
    /// Makes the directories, removes what a crash has left in them, and keeps other instances out of them.
    ///
    /// # Errors
    /// The directories cannot be used.
    pub fn open(config: config::Pull, hosts: config::Hosts, exporter: config::Exporter) -> Result<Self, PullError> {
        let staging = Staging::open(&config.tmp_dst_dir, &config.dst_dir, config.fsync)?;
        let schedule = Schedule::new(config.pull_interval);
        let pace = Pace::default();
        let grace = grace(&config);
        Ok(Self { schedule, grace, puller: Puller::new(config, hosts, staging, pace.clone()), pace, exporter })
    }

    /// Pulls at every tick until SIGTERM or SIGINT. A pull that is under way then has a few seconds to end; a
    /// second signal, or the end of that time, gives it up, and it leaves nothing behind.
    ///
    /// # Errors
    /// The event loop cannot be set up. Nothing else ends it.
    pub fn run(self) -> Result<(), PullError> {
        host::raise_open_files();
        let pace = self.pace.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || pace.before_wait())
            .max_blocking_threads(RESOLVERS)
            .build()
            .map_err(PullError::EventLoop)?;
        let tasks = LocalSet::new();
        let result = tasks.block_on(&runtime, self.main());
        drop(tasks);
        // A resolver that hangs must not delay the end.
        runtime.shutdown_background();
        result
    }

    async fn main(mut self) -> Result<(), PullError> {
        let started = Instant::now();
        let mut stop = Stop::listen().map_err(PullError::EventLoop)?;
        let shown = self.puller.shown();
        let mut served = Served::new(move || page(&shown.borrow()));
        served.at(&self.exporter);
        systemd::ready();
        systemd::status("waiting for the first tick");
        let mut plan = self.first(now(started));
        tracing::info!(version = crate::version::line(), first = %plan.epoch, "haproxystats-pull is running");
        loop {
            match stop.wait(plan.left(now(started))).await {
                Next::GoOn => {}
                Next::Reload => {
                    plan = self.reload(plan, started, &mut served);
                    continue;
                }
                Next::End => break,
            }
            let mut next = Next::GoOn;
            match self.schedule.wake(plan, now(started)) {
                Wake::Tick { epoch, skipped } => {
                    self.puller.skipped(skipped);
                    next = stop.after(self.puller.tick(epoch), self.grace).await;
                }
                Wake::ClockSet { seconds } => self.puller.clock_set(seconds),
                Wake::Early | Wake::Late => {}
            }
            plan = self.schedule.next(now(started));
            match next {
                Next::GoOn => {}
                Next::Reload => plan = self.reload(plan, started, &mut served),
                Next::End => break,
            }
        }
        systemd::stopping();
        Ok(())
    }

    /// The tick that was left by the program before this one, or by ticks at another interval; else the next.
    fn first(&self, now: Now) -> Plan {
        let left_over = self.schedule.left_over(now, self.puller.published());
        let left_over = left_over.filter(|plan| !self.puller.has(plan.epoch));
        left_over.unwrap_or_else(|| self.schedule.next(now))
    }

    /// Reads the configuration again, and goes on with it. Reading may take until after the planned tick: it is not lost, since
    /// the plan stays, or what takes its place at another interval is looked for.
    fn reload(&mut self, plan: Plan, started: Instant, served: &mut Served) -> Plan {
        let Some(loaded) = FRONT.reload(|_| Vec::new()) else { return plan };
        let config = loaded.config;
        let (interval, grace, log) = (config.pull.pull_interval, grace(&config.pull), log_settings(&config));
        if let Err(error) = self.puller.go_on(config.pull, config.hosts, self.pace.clone()) {
            FRONT.keep(Chain(&error));
            return plan;
        }
        self.grace = grace;
        self.exporter = config.exporter;
        served.at(&self.exporter);
        FRONT.reloaded(log);
        if self.schedule.is_every(interval) {
            return plan;
        }
        self.schedule = Schedule::new(interval);
        self.first(now(started))
    }
}

/// How long a pull may take after a signal.
fn grace(config: &config::Pull) -> Grace {
    let end = config.pull_timeout.map_or(LONGEST_GRACE, |limit| (limit + config.jitter + GRACE).min(LONGEST_GRACE));
    // Without pull-timeout it might never end.
    let reload = config.pull_timeout.is_none().then_some(LONGEST_GRACE);
    Grace { end, reload }
}

fn now(started: Instant) -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Now { wall, mono: started.elapsed() }
}
