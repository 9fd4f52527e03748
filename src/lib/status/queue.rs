//! The directory between pull and process, and the quarantine next to it.

use crate::snapshot::list::{list, wall_clock};
use crate::snapshot::quarantine;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What lies there.
#[derive(Debug)]
pub(crate) struct Queue {
    pub directory: PathBuf,
    pub content: io::Result<Content>,
}

/// What lies in a directory that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Snapshots that wait.
    pub snapshots: usize,
    /// Time since the oldest was pulled; a clock that went back makes it zero.
    pub oldest: Option<Duration>,
    /// Time since something was published or taken away, or since the newest snapshot, whichever is less.
    pub idle: Duration,
    /// Snapshots in quarantine.
    pub quarantined: usize,
    /// Entries that are not ours.
    pub foreign: usize,
}

impl Queue {
    /// Looks at `directory`.
    pub(crate) fn look(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), content: content(directory, wall_clock()) }
    }
}

fn content(directory: &Path, now: Duration) -> io::Result<Content> {
    let listing = list(directory)?;
    let since = |seconds: u64| now.saturating_sub(Duration::from_secs(seconds));
    let changed = u64::try_from(fs::metadata(directory)?.mtime()).unwrap_or(0);
    let newest = listing.snapshots.last().map_or(0, |epoch| epoch.0);
    Ok(Content {
        snapshots: listing.snapshots.len(),
        oldest: listing.snapshots.first().map(|epoch| since(epoch.0)),
        idle: since(changed.max(newest)),
        quarantined: quarantine::count(directory)?,
        foreign: listing.foreign,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("incoming");
        fs::create_dir(&directory).unwrap();
        let now = wall_clock() + Duration::from_secs(50);
        let empty = content(&directory, now).unwrap();
        assert_eq!((empty.snapshots, empty.oldest, empty.quarantined), (0, None, 0));
        assert!((49..=52).contains(&empty.idle.as_secs()), "{empty:?}");

        let second = now.as_secs();
        for name in [second - 90, second - 7, second - 30] {
            fs::create_dir(directory.join(name.to_string())).unwrap();
        }
        fs::write(directory.join("README"), "").unwrap();
        for name in ["failed/1500000000", "failed/1500000000.1", "failed/notes", "incoming/.failed/1500000001"] {
            fs::create_dir_all(base.path().join(name)).unwrap();
        }
        let full = content(&directory, now).unwrap();
        assert_eq!((full.snapshots, full.foreign, full.quarantined), (3, 1, 3));
        assert_eq!(full.oldest.map(|age| age.as_secs()), Some(90));
        assert_eq!(full.idle.as_secs(), 7);
    }

    #[test]
    fn no_directory_is_an_error() {
        assert!(Queue::look(Path::new("/nowhere/incoming")).content.is_err());
    }
}
