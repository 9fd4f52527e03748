//! haproxystats-discovery: servers and their weights into HAProxy, without a reload.
//!
//! ```text
//! server:  source (aws, consul, dns, file) ─► listing ─► plan ─► document ─► store (file, dynamodb, consul, etcd)
//! client:  store ─► document ─► what each backend should have ─► difference to HAProxy ─► Runtime API
//! ```
//!
//! Any number of servers and clients may run. A lease elects one server; whichever server writes, writes a document that was
//! planned from the one that is there, or nothing. Clients only read. Time is that of the wall clock in UTC, since
//! several machines have to agree on it.

mod aws;
pub mod client;
mod clock;
mod context;
pub mod document;
mod files;
mod front;
pub mod hint;
pub mod http;
mod local;
mod notices;
pub mod plan;
mod reload;
mod report;
pub(crate) mod server;
pub mod source;
mod stop;
pub mod store;

use crate::cli::{self, Run};
use crate::config;
use crate::config::load::Loaded;
use crate::daemon::duty::Roll;
use crate::daemon::signals::{self, Signals};
use crate::daemon::systemd;
use crate::daemon::watchdog::Watchdog;
use crate::exit;
use crate::exporter::Served;
use crate::logging::{self, Chain, Output};
use crate::startup::Next;
use context::Context;
use front::FRONT;
use reload::{Prepared, Present};
use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use stop::Stop;
use tokio::task::{JoinHandle, LocalSet};

/// Time for the last report to Graphite.
const DRAIN: Duration = Duration::from_secs(2);

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
enum DiscoveryError {
    /// The event loop or its signals cannot be set up.
    #[error("cannot set up the event loop")]
    EventLoop(#[source] io::Error),
    /// The store cannot be set up.
    #[error("the store cannot be set up")]
    Store(#[from] store::StoreError),
    /// The server ends.
    #[error("the server failed")]
    Server(#[from] server::ServerError),
    /// The client ends.
    #[error("the client failed")]
    Client(#[from] client::ClientError),
}

/// The whole program: command line, environment, configuration, log, and server and client until a signal comes.
#[must_use]
pub fn main() -> ExitCode {
    signals::hold_hangup();
    let (discover, loaded) = match FRONT.begin(std::env::args_os()) {
        Next::Own(asked) => match front::load(&asked) {
            Ok(both) => both,
            Err(code) => return ExitCode::from(code),
        },
        Next::Run(_) => return ExitCode::from(exit::USAGE),
        Next::Done(code) => return ExitCode::from(code),
    };
    let output = if discover.run == Run::Dry { Output::Stderr } else { Output::Stdout };
    logging::init(log_settings(&loaded.config), output);
    loaded.log();
    let config = configured(discover, &loaded);
    match start(discover, config) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-discovery failed");
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// How the program logs.
fn log_settings(config: &config::Config) -> logging::Settings {
    logging::Settings { level: config.discovery.loglevel, format: config.log_format }
}

fn start(discover: cli::Discover, config: Configured) -> Result<(), DiscoveryError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DiscoveryError::EventLoop)?;
    let tasks = LocalSet::new();
    let result = tasks.block_on(&runtime, run(discover, config));
    drop(tasks);
    // A resolver that hangs must not delay the end.
    runtime.shutdown_background();
    result
}

/// What of a configuration this program reads.
struct Configured {
    config: config::Discovery,
    exporter: config::Exporter,
}

fn configured(discover: cli::Discover, loaded: &Loaded) -> Configured {
    let config = loaded.config.discovery.clone();
    let mut exporter = loaded.config.exporter.clone();
    // The page of all programs may be switched on for this one too; it has but one address.
    let own = if discover.server { config.exporter } else { config.client_exporter };
    exporter.listen = exporter.listen.or(own);
    Configured { config, exporter }
}

async fn run(discover: cli::Discover, Configured { config, exporter }: Configured) -> Result<(), DiscoveryError> {
    let mut signals = Signals::listen().map_err(DiscoveryError::EventLoop)?;
    let lasting = discover.run == Run::Loop;
    let reports = Rc::new(report::Reports::default());
    let page = Rc::clone(&reports);
    let mut telling = Telling { served: Served::new(move || page.page()), graphite: None, reports: None };
    let roll = Roll::default();
    let mut watchdog = Watchdog::new(roll.clone(), systemd::watchdog_limit().filter(|_| lasting));
    let mut next = Prepared { store: store::open(&config).await?, config, exporter };
    let mut begun = false;
    let result = loop {
        let (stopper, stop) = Stop::pair();
        let Prepared { config, exporter, store } = next;
        let config = Rc::new(config);
        reports.begin();
        if lasting {
            telling.tell(&reports, &config, &exporter);
        }
        let planned = Rc::default();
        let (reports, roll) = (Rc::clone(&reports), roll.clone());
        let context = Context {
            config: Rc::clone(&config),
            store: Rc::clone(&store),
            run: discover.run,
            stop,
            reports,
            roll,
            planned,
        };
        if !std::mem::replace(&mut begun, true) {
            systemd::ready();
        }
        let present = Present { discover, config, store };
        let prepared = Cell::new(None);
        let work = async {
            tokio::select! {
                result = both(discover, context) => result,
                never = reload::heed(&mut signals, &present, stopper, &prepared) => match never {},
            }
        };
        let result = watchdog.beside(work).await;
        match prepared.take() {
            Some(prepared) if result.is_ok() => next = prepared,
            _ => break result,
        }
    };
    watchdog.beside(reports.drain(DRAIN)).await;
    result
}

/// Where the figures go.
struct Telling {
    served: Served,
    graphite: Option<(config::Graphite, Duration)>,
    reports: Option<JoinHandle<()>>,
}

impl Telling {
    /// From now on there.
    fn tell(&mut self, reports: &Rc<report::Reports>, config: &config::Discovery, exporter: &config::Exporter) {
        self.served.at(exporter);
        if self.graphite == config.graphite {
            return;
        }
        if let Some(before) = self.reports.take() {
            before.abort();
        }
        self.graphite.clone_from(&config.graphite);
        let report = |(graphite, interval)| tokio::task::spawn_local(Rc::clone(reports).report(graphite, interval));
        self.reports = config.graphite.clone().map(report);
    }
}

/// Server and client side by side, or, for one round, one after the other.
async fn both(discover: cli::Discover, context: Context) -> Result<(), DiscoveryError> {
    match (discover.server, discover.client) {
        (true, true) if discover.run == Run::Loop => {
            let server = async { server::run(context.clone()).await.map_err(DiscoveryError::from) };
            let client = async { client::run(context.clone()).await.map_err(DiscoveryError::from) };
            // Where one of them cannot go on, the program exits, and is started again.
            tokio::try_join!(server, client).map(|_| ())
        }
        (server, client) => {
            if server {
                server::run(context.clone()).await?;
            }
            if client {
                client::run(context).await?;
            }
            Ok(())
        }
    }
}
