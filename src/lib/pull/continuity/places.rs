//! Finds the last replies of each process in the store: of those in the snapshot, and of those that are not in it but may come
//! back, for example because a socket did not answer in time. Without the latter, the counters of a process that comes back would
//! count twice, as they are already carried.

use super::seen::Identity;
use super::source::Source;
use std::collections::HashMap;
use std::path::PathBuf;

#[derive(Debug, Clone)]
struct Place {
    source: Source,
    /// The last second in which it was in a snapshot, and the number of snapshots since.
    seen: u64,
    missed: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Directory of the kept snapshot.
    pub(super) directory: PathBuf,
    of: HashMap<Identity, Place>,
}

impl Places {
    /// No processes, in this directory.
    pub(super) fn of(directory: PathBuf) -> Self {
        Self { directory, of: HashMap::new() }
    }

    /// Notes a process that is in the snapshot of this second.
    pub(super) fn note(&mut self, identity: Identity, source: Source, seen: u64) {
        self.of.insert(identity, Place { source, seen, missed: 0 });
    }

    /// The places for the next snapshot, which has the processes `present`, and the files of absent processes to keep along with
    /// it: where each is now, and its name there. Absent processes are dropped if they were last seen before `forget`, or if
    /// `may_return`, given the number of snapshots that they have missed, says that they cannot come back.
    pub(super) fn next(
        &self,
        present: HashMap<Identity, Source>,
        (seen, forget): (u64, u64),
        may_return: impl Fn(&Identity, u32) -> bool,
    ) -> (Self, Vec<(PathBuf, String)>) {
        let (mut next, mut links) = (Self::default(), Vec::new());
        for (identity, place) in &self.of {
            let missed = place.missed + 1;
            if present.contains_key(identity) || place.seen < forget || !may_return(identity, missed) {
                continue;
            }
            let mut place = Place { missed, ..place.clone() };
            let files = place.source.absent_files(place.seen);
            let before = std::mem::replace(&mut place.source.files, files.clone());
            links.extend(before.iter().map(|file| self.directory.join(file)).zip(files));
            next.of.insert(identity.clone(), place);
        }
        present.into_iter().for_each(|(identity, source)| next.note(identity, source, seen));
        (next, links)
    }

    /// Name of the kept file with the reply of a process to `show stat`.
    pub(super) fn file(&self, identity: &Identity) -> Option<&str> {
        self.of.get(identity).map(|place| place.source.files[1].as_str())
    }

    /// All processes.
    pub(super) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.of.keys()
    }
}
