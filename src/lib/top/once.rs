//! `--once` and `--json`: text on standard output, without a screen.

use super::model::Model;
use super::read::tick::Tick;
use super::source::{Live, Shelf};
use super::{document, plain, refuse};
use crate::cli::Top;
use crate::config::Config;
use crate::daemon::{host, signals::Signals};
use crate::exit;
use crate::logging::Chain;
use crate::pull::pace::Pace;
use crate::startup::say;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

/// Number of threads that resolve names.
const RESOLVERS: usize = 16;

/// Prints what was asked for; returns the exit code.
pub(super) fn run(config: &Config, asked: &Top) -> u8 {
    if asked.replay.is_some() {
        return replay(config, asked);
    }
    host::raise_open_files();
    let pace = Pace::default();
    match runtime(&pace) {
        Ok(runtime) => {
            let tasks = LocalSet::new();
            let code = tasks.block_on(&runtime, live(config, asked, pace));
            drop(tasks);
            runtime.shutdown_background();
            code
        }
        Err(error) => refuse(&format!("cannot set up the event loop: {error}"), exit::SYSTEM),
    }
}

/// The event loop, as in haproxystats-pull.
pub(super) fn runtime(pace: &Pace) -> std::io::Result<tokio::runtime::Runtime> {
    let pace = pace.clone();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || pace.before_wait())
        .max_blocking_threads(RESOLVERS)
        .build()
}

async fn live(config: &Config, asked: &Top, pace: Pace) -> u8 {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return refuse(&format!("cannot set up signals: {error}"), exit::SYSTEM),
    };
    tokio::select! {
        code = ticks(config, asked, pace) => code,
        _ = signals.next() => exit::OK,
    }
}

async fn ticks(config: &Config, asked: &Top, pace: Pace) -> u8 {
    let mut live = Live::new(config, host::name(), pace);
    let mut before: Option<Tick> = None;
    loop {
        let begun = Instant::now();
        let tick = match live.tick().await {
            Ok(tick) => tick,
            Err(error) => return refuse(&Chain(&error).to_string(), exit::SYSTEM),
        };
        if asked.once && before.is_none() && tick.processes.is_empty() {
            return refuse(&nothing(&tick), exit::FAILURE);
        }
        // Rates need two ticks.
        if before.is_some() {
            let code = print(&Model::of(before.as_ref(), &tick, asked.host.as_deref()), asked);
            if asked.once || code != exit::OK {
                return code;
            }
        }
        before = Some(tick);
        sleep_until(begun + Duration::from_secs_f64(asked.interval)).await;
    }
}

/// Why there is nothing to show, and what to do about it.
fn nothing(tick: &Tick) -> String {
    let reasons = tick.silent.iter().map(|silent| format!("{}: {}", silent.socket, silent.reason));
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        return "no sockets found; HAProxy is not running, or its stats sockets are not in socket-dir".to_owned();
    }
    let advice = if reasons.iter().any(|reason| reason.contains("ermission denied")) {
        "; run it as a user that may connect to the socket, such as that of haproxystats-pull"
    } else {
        ""
    };
    format!("no socket answers: {}{advice}", reasons.join("; "))
}

fn print(model: &Model, asked: &Top) -> u8 {
    if !asked.json {
        return say(&plain::render(model));
    }
    match document::render(model) {
        Ok(text) => say(&format!("{text}\n")),
        Err(error) => refuse(&format!("cannot write the document: {error}"), exit::FAILURE),
    }
}

/// Prints every stored snapshot, or the last one, each compared with the one before it.
fn replay(config: &Config, asked: &Top) -> u8 {
    let Some(place) = &asked.replay else { return exit::USAGE };
    let mut shelf = match Shelf::open(place, asked.span, config.hosts.clone(), host::name()) {
        Ok(shelf) => shelf,
        Err(error) => return refuse(&Chain(&error).to_string(), exit::NO_INPUT),
    };
    let first = if asked.once { shelf.len().saturating_sub(2) } else { 0 };
    let mut before = None;
    for index in first..shelf.len() {
        let tick = match shelf.read(index) {
            Ok(Some(tick)) => tick,
            Ok(None) => break,
            Err(error) => return refuse(&Chain(&error).to_string(), exit::NO_INPUT),
        };
        if !asked.once || index + 1 == shelf.len() {
            let code = print(&Model::of(before.as_ref(), &tick, asked.host.as_deref()), asked);
            if code != exit::OK {
                return code;
            }
        }
        before = Some(tick);
    }
    exit::OK
}
