//! `--check --ask`: reaches every destination, and says in a table what works.

use crate::config::Config;
#[cfg(feature = "kafka")]
use crate::config::Source;
use crate::dispatch::probe::{Probed, probe};
use crate::exit;
use crate::startup::{aligned, complain, say};
use tokio::task::LocalSet;

/// Names of the columns.
const HEAD: [&str; 4] = ["destination", "address", "tried", "answer"];

/// The topic that snapshots are read from, where there is one.
#[cfg(feature = "kafka")]
fn source(config: &Config) -> Option<Probed> {
    let source = config.kafka_source.as_ref().filter(|_| config.process.source == Source::Kafka)?;
    let (place, answer) = (source.brokers().to_owned(), crate::consume::probe(source));
    Some(Probed { section: "kafka-source", place, tried: "ask for topic and group", answer })
}

#[cfg(not(feature = "kafka"))]
fn source(_: &Config) -> Option<Probed> {
    None
}

/// Prints the table; the exit code says whether everything works.
pub(super) fn run(config: &Config) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot ask: {error}\n"), exit::FAILURE),
    };
    let mut probed = LocalSet::new().block_on(&runtime, probe(config));
    probed.extend(source(config));
    if probed.is_empty() {
        return say("there is no destination on the network to ask\n");
    }
    let failed = probed.iter().any(|probed| probed.answer.is_err());
    let rows = probed.into_iter().map(|Probed { section, place, tried, answer }| {
        let answer = answer.unwrap_or_else(|error| format!("failed: {error}"));
        [format!("[{section}]"), place, tried.to_owned(), answer]
    });
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    match say(&aligned(&rows)) {
        exit::OK if failed => exit::FAILURE,
        code => code,
    }
}
