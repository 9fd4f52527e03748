//! What is kept of the last snapshot, for the next start: `.continuity/<epoch>/` in dst-dir, with links to its files.
//!
//! A snapshot and what is kept of it are the same files, so that keeping them costs some links. It is made beside, and takes its
//! place when the snapshot is published. A crash in between leaves that of the snapshot before, from which the same follows.

use crate::snapshot::Epoch;
use crate::snapshot::disk;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The directory in dst-dir.
const DIRECTORY: &str = ".continuity";
/// Where the next is made.
const NEXT: &str = "next";
/// Begins the name of one that could not be read.
const DAMAGED: &str = "damaged-";

#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    pub(super) fn new(dst: &Path) -> Self {
        Self { directory: dst.join(DIRECTORY) }
    }

    /// The last snapshot that was kept.
    pub(super) fn newest(&self) -> io::Result<Option<(Epoch, PathBuf)>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        let mut newest = None;
        for entry in entries {
            let entry = entry?;
            let epoch = entry.file_name().to_str().and_then(Epoch::from_name);
            newest = newest.max(epoch.map(|epoch| (epoch, entry.path())));
        }
        Ok(newest)
    }

    /// Prepares to keep what is in this directory.
    pub(super) fn stage(&self, snapshot: &Path) -> io::Result<()> {
        disk::make_all(&self.directory)?;
        let next = self.directory.join(NEXT);
        disk::remove_directory(&next).or_else(none_is_well)?;
        disk::make(&next)?;
        for entry in fs::read_dir(snapshot)? {
            let entry = entry?;
            let (from, to) = (entry.path(), next.join(entry.file_name()));
            match fs::hard_link(&from, &to) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => drop(fs::copy(&from, &to)?),
                linked => linked?,
            }
        }
        Ok(())
    }

    /// What was staged is that of this snapshot, which is published.
    pub(super) fn commit(&self, epoch: Epoch) -> io::Result<()> {
        let before = self.newest()?;
        let place = self.directory.join(epoch.to_string());
        disk::remove_directory(&place).or_else(none_is_well)?;
        fs::rename(self.directory.join(NEXT), place)?;
        match before.filter(|(before, _)| *before != epoch) {
            Some((_, path)) => disk::remove_directory(&path).or_else(none_is_well),
            None => Ok(()),
        }
    }

    /// Sets aside what cannot be read; returns where it is then.
    pub(super) fn set_aside(&self, epoch: Epoch) -> io::Result<PathBuf> {
        let aside = self.directory.join(format!("{DAMAGED}{epoch}"));
        disk::remove_directory(&aside).or_else(none_is_well)?;
        fs::rename(self.directory.join(epoch.to_string()), &aside)?;
        Ok(aside)
    }
}

fn none_is_well(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
