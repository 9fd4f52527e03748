//! The process daemon: from a snapshot directory to delivered metrics.
//!
//! ```text
//! parent: incoming/ ─► queue ─► one snapshot at a time to each worker with room ─► acknowledged ─► removed
//! worker: parse ─► aggregate ─► render, piece by piece ─► dispatchers ─► says so when every destination has it
//! ```
//!
//! Only the parent changes the source directory; workers may die at any moment. `parent::supervisor` decides about
//! workers, `parent::custody` about snapshots.

pub mod allocator;
mod ask;
mod explain;
mod once;
pub mod parent;
pub mod pipeline;
mod replay;
mod statistics;
pub mod wire;
pub mod worker;

use crate::cli::{Action, Arguments};
use crate::config::load::Loaded;
use crate::config::problem::{Problem, Report};
use crate::config::{Config, Program, check_directories_process};
use crate::daemon::{host, signals};
use crate::dispatch::{graphite, http};
use crate::exit;
use crate::logging::{self, Chain, Output};
use crate::startup::{Front, Next, Purpose};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const FRONT: Front = Front { program: Program::Process, look, failure: "files or directories cannot be used" };

/// Looks at the directories, which a start makes. A check also reads the files for TLS; the parent of a start does so itself.
fn look(loaded: &Loaded, purpose: Purpose) -> Report {
    let mut report = check_directories_process(&loaded.config, &loaded.ini, purpose == Purpose::Start);
    if purpose == Purpose::Check {
        report.errors.extend(broken_files(&loaded.config));
    }
    report
}

/// What is wrong with the files that workers read: certificates, keys, passwords.
fn broken_files(config: &Config) -> Vec<Problem> {
    let graphite = graphite::check(config).err().map(|error| Chain(&error).to_string());
    let of = |section: &'static str, error| Problem::new(Chain(&error).to_string()).section(section);
    let kafka = config.kafka.as_ref().and_then(|kafka| kafka.all_properties().err());
    let source = config.kafka_source.as_ref().and_then(|source| source.all_properties().err());
    let kafka = kafka.map(|error| of("kafka", error)).into_iter().chain(source.map(|error| of("kafka-source", error)));
    let http = http::check(config).err().map(|error| Chain(&error).to_string());
    graphite.map(Problem::new).into_iter().chain(kafka).chain(http.map(Problem::new)).collect()
}

/// `--ask`, `--once`, `--explain`, `--replay`
fn own(arguments: &Arguments, words: Vec<OsString>) -> u8 {
    signals::release_hangup();
    match &arguments.action {
        Action::Ask => match FRONT.load_with_permissions(arguments) {
            Ok(loaded) => {
                logging::init(log_settings(&loaded.config), Output::Stderr);
                FRONT.note_rights(arguments);
                ask::run(&loaded.config)
            }
            Err(code) => code,
        },
        Action::Once { snapshot, count } => match FRONT.load(arguments) {
            Ok(loaded) => process_once(&loaded, snapshot, *count),
            Err(code) => code,
        },
        Action::ExplainMetric { metric, snapshot } => match FRONT.load(arguments) {
            Ok(loaded) => {
                logging::init(log_settings(&loaded.config), Output::Stderr);
                explain::run(&loaded.config, &host::name(), metric, snapshot.as_deref())
            }
            Err(code) => code,
        },
        Action::Replay(asked) => replay::run(&FRONT, arguments, asked, words, &host::name()),
        _ => exit::USAGE,
    }
}

/// How the program logs.
fn log_settings(config: &Config) -> logging::Settings {
    logging::Settings { level: config.process.loglevel, format: config.log_format }
}

fn process_once(loaded: &Loaded, snapshot: &Path, count: bool) -> u8 {
    logging::init(log_settings(&loaded.config), Output::Stderr);
    let host = host::name();
    once::run(&loaded.config, &host, snapshot, count)
}

/// The whole program: a worker when the parent started it as one; else command line, configuration, log, and
/// processing until a signal comes.
#[must_use]
pub fn main() -> ExitCode {
    signals::ignore_meaningless();
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(configuration) = parent::spawn::worker_mode(&arguments) {
        return ExitCode::from(worker::main(configuration));
    }
    signals::hold_hangup();
    let loaded = match FRONT.begin(arguments.iter().cloned()) {
        Next::Run(loaded) => loaded,
        Next::Own(asked) => return ExitCode::from(own(&asked, arguments)),
        Next::Done(code) => return ExitCode::from(code),
    };
    logging::init(log_settings(&loaded.config), Output::Stdout);
    loaded.log();
    match parent::run(&loaded.config, &loaded.ini.to_text(), arguments, None) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "haproxystats-process failed");
            ExitCode::from(exit::FAILURE)
        }
    }
}
