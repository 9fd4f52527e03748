//! The files of the local store. Below its directory no link is followed: a user who may make one there must not choose what is
//! overwritten. What is made has the permissions that are written here, less those that the umask takes away.

use crate::config::Keep;
use crate::dispatch::Batch;
use crate::dispatch::keep::{Item, expired};
use crate::snapshot::list::{list, wall_clock};
use crate::snapshot::{Epoch, disk};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::{DirBuilder, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of a file that is being written.
const STAGED: &str = ".stats.new";

/// Name of a file that is complete.
const STORED: &str = "stats";

/// Permissions of directories that are made.
const FOLDER: u32 = 0o755;

/// Permissions of files that are made.
const FILE: u32 = 0o644;

/// Why a snapshot is not stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("cannot create directory {}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot write file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot rename file {}", path.display())]
    Rename { path: PathBuf, source: io::Error },
    /// The pieces before are gone.
    #[error("the file {} does not contain what was written to it", path.display())]
    Cut { path: PathBuf },
    #[error("the disk did not accept a snapshot within {limit:?}")]
    Hangs { limit: Duration },
    #[error("cannot start a thread to write files")]
    Thread(#[source] io::Error),
    #[error("the thread that writes files panicked")]
    Failed,
}

/// Stores a snapshot, or a piece of one, before which `offset` bytes were written.
pub(super) fn store(dir: &Path, batch: &Batch, offset: u64) -> Result<(), StoreError> {
    let path = dir.join(batch.epoch.to_string());
    let staged = path.join(STAGED);
    let made = |source| StoreError::Directory { path: path.clone(), source };
    let (folder, stored) = if batch.piece == 0 {
        let folder = make_folder(dir, batch.epoch).map_err(made)?;
        let stored = write(&folder, &batch.text).map_err(|source| StoreError::Write { path: staged, source });
        (folder, stored)
    } else {
        let folder = match open_base(dir).and_then(|base| open_folder(&base, batch.epoch)) {
            Ok(folder) => folder,
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => return Err(StoreError::Cut { path: staged }),
            Err(errno) => return Err(made(errno.into())),
        };
        let stored = append(&folder, &staged, &batch.text, offset);
        (folder, stored)
    };
    if batch.more && (stored.is_ok() || batch.piece > 0) {
        return stored;
    }
    let stored = stored.and_then(|()| {
        let renamed = renameat(&folder, STAGED, &folder, STORED);
        renamed.map_err(|errno| StoreError::Rename { path: path.join(STORED), source: errno.into() })
    });
    if stored.is_err() && batch.piece == 0 {
        discard(dir, batch.epoch);
    }
    stored
}

/// Leaves nothing of a snapshot that is not complete, as far as that is possible; a folder with an earlier copy in it stays.
pub(super) fn discard(dir: &Path, epoch: Epoch) {
    let Ok(base) = open_base(dir) else { return };
    if let Ok(folder) = open_folder(&base, epoch) {
        let _ = unlinkat(&folder, STAGED, UnlinkatFlags::NoRemoveDir);
    }
    let _ = unlinkat(&base, epoch.to_string().as_str(), UnlinkatFlags::RemoveDir);
}

/// Removes what is not to be kept of the snapshots that are complete; says how many those were.
pub(super) fn tidy(dir: &Path, keep: &Keep) -> io::Result<u64> {
    let stored = |epoch: &Epoch| {
        let path = dir.join(epoch.to_string());
        let bytes = std::fs::symlink_metadata(path.join(STORED)).ok()?.len();
        Some(Item { epoch: *epoch, bytes, path })
    };
    let items = list(dir)?.snapshots.iter().filter_map(stored).collect();
    let mut removed = 0;
    for item in expired(items, keep, 0, wall_clock()) {
        // A link that has taken its place is refused there.
        disk::remove_directory(&item.path)?;
        removed += 1;
    }
    Ok(removed)
}

/// The store itself may be reached by a link: that is the operator's choice.
fn open_base(dir: &Path) -> nix::Result<OwnedFd> {
    open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

fn open_folder(base: &OwnedFd, epoch: Epoch) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(base, epoch.to_string().as_str(), flags, Mode::empty())
}

/// The folder of a snapshot, made where there is none. A link in its place is removed, as one in the place of a file is.
fn make_folder(dir: &Path, epoch: Epoch) -> io::Result<OwnedFd> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(dir)?;
    let (base, name) = (open_base(dir)?, epoch.to_string());
    let link = fstatat(&base, name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
    if link.is_ok_and(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFLNK) {
        unlinkat(&base, name.as_str(), UnlinkatFlags::NoRemoveDir)?;
    }
    match mkdirat(&base, name.as_str(), Mode::from_bits_truncate(FOLDER)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(open_folder(&base, epoch)?),
        Err(errno) => Err(errno.into()),
    }
}

fn write(folder: &OwnedFd, text: &[u8]) -> io::Result<()> {
    match unlinkat(folder, STAGED, UnlinkatFlags::NoRemoveDir) {
        // What a crash left, or a link, is not written to.
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(folder, STAGED, flags, Mode::from_bits_truncate(FILE))?;
    File::from(file).write_all(text)
}

/// Writes after the first `offset` bytes; what an earlier attempt left there is overwritten.
fn append(folder: &OwnedFd, path: &Path, text: &[u8], offset: u64) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = match openat(folder, STAGED, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Err(StoreError::Cut { path: path.to_owned() }),
        Err(errno) => return Err(failed(errno.into())),
    };
    if file.metadata().map_err(failed)?.len() < offset {
        return Err(StoreError::Cut { path: path.to_owned() });
    }
    file.set_len(offset).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
    file.write_all(text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Batch {
        Batch { epoch: Epoch(1_457_298_067), text: text.into(), lines: text.lines().count(), ..Batch::default() }
    }

    #[test]
    fn a_later_copy_replaces_an_earlier_one_and_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        store(dir.path(), &batch("a 1 2\nb 3 4\n"), 0).unwrap();
        std::fs::write(folder.join(STAGED), "half a li").unwrap();
        store(dir.path(), &batch("c 5 6\n"), 0).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "c 5 6\n");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_to_be_kept_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for epoch in 1_457_298_060..1_457_298_070 {
            store(dir.path(), &Batch { epoch: Epoch(epoch), ..batch("a 1 2\n") }, 0).unwrap();
        }
        std::fs::remove_file(dir.path().join("1457298060").join(STORED)).unwrap();
        let keep = |age, bytes| Keep { age, bytes };
        assert_eq!(tidy(dir.path(), &keep(None, Some(4 * 4096))).unwrap(), 5);
        assert!(dir.path().join("1457298060").exists(), "it is not complete, so it may be one that is being written");
        assert_eq!(tidy(dir.path(), &keep(Some(Duration::from_secs(86_400)), None)).unwrap(), 3);
        assert!(dir.path().join("1457298069/stats").exists());
    }

    fn piece(text: &str, piece: usize, more: bool) -> Batch {
        Batch { piece, more, ..batch(text) }
    }

    #[test]
    fn pieces_are_put_together_also_after_a_failed_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        store(dir.path(), &piece("a 1 2\n", 0, true), 0).unwrap();
        store(dir.path(), &piece("b 3 4\n", 1, true), 6).unwrap();
        assert!(!folder.join("stats").exists());
        store(dir.path(), &piece("b 3 4\n", 1, true), 6).unwrap();
        store(dir.path(), &piece("c 5 6\n", 2, false), 12).unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "a 1 2\nb 3 4\nc 5 6\n");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn pieces_before_that_are_gone_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path(), &piece("a 1 2\n", 0, true), 0).unwrap();
        let cut = |result| matches!(result, Err(StoreError::Cut { .. }));
        assert!(cut(store(dir.path(), &piece("c 5 6\n", 2, false), 12)));
        std::fs::remove_file(dir.path().join("1457298067").join(STAGED)).unwrap();
        assert!(cut(store(dir.path(), &piece("b 3 4\n", 1, true), 6)));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, precious) = (dir.path().join("1457298067"), dir.path().join("precious"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&precious, "precious").unwrap();
        for name in [STAGED, "stats"] {
            std::os::unix::fs::symlink(&precious, folder.join(name)).unwrap();
        }
        store(dir.path(), &batch("a 1 2\n"), 0).unwrap();
        assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(folder.join("stats")).unwrap(), "a 1 2\n");
    }

    #[test]
    fn a_failure_leaves_nothing_behind_and_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("1457298067");
        std::fs::create_dir_all(folder.join("stats/in the way")).unwrap();
        let error = store(dir.path(), &batch("a 1 2\n"), 0).unwrap_err();
        assert!(matches!(&error, StoreError::Rename { path, .. } if path.ends_with("1457298067/stats")), "{error}");
        assert!(!folder.join(STAGED).exists());
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (base, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
        std::fs::create_dir(&base).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("stats"), "precious").unwrap();
        std::os::unix::fs::symlink(&elsewhere, base.join("1457298067")).unwrap();
        let cut = store(&base, &piece("b 3 4\n", 1, true), 6);
        assert!(matches!(cut, Err(StoreError::Cut { .. })), "{cut:?}");
        discard(&base, Epoch(1_457_298_067));
        store(&base, &batch("a 1 2\n"), 0).unwrap();
        assert_eq!(std::fs::read_to_string(elsewhere.join("stats")).unwrap(), "precious");
        assert_eq!(std::fs::read_to_string(base.join("1457298067/stats")).unwrap(), "a 1 2\n");
        assert!(std::fs::symlink_metadata(base.join("1457298067")).unwrap().is_dir());
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("1457298067"), "precious").unwrap();
        let error = store(dir.path(), &batch("a 1 2\n"), 0).unwrap_err();
        assert!(matches!(&error, StoreError::Directory { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(dir.path().join("1457298067")).unwrap(), "precious");
    }
}
