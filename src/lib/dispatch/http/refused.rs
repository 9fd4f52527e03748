//! Keeps samples that the receiver refuses permanently as text: `failed/<dispatcher>/<epoch>.txt`, next to the snapshots that
//! cannot be processed.

use super::body::Format;
use super::name::name;
use super::window::Aside;
use crate::snapshot::Epoch;
use crate::snapshot::quarantine::{self, MOST};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why samples cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// There are already as many files as may be kept.
    #[error("{} has {MOST} files already", place.display())]
    Full {
        /// Where they are.
        place: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread that writes the file failed.
    #[error("a thread panicked")]
    Thread,
}

/// Where the samples of one snapshot are written.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) src_dir: PathBuf,
    pub(super) epoch: Epoch,
    /// Whether to replace the file, since it is from an earlier attempt to send the snapshot.
    pub(super) first: bool,
}

/// Writes the samples that were set aside.
///
/// # Errors
/// There are too many files already, or the file cannot be written.
pub(super) fn keep(format: Format, place: &Place, aside: &[Aside]) -> Result<(), KeepError> {
    let mut text = String::new();
    let mut words = "";
    for Aside { body, words: why } in aside {
        if words != why {
            text.push_str(&format!("# {why}\n"));
            words = why;
        }
        text.push_str(&format.text(body));
    }
    let mut failure = None;
    for directory in quarantine::places(&place.src_dir) {
        match write(&directory.join(name(format.protocol)), place, &text) {
            Err(error @ KeepError::Write { .. }) => failure = failure.or(Some(error)),
            result => return result,
        }
    }
    Err(failure.unwrap_or(KeepError::Thread))
}

fn write(directory: &Path, place: &Place, text: &str) -> Result<(), KeepError> {
    let path = directory.join(format!("{}.txt", place.epoch));
    let failed = |source| KeepError::Write { path: path.clone(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    if place.first && !path.exists() && fs::read_dir(directory).map_err(failed)?.count() >= MOST {
        return Err(KeepError::Full { place: directory.to_owned() });
    }
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(place.first).append(!place.first);
    options.open(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}
