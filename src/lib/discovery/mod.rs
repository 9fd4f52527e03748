//! haproxystats-discovery: servers and their weights into HAProxy, without a reload.
//!
//! ```text
//! server:  source (aws, consul, dns, file) ─► listing ─► plan ─► document ─► store (file, dynamodb, consul, etcd)
//! client:  store ─► document ─► what each backend should have ─► difference to HAProxy ─► Runtime API
//! ```
//!
//! Any number of servers and clients may run. A lease elects one server; whoever writes, writes a document that was
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
mod report;
pub(crate) mod server;
pub mod source;
mod stop;
pub mod store;

use crate::cli::{self, Run};
use crate::config;
use crate::daemon::duty::Roll;
use crate::daemon::signals::Signals;
use crate::daemon::systemd;
use crate::daemon::watchdog::Watchdog;
use crate::exit;
use crate::exporter;
use crate::logging::{self, Chain, Output};
use crate::startup::Next;
use context::Context;
use front::FRONT;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use stop::Stop;
use tokio::task::LocalSet;

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
    let (discover, loaded) = match FRONT.begin(std::env::args_os()) {
        Next::Own(asked) => match front::load(&asked) {
            Ok(both) => both,
            Err(code) => return ExitCode::from(code),
        },
        Next::Run(_) => return ExitCode::from(exit::USAGE),
        Next::Done(code) => return ExitCode::from(code),
    };
    let output = if discover.run == Run::Dry { Output::Stderr } else { Output::Stdout };
    logging::init(loaded.config.discovery.loglevel, output);
    loaded.log();
    let listen = loaded.config.exporter.listen;
    let mut config = loaded.config.discovery;
    // The page of all programs may be switched on for this one too; it has but one address.
    let own = if discover.server { config.exporter } else { config.client_exporter };
    config.exporter = listen.or(own);
    match start(discover, config) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-discovery ends");
            ExitCode::from(exit::FAILURE)
        }
    }
}

fn start(discover: cli::Discover, config: config::Discovery) -> Result<(), DiscoveryError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DiscoveryError::EventLoop)?;
    let tasks = LocalSet::new();
    let result = tasks.block_on(&runtime, run(discover, config));
    drop(tasks);
    // A resolver that hangs must not delay the end.
    runtime.shutdown_background();
    result
}

async fn run(discover: cli::Discover, config: config::Discovery) -> Result<(), DiscoveryError> {
    let mut signals = Signals::listen().map_err(DiscoveryError::EventLoop)?;
    let (stopper, stop) = Stop::pair();
    let store = store::open(&config).await?;
    let reports = Rc::new(report::Reports::default());
    let lasting = discover.run == Run::Loop;
    if lasting {
        let page = Rc::clone(&reports);
        tokio::task::spawn_local(exporter::start(config.exporter).serve(move || page.page()));
        if let Some((graphite, interval)) = config.graphite.clone() {
            tokio::task::spawn_local(Rc::clone(&reports).report(graphite, interval));
        }
    }
    let planned = Rc::default();
    let roll = Roll::default();
    let mut watchdog = Watchdog::new(roll.clone(), systemd::watchdog_limit().filter(|_| lasting));
    let config = Rc::new(config);
    let context = Context { config, store, run: discover.run, stop: stop.clone(), reports, roll, planned };
    tokio::task::spawn_local(async move {
        tracing::info!(signal = %signals.next().await, "haproxystats-discovery stops");
        systemd::stopping();
        // Where nobody waits any more, everything has ended already.
        let _ = stopper.send(true);
        // Whoever says it again does not want to wait for a store or a HAProxy that hangs.
        tracing::warn!(signal = %signals.next().await, "haproxystats-discovery ends at once");
        std::process::exit(exit::OK.into());
    });
    systemd::ready();
    let result = watchdog.beside(both(discover, context.clone())).await;
    watchdog.beside(context.reports.drain(DRAIN)).await;
    result
}

/// Server and client side by side, or, for one round, one after the other.
async fn both(discover: cli::Discover, context: Context) -> Result<(), DiscoveryError> {
    match (discover.server, discover.client) {
        (true, true) if discover.run == Run::Loop => {
            let server = async { server::run(context.clone()).await.map_err(DiscoveryError::from) };
            let client = async { client::run(context.clone()).await.map_err(DiscoveryError::from) };
            // Where one of them cannot go on, the program ends, and is started anew.
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
