//! What lies in the source directory: snapshots, remains of removals, and what is not ours.
//!
//! Only real directories with an epoch's name are snapshots. A symbolic link is never followed, a foreign file never
//! touched; both are counted, so that an operator who drops a file there learns why nothing happens.

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
        // An entry that vanishes between the two calls is simply not there.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if let Some(epoch) = Epoch::from_name(&name).filter(|_| is_dir) {
            listing.snapshots.insert(epoch);
        } else if let Some(epoch) = name.strip_prefix(DONE_PREFIX).and_then(Epoch::from_name).filter(|_| is_dir) {
            listing.leftovers.push(epoch);
        } else if !name.starts_with('.') {
            listing.foreign += 1;
            listing.foreign_example.get_or_insert_with(|| name.into_owned());
        }
    }
    Ok(listing)
}

/// Which directory this is, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    dev: u64,
    ino: u64,
}

impl From<&Metadata> for Identity {
    fn from(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino() }
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

/// The identity of the directory that `path` leads to. Unlike a snapshot, the source directory may be reached by a
/// symbolic link: that is the operator's choice.
///
/// # Errors
/// When the path cannot be examined for a reason other than its absence.
pub fn identity_behind(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Some(Identity::from(&meta))),
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
pub fn last_change(dir: &Path) -> io::Result<Duration> {
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
pub fn wall_clock() -> Duration {
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
        fs::create_dir(at("lost+found")).unwrap();
        fs::write(at("1500000020"), "a file").unwrap();
        symlink(at("1500000010"), at("1500000030")).unwrap();
        symlink("/nowhere", at("1500000040")).unwrap();

        let listing = list(dir.path()).unwrap();

        assert_eq!(listing.snapshots, BTreeSet::from([Epoch(1_500_000_000), Epoch(1_500_000_010)]));
        assert_eq!(listing.leftovers, vec![Epoch(1_499_999_990)]);
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
        assert_eq!(identity(&path).unwrap(), Some(first));
        fs::rename(&path, dir.path().join("away")).unwrap();
        fs::create_dir(&path).unwrap();
        assert_ne!(identity(&path).unwrap(), Some(first));
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(identity(&link).unwrap(), None);
        assert_eq!(identity_behind(&link).unwrap(), identity(&path).unwrap());
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
