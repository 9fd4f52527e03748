//! haproxystats-discovery at the command line.

use super::files;
use crate::cli::{Action, Arguments, Discover};
use crate::config::load::Loaded;
use crate::config::problem::{Problem, Report};
use crate::config::{Program, program};
use crate::dispatch::graphite;
use crate::exit;
use crate::logging::Chain;
use crate::startup::{Front, Purpose};

pub(super) const FRONT: Front = Front { program: Program::Discovery, look, failure: "files cannot be used" };

/// What server and client are asked for, and their configuration; or the exit code, when all is said.
pub(super) fn load(arguments: &Arguments) -> Result<(Discover, Loaded), u8> {
    let Action::Discover(discover) = arguments.action else { return Err(exit::USAGE) };
    let loaded = FRONT.load_with_permissions(arguments)?;
    let errors = missing(discover, &loaded);
    if errors.is_empty() {
        return Ok((discover, loaded));
    }
    Err(FRONT.refuse(&Report { errors, warnings: loaded.warnings }))
}

/// What discovery reads at its start is read once: by the start itself, which tells, or by the check.
fn look(loaded: &Loaded, purpose: Purpose) -> Report {
    if purpose == Purpose::Start {
        return Report::default();
    }
    let mut report = files::check(&loaded.config.discovery, &loaded.ini);
    if loaded.config.discovery.graphite.is_some()
        && let Err(error) = graphite::check(&loaded.config)
    {
        report.error(Problem::new(Chain(&error).to_string()));
    }
    report
}

/// What the configuration does not say, and what is asked for needs.
pub(super) fn missing(discover: Discover, loaded: &Loaded) -> Vec<Problem> {
    let mut errors = Vec::new();
    if discover.server && loaded.config.discovery.server.source.is_none() {
        let problem = Problem::new("is not set, and --server needs it; write aws, consul, dns or file");
        errors.push(problem.section(program::DISCOVERY_SERVER).option("mode"));
    }
    if discover.client && loaded.config.discovery.client.backends.is_empty() {
        let message = "no backend is set, and --client needs one; add a section [discovery-backend:NAME]";
        errors.push(Problem::new(message).section(program::DISCOVERY_CLIENT));
    }
    errors
}
