//! `--replay`: sends stored snapshots again, in order, at a limited rate.
//!
//! ```text
//! archive ─► unpacked, one ahead ─┬─► a separate source directory ─► the usual parent and worker ─► destinations
//! topic ─► assembled as usual ────┘
//! ```
//!
//! This is the ordinary daemon, which retries, settles and quarantines as usual. The only differences are that its source directory
//! is filled by the replay, as fast as the rate allows, and that it ends when everything is done.

mod feeder;
mod note;
mod pace;
mod settings;
mod stored;
mod stream;
mod supply;
#[cfg_attr(not(feature = "kafka"), path = "no_topic.rs")]
mod topic;

use super::parent;
use crate::archive::{Scratch, list};
use crate::cli::{Arguments, Place, Replay};
use crate::config::load::Loaded;
use crate::config::{Config, check_directories_process};
use crate::exit;
use crate::logging::{self, Chain, Output};
use crate::snapshot::disk;
use crate::snapshot::origin::Origin;
use crate::startup::Front;
use note::Note;
use std::ffi::OsString;
use std::path::Path;
use stored::Snapshots;
use stream::Stream;
use supply::Supply;
use topic::Topic;

/// The destination in the file of `--resume`, without `--to-graphite`.
const CONFIGURED: &str = "the configured destinations";

/// Runs a replay; `words` is the command line, `hostname` the result of gethostname(2). Returns the exit code.
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
    let supply: Box<dyn Supply> = match &asked.place {
        Place::Stored(place) => match stored(asked, place, &scratch, hostname)? {
            Ok(snapshots) => Box::new(snapshots),
            Err(code) => return Ok(code),
        },
        Place::Topic(name) => Box::new(topic(asked, name, &scratch, &config)?),
    };
    let mut stream = Stream::new(settings::src_dir(&scratch), supply, asked.rate);
    // Metrics about this daemon say nothing about the host of the snapshots, nor about their time.
    config.process.self_metrics = false;
    let ended = parent::run(&config, &ini.to_text(), words, Some(&mut stream));
    let code = ended.map_err(|error| failed(&Chain(&error).to_string()))?;
    let complete = stream.end();
    Ok(if code == exit::OK && !complete { exit::FAILURE } else { code })
}

fn note(asked: &Replay, place: String) -> Result<Note, u8> {
    let to = asked.to_graphite.clone().unwrap_or_else(|| CONFIGURED.to_owned());
    Note::open(asked.resume.clone(), place, to).map_err(|error| failed(&Chain(&error).to_string()))
}

/// The snapshots of an archive or a directory, or the exit code if there are none.
fn stored(asked: &Replay, place: &Path, scratch: &Scratch, hostname: &str) -> Result<Result<Snapshots, u8>, u8> {
    let real = std::fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
    let note = note(asked, real.display().to_string())?;
    let begun = stored::begun(&note).map_err(|error| failed(&Chain(&error).to_string()))?;
    let listing = list(place, stored::rest(asked.span, begun)).map_err(|error| {
        tell(&format!("cannot read {}: {error}", place.display()));
        exit::NO_INPUT
    })?;
    if listing.foreign > 0 {
        let example = listing.foreign_example.unwrap_or_default();
        tell(&format!("{} entries are not snapshots and were skipped, such as {}", listing.foreign, example.display()));
    }
    if listing.snapshots.is_empty() {
        tell(&format!("nothing to replay: {} has no snapshots of that period", place.display()));
        return Ok(Err(if begun.is_some() { exit::OK } else { exit::NO_INPUT }));
    }
    let host = asked.hostname.clone().unwrap_or_else(|| hostname.to_owned());
    let snapshots = Snapshots::new(scratch, listing.snapshots, Origin { host }, note);
    snapshots.map(Ok).map_err(|error| failed(&format!("cannot prepare the replay: {error}")))
}

/// The snapshots of a topic.
fn topic(asked: &Replay, name: &str, scratch: &Scratch, config: &Config) -> Result<Topic, u8> {
    let Some(source) = &config.kafka_source else { return Err(exit::CONFIG) };
    if config.kafka.as_ref().is_some_and(|kafka| kafka.topic == name) {
        return Err(failed(&format!(
            "[kafka] writes to the topic {name} itself; select another destination with --to-graphite"
        )));
    }
    if asked.hostname.is_some() {
        tell("--hostname has no effect: each message contains its host");
    }
    let note = note(asked, format!("kafka:{name} from {}", source.brokers()))?;
    let roll_ups = config.process.cluster_metrics;
    Topic::open(source, &settings::src_dir(scratch), roll_ups, asked.span, note).map_err(|error| {
        tell(&format!("cannot read kafka:{name}: {}", Chain(&error)));
        exit::NO_INPUT
    })
}

/// Prints a line on standard error, in addition to the log.
fn tell(line: &str) {
    eprintln!("haproxystats-process: {line}");
}

fn failed(reason: &str) -> u8 {
    tell(reason);
    exit::FAILURE
}
