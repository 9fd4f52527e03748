//! What is carried is the same from one snapshot to the next, as long as nothing happens: then its file is the same as well, by
//! another link.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that was written for a snapshot, and is kept.
#[derive(Debug)]
pub(super) struct Written {
    /// What it says, see [`super::ledger::Ledger::state`].
    state: u64,
    path: PathBuf,
    length: u64,
    modified: SystemTime,
}

impl Written {
    /// The file that lies there, and says this.
    pub(super) fn of(state: u64, path: PathBuf) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(&path)?;
        Ok(Self { state, path, length: metadata.len(), modified: metadata.modified()? })
    }

    /// Makes it the file of this path, where it says this; false where it has to be written.
    pub(super) fn serves(&self, state: u64, path: &Path) -> bool {
        // One that was changed since is not what was written.
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
