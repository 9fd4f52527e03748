//! A process in a snapshot, or in the store, and the names of its files.

use crate::haproxy::identity::Reading;
use crate::pull::masters::Leaving;
use crate::pull::outcome::Outcome;
use crate::snapshot::{INFO_SUFFIX, OLD_INFO_SUFFIX, OLD_STAT_SUFFIX, STAT_SUFFIX, WORKER_MARK};
use std::fs;
use std::path::Path;

/// Suffixes of the files of a process that is absent from the kept snapshot. They follow the last second in which it was in a
/// snapshot.
const ABSENT: [&str; 2] = [".absentinfo", ".absentstat"];
/// The same for a worker that was leaving.
const ABSENT_OLD: [&str; 2] = [".absentoldinfo", ".absentoldstat"];

/// A process and its files.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The name of its files in a snapshot, without their suffixes.
    pub(super) name: String,
    pub(super) leaving: bool,
    /// The socket through which it was reached.
    pub(super) socket: String,
    pub(super) reading: Option<Reading>,
    /// The files with its replies to `show info` and `show stat`.
    pub(super) files: [String; 2],
}

impl Source {
    /// A process that has answered.
    pub(super) fn live(outcome: &Outcome) -> Self {
        let name = outcome.target.name.clone();
        Self::new(name.clone(), false, name, outcome.reading.as_deref().cloned())
    }

    /// A worker that is leaving.
    pub(super) fn leaving(worker: &Leaving) -> Self {
        Self::new(worker.name.clone(), true, worker.master.clone(), worker.reading.clone())
    }

    fn new(name: String, leaving: bool, socket: String, reading: Option<Reading>) -> Self {
        let suffixes = if leaving { [OLD_INFO_SUFFIX, OLD_STAT_SUFFIX] } else { [INFO_SUFFIX, STAT_SUFFIX] };
        let files = suffixes.map(|suffix| format!("{name}{suffix}"));
        Self { name, leaving, socket, reading, files }
    }

    /// The process to which this file of a snapshot belongs, if it is a reply to `show info`.
    pub(super) fn in_snapshot(directory: &Path, file: &str) -> Option<Self> {
        let (name, leaving) = match file.strip_suffix(OLD_INFO_SUFFIX) {
            Some(name) => (name, true),
            None => (file.strip_suffix(INFO_SUFFIX)?, false),
        };
        Self::named(directory, file, name, leaving)
    }

    /// Like [`Self::in_snapshot`], for a process that was absent, with the last second in which it was in a snapshot.
    pub(super) fn absent(directory: &Path, file: &str) -> Option<(u64, Self)> {
        let (stem, leaving) = match file.strip_suffix(ABSENT_OLD[0]) {
            Some(stem) => (stem, true),
            None => (file.strip_suffix(ABSENT[0])?, false),
        };
        let (name, seen) = stem.rsplit_once(WORKER_MARK)?;
        let seen = seen.parse().ok()?;
        let mut source = Self::named(directory, file, name, leaving)?;
        source.files = source.absent_files(seen);
        Some((seen, source))
    }

    fn named(directory: &Path, file: &str, name: &str, leaving: bool) -> Option<Self> {
        let socket = if leaving { name.rsplit_once(WORKER_MARK)?.0 } else { name };
        let reading = Reading::of(&fs::read(directory.join(file)).ok()?);
        Some(Self::new(name.to_owned(), leaving, socket.to_owned(), Some(reading)))
    }

    /// Names of its files while it is absent from the snapshot, and was last in the one of second `seen`.
    pub(super) fn absent_files(&self, seen: u64) -> [String; 2] {
        let suffixes = if self.leaving { ABSENT_OLD } else { ABSENT };
        suffixes.map(|suffix| format!("{}{WORKER_MARK}{seen}{suffix}", self.name))
    }
}
