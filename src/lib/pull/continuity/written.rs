//! As long as carried counters do not change, the file with them gets another link instead of being written again for each
//! snapshot.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that was written for an earlier snapshot, and is kept.
#[derive(Debug)]
pub(super) struct Written {
    /// The state that it contains, see [`super::ledger::Ledger::state`].
    state: u64,
    path: PathBuf,
    length: u64,
    modified: SystemTime,
}

impl Written {
    /// The file at `path`, which contains this state.
    pub(super) fn of(state: u64, path: PathBuf) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(&path)?;
        Ok(Self { state, path, length: metadata.len(), modified: metadata.modified()? })
    }

    /// Links the file to this path if it contains this state; false if the file has to be written.
    pub(super) fn serves(&self, state: u64, path: &Path) -> bool {
        // A file that has changed since it was written is not used.
        let same = |found: Metadata| {
            found.len() == self.length && found.modified().is_ok_and(|modified| modified == self.modified)
        };
        self.state == state
            && fs::symlink_metadata(&self.path).is_ok_and(same)
            && fs::hard_link(&self.path, path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_serves_as_long_as_it_says_the_same_and_is_what_was_written() {
        let root = tempfile::tempdir().unwrap();
        let (kept, next) = (root.path().join("kept"), |number: u32| root.path().join(format!("next-{number}")));
        fs::write(&kept, "twelve bytes").unwrap();
        let written = Written::of(1, kept.clone()).unwrap();
        assert!(written.serves(1, &next(0)) && written.serves(1, &next(1)));
        assert_eq!(fs::read_to_string(next(1)).unwrap(), "twelve bytes");
        assert!(!written.serves(2, &next(2)), "it says something else");
        assert!(!written.serves(1, &next(1)), "there is one");
        fs::write(&kept, "cut off").unwrap();
        assert!(!written.serves(1, &next(3)), "it was cut off");
        fs::remove_file(&kept).unwrap();
        assert!(!written.serves(1, &next(4)), "it is gone");
        assert!(!next(2).exists() && !next(3).exists() && !next(4).exists());
    }
}
