//! The few operations on directories that publishing needs and std lacks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Permissions of directories that are made, less what the umask takes away: no other user may write, even without any umask.
const DIRECTORY: u32 = 0o755;
/// The same of files.
const FILE: u32 = 0o644;

/// Makes a directory.
///
/// # Errors
/// Those of mkdir(2).
pub fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIRECTORY).create(path)
}

/// Makes a directory with those above it, as far as they are not there.
///
/// # Errors
/// Those of mkdir(2).
pub(crate) fn make_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(path)
}

/// Opens an empty file for writing.
///
/// # Errors
/// Those of open(2).
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(FILE).open(path)
}

/// Renames a directory, never onto anything that exists (a plain rename replaces an empty directory).
///
/// # Errors
/// `AlreadyExists` when there is something at `to`, `CrossesDevices` when the two lie on different file systems, and
/// the others of rename(2).
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match exclusive_rename(from, to) {
        // Not every file system knows the flag; there a look beforehand must do.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            match fs::symlink_metadata(to) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
                Err(error) => Err(error),
            }
        }
        result => result,
    }
}

#[cfg(target_env = "gnu")]
fn exclusive_rename(from: &Path, to: &Path) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE).map_err(Into::into)
}

#[cfg(not(target_env = "gnu"))]
fn exclusive_rename(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

/// Flushes a file, or a directory's entries, to the disk.
///
/// # Errors
/// Those of open(2) and fsync(2).
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a directory and what is in it. A symbolic link is not followed, and refused as `NotADirectory`. Nothing
/// to remove is no error.
///
/// # Errors
/// Those of unlink(2) and rmdir(2).
pub(crate) fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(entry) if !entry.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
        Ok(_) => fs::remove_dir_all(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether two paths lead to the same directory.
///
/// # Errors
/// Those of stat(2).
pub(crate) fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (one, other) = (fs::metadata(one)?, fs::metadata(other)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_directory_is_not_replaced_even_when_it_is_empty() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        assert_eq!(rename_new(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_dir(&to).unwrap();
        rename_new(&from, &to).unwrap();
        assert!(to.is_dir() && !from.exists());
    }

    #[test]
    fn links_are_not_followed_when_a_directory_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let (precious, link) = (root.path().join("precious"), root.path().join("link"));
        fs::create_dir(&precious).unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        assert_eq!(remove_directory(&link).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert!(is_same(&precious, &link).unwrap());
        assert!(!is_same(&precious, root.path()).unwrap());
        remove_directory(&precious).unwrap();
        remove_directory(&precious).unwrap();
        assert!(fs::symlink_metadata(&link).is_ok());
    }
}
