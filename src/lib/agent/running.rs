//! The agent at work: its services and ports, what a reload makes of them, and the stop.

use super::error::AgentError;
use super::figures;
use super::front::FRONT;
use super::listen::{self, Port};
use super::log_settings;
use super::memory::Memory;
use super::report::{Reporting, Sources};
use super::service::{Before, Service, open};
use crate::config;
use crate::daemon::duty::Roll;
use crate::daemon::signals::{Signals, Told};
use crate::daemon::systemd;
use crate::daemon::watchdog::Watchdog;
use crate::exporter::Served;
use crate::logging::Chain;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

/// Time for the last figures to reach Graphite, when the agent ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// How soon a new answer is on disk.
const KEEP: Duration = Duration::from_secs(1);

/// What the agent waits for.
struct Events {
    signals: Signals,
    keep: Interval,
    watchdog: Watchdog,
}

/// What has come.
enum Event {
    Told(Told),
    /// The last answers are to be kept.
    Keep,
}

impl Events {
    fn open(roll: Roll) -> Result<Self, AgentError> {
        let mut keep = interval(KEEP);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watchdog = Watchdog::new(roll, systemd::watchdog_limit());
        Ok(Self { signals: Signals::listen().map_err(AgentError::EventLoop)?, keep, watchdog })
    }

    async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                told = self.signals.next() => return Event::Told(told),
                _ = self.keep.tick() => return Event::Keep,
                () = self.watchdog.turn() => {}
            }
        }
    }
}

/// Services that check and answer, until this value goes away.
struct Site {
    services: Vec<Rc<Service>>,
    ports: Vec<Rc<Port>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Site {
    /// `before`: ports that are open already.
    fn start(
        services: Vec<Rc<Service>>,
        figures: &Rc<figures::Program>,
        roll: &Roll,
        before: &[Rc<Port>],
    ) -> Result<Self, AgentError> {
        let ports = listen::open(&services, figures, roll, before)?;
        let checks = services.iter().map(|service| tokio::task::spawn_local(Rc::clone(service).poll(roll.clone())));
        let answers = ports.iter().map(|port| tokio::task::spawn_local(Rc::clone(port).serve()));
        let tasks = checks.chain(answers).collect();
        Ok(Self { services, ports, tasks })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Who is being answered at the moment has a task of its own, which goes on.
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Where the figures go.
struct Telling {
    served: Served,
    graphite: Option<(config::Graphite, Duration)>,
    reports: Option<JoinHandle<()>>,
}

impl Telling {
    fn start(sources: &Sources, reporting: Reporting) -> Self {
        let page = sources.clone();
        let mut telling = Self { served: Served::new(move || page.page()), graphite: None, reports: None };
        telling.tell(sources, reporting);
        telling
    }

    /// From now on there.
    fn tell(&mut self, sources: &Sources, reporting: Reporting) {
        self.served.at(&reporting.exporter);
        if self.graphite == reporting.graphite {
            return;
        }
        if let Some(before) = self.reports.take() {
            before.abort();
        }
        let report = |(graphite, interval)| tokio::task::spawn_local(sources.clone().report(graphite, interval));
        self.reports = reporting.graphite.clone().map(report);
        self.graphite = reporting.graphite;
    }
}

pub(super) struct Running {
    site: Site,
    sources: Sources,
    memory: Memory,
    stop_timeout: Duration,
    stopping: Rc<Cell<bool>>,
    /// Whom the watchdog depends on.
    roll: Roll,
}

impl Running {
    /// Answers until a signal ends it.
    ///
    /// # Errors
    /// The checks cannot be set up, or a port cannot be opened. Nothing else ends it.
    pub(super) async fn main(config: config::Agent, reporting: Reporting) -> Result<(), AgentError> {
        let roll = Roll::default();
        let mut events = Events::open(roll.clone())?;
        let mut agent = Self::start(config, roll)?;
        let mut told = Telling::start(&agent.sources, reporting);
        systemd::ready();
        let services = agent.site.services.len();
        systemd::status(&format!("{services} services"));
        tracing::info!(version = crate::version::line(), services, "haproxystats-agent is running");
        loop {
            match events.next().await {
                Event::Told(Told::Hangup) => agent.reload(&mut told),
                Event::Told(_) => break,
                Event::Keep => agent.keep(),
            }
        }
        agent.stop(&mut events).await;
        agent.sources.drain(FAREWELL).await;
        Ok(())
    }

    fn start(config: config::Agent, roll: Roll) -> Result<Self, AgentError> {
        let stopping = Rc::default();
        let memory = Memory::open(config.state_file.as_deref());
        let mut kept = memory.read();
        let services = open(config.services, &stopping, |name| Before::of(kept.remove(name)))?;
        let figures = Rc::new(figures::Program::default());
        let site = Site::start(services, &figures, &roll, &[])?;
        let sources = Sources::new(figures);
        sources.set(site.services.clone());
        Ok(Self { site, sources, memory, stop_timeout: config.stop_timeout, stopping, roll })
    }

    /// Keeps the last answers for the next run.
    fn keep(&self) {
        let services = self.site.services.iter();
        self.memory.keep(services.filter_map(|service| Some((service.config.name.as_str(), service.past()?))));
    }

    /// Reads the configuration again. Where anything is wrong with it, everything stays as it is.
    fn reload(&mut self, told: &mut Telling) {
        let Some(loaded) = FRONT.reload(|_| Vec::new()) else { return };
        let (log, reporting) = (log_settings(&loaded.config), Reporting::of(&loaded.config));
        if let Err(error) = self.replace(loaded.config.agent) {
            return FRONT.keep(Chain(&error));
        }
        told.tell(&self.sources, reporting);
        let services = self.site.services.len();
        systemd::status(&format!("{services} services"));
        FRONT.reloaded(log);
    }

    fn replace(&mut self, config: config::Agent) -> Result<(), AgentError> {
        let before = |name: &str| {
            let mut services = self.site.services.iter();
            services.find(|service| service.config.name == name).map(|service| service.hand_over()).unwrap_or_default()
        };
        let services = open(config.services, &self.stopping, before)?;
        self.site = Site::start(services, &self.sources.program, &self.roll, &self.site.ports)?;
        self.sources.set(self.site.services.clone());
        self.memory = Memory::open(config.state_file.as_deref());
        self.stop_timeout = config.stop_timeout;
        Ok(())
    }

    /// Ends at once where nothing is to be said: HAProxy keeps what it heard last. Where a service has a
    /// `stop-response`, that is said for `stop-timeout`; a second signal ends it at once.
    async fn stop(&mut self, events: &mut Events) {
        systemd::stopping();
        self.stopping.set(true);
        self.keep();
        let drains = self.site.services.iter().any(|service| service.config.responses.stop.is_some());
        if !drains {
            tracing::info!("haproxystats-agent is stopping: HAProxy keeps the last answers");
            return;
        }
        let seconds = self.stop_timeout.as_secs_f64();
        tracing::info!(seconds, "haproxystats-agent is stopping: answering stop-response");
        let end = Instant::now() + self.stop_timeout;
        loop {
            tokio::select! {
                () = sleep_until(end) => return,
                event = events.next() => match event {
                    Event::Told(Told::Hangup) => tracing::info!("SIGHUP: ignored, the agent is stopping"),
                    Event::Told(_) => return,
                    Event::Keep => self.keep(),
                }
            }
        }
    }
}
