//! haproxystats-top: shows what HAProxy is doing, or did, on one screen.
//!
//! ```text
//! sockets (pull) ─┐
//!                 ├─► tick ─► model of two ticks ─► table, JSON, screen
//! snapshots ──────┘
//! ```
//!
//! `source` queries sockets or reads stored snapshots, `read` turns the files of a snapshot into a tick, `model` derives rates,
//! states, shares and sentences from two ticks, `table` defines the columns, and `screen` draws. Nothing is written, and nothing
//! is changed in HAProxy.

mod document;
mod model;
mod once;
mod order;
mod plain;
mod read;
mod screen;
mod sentence;
mod source;
mod table;
#[cfg(test)]
mod testing;
mod text;

use crate::cli::{Action, Arguments, Top};
use crate::config::Program;
use crate::config::load::Loaded;
use crate::config::problem::Report;
use crate::config::{Hosts, did_you_mean};
use crate::daemon::{host, signals};
use crate::exit;
use crate::startup::{Front, Next, Purpose, complain};
use std::process::ExitCode;

const FRONT: Front = Front { program: Program::Top, look, failure: "sockets cannot be used" };

/// The checks of this program: only those of the configuration.
fn look(_: &Loaded, _: Purpose) -> Report {
    Report::default()
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    signals::ignore_meaningless();
    let code = match FRONT.begin(std::env::args_os()) {
        Next::Own(Arguments { action: Action::Top(asked), file, dir, overrides }) => {
            let arguments = Arguments { action: Action::Run, file, dir, overrides };
            match FRONT.load(&arguments) {
                Ok(loaded) => show(&loaded, &asked),
                Err(code) => code,
            }
        }
        Next::Done(code) => code,
        Next::Own(_) | Next::Run(_) => exit::USAGE,
    };
    ExitCode::from(code)
}

fn show(loaded: &Loaded, asked: &Top) -> u8 {
    let pull = &loaded.config.pull;
    if asked.replay.is_none() && pull.socket_dir.is_none() && pull.servers.is_empty() {
        return refuse("neither socket-dir nor servers is set in [pull], so there is nothing to show", exit::CONFIG);
    }
    if let Some(reason) = unknown_host(asked, &loaded.config.hosts, &host::name()) {
        return refuse(&reason, exit::CONFIG);
    }
    if asked.once || asked.json { once::run(&loaded.config, asked) } else { screen::run(&loaded.config, asked) }
}

/// Why no socket can be of the host that `--host` names, if so. Stored snapshots say themselves of which hosts they are.
fn unknown_host(asked: &Top, hosts: &Hosts, own: &str) -> Option<String> {
    let host = asked.host.as_deref().filter(|host| asked.replay.is_none() && *host != own)?;
    let names = hosts.names();
    if names.contains(host) {
        return None;
    }
    let advice = did_you_mean(host, names.into_iter().chain([own]));
    Some(format!("--host {host:?} is neither in [hosts] nor the name of this host, {own:?}{advice}"))
}

/// Prints why nothing is shown, and returns the exit code.
fn refuse(reason: &str, code: u8) -> u8 {
    complain(&format!("{}: {reason}\n", Program::Top.name()), code)
}
