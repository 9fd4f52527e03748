//! haproxystats-agent at the command line.

use super::check::find_program;
use super::error::AgentError;
use super::import;
use super::service::{Before, open};
use crate::cli::{Action, Arguments};
use crate::config::agent::Kind;
use crate::config::load::{self, Loaded};
use crate::config::problem::{Problem, Report};
use crate::config::{self, Program, program};
use crate::exit;
use crate::haproxy::answer::explain::explain;
use crate::logging::Chain;
use crate::startup::{Front, Purpose, complain, say};
use std::path::Path;
use std::rc::Rc;

pub(super) const FRONT: Front = Front { program: Program::Agent, look, failure: "files cannot be used" };

/// `--explain` and `--import-datawave`; the exit code.
pub(super) fn own(arguments: &Arguments) -> u8 {
    match &arguments.action {
        Action::Explain(line) => say(&explain(line)),
        Action::Import(file) => print_imported(file),
        _ => exit::USAGE,
    }
}

/// What the agent reads at its start is read once: by the start itself, or by the check.
fn look(loaded: &Loaded, purpose: Purpose) -> Report {
    if purpose == Purpose::Start {
        return Report::default();
    }
    let error = check(&loaded.config.agent).err();
    let error = error.map(|error| Problem::new(Chain(&error).to_string()));
    let missing = missing_programs(&loaded.config.agent).into_iter();
    let missing = missing.map(|(service, reason)| {
        let own = format!("{}:{service}", program::AGENT);
        let section = if loaded.ini.is_written(&own, "command") { own } else { program::AGENT.to_owned() };
        Problem::of(&loaded.ini, &section, "command", reason)
    });
    Report { errors: error.into_iter().chain(missing).collect(), warnings: Vec::new() }
}

/// Sets up everything that the configuration needs to begin, and begins nothing.
fn check(config: &config::Agent) -> Result<(), AgentError> {
    open(config.services.clone(), &Rc::default(), |_| Before::default()).map(drop)
}

/// The programs of the check `command` that cannot be started, each with the name of its service and the reason.
fn missing_programs(config: &config::Agent) -> Vec<(&str, String)> {
    let services = config.services.iter();
    let used = services.filter(|service| service.checks.iter().any(|(kind, _)| *kind == Kind::Command));
    let missing = used.filter_map(|service| {
        let reason = find_program(service.command.first()?).err()?;
        Some((service.name.as_str(), reason))
    });
    missing.collect()
}

/// Prints the section for the configuration file of another agent. It is checked as any other: what it cannot mean here is
/// said as well, with its line in what is printed.
fn print_imported(file: &Path) -> u8 {
    let name = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return complain(&format!("error: {name} cannot be read: {error}\n"), exit::CONFIG),
    };
    let section = match import::datawave(&text) {
        Ok(section) => section,
        Err(error) => return complain(&format!("error: {name}: {error}\n"), exit::CONFIG),
    };
    let printed = say(&section);
    match load::from_text(Program::Agent, &section, "the section printed above") {
        Ok(_) => printed,
        Err(refused) => {
            let errors = refused.report.errors.iter().map(|error| format!("error: {error}\n"));
            complain(&errors.collect::<String>(), exit::CONFIG)
        }
    }
}
