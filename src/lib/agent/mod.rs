//! haproxystats-agent: answers the agent checks of HAProxy for the services of this host.
//!
//! ```text
//! check (file, load, http, patroni, command) ─► findings ─► decide ─► answer, kept with its time
//! HAProxy ─► listen ─► the answer, unless it is stale or the agent stops ─► one line
//! ```
//!
//! Checks run at their own pace; a question is answered from memory, unless the service checks on demand. Time is
//! that of the monotonic clock throughout.
//!
//! An agent that ends says nothing: HAProxy keeps what it heard last, and so does the next agent, which finds it on disk.
//! Only `stop-response`, which an operator sets to drain servers on purpose, makes it stay a while and say something else.

pub mod check;
mod client;
pub mod decide;
mod error;
pub(crate) mod figures;
mod finding;
mod front;
mod import;
mod inflate;
mod listen;
mod memory;
mod report;
mod running;
mod service;

pub use listen::request;

use crate::config;
use crate::daemon::{host, signals};
use crate::exit;
use crate::logging::{self, Chain, Output};
use crate::startup::Next;
use error::AgentError;
use front::FRONT;
use report::Reporting;
use running::Running;
use std::process::ExitCode;
use tokio::task::LocalSet;

/// Threads that resolve names. They exist only while names have to be resolved.
const RESOLVERS: usize = 8;

/// The whole program: command line, configuration, log, and answering until a signal comes.
#[must_use]
pub fn main() -> ExitCode {
    signals::hold_hangup();
    let config = match FRONT.begin(std::env::args_os()) {
        Next::Run(loaded) => {
            logging::init(log_settings(&loaded.config), Output::Stdout);
            loaded.log();
            loaded.config
        }
        Next::Own(asked) => return ExitCode::from(front::own(&asked)),
        Next::Done(code) => return ExitCode::from(code),
    };
    let reporting = Reporting::of(&config);
    match run(config.agent, reporting) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-agent failed");
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// How the program logs.
fn log_settings(config: &config::Config) -> logging::Settings {
    logging::Settings { level: config.agent.loglevel, format: config.log_format }
}

/// Answers until SIGTERM or SIGINT.
fn run(config: config::Agent, reporting: Reporting) -> Result<(), AgentError> {
    host::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(RESOLVERS)
        .build()
        .map_err(AgentError::EventLoop)?;
    let tasks = LocalSet::new();
    let result = tasks.block_on(&runtime, Running::main(config, reporting));
    drop(tasks);
    // A resolver that hangs must not delay the end.
    runtime.shutdown_background();
    result
}
