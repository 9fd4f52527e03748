//! Where snapshots go that cannot be processed: `failed/` beside the source directory.
//!
//! Nothing is ever overwritten there: a second snapshot of the same second gets a number behind its name. Where the
//! place beside the source directory is on another file system, or not ours to write to, it is `.failed/` inside the
//! source directory. Only the newest [`KEPT`] snapshots are kept, so that a parser that fails on everything does not
//! fill the disk.

use super::{Epoch, disk};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the quarantine beside the source directory.
pub const BESIDE: &str = "failed";
/// Name of the quarantine inside the source directory, where it cannot be beside it.
pub const INSIDE: &str = ".failed";
/// Number of snapshots that are kept in quarantine; beyond it the oldest are deleted. An hour of pulls at the default
/// interval, as many as the queue itself holds by default.
pub const KEPT: usize = 360;

/// Why a snapshot could not be moved.
#[derive(Debug, thiserror::Error)]
#[error("cannot move {} to {}", path.display(), place.display())]
pub struct QuarantineError {
    /// The snapshot.
    pub path: PathBuf,
    /// The quarantine that was tried last.
    pub place: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Where the snapshot is now.
    pub path: PathBuf,
    /// Older snapshots that were deleted to keep within [`KEPT`].
    pub deleted: Vec<PathBuf>,
}

/// Moves the snapshot `epoch` out of `src_dir`. `Ok(None)` when it is not there.
///
/// # Errors
/// When neither place can take it; then it is where it was.
pub fn quarantine(src_dir: &Path, epoch: Epoch) -> Result<Option<Quarantined>, QuarantineError> {
    let path = src_dir.join(epoch.to_string());
    let beside = src_dir.parent().map(|parent| parent.join(BESIDE));
    let inside = src_dir.join(INSIDE);
    let mut last = None;
    for place in beside.into_iter().chain([inside]) {
        match move_into(&path, &place, epoch) {
            Ok(target) => return Ok(Some(Quarantined { path: target, deleted: keep_newest(&place, KEPT) })),
            Err(_) if !path.exists() => return Ok(None),
            Err(source) => last = Some(QuarantineError { path: path.clone(), place, source }),
        }
    }
    last.map_or(Ok(None), Err)
}

fn move_into(path: &Path, place: &Path, epoch: Epoch) -> io::Result<PathBuf> {
    // A link in the place of the quarantine could lead anywhere.
    match fs::symlink_metadata(place) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
        Err(_) => fs::create_dir(place)?,
    }
    let mut number = 0_u32;
    loop {
        let name = if number == 0 { epoch.to_string() } else { format!("{epoch}.{number}") };
        let target = place.join(name);
        match disk::rename_new(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            result => return result.map(|()| target),
        }
    }
}

/// Number of snapshots in quarantine, in both places that it may have.
///
/// # Errors
/// A quarantine that is there cannot be read.
pub fn count(src_dir: &Path) -> io::Result<usize> {
    let beside = src_dir.parent().map(|parent| parent.join(BESIDE));
    let mut count = 0;
    for place in beside.into_iter().chain([src_dir.join(INSIDE)]) {
        match fs::read_dir(&place) {
            Ok(entries) => count += snapshots(entries).count(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Deletes the oldest snapshots of a quarantine until `kept` are left. Other entries are not ours and stay.
fn keep_newest(place: &Path, kept: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    let mut snapshots: Vec<(Epoch, u32, PathBuf)> = snapshots(entries).collect();
    snapshots.sort();
    let surplus = snapshots.len().saturating_sub(kept);
    let oldest = snapshots.into_iter().take(surplus).map(|(_, _, path)| path);
    oldest.filter(|path| disk::remove_directory(path).is_ok()).collect()
}

/// What of a quarantine are snapshots: moment, number, path.
fn snapshots(entries: fs::ReadDir) -> impl Iterator<Item = (Epoch, u32, PathBuf)> {
    entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).filter_map(|entry| {
        let name = entry.file_name();
        let (epoch, number) = name.to_str().map(|name| name.split_once('.').unwrap_or((name, "0")))?;
        Some((Epoch::from_name(epoch)?, number.parse().ok()?, entry.path()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(1_500_000_000);

    fn source(base: &Path) -> PathBuf {
        let src_dir = base.join("incoming");
        fs::create_dir_all(src_dir.join(EPOCH.to_string())).unwrap();
        src_dir
    }

    #[test]
    fn it_goes_beside_the_source_directory_and_overwrites_nothing() {
        let base = tempfile::tempdir().unwrap();
        for expected in ["failed/1500000000", "failed/1500000000.1", "failed/1500000000.2"] {
            let src_dir = source(base.path());
            fs::write(src_dir.join("1500000000/sock1_info"), expected).unwrap();
            let done = quarantine(&src_dir, EPOCH).unwrap().unwrap();
            assert_eq!(done.path, base.path().join(expected));
            assert_eq!(fs::read_to_string(done.path.join("sock1_info")).unwrap(), expected);
            assert!(!src_dir.join("1500000000").exists());
        }
    }

    #[test]
    fn it_goes_inside_when_the_place_beside_is_taken() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        fs::write(base.path().join("failed"), "not a directory").unwrap();
        let done = quarantine(&src_dir, EPOCH).unwrap().unwrap();
        assert_eq!(done.path, src_dir.join(".failed/1500000000"));
    }

    #[test]
    fn a_link_in_the_place_of_the_quarantine_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        let elsewhere = base.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, base.path().join("failed")).unwrap();
        let done = quarantine(&src_dir, EPOCH).unwrap().unwrap();
        assert_eq!(done.path, src_dir.join(".failed/1500000000"));
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn what_is_gone_is_no_error() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        assert_eq!(quarantine(&src_dir, Epoch(7)).unwrap(), None);
    }

    #[test]
    fn the_newest_are_kept() {
        let base = tempfile::tempdir().unwrap();
        let place = base.path().join("failed");
        for name in ["1500000000", "1500000000.1", "1500000010", "999", "notes", "1500000020"] {
            fs::create_dir_all(place.join(name)).unwrap();
        }
        let deleted = keep_newest(&place, 2);
        assert_eq!(deleted, vec![place.join("999"), place.join("1500000000"), place.join("1500000000.1")]);
        assert!(place.join("notes").exists());
        assert!(place.join("1500000020").exists());
    }
}
