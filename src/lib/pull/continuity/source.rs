//! A process in a snapshot, or in what is kept of one, and the names of its files.

use crate::haproxy::identity::Reading;
use crate::pull::masters::Leaving;
use crate::pull::outcome::Outcome;
use crate::snapshot::{INFO_SUFFIX, OLD_INFO_SUFFIX, OLD_STAT_SUFFIX, STAT_SUFFIX, WORKER_MARK};
use std::fs;
use std::path::Path;

/// Ends the names of the files of a process that was not in the snapshot which is kept: behind the second in which it was last.
const ABSENT: [&str; 2] = [".absentinfo", ".absentstat"];
/// The same of a worker that was leaving.
const ABSENT_OLD: [&str; 2] = [".absentoldinfo", ".absentoldstat"];

/// A process and its files.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The name that its files have in a snapshot, up to their suffix.
    pub(super) name: String,
    pub(super) leaving: bool,
    /// The socket that led to it.
    pub(super) socket: String,
    pub(super) reading: Option<Reading>,
    /// Its replies to `show info` and `show stat`.
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

    /// The process whose reply to `show info` this file of a snapshot is.
    pub(super) fn in_snapshot(directory: &Path, file: &str) -> Option<Self> {
        let (name, leaving) = match file.strip_suffix(OLD_INFO_SUFFIX) {
            Some(name) => (name, true),
            None => (file.strip_suffix(INFO_SUFFIX)?, false),
        };
        Self::named(directory, file, name, leaving)
    }

    /// The same of a process that was not in the snapshot, and the second in which it was last.
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

    /// What its files are called while it is not in the snapshot, and was last in this second.
    pub(super) fn absent_files(&self, seen: u64) -> [String; 2] {
        let suffixes = if self.leaving { ABSENT_OLD } else { ABSENT };
        suffixes.map(|suffix| format!("{}{WORKER_MARK}{seen}{suffix}", self.name))
    }
}
