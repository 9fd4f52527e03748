//! `--replay DIR`: stored snapshots are sent once more, in order, at a bounded rate.
//!
//! ```text
//! archive ─► unpacked, one ahead ─► a source directory of its own ─► parent and worker as ever ─► destinations
//! ```
//!
//! The daemon is the ordinary one: it retries, settles and puts into quarantine as ever. Only its source directory is filled from
//! within, as fast as the rate allows, and it ends when everything is done.

mod feeder;
mod note;
mod pace;
mod settings;
mod stream;

use super::parent;
use crate::archive::{Scratch, list};
use crate::cli::{Arguments, Replay};
use crate::config::check_directories_process;
use crate::config::load::Loaded;
use crate::exit;
use crate::logging::{self, Chain, Output};
use crate::snapshot::disk;
use crate::snapshot::origin::Origin;
use crate::startup::Front;
use note::Note;
use std::ffi::OsString;
use stream::Stream;

/// Runs it; `words` is the command line, `hostname` what gethostname(2) says. Returns the exit code.
#[must_use]
pub(super) fn run(front: &Front, arguments: &Arguments, asked: &Replay, words: Vec<OsString>, hostname: &str) -> u8 {
    match replay(front, arguments, asked, words, hostname) {
        Ok(code) | Err(code) => code,
    }
}

fn replay(
    front: &Front,
    arguments: &Arguments,
    asked: &Replay,
    words: Vec<OsString>,
    hostname: &str,
) -> Result<u8, u8> {
    let scratch = Scratch::new().map_err(|error| failed(&format!("cannot create a temporary directory: {error}")))?;
    let made = disk::make(&settings::src_dir(&scratch));
    made.map_err(|error| failed(&format!("cannot create a temporary directory: {error}")))?;
    let Loaded { mut config, ini, warnings, .. } = settings::load(front, arguments, asked, &scratch)?;
    logging::init(super::log_settings(&config), Output::Stdout);
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let report = check_directories_process(&config, &ini, true);
    if let Some(error) = report.errors.first() {
        return Err(failed(&error.to_string()));
    }
    let note = Note::open(asked).map_err(|error| failed(&Chain(&error).to_string()))?;
    let place = asked.place.display();
    let listing = list(&asked.place, note.rest(asked.span)).map_err(|error| {
        tell(&format!("cannot read {place}: {error}"));
        exit::NO_INPUT
    })?;
    if listing.foreign > 0 {
        let example = listing.foreign_example.unwrap_or_default();
        tell(&format!("{} entries are not snapshots and are left out, such as {}", listing.foreign, example.display()));
    }
    if listing.snapshots.is_empty() {
        tell(&format!("nothing to replay: {place} has no snapshots in that period"));
        return Ok(if note.has_begun() { exit::OK } else { exit::NO_INPUT });
    }
    let host = asked.hostname.clone().unwrap_or_else(|| hostname.to_owned());
    let stream = Stream::new(&scratch, listing.snapshots, asked.rate, Origin { host }, note);
    let mut stream = stream.map_err(|error| failed(&format!("cannot prepare: {error}")))?;
    // What this daemon counts says nothing about the host whose snapshots these are, nor about that time.
    config.process.self_metrics = false;
    let ended = parent::run(&config, &ini.to_text(), words, Some(&mut stream));
    let code = ended.map_err(|error| failed(&Chain(&error).to_string()))?;
    let complete = stream.end();
    Ok(if code == exit::OK && !complete { exit::FAILURE } else { code })
}

/// A line for the one who looks on; the log has its own.
fn tell(line: &str) {
    eprintln!("haproxystats-process: {line}");
}

fn failed(reason: &str) -> u8 {
    tell(reason);
    exit::FAILURE
}
