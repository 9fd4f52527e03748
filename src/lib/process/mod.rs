//! The process daemon: from a snapshot directory to delivered metrics.
//!
//! ```text
//! parent: incoming/ ─► queue ─► one snapshot at a time to each worker with room ─► acknowledged ─► removed
//! worker: parse ─► aggregate ─► render, piece by piece ─► dispatchers ─► says so when every destination has it
//! ```
//!
//! Only the parent changes the source directory; workers may die at any moment. [`supervisor`] decides about workers,
//! [`custody`] about snapshots; [`parent`] and [`worker`] do it.

pub mod allocator;
mod buffers;
pub mod channel;
pub mod custody;
pub mod death;
mod destination;
pub mod exclude;
pub mod figures;
pub mod heartbeat;
pub mod memory;
pub mod message;
pub mod once;
pub mod page;
pub mod panics;
pub mod parent;
pub mod pieces;
pub mod pipeline;
pub mod pool;
pub mod processor;
mod renderer;
pub mod rendering;
pub mod sites;
pub mod spawn;
pub mod supervisor;
pub mod trap;
mod trouble;
mod twins;
pub mod unchanged;
pub mod unconfirmed;
pub mod worker;

use crate::cli::{self, Command};
use crate::exit;
use crate::logging::{self, Chain, Output};
use crate::signals;
use std::process::ExitCode;

/// The whole program: a worker when the parent started it as one; else command line, configuration, log, and
/// processing until a signal comes.
#[must_use]
pub fn main() -> ExitCode {
    signals::ignore_meaningless();
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(configuration) = spawn::worker_mode(&arguments) {
        return ExitCode::from(worker::main(configuration));
    }
    let loaded = match cli::process(arguments.iter().cloned()) {
        Command::Run(loaded) => loaded,
        Command::Once { snapshot, loaded } => {
            logging::init(loaded.config.process.loglevel, Output::Stderr);
            let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
            return ExitCode::from(once::run(&loaded.config, &host, &snapshot));
        }
        Command::Discover { .. } => return ExitCode::from(exit::USAGE),
        Command::Done(code) => return ExitCode::from(code),
    };
    logging::init(loaded.config.process.loglevel, Output::Stdout);
    loaded.log();
    match parent::run(&loaded.config, &loaded.ini.to_text(), arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-process ends");
            ExitCode::from(exit::FAILURE)
        }
    }
}
