//! What lies in the source directory: snapshots, remains of removals, and what is not ours.
//!
//! Only real directories with an epoch's name are snapshots. A symbolic link is never followed, a foreign file never
//! touched; both are counted, so that an operator who drops a file there learns why nothing happens.

use super::withdraw::epoch_of;
use super::{DONE_PREFIX, Epoch};
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The content of the source directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Directories with the name of an epoch.
    pub snapshots: BTreeSet<Epoch>,
    /// Epochs of which the removal was begun and not finished.
    pub leftovers: Vec<Epoch>,
    /// Names of snapshots that were being taken out of the queue, in order.
    pub withdrawn: Vec<String>,
    /// Entries that are neither; hidden names are not counted, since pull stages under such a name where it must.
    pub foreign: usize,
    /// Name of one of the foreign entries, for the log.
    pub foreign_example: Option<String>,
}

/// Lists `src_dir` without following any link.
///
/// # Errors
/// When the directory cannot be opened or read.
pub fn list(src_dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(src_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_dir = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            // It has vanished between the two calls.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if let Some(epoch) = Epoch::from_name(&name).filter(|_| is_dir) {
            listing.snapshots.insert(epoch);
        } else if let Some(epoch) = name.strip_prefix(DONE_PREFIX).and_then(Epoch::from_name).filter(|_| is_dir) {
            listing.leftovers.push(epoch);
        } else if is_dir && epoch_of(&name).is_some() {
            listing.withdrawn.push(name.into_owned());
        } else if !name.starts_with('.') {
            listing.foreign += 1;
            listing.foreign_example.get_or_insert_with(|| name.into_owned());
        }
    }
    listing.withdrawn.sort_unstable();
    Ok(listing)
}

/// Which directory this is, whatever its name: device, inode, and the birth of that inode where the file system knows it.
/// The number alone says little, since it is used again when the directory is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    dev: u64,
    ino: u64,
    born: Option<SystemTime>,
}

impl From<&Metadata> for Place {
    fn from(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino(), born: meta.created().ok() }
    }
}

/// Which snapshot this is: the directory, and when entries in it last changed. Where there is no birth, the last change of
/// the directory itself counts, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    place: Place,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// Whether `other` is the same snapshot, seen at another time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.is_renamed(other) && (self.place.born.is_some() || self.changed == other.changed)
    }

    /// The same, when it was renamed in between, which counts as a change of the directory itself.
    #[must_use]
    pub(crate) fn is_renamed(&self, other: &Self) -> bool {
        self.place == other.place && self.modified == other.modified
    }
}

impl std::fmt::Display for Identity {
    /// What stays the same when it is renamed, and after a restart.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, nanoseconds) = self.modified;
        write!(f, "{}:{} {seconds}.{nanoseconds:09}", self.place.dev, self.place.ino)
    }
}

impl From<&Metadata> for Identity {
    fn from(meta: &Metadata) -> Self {
        Self {
            place: Place::from(meta),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// The identity of the real directory at `path`; `None` when there is none, or something else.
///
/// # Errors
/// When the path cannot be examined for a reason other than its absence.
pub fn identity(path: &Path) -> io::Result<Option<Identity>> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Some(Identity::from(&meta))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The directory that `path` leads to. Unlike a snapshot, the source directory may be reached by a
/// symbolic link: that is the operator's choice.
///
/// # Errors
/// When the path cannot be examined for a reason other than its absence.
pub(crate) fn place_behind(path: &Path) -> io::Result<Option<Place>> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Some(Place::from(&meta))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// When something last changed in a snapshot: the newest change time (ctime, which no copying tool can set back) of
/// the directory and of the files directly in it, as time since the epoch.
///
/// # Errors
/// When the directory cannot be read, for instance because it vanished.
pub(crate) fn last_change(dir: &Path) -> io::Result<Duration> {
    let ctime = |meta: &Metadata| {
        let seconds = u64::try_from(meta.ctime()).unwrap_or(0);
        Duration::new(seconds, u32::try_from(meta.ctime_nsec()).unwrap_or(0).min(999_999_999))
    };
    let mut newest = ctime(&fs::symlink_metadata(dir)?);
    for entry in fs::read_dir(dir)? {
        if let Ok(meta) = entry?.metadata() {
            newest = newest.max(ctime(&meta));
        }
    }
    Ok(newest)
}

/// The wall clock as time since the epoch; zero before it.
#[must_use]
pub(crate) fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_real_directories_with_an_epochs_name_are_snapshots() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("1500000010")).unwrap();
        fs::create_dir(at("1500000000")).unwrap();
        fs::create_dir(at(".done-1499999990")).unwrap();
        fs::create_dir(at(".staging")).unwrap();
        fs::create_dir(at(".removing-1499999980.1")).unwrap();
        fs::create_dir(at(".removing-1499999980")).unwrap();
        fs::create_dir(at("lost+found")).unwrap();
        fs::write(at("1500000020"), "a file").unwrap();
        symlink(at("1500000010"), at("1500000030")).unwrap();
        symlink("/nowhere", at("1500000040")).unwrap();

        let listing = list(dir.path()).unwrap();

        assert_eq!(listing.snapshots, BTreeSet::from([Epoch(1_500_000_000), Epoch(1_500_000_010)]));
        assert_eq!(listing.leftovers, vec![Epoch(1_499_999_990)]);
        assert_eq!(listing.withdrawn, vec![".removing-1499999980", ".removing-1499999980.1"]);
        assert_eq!(listing.foreign, 4);
        assert!(listing.foreign_example.is_some());
    }

    #[test]
    fn a_recreated_directory_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1500000000");
        assert_eq!(identity(&path).unwrap(), None);
        fs::create_dir(&path).unwrap();
        let first = identity(&path).unwrap().unwrap();
        assert!(first.is(&identity(&path).unwrap().unwrap()));
        fs::rename(&path, dir.path().join("away")).unwrap();
        assert!(first.is_renamed(&identity(&dir.path().join("away")).unwrap().unwrap()));
        fs::create_dir(&path).unwrap();
        assert!(!first.is_renamed(&identity(&path).unwrap().unwrap()));
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(identity(&link).unwrap(), None);
        assert_eq!(place_behind(&link).unwrap(), identity(&path).unwrap().map(|identity| identity.place));
    }

    #[test]
    fn an_inode_number_that_is_used_again_is_another_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1500000000");
        fs::create_dir(&path).unwrap();
        let first = identity(&path).unwrap().unwrap();
        let limit = std::time::Instant::now() + Duration::from_secs(20);
        // Until the number is the same, where the file system does that at all, and the clock has moved on.
        while std::time::Instant::now() < limit {
            fs::remove_dir(&path).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            fs::create_dir(&path).unwrap();
            let second = identity(&path).unwrap().unwrap();
            assert!(!first.is(&second), "{first:?} {second:?}");
            if second.place.ino == first.place.ino {
                let (first, second) = (Place { born: None, ..first.place }, Place { born: None, ..second.place });
                assert_eq!(first, second);
                return;
            }
            if limit - std::time::Instant::now() < Duration::from_secs(19) {
                eprintln!("this file system does not use numbers again");
                return;
            }
        }
    }

    #[test]
    fn a_file_written_later_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1500000000");
        fs::create_dir(&path).unwrap();
        let file = path.join("sock1_info");
        fs::write(&file, "a").unwrap();
        let before = last_change(&path).unwrap();
        // The file system's clock has a coarse tick: write until it shows.
        let limit = std::time::Instant::now() + Duration::from_secs(5);
        loop {
            fs::write(&file, "ab").unwrap();
            if last_change(&path).unwrap() > before {
                break;
            }
            assert!(std::time::Instant::now() < limit, "the change never showed");
        }
        assert!(last_change(&path).unwrap() <= wall_clock() + Duration::from_secs(1));
    }
}
