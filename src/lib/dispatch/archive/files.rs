//! The files of the archive. No link is followed in the place of a file: a user who may make one there must not choose what is
//! overwritten.

use crate::archive::{Form, PackError, list, pack, place};
use crate::config::Keep;
use crate::dispatch::keep::{Item, expired};
use crate::snapshot::list::wall_clock;
use crate::snapshot::moment::Span;
use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, disk};
use nix::sys::statvfs::statvfs;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Permissions of files that are made.
const FILE: u32 = 0o644;

/// Where snapshots come from, and where they go.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) src_dir: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) origin: Origin,
    pub(super) keep: Keep,
    /// Share of the file system that must be free, in percent.
    pub(super) min_free: u8,
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It is archived, in so many bytes.
    Stored {
        /// Bytes of the archive.
        bytes: u64,
    },
    /// It is not there any more.
    Gone,
}

/// Why a snapshot is not archived.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("cannot create directory {}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("cannot pack the snapshot into {}", path.display())]
    Pack { path: PathBuf, source: PackError },
    #[error("cannot write file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the disk did not accept a snapshot within {limit:?}")]
    Hangs { limit: Duration },
    #[error("cannot start a thread to write files")]
    Thread(#[source] io::Error),
    #[error("the thread that writes files panicked")]
    Failed,
}

/// Why the archive cannot be tidied up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TidyError {
    #[error("cannot read {}", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error("cannot find out how much space is free on the file system of {}", path.display())]
    Free { path: PathBuf, source: io::Error },
    #[error("cannot remove {}", path.display())]
    Remove { path: PathBuf, source: io::Error },
}

impl Files {
    /// Archives a snapshot, over an earlier archive of it if there is one.
    pub(super) fn store(&self, epoch: Epoch) -> Result<Done, StoreError> {
        let path = place(&self.dir, epoch);
        let day = path.parent().unwrap_or(&self.dir);
        disk::make_all(day).map_err(|source| StoreError::Directory { path: day.to_owned(), source })?;
        let staged = staged(&path);
        let stored = self.write(epoch, &staged, &path);
        if stored.is_err() {
            // What is left of it would take room that others need.
            let _ = fs::remove_file(&staged);
        }
        match stored {
            Err(StoreError::Pack { source, .. }) if source.is_gone() && !self.snapshot(epoch).exists() => {
                Ok(Done::Gone)
            }
            stored => stored.map(|bytes| Done::Stored { bytes }),
        }
    }

    fn snapshot(&self, epoch: Epoch) -> PathBuf {
        self.src_dir.join(epoch.to_string())
    }

    fn write(&self, epoch: Epoch, staged: &Path, path: &Path) -> Result<u64, StoreError> {
        let failed = |source| StoreError::Write { path: staged.to_owned(), source };
        // What a crash left, or a link, is not written to.
        match fs::remove_file(staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE).open(staged).map_err(failed)?;
        let packed = pack(&self.snapshot(epoch), epoch, &self.origin, BufWriter::new(file));
        let mut writer = packed.map_err(|source| StoreError::Pack { path: staged.to_owned(), source })?;
        writer.flush().map_err(failed)?;
        let file = writer.get_ref();
        // The snapshot is about to be removed: what replaces it must outlive a loss of power.
        file.sync_all().map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        fs::rename(staged, path).map_err(|source| StoreError::Write { path: path.to_owned(), source })?;
        if let Some(day) = path.parent() {
            disk::sync(day).map_err(|source| StoreError::Write { path: day.to_owned(), source })?;
        }
        Ok(bytes)
    }

    /// How many bytes more should be free.
    fn missing(&self) -> Result<u64, TidyError> {
        let system =
            statvfs(&self.dir).map_err(|errno| TidyError::Free { path: self.dir.clone(), source: errno.into() })?;
        let wanted = u128::from(system.blocks()) * u128::from(self.min_free) / 100;
        let blocks = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_sub(system.blocks_available());
        Ok(blocks.saturating_mul(system.fragment_size()))
    }

    /// Removes what is not to be kept; says how many snapshots that were.
    pub(super) fn tidy(&self) -> Result<u64, TidyError> {
        if !self.keep.is_bounded() && self.min_free == 0 {
            return Ok(0);
        }
        let listed = |source| TidyError::List { path: self.dir.clone(), source };
        let mut items = Vec::new();
        for stored in list(&self.dir, Span::default()).map_err(listed)?.snapshots {
            // A directory is not of our making.
            if stored.form == Form::Packed
                && let Ok(metadata) = fs::symlink_metadata(&stored.path)
            {
                items.push(Item { epoch: stored.epoch, bytes: metadata.len(), path: stored.path });
            }
        }
        let mut removed = 0;
        // Looked up after the list: what another worker has removed meanwhile counts once.
        for item in expired(items, &self.keep, self.missing()?, wall_clock()) {
            match fs::remove_file(&item.path) {
                Ok(()) => removed += 1,
                // Another worker was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(TidyError::Remove { path: item.path, source }),
            }
            if let Some(day) = item.path.parent().filter(|day| *day != self.dir) {
                // Only the last one of a day can, or one that is never written again.
                let _ = fs::remove_dir(day);
            }
        }
        Ok(removed)
    }
}

/// Name of a file that is being written.
fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch(1_796_025_600);

    fn files() -> (tempfile::TempDir, Files) {
        let base = tempfile::tempdir().unwrap();
        let src_dir = base.path().join("incoming");
        fs::create_dir_all(src_dir.join(EPOCH.to_string())).unwrap();
        fs::write(src_dir.join(EPOCH.to_string()).join("a_info"), "Name: HAProxy\n").unwrap();
        let origin = Origin { host: "lb".to_owned() };
        let files = Files { src_dir, dir: base.path().join("archive"), origin, keep: Keep::default(), min_free: 0 };
        (base, files)
    }

    fn archived(files: &Files) -> Vec<u64> {
        list(&files.dir, Span::default()).unwrap().snapshots.iter().map(|stored| stored.epoch.0).collect()
    }

    #[test]
    fn a_snapshot_is_archived_once_and_whole() {
        let (_base, files) = files();
        for _ in 0..2 {
            assert!(matches!(files.store(EPOCH), Ok(Done::Stored { bytes }) if bytes > 0));
        }
        let stored = list(&files.dir, Span::default()).unwrap().snapshots.remove(0);
        assert_eq!(stored.path, files.dir.join("2026-11-30/1796025600.tar.zst"));
        let mut names = Vec::new();
        let mut note = |name: &str| names.push(name.to_owned());
        stored
            .read(|name, _| {
                note(name);
                Ok(())
            })
            .unwrap();
        assert_eq!(names, [".origin", "a_info"]);
        assert_eq!(fs::read_dir(stored.path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(files.store(Epoch(7)).unwrap(), Done::Gone);
        assert_eq!(fs::read_dir(files.dir.join("1970-01-01")).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let (base, files) = files();
        let precious = base.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let path = place(&files.dir, EPOCH);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for link in [&path, &staged(&path)] {
            std::os::unix::fs::symlink(&precious, link).unwrap();
        }
        files.store(EPOCH).unwrap();
        assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
        assert!(fs::symlink_metadata(path).unwrap().is_file());
    }

    #[test]
    fn what_is_not_to_be_kept_is_removed_with_its_day() {
        let (_base, mut files) = files();
        for epoch in [EPOCH.0 - 200_000, EPOCH.0 - 100_000, EPOCH.0 - 10, EPOCH.0] {
            let snapshot = files.src_dir.join(epoch.to_string());
            fs::create_dir_all(&snapshot).unwrap();
            fs::write(snapshot.join("a_info"), "x").unwrap();
            files.store(Epoch(epoch)).unwrap();
        }
        assert_eq!(files.tidy().unwrap(), 0);
        files.keep.bytes = Some(2 * 4096);
        assert_eq!(files.tidy().unwrap(), 2);
        assert_eq!(archived(&files), [EPOCH.0 - 10, EPOCH.0]);
        assert_eq!(fs::read_dir(&files.dir).unwrap().count(), 1);
        files.keep.age = Some(Duration::from_secs(1));
        assert_eq!(files.tidy().unwrap(), u64::from(wall_clock().as_secs() > EPOCH.0));
    }
}
