//! Where in what is kept the last replies of each process are: those of the snapshot, and those of processes that are not in it
//! and may come back, as one does whose socket did not answer in time. Without those, its counters would be added once more to
//! what is carried of them.

use super::seen::Identity;
use super::source::Source;
use std::collections::HashMap;
use std::path::PathBuf;

#[derive(Debug, Clone)]
struct Place {
    source: Source,
    /// The second in which it was in a snapshot last, and how many there were since.
    seen: u64,
    missed: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What is kept.
    pub(super) directory: PathBuf,
    of: HashMap<Identity, Place>,
}

impl Places {
    /// None, in this directory.
    pub(super) fn of(directory: PathBuf) -> Self {
        Self { directory, of: HashMap::new() }
    }

    /// Notes a process that is in the snapshot of this second.
    pub(super) fn note(&mut self, identity: Identity, source: Source, seen: u64) {
        self.of.insert(identity, Place { source, seen, missed: 0 });
    }

    /// Those of the next snapshot, which has these processes; and the files of others that are to be kept beside it: where each
    /// is, and its name there. Those that were seen last before `forget` are none any more, nor are those of which `may_return` says so,
    /// by how many snapshots they have missed.
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

    /// The name in what is kept of the reply to `show stat` of a process.
    pub(super) fn file(&self, identity: &Identity) -> Option<&str> {
        self.of.get(identity).map(|place| place.source.files[1].as_str())
    }

    /// All processes.
    pub(super) fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.of.keys()
    }
}
