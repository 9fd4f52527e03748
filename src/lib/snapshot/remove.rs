//! The removal of a snapshot that every destination has.
//!
//! First it is taken out of the queue ([`super::withdraw`]), then renamed to `.done-<epoch>`, then deleted. A crash in the
//! middle of deleting thus leaves something that nobody takes for a snapshot; it is finished at the next start or rescan.

use super::list::Identity;
use super::withdraw::{Withdrawal, withdraw};
use super::{DONE_PREFIX, Epoch, disk};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What became of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone from the queue.
    Removed,
    /// It was gone before.
    Missing,
    /// Another directory has its name now; that one was not touched.
    Replaced,
}

/// Why a snapshot could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// It is still in the queue.
    #[error("cannot take {} out of the queue", path.display())]
    Rename {
        /// The snapshot.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is out of the queue, but not deleted.
    #[error("cannot delete {}", path.display())]
    Delete {
        /// What remains.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Removes the snapshot `epoch` from `src_dir`, provided that it is still the one that was processed.
///
/// # Errors
/// [`RemoveError::Rename`] leaves everything as it was, but for what `processed` then is; [`RemoveError::Delete`] leaves a
/// `.done-` directory.
pub fn remove(src_dir: &Path, epoch: Epoch, processed: &mut Identity) -> Result<Removal, RemoveError> {
    let path = src_dir.join(epoch.to_string());
    let failed = |source| RemoveError::Rename { path: path.clone(), source };
    let done = leftover(src_dir, epoch);
    // Remains of an earlier snapshot of the same second would be in the way.
    disk::remove_directory(&done).map_err(failed)?;
    let withdrawn = match withdraw(src_dir, epoch, *processed).map_err(failed)? {
        Withdrawal::Done(withdrawn) => withdrawn,
        Withdrawal::Missing => return Ok(Removal::Missing),
        Withdrawal::Replaced => return Ok(Removal::Replaced),
    };
    if let Err(error) = fs::rename(&withdrawn.path, &done) {
        if let Ok(Some(now)) = withdrawn.put_back(src_dir) {
            *processed = now;
        }
        return Err(failed(error));
    }
    delete(&done)?;
    Ok(Removal::Removed)
}

/// Deletes what an interrupted removal left of `epoch`.
///
/// # Errors
/// When something of it remains.
pub fn finish(src_dir: &Path, epoch: Epoch) -> Result<(), RemoveError> {
    delete(&leftover(src_dir, epoch))
}

fn leftover(src_dir: &Path, epoch: Epoch) -> PathBuf {
    src_dir.join(format!("{DONE_PREFIX}{epoch}"))
}

fn delete(path: &Path) -> Result<(), RemoveError> {
    disk::remove_directory(path).map_err(|source| RemoveError::Delete { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::list::identity;
    use std::os::unix::fs::symlink;

    const EPOCH: Epoch = Epoch(1_500_000_000);

    fn snapshot(src_dir: &Path) -> Identity {
        let path = src_dir.join(EPOCH.to_string());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("sock1_info"), "Name: HAProxy\n").unwrap();
        identity(&path).unwrap().unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_remains() {
        let dir = tempfile::tempdir().unwrap();
        let mut id = snapshot(dir.path());
        assert_eq!(remove(dir.path(), EPOCH, &mut id).unwrap(), Removal::Removed);
        assert_eq!(names(dir.path()), Vec::<String>::new());
        assert_eq!(remove(dir.path(), EPOCH, &mut id).unwrap(), Removal::Missing);
    }

    #[test]
    fn remains_of_an_earlier_removal_are_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let mut id = snapshot(dir.path());
        let remains = dir.path().join(".done-1500000000");
        fs::create_dir(&remains).unwrap();
        fs::write(remains.join("sock1_stat"), "").unwrap();
        assert_eq!(remove(dir.path(), EPOCH, &mut id).unwrap(), Removal::Removed);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_replacement_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let mut id = snapshot(dir.path());
        fs::rename(dir.path().join("1500000000"), dir.path().join("away")).unwrap();
        snapshot(dir.path());
        assert_eq!(remove(dir.path(), EPOCH, &mut id).unwrap(), Removal::Replaced);
        assert!(dir.path().join("1500000000/sock1_info").exists());
    }

    #[test]
    fn links_inside_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "").unwrap();
        snapshot(dir.path());
        symlink(&outside, dir.path().join("1500000000/link")).unwrap();
        let mut id = identity(&dir.path().join("1500000000")).unwrap().unwrap();
        assert_eq!(remove(dir.path(), EPOCH, &mut id).unwrap(), Removal::Removed);
        assert!(outside.join("precious").exists());
    }

    #[test]
    fn an_interrupted_removal_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let remains = dir.path().join(".done-1500000000");
        fs::create_dir(&remains).unwrap();
        fs::write(remains.join("sock1_stat"), "").unwrap();
        finish(dir.path(), EPOCH).unwrap();
        finish(dir.path(), EPOCH).unwrap();
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }
}
