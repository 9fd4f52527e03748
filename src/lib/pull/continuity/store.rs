//! Keeps the last snapshot for the next start: `.continuity/<epoch>/` in dst-dir, with links to its files.
//!
//! The kept files are the same as those of the snapshot, so keeping them only costs some links. They are prepared in a separate
//! directory, which is moved into place before the snapshot is published, so that published values are never ahead of the kept
//! ones. If the snapshot is not published after all, nothing is lost, since the kept files contain what was seen.

use crate::pull::step::Step;
use crate::snapshot::Epoch;
use crate::snapshot::disk;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The directory in dst-dir.
const DIRECTORY: &str = ".continuity";
/// Where the next directory is prepared.
const NEXT: &str = "next";
/// Prefix of the name of a directory that could not be read.
const DAMAGED: &str = "damaged-";

#[derive(Debug, Clone)]
pub(super) struct Store {
    directory: PathBuf,
}

impl Store {
    pub(super) fn new(dst: &Path) -> Self {
        Self { directory: dst.join(DIRECTORY) }
    }

    /// The directory that contains everything.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The last snapshot that was kept.
    pub(super) fn newest(&self) -> io::Result<Option<(Epoch, PathBuf)>> {
        Ok(self.kept()?.into_iter().max())
    }

    /// All kept snapshots: usually one.
    fn kept(&self) -> io::Result<Vec<(Epoch, PathBuf)>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut kept = Vec::new();
        for entry in entries {
            let entry = entry?;
            let epoch = entry.file_name().to_str().and_then(Epoch::from_name);
            kept.extend(epoch.map(|epoch| (epoch, entry.path())));
        }
        Ok(kept)
    }

    /// Keeps the files of this directory instead of those of the last snapshot, along with `others`, pairs of a file and its
    /// name, and `texts`, pairs of a name and content. Returns the directory.
    pub(super) fn keep(
        &self,
        epoch: Epoch,
        snapshot: &Path,
        others: &[(PathBuf, String)],
        texts: &[(&str, String)],
    ) -> io::Result<PathBuf> {
        disk::make_all(&self.directory)?;
        let next = self.directory.join(NEXT);
        disk::remove_directory(&next).or_else(none_is_well)?;
        disk::make(&next)?;
        for entry in fs::read_dir(snapshot)? {
            let entry = entry?;
            link(&entry.path(), &next.join(entry.file_name()))?;
        }
        for (file, name) in others {
            // It may have been removed along with what was kept before.
            link(file, &next.join(name)).or_else(none_is_well)?;
        }
        for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
            disk::create_file(&next.join(name))?.write_all(text.as_bytes())?;
        }
        // If the clock was set back, the newest one is not the last one.
        let before = self.kept()?;
        let place = self.directory.join(epoch.to_string());
        disk::remove_directory(&place).or_else(none_is_well)?;
        Step::Linked.reached();
        fs::rename(next, &place)?;
        Step::Kept.reached();
        for (_, path) in before.into_iter().filter(|(before, _)| *before != epoch) {
            disk::remove_directory(&path).or_else(none_is_well)?;
        }
        Ok(place)
    }

    /// Sets aside a directory that cannot be read; returns its new path.
    pub(super) fn set_aside(&self, epoch: Epoch) -> io::Result<PathBuf> {
        let aside = self.directory.join(format!("{DAMAGED}{epoch}"));
        disk::remove_directory(&aside).or_else(none_is_well)?;
        fs::rename(self.directory.join(epoch.to_string()), &aside)?;
        Ok(aside)
    }
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => fs::copy(from, to).map(drop),
        linked => linked,
    }
}

fn none_is_well(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
