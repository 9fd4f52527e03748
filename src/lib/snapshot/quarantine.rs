//! The quarantine for snapshots that cannot be processed: `failed/`, next to the source directory.
//!
//! Nothing is ever overwritten there: a second snapshot of the same second gets a number after its name. Where the
//! place beside the source directory is on another file system, or not ours to write to, it is `.failed/` inside the
//! source directory.
//!
//! Nothing is ever deleted there either. A parser that fails on everything must not fill the disk, so there is a bound,
//! [`MOST`]; but what lies there may be all that is left of something that can be mended, and the newest is worth no more
//! than the oldest. So at the bound snapshots stay where they are, in the queue.

use super::list::Identity;
use super::withdraw::{Withdrawal, withdraw};
use super::{Epoch, disk};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the quarantine beside the source directory.
pub(crate) const BESIDE: &str = "failed";
/// Name of the quarantine inside the source directory, where it cannot be beside it.
pub const INSIDE: &str = ".failed";
/// Most snapshots in quarantine. An hour of pulls at the default interval, as many as the queue itself holds by default.
pub const MOST: usize = 360;

/// Why a snapshot could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There are enough.
    #[error("{} already contains {MOST} snapshots", place.display())]
    Full {
        /// The quarantine.
        place: PathBuf,
    },
    /// It cannot be written to.
    #[error("cannot move {} to {}", path.display(), place.display())]
    Move {
        /// The snapshot.
        path: PathBuf,
        /// The quarantine that was tried last.
        place: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quarantined {
    /// The snapshot is there now.
    At(PathBuf),
    /// It was gone before.
    Missing,
    /// Another one has its name, and was not touched.
    Replaced,
}

/// Moves the snapshot `epoch` out of `src_dir`, provided that it is still the one that was `tried`.
///
/// # Errors
/// When neither place can take it; then it is where it was.
pub fn quarantine(src_dir: &Path, epoch: Epoch, tried: Identity) -> Result<Quarantined, QuarantineError> {
    let path = src_dir.join(epoch.to_string());
    let failed = |place: &Path, source| QuarantineError::Move { path: path.clone(), place: place.to_owned(), source };
    let places = places(src_dir);
    if let Some(place) = places.first()
        && places.iter().map(|place| entries(place).map_or(0, |names| snapshots(names).count())).sum::<usize>() >= MOST
    {
        return Err(QuarantineError::Full { place: place.clone() });
    }
    let withdrawn = match withdraw(src_dir, epoch, tried).map_err(|source| failed(src_dir, source))? {
        Withdrawal::Done(withdrawn) => withdrawn,
        Withdrawal::Missing => return Ok(Quarantined::Missing),
        Withdrawal::Replaced => return Ok(Quarantined::Replaced),
    };
    let mut last = None;
    for place in places {
        match move_into(&withdrawn.path, &place, epoch) {
            Ok(target) => return Ok(Quarantined::At(target)),
            Err(source) => last = Some(failed(&place, source)),
        }
    }
    // Should that fail as well, it is put back at the next look.
    let _ = withdrawn.put_back(src_dir);
    last.map_or(Ok(Quarantined::Missing), Err)
}

/// Where the quarantine may be.
pub(crate) fn places(src_dir: &Path) -> Vec<PathBuf> {
    let beside = src_dir.parent().map(|parent| parent.join(BESIDE));
    beside.into_iter().chain([src_dir.join(INSIDE)]).collect()
}

fn move_into(path: &Path, place: &Path, epoch: Epoch) -> io::Result<PathBuf> {
    // A link in the place of the quarantine could lead anywhere.
    match fs::symlink_metadata(place) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
        Err(_) => disk::make(place)?,
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
    places(src_dir).iter().map(|place| entries(place).map(|names| snapshots(names).count())).sum()
}

/// The snapshots in quarantine, in order; what cannot be read has none.
#[must_use]
pub fn list(src_dir: &Path) -> Vec<Epoch> {
    let names = places(src_dir).into_iter().flat_map(|place| snapshots(entries(&place).unwrap_or_default()));
    let mut epochs: Vec<Epoch> = names.filter_map(|name| Epoch::from_name(name.split('.').next()?)).collect();
    epochs.sort_unstable();
    epochs
}

/// Real directories in a quarantine; none where there is no quarantine.
fn entries(place: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(directories.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Those of these names that are snapshots' in a quarantine.
fn snapshots(names: Vec<String>) -> impl Iterator<Item = String> {
    names.into_iter().filter(|name| {
        let (epoch, number) = name.split_once('.').unwrap_or((name, "0"));
        Epoch::from_name(epoch).is_some() && number.parse::<u32>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::list::identity;

    const EPOCH: Epoch = Epoch(1_500_000_000);

    /// Moves what is there now; returns where it is then.
    fn moved(src_dir: &Path) -> PathBuf {
        let now = identity(&src_dir.join(EPOCH.to_string())).unwrap().unwrap();
        match quarantine(src_dir, EPOCH, now).unwrap() {
            Quarantined::At(path) => path,
            other => panic!("{other:?}"),
        }
    }

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
            let path = moved(&src_dir);
            assert_eq!(path, base.path().join(expected));
            assert_eq!(fs::read_to_string(path.join("sock1_info")).unwrap(), expected);
            assert!(!src_dir.join("1500000000").exists());
        }
    }

    #[test]
    fn it_goes_inside_when_the_place_beside_is_taken() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        fs::write(base.path().join("failed"), "not a directory").unwrap();
        assert_eq!(moved(&src_dir), src_dir.join(".failed/1500000000"));
    }

    #[test]
    fn a_link_in_the_place_of_the_quarantine_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        let elsewhere = base.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, base.path().join("failed")).unwrap();
        assert_eq!(moved(&src_dir), src_dir.join(".failed/1500000000"));
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn what_is_gone_is_no_error_and_what_took_its_place_stays() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        let path = src_dir.join(EPOCH.to_string());
        let tried = identity(&path).unwrap().unwrap();
        fs::rename(&path, base.path().join("away")).unwrap();
        assert_eq!(quarantine(&src_dir, EPOCH, tried).unwrap(), Quarantined::Missing);
        fs::create_dir(&path).unwrap();
        assert_eq!(quarantine(&src_dir, EPOCH, tried).unwrap(), Quarantined::Replaced);
        assert!(path.is_dir() && !base.path().join(BESIDE).exists());
    }

    #[test]
    fn nothing_is_deleted_to_make_room() {
        let base = tempfile::tempdir().unwrap();
        let src_dir = source(base.path());
        let (beside, inside) = (base.path().join(BESIDE), src_dir.join(INSIDE));
        for number in 1..MOST {
            let place = if number % 2 == 0 { &beside } else { &inside };
            fs::create_dir_all(place.join(number.to_string())).unwrap();
        }
        fs::create_dir(beside.join("notes")).unwrap();
        assert_eq!(moved(&src_dir), beside.join("1500000000"));
        let src_dir = source(base.path());
        let path = src_dir.join(EPOCH.to_string());
        let tried = identity(&path).unwrap().unwrap();
        let refused = quarantine(&src_dir, EPOCH, tried);
        assert!(matches!(refused, Err(QuarantineError::Full { .. })), "{refused:?}");
        assert!(path.is_dir());
        assert_eq!(count(&src_dir).unwrap(), MOST);
        fs::remove_dir(beside.join("2")).unwrap();
        assert_eq!(moved(&src_dir), beside.join("1500000000.1"));
    }
}
