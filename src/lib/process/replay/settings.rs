//! The configuration of a replay: that of the operator, except for the source of snapshots and the destinations.

use crate::archive::Scratch;
use crate::cli::{Arguments, Place, Replay};
use crate::config::load::{self, Loaded, Sources};
use crate::config::program::{KAFKA_SOURCE, OPTIONAL_SECTIONS};
use crate::config::{Ini, LogLevel, Program};
use crate::exit;
use crate::startup::Front;
use std::path::PathBuf;

/// The place of changed values, in error messages.
const ORIGIN: &str = "command line";

/// Name of the source directory; the quarantine is next to it.
const INCOMING: &str = "incoming";

/// The source directory of a replay.
pub(super) fn src_dir(scratch: &Scratch) -> PathBuf {
    scratch.path().join(INCOMING)
}

/// Reads the configuration, and changes it.
pub(super) fn load(front: &Front, arguments: &Arguments, asked: &Replay, scratch: &Scratch) -> Result<Loaded, u8> {
    let Loaded { mut ini, notes, config, warnings } = front.load_with_permissions(arguments)?;
    if matches!(asked.place, Place::Topic(_)) && config.kafka_source.is_none() {
        super::tell("--replay kafka:TOPIC needs the section [kafka-source], which names the brokers");
        return Err(exit::CONFIG);
    }
    change(&mut ini, asked, scratch, config.process.loglevel);
    let loaded = load::check(Program::Process, Sources { ini, notes });
    // Only warnings about the operator's configuration matter.
    loaded.map(|loaded| Loaded { warnings, ..loaded }).map_err(|refused| front.refuse(&refused.report))
}

fn change(ini: &mut Ini, asked: &Replay, scratch: &Scratch, level: LogLevel) {
    ini.set(ORIGIN, "process", "source", "directory");
    match &asked.place {
        Place::Topic(topic) => ini.set(ORIGIN, KAFKA_SOURCE, "topic", topic),
        Place::Stored(_) => ini.remove(KAFKA_SOURCE),
    }
    ini.set(ORIGIN, "process", "src-dir", &src_dir(scratch).display().to_string());
    // A single worker keeps the order.
    ini.set(ORIGIN, "process", "workers", "1");
    if level == LogLevel::Info {
        // A line for each snapshot is not useful here; progress is printed instead.
        ini.set(ORIGIN, "process", "loglevel", "warning");
    }
    // Snapshots from an archive are not archived again, and the metrics page belongs to the running daemon.
    for section in ["archive", "exporter", "exporter:process"] {
        ini.remove(section);
    }
    if let Some(server) = &asked.to_graphite {
        let destinations = OPTIONAL_SECTIONS.iter().filter(|section| **section != KAFKA_SOURCE);
        destinations.for_each(|section| ini.remove(section));
        ini.set(ORIGIN, "graphite", "enabled", "true");
        ini.set(ORIGIN, "graphite", "servers", server);
    }
}
