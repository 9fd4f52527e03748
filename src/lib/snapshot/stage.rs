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

use super::list::list;
use super::{Epoch, disk};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where pull stages inside `dst-dir` when it cannot rename from `tmp-dst-dir`. Hidden, so that nothing takes it for
/// a snapshot.
pub const STAGING_DIR: &str = ".staging";

/// What goes wrong between the sockets and the queue.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A directory cannot be made.
    #[error("cannot create directory {}", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A directory cannot be read, or what a crash left in it not be removed.
    #[error("cannot clean up {}", path.display())]
    Clean {
        /// The directory, or the leftover in it.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// `dst-dir` cannot be read.
    #[error("cannot read directory {}", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another haproxystats-pull uses the same `tmp-dst-dir`.
    #[error("{} is in use by another haproxystats-pull", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the snapshot cannot be written or flushed.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file, or the directory that was flushed.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A snapshot of this second is there already. It is never overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// The published directory.
        path: PathBuf,
    },
    /// The complete snapshot cannot be moved.
    #[error("cannot rename {} to {}", from.display(), to.display())]
    Publish {
        /// The staging directory.
        from: PathBuf,
        /// The directory that should have appeared.
        to: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

type Rename = fn(&Path, &Path) -> io::Result<()>;

/// `tmp-dst-dir` and `dst-dir`, open for snapshots. Holds a lock on `tmp-dst-dir`: two programs that stage in one
/// place would remove each other's snapshots.
#[derive(Debug)]
pub struct Staging {
    dst: PathBuf,
    /// Directory in which snapshots are staged now.
    base: PathBuf,
    fsync: bool,
    rename: Rename,
    _lock: File,
}

/// One snapshot that is being staged. It vanishes with this value unless it is published.
#[derive(Debug)]
pub struct Snapshot {
    epoch: Epoch,
    dir: PathBuf,
    dst: PathBuf,
    fsync: bool,
    rename: Rename,
    published: bool,
}

/// The directory of a snapshot that is being staged, for those who write into it.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

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
    pub fn open(tmp: &Path, dst: &Path, fsync: bool) -> Result<Self, StageError> {
        create_all(dst)?;
        create_all(tmp)?;
        let lock = lock(tmp)?;
        let inside = inside(dst)?;
        clean(&inside)?;
        let same = disk::is_same(tmp, dst).map_err(|source| StageError::Read { path: tmp.to_owned(), source })?;
        let base = if same {
            tracing::warn!(directory = %dst.display(), staging = STAGING_DIR,
                "tmp-dst-dir and dst-dir are the same directory; snapshots are staged in a hidden directory inside");
            inside
        } else {
            clean(tmp)?;
            tmp.to_owned()
        };
        Ok(Self { dst: dst.to_owned(), base, fsync, rename: disk::rename_new, _lock: lock })
    }

    /// Number of snapshots in `dst-dir`. A missing `dst-dir` is made again.
    ///
    /// # Errors
    /// `dst-dir` cannot be read or made.
    pub fn waiting(&self) -> Result<usize, StageError> {
        match list(&self.dst) {
            Ok(listing) => Ok(listing.snapshots.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!(directory = %self.dst.display(), "dst-dir has vanished and is created again");
                create_all(&self.dst)?;
                Ok(0)
            }
            Err(source) => Err(StageError::Read { path: self.dst.clone(), source }),
        }
    }

    /// Makes the staging directory of a snapshot.
    ///
    /// # Errors
    /// It cannot be made, or `dst-dir` has a snapshot of this second already.
    pub fn begin(&self, epoch: Epoch) -> Result<Snapshot, StageError> {
        let target = self.dst.join(epoch.to_string());
        if fs::symlink_metadata(&target).is_ok() {
            return Err(StageError::Exists { path: target });
        }
        Snapshot::create(epoch, &self.base, &self.dst, self.fsync, self.rename)
    }

    /// From now on snapshots are staged inside `dst-dir`. Called when one was [`Published::Copied`].
    pub fn move_inside(&mut self) {
        tracing::warn!(from = %self.base.display(), to = %self.dst.display(), staging = STAGING_DIR,
            "tmp-dst-dir and dst-dir are on different file systems; snapshots are staged in a hidden directory inside dst-dir");
        self.base = self.dst.join(STAGING_DIR);
    }
}

impl Snapshot {
    fn create(epoch: Epoch, base: &Path, dst: &Path, fsync: bool, rename: Rename) -> Result<Self, StageError> {
        let dir = base.join(epoch.to_string());
        create_all(base)?;
        match fs::create_dir(&dir) {
            // Its removal failed earlier; no other program stages here.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                disk::remove_directory(&dir).map_err(|source| StageError::Clean { path: dir.clone(), source })?;
                fs::create_dir(&dir)
            }
            result => result,
        }
        .map_err(|source| StageError::Create { path: dir.clone(), source })?;
        Ok(Self { epoch, dir, dst: dst.to_owned(), fsync, rename, published: false })
    }

    /// The second it is named after.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where its files go.
    #[must_use]
    pub fn folder(&self) -> Folder {
        Folder(self.dir.clone())
    }

    /// Moves the snapshot into `dst-dir`. With `fsync`, files and directory are on the disk before, and the new name
    /// is after.
    ///
    /// # Errors
    /// It was not published; the staging directory is removed.
    pub fn publish(mut self) -> Result<Published, StageError> {
        let target = self.dst.join(self.epoch.to_string());
        if self.fsync {
            self.sync()?;
        }
        let mut renamed = (self.rename)(&self.dir, &target);
        if matches!(&renamed, Err(error) if error.kind() == ErrorKind::NotFound) && !self.dst.exists() {
            tracing::warn!(directory = %self.dst.display(), "dst-dir has vanished and is created again");
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
            tracing::warn!(snapshot = %self.epoch, %error, "published, but a power loss may take it away again");
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

impl Folder {
    /// Path of a file.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Opens a new, empty file. `name` must be a plain file name.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn file(&self, name: &str) -> Result<File, StageError> {
        let path = self.path(name);
        File::create(&path).map_err(|source| StageError::Write { path, source })
    }

    /// Removes a file; none is no error.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn remove(&self, name: &str) -> Result<(), StageError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(StageError::Write { path, source }),
            _ => Ok(()),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = disk::remove_directory(&self.dir) {
            tracing::warn!(directory = %self.dir.display(), %error, "staging directory is left behind");
        }
    }
}

fn create_all(path: &Path) -> Result<(), StageError> {
    fs::create_dir_all(path).map_err(|source| StageError::Create { path: path.to_owned(), source })
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

fn lock(path: &Path) -> Result<File, StageError> {
    let directory = File::open(path).map_err(|source| StageError::Read { path: path.to_owned(), source })?;
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StageError::InUse { path: path.to_owned() }),
        // Some network file systems have no locks; nothing is lost but the protection against a mistake.
        Err(TryLockError::Error(error)) => {
            tracing::debug!(directory = %path.display(), %error, "the directory cannot be locked");
        }
    }
    Ok(directory)
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
        tracing::info!(directory = %path.display(), "removed what an earlier run has left");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tempfile::TempDir;

    const EPOCH: Epoch = Epoch(1_700_000_000);

    struct Place {
        root: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { root: tempfile::tempdir().unwrap() }
        }
        fn tmp(&self) -> PathBuf {
            self.root.path().join("incoming.tmp")
        }
        fn dst(&self) -> PathBuf {
            self.root.path().join("incoming")
        }
        fn open(&self) -> Staging {
            Staging::open(&self.tmp(), &self.dst(), false).unwrap()
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    fn fill(snapshot: &Snapshot) {
        let folder = snapshot.folder();
        folder.file("a.sock_info").unwrap().write_all(b"info").unwrap();
        folder.file("a.sock_stat").unwrap().write_all(b"stat").unwrap();
        folder.file("b.sock_info").unwrap();
        folder.remove("b.sock_info").unwrap();
        folder.remove("b.sock_info").unwrap();
    }

    fn crosses(from: &Path, to: &Path) -> io::Result<()> {
        // As a kernel where the two directories are on different file systems.
        if from.parent() == to.parent() || from.parent().and_then(Path::parent) == to.parent() {
            return disk::rename_new(from, to);
        }
        Err(ErrorKind::CrossesDevices.into())
    }

    #[test]
    fn a_published_snapshot_is_complete_and_leaves_nothing_behind() {
        for fsync in [false, true] {
            let place = Place::new();
            let staging = Staging::open(&place.tmp(), &place.dst(), fsync).unwrap();
            let snapshot = staging.begin(EPOCH).unwrap();
            fill(&snapshot);
            assert_eq!(names(&place.dst()), [""; 0]);
            assert_eq!(snapshot.publish().unwrap(), Published::Renamed);
            assert_eq!(names(&place.dst()), ["1700000000"]);
            assert_eq!(names(&place.dst().join("1700000000")), ["a.sock_info", "a.sock_stat"]);
            assert_eq!(names(&place.tmp()), [""; 0]);
            assert_eq!(staging.waiting().unwrap(), 1);
        }
    }

    #[test]
    fn an_abandoned_snapshot_vanishes() {
        let place = Place::new();
        let staging = place.open();
        fill(&staging.begin(EPOCH).unwrap());
        assert_eq!(names(&place.tmp()), [""; 0]);
        assert_eq!(names(&place.dst()), [""; 0]);
    }

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else() {
        let place = Place::new();
        for base in [place.tmp(), place.dst().join(STAGING_DIR)] {
            fs::create_dir_all(base.join("1700000000")).unwrap();
            fs::write(base.join("1700000000/a.sock_info"), "half").unwrap();
            fs::create_dir_all(base.join("lost+found")).unwrap();
            fs::write(base.join("1700000001"), "a file").unwrap();
            fs::create_dir_all(place.dst().join("1600000000")).unwrap();
            std::os::unix::fs::symlink(place.dst().join("1600000000"), base.join("1700000002")).unwrap();
        }
        place.open();
        let kept = ["1700000001", "1700000002", "lost+found"];
        assert_eq!(names(&place.tmp()), kept);
        assert_eq!(names(&place.dst().join(STAGING_DIR)), kept);
        assert_eq!(names(&place.dst()), [STAGING_DIR, "1600000000"]);
    }

    #[test]
    fn across_file_systems_the_snapshot_is_copied_once_and_staged_inside_from_then_on() {
        for fsync in [false, true] {
            let place = Place::new();
            let mut staging = Staging::open(&place.tmp(), &place.dst(), fsync).unwrap();
            staging.rename = crosses;
            let snapshot = staging.begin(EPOCH).unwrap();
            fill(&snapshot);
            assert_eq!(snapshot.publish().unwrap(), Published::Copied);
            assert_eq!(fs::read(place.dst().join("1700000000/a.sock_stat")).unwrap(), b"stat");
            staging.move_inside();
            let snapshot = staging.begin(Epoch(1_700_000_010)).unwrap();
            fill(&snapshot);
            assert_eq!(names(&place.tmp()), [""; 0]);
            assert_eq!(snapshot.publish().unwrap(), Published::Renamed);
            assert_eq!(names(&place.dst()), [STAGING_DIR, "1700000000", "1700000010"]);
            assert_eq!(names(&place.dst().join(STAGING_DIR)), [""; 0]);
            assert_eq!(staging.waiting().unwrap(), 2);
        }
    }

    #[test]
    fn a_failed_rename_leaves_nothing_behind() {
        let place = Place::new();
        let mut staging = place.open();
        staging.rename = |_, _| Err(ErrorKind::StorageFull.into());
        let snapshot = staging.begin(EPOCH).unwrap();
        fill(&snapshot);
        assert!(matches!(snapshot.publish(), Err(StageError::Publish { .. })));
        assert_eq!(names(&place.tmp()), [""; 0]);
        assert_eq!(names(&place.dst()), [""; 0]);
    }

    #[test]
    fn an_existing_snapshot_is_never_overwritten() {
        let place = Place::new();
        let staging = place.open();
        let late = staging.begin(EPOCH).unwrap();
        fs::create_dir(place.dst().join("1700000000")).unwrap();
        assert!(matches!(staging.begin(EPOCH), Err(StageError::Exists { .. })));
        fill(&late);
        assert!(matches!(late.publish(), Err(StageError::Exists { .. })));
        assert_eq!(names(&place.dst().join("1700000000")), [""; 0]);
        assert_eq!(names(&place.tmp()), [""; 0]);
    }

    #[test]
    fn directories_that_vanish_are_made_again() {
        let place = Place::new();
        let staging = place.open();
        fs::remove_dir(place.dst()).unwrap();
        fs::remove_dir(place.tmp()).unwrap();
        assert_eq!(staging.waiting().unwrap(), 0);
        let snapshot = staging.begin(EPOCH).unwrap();
        fill(&snapshot);
        fs::remove_dir(place.dst()).unwrap();
        assert_eq!(snapshot.publish().unwrap(), Published::Renamed);
        assert_eq!(names(&place.dst()), ["1700000000"]);
    }

    #[test]
    fn only_snapshots_count_as_waiting() {
        let place = Place::new();
        let staging = place.open();
        for name in ["1700000000", "1700000010", "failed", ".hidden", "01"] {
            fs::create_dir(place.dst().join(name)).unwrap();
        }
        fs::write(place.dst().join("1700000020"), "a file").unwrap();
        assert_eq!(staging.waiting().unwrap(), 2);
    }

    #[test]
    fn two_programs_do_not_stage_in_one_directory() {
        let place = Place::new();
        let first = place.open();
        assert!(matches!(
            Staging::open(&place.tmp(), &place.root.path().join("other"), false),
            Err(StageError::InUse { .. })
        ));
        drop(first);
        place.open();
    }

    #[test]
    fn one_directory_for_both_purposes_keeps_the_queue_safe() {
        let place = Place::new();
        fs::create_dir_all(place.dst().join("1600000000")).unwrap();
        let staging = Staging::open(&place.dst(), &place.dst(), false).unwrap();
        let snapshot = staging.begin(EPOCH).unwrap();
        fill(&snapshot);
        assert_eq!(names(&place.dst()), [STAGING_DIR, "1600000000"]);
        snapshot.publish().unwrap();
        assert_eq!(names(&place.dst()), [STAGING_DIR, "1600000000", "1700000000"]);
    }

    #[test]
    fn a_link_in_place_of_the_hidden_directory_is_not_followed() {
        let place = Place::new();
        fs::create_dir_all(place.dst().join("1600000000")).unwrap();
        std::os::unix::fs::symlink(".", place.dst().join(STAGING_DIR)).unwrap();
        assert!(matches!(Staging::open(&place.tmp(), &place.dst(), false), Err(StageError::Create { .. })));
        assert!(place.dst().join("1600000000").is_dir());
    }

    #[test]
    fn errors_name_the_path() {
        let place = Place::new();
        fs::write(place.dst(), "in the way").unwrap();
        let error = Staging::open(&place.tmp(), &place.dst(), false).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot create directory {}", place.dst().display()));
    }
}
