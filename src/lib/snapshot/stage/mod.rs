//! The writing side of the directory between pull and process.
//!
//! | moment | on disk | after a crash here |
//! |---|---|---|
//! | [`Staging::begin`] to [`Snapshot::publish`] | `tmp-dst-dir/<epoch>/`, growing | removed by the next [`Staging::open`] |
//! | the rename in `publish` | one or the other, never both or a part | |
//! | after it | `dst-dir/<epoch>/`, complete, never touched again by pull | process takes it |
//!
//! Where a rename between the two directories is impossible (EXDEV: different file systems), the place of
//! `tmp-dst-dir` is taken by [`STAGING_DIR`] inside `dst-dir`.

mod error;
mod folder;
mod lock;
#[cfg(test)]
mod tests;

pub(crate) use error::StageError;
pub(crate) use folder::Folder;
pub use lock::notes;

use super::list::list;
use super::{Epoch, disk};
use lock::Locks;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where pull stages inside `dst-dir` when it cannot rename from `tmp-dst-dir`. Hidden, so that nothing takes it for
/// a snapshot.
pub(crate) const STAGING_DIR: &str = ".staging";

type Rename = fn(&Path, &Path) -> io::Result<()>;

/// `tmp-dst-dir` and `dst-dir`, open for snapshots, and locked against a second program.
#[derive(Debug)]
pub(crate) struct Staging {
    dst: PathBuf,
    /// Directory in which snapshots are staged now.
    base: PathBuf,
    fsync: bool,
    rename: Rename,
    locks: Locks,
}

/// One snapshot that is being staged. It vanishes with this value unless it is published.
#[derive(Debug)]
pub(crate) struct Snapshot {
    epoch: Epoch,
    dir: PathBuf,
    dst: PathBuf,
    fsync: bool,
    rename: Rename,
    published: bool,
}

/// How a snapshot came into `dst-dir`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// By a rename, as it should be.
    Renamed,
    /// By a copy to [`STAGING_DIR`] and a rename from there, because `tmp-dst-dir` lies on another file system.
    Copied,
}

impl Staging {
    /// Makes both directories where they are missing, and removes what a crash has left behind: directories named by
    /// an epoch in `tmp-dst-dir` and in [`STAGING_DIR`], nothing else.
    ///
    /// # Errors
    /// A directory cannot be made or cleaned, or another program stages there.
    pub(crate) fn open(tmp: &Path, dst: &Path, fsync: bool) -> Result<Self, StageError> {
        create_all(dst)?;
        create_all(tmp)?;
        let locks = Locks::take(tmp, dst)?;
        let base = cleaned(tmp, dst)?;
        Ok(Self { dst: dst.to_owned(), base, fsync, rename: disk::rename_new, locks })
    }

    /// Goes over to other directories, or another `fsync`. Where they cannot be used, everything stays as it is.
    ///
    /// # Errors
    /// As [`Staging::open`].
    pub(crate) fn move_to(&mut self, tmp: &Path, dst: &Path, fsync: bool) -> Result<(), StageError> {
        if !self.locks.are_on(tmp, dst) {
            create_all(dst)?;
            create_all(tmp)?;
            self.locks.move_to(tmp, dst)?;
            self.base = cleaned(tmp, dst)?;
            self.dst = dst.to_owned();
        }
        self.fsync = fsync;
        Ok(())
    }

    /// Number of snapshots in `dst-dir`. A missing `dst-dir` is made again.
    ///
    /// # Errors
    /// `dst-dir` cannot be read or made.
    pub(crate) fn waiting(&self) -> Result<usize, StageError> {
        match list(&self.dst) {
            Ok(listing) => Ok(listing.snapshots.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!(directory = %self.dst.display(), "dst-dir has disappeared; creating it again");
                create_all(&self.dst)?;
                Ok(0)
            }
            Err(source) => Err(StageError::Read { path: self.dst.clone(), source }),
        }
    }

    /// Sees to it that both directories are still locked, whatever was removed and made again.
    ///
    /// # Errors
    /// Another haproxystats-pull has taken one of them meanwhile, or `tmp-dst-dir` cannot be made.
    pub(crate) fn hold(&mut self) -> Result<(), StageError> {
        create_all(&self.base)?;
        self.locks.hold()
    }

    /// The last second that was published, by this program or an earlier one; `None` when that is not known.
    #[must_use]
    pub(crate) fn last(&self) -> Option<Epoch> {
        self.locks.last()
    }

    /// Remembers a second that was published, for the next start, and lines about its sockets, for [`notes`].
    pub(crate) fn remember(&self, epoch: Epoch, notes: &[String]) {
        self.locks.remember(epoch, notes);
    }

    /// Whether `dst-dir` has a snapshot of this second.
    #[must_use]
    pub(crate) fn has(&self, epoch: Epoch) -> bool {
        fs::symlink_metadata(self.dst.join(epoch.to_string())).is_ok()
    }

    /// Makes the staging directory of a snapshot.
    ///
    /// # Errors
    /// It cannot be made, or `dst-dir` has a snapshot of this second already.
    pub(crate) fn begin(&self, epoch: Epoch) -> Result<Snapshot, StageError> {
        if self.has(epoch) {
            return Err(StageError::Exists { path: self.dst.join(epoch.to_string()) });
        }
        Snapshot::create(epoch, &self.base, &self.dst, self.fsync, self.rename)
    }

    /// From now on snapshots are staged inside `dst-dir`. Called when one was [`Published::Copied`].
    pub(crate) fn move_inside(&mut self) {
        tracing::warn!(from = %self.base.display(), to = %self.dst.display(), staging = STAGING_DIR,
            "tmp-dst-dir and dst-dir are on different file systems; snapshots are staged in a hidden directory inside dst-dir");
        self.base = self.dst.join(STAGING_DIR);
    }
}

impl Snapshot {
    fn create(epoch: Epoch, base: &Path, dst: &Path, fsync: bool, rename: Rename) -> Result<Self, StageError> {
        let dir = base.join(epoch.to_string());
        create_all(base)?;
        match disk::make(&dir) {
            // Its removal failed earlier; no other program stages here.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                disk::remove_directory(&dir).map_err(|source| StageError::Clean { path: dir.clone(), source })?;
                disk::make(&dir)
            }
            result => result,
        }
        .map_err(|source| StageError::Create { path: dir.clone(), source })?;
        Ok(Self { epoch, dir, dst: dst.to_owned(), fsync, rename, published: false })
    }

    /// The second it is named after.
    #[must_use]
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where its files go.
    #[must_use]
    pub(crate) fn folder(&self) -> Folder {
        Folder::directory(self.dir.clone())
    }

    /// Moves the snapshot into `dst-dir`. With `fsync`, files and directory are on the disk before, and the new name
    /// is after.
    ///
    /// # Errors
    /// It was not published; the staging directory is removed.
    pub(crate) fn publish(mut self) -> Result<Published, StageError> {
        let target = self.dst.join(self.epoch.to_string());
        if self.fsync {
            self.sync()?;
        }
        let mut renamed = (self.rename)(&self.dir, &target);
        if matches!(&renamed, Err(error) if error.kind() == ErrorKind::NotFound) && !self.dst.exists() {
            tracing::warn!(directory = %self.dst.display(), "dst-dir has disappeared; creating it again");
            create_all(&self.dst)?;
            renamed = (self.rename)(&self.dir, &target);
        }
        match renamed {
            Ok(()) => self.published = true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(StageError::Exists { path: target }),
            Err(error) if error.kind() == ErrorKind::CrossesDevices && !self.is_inside() => {
                self.copy_inside()?.publish()?;
                return Ok(Published::Copied);
            }
            Err(source) => return Err(StageError::Publish { from: self.dir.clone(), to: target, source }),
        }
        if self.fsync
            && let Err(error) = disk::sync(&self.dst)
        {
            tracing::warn!(snapshot = %self.epoch, %error, "published, but a power loss may undo it");
        }
        Ok(Published::Renamed)
    }

    fn is_inside(&self) -> bool {
        self.dir.parent() == Some(&self.dst.join(STAGING_DIR))
    }

    /// A copy of this snapshot, staged inside `dst-dir`.
    fn copy_inside(&self) -> Result<Self, StageError> {
        let base = inside(&self.dst)?;
        let copy = Self::create(self.epoch, &base, &self.dst, self.fsync, self.rename)?;
        for from in self.files()? {
            let Some(name) = from.file_name() else { continue };
            let path = copy.dir.join(name);
            fs::copy(&from, &path).map_err(|source| StageError::Write { path, source })?;
        }
        Ok(copy)
    }

    fn sync(&self) -> Result<(), StageError> {
        for path in self.files()?.into_iter().chain([self.dir.clone()]) {
            disk::sync(&path).map_err(|source| StageError::Write { path, source })?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>, StageError> {
        let entries = fs::read_dir(&self.dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        entries.map_err(|source| StageError::Read { path: self.dir.clone(), source })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = disk::remove_directory(&self.dir) {
            tracing::warn!(directory = %self.dir.display(), %error, "cannot remove the staging directory");
        }
    }
}

fn create_all(path: &Path) -> Result<(), StageError> {
    disk::make_all(path).map_err(|source| StageError::Create { path: path.to_owned(), source })
}

/// [`STAGING_DIR`] of this `dst-dir`. A symbolic link in its place is refused: what is staged (and cleaned) behind it
/// could be anybody's.
fn inside(dst: &Path) -> Result<PathBuf, StageError> {
    let path = dst.join(STAGING_DIR);
    match fs::symlink_metadata(&path) {
        Ok(entry) if !entry.is_dir() => Err(StageError::Create { path, source: ErrorKind::NotADirectory.into() }),
        _ => Ok(path),
    }
}

/// Where snapshots are staged, without what a crash has left there. Both directories are locked.
fn cleaned(tmp: &Path, dst: &Path) -> Result<PathBuf, StageError> {
    let inside = inside(dst)?;
    clean(&inside)?;
    let same = disk::is_same(tmp, dst).map_err(|source| StageError::Read { path: tmp.to_owned(), source })?;
    if same {
        tracing::warn!(directory = %dst.display(), staging = STAGING_DIR,
            "tmp-dst-dir and dst-dir are the same directory; snapshots are staged in a hidden directory inside");
        return Ok(inside);
    }
    clean(tmp)?;
    Ok(tmp.to_owned())
}

/// Removes staging directories that a crash has left. No such directory is no error.
fn clean(base: &Path) -> Result<(), StageError> {
    let leftovers = match list(base) {
        Ok(listing) => listing.snapshots,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StageError::Clean { path: base.to_owned(), source }),
    };
    for epoch in leftovers {
        let path = base.join(epoch.to_string());
        disk::remove_directory(&path).map_err(|source| StageError::Clean { path: path.clone(), source })?;
        tracing::info!(directory = %path.display(), "removed leftovers of an earlier run");
    }
    Ok(())
}
