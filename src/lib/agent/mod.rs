//! haproxystats-agent: answers the agent checks of HAProxy for the services of this host.
//!
//! ```text
//! check (file, load, http, patroni, command) ─► findings ─► decide ─► answer, kept with its time
//! HAProxy ─► listen ─► the answer, unless it is stale or the agent stops ─► one line
//! ```
//!
//! Checks run at their own pace; a question is answered from memory, unless the service checks on demand. Time is
//! that of the monotonic clock throughout.

pub mod check;
pub mod client;
pub mod decide;
mod figures;
mod listen;
mod report;
mod service;

pub use listen::request;

use crate::cli::{self, Command};
use crate::config;
use crate::exit;
use crate::exporter;
use crate::http::SetupError;
use crate::logging::{self, Chain, Output};
use crate::systemd;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use report::{Reporting, Sources};
use service::Service;
use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

/// Threads that resolve names. They exist only while names have to be resolved.
const RESOLVERS: usize = 8;

/// Time for the last figures to reach Graphite, when the agent ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The event loop or its signals cannot be set up.
    #[error("cannot set up the event loop")]
    EventLoop(#[source] io::Error),
    /// A port cannot be opened.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The check of a service cannot be set up.
    #[error("service {service}: check {check} cannot be set up")]
    Check {
        /// Name of the service.
        service: String,
        /// Name of the check.
        check: &'static str,
        /// Why.
        source: SetupError,
    },
}

/// The whole program: command line, configuration, log, and answering until a signal comes.
#[must_use]
pub fn main() -> ExitCode {
    let config = match cli::agent(std::env::args_os()) {
        Command::Run(loaded) => {
            logging::init(loaded.config.agent.loglevel, Output::Stdout);
            loaded.log();
            loaded.config
        }
        Command::Once { .. } | Command::Discover { .. } => return ExitCode::from(exit::USAGE),
        Command::Done(code) => return ExitCode::from(code),
    };
    let reporting = Reporting::of(&config);
    match Agent::open(config.agent).and_then(|agent| agent.run(reporting)) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-agent ends");
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// The program, ready to run: its checks are set up, nothing is asked and no port is open.
pub struct Agent {
    services: Vec<Rc<Service>>,
    stop_timeout: Duration,
    stopping: Rc<Cell<bool>>,
}

impl Agent {
    /// Sets up the checks.
    ///
    /// # Errors
    /// Certificates or credentials cannot be read.
    pub fn open(config: config::Agent) -> Result<Self, AgentError> {
        let stopping = Rc::new(Cell::new(false));
        let services = config.services.into_iter().map(|service| Service::open(service, Rc::clone(&stopping)));
        let services = services.map(|service| service.map(Rc::new)).collect::<Result<_, _>>()?;
        Ok(Self { services, stop_timeout: config.stop_timeout, stopping })
    }

    /// Answers until SIGTERM or SIGINT, and goes on with the stop response for the time of grace. A second signal ends
    /// it at once.
    ///
    /// # Errors
    /// A port cannot be opened. Nothing else ends it.
    fn run(self, reporting: Reporting) -> Result<(), AgentError> {
        raise_open_files();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(RESOLVERS)
            .build()
            .map_err(AgentError::EventLoop)?;
        let tasks = LocalSet::new();
        let result = tasks.block_on(&runtime, self.main(reporting));
        drop(tasks);
        // A resolver that hangs must not delay the end.
        runtime.shutdown_background();
        result
    }

    async fn main(self, reporting: Reporting) -> Result<(), AgentError> {
        let mut term = signal(SignalKind::terminate()).map_err(AgentError::EventLoop)?;
        let mut int = signal(SignalKind::interrupt()).map_err(AgentError::EventLoop)?;
        let program = Rc::new(figures::Program::default());
        let ports = listen::open(&self.services, &program)?;
        let sources = Sources::new(program, &self.services);
        let page = sources.clone();
        tokio::task::spawn_local(exporter::start(reporting.listen).serve(move || page.page()));
        if let Some((graphite, interval)) = reporting.graphite {
            tokio::task::spawn_local(sources.clone().report(graphite, interval));
        }
        for service in &self.services {
            tokio::task::spawn_local(Rc::clone(service).poll());
        }
        for port in ports {
            tokio::task::spawn_local(port.serve());
        }
        if let Some(period) = systemd::watchdog_interval() {
            tokio::task::spawn_local(async move {
                loop {
                    systemd::watchdog();
                    tokio::time::sleep(period).await;
                }
            });
        }
        systemd::ready();
        systemd::status(&format!("{} services", self.services.len()));
        tracing::info!(
            version = crate::version::line(),
            services = self.services.len(),
            "haproxystats-agent is running"
        );
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        systemd::stopping();
        self.stopping.set(true);
        tracing::info!(seconds = self.stop_timeout.as_secs_f64(), "haproxystats-agent stops: answering stop-response");
        tokio::select! {
            () = tokio::time::sleep(self.stop_timeout) => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        sources.drain(FAREWELL).await;
        Ok(())
    }
}

/// Every connection is a file, and each port may have a thousand of them.
fn raise_open_files() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
