//! The record of [`Order`](super::order::Order) on disk: snapshots that some destination has and another one lacks. It is a
//! hidden file in the source directory, which is always replaced as a whole, and absent while there is nothing to record.

use super::order::Had;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the file.
const NAME: &str = ".delivered";

/// The file.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    /// The content of the file.
    written: Had,
    /// Whether it was logged that the file cannot be written.
    failing: bool,
}

impl Record {
    /// Reads the file in this source directory. If it does not exist, the record is empty.
    pub(crate) fn open(src_dir: &Path) -> Self {
        let path = src_dir.join(NAME);
        let written = match read(&path) {
            Ok(written) => written,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot be used: snapshots may be sent twice");
                Had::new()
            }
        };
        Self { path, written, failing: false }
    }

    /// Whether the record is empty.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The recorded snapshots.
    #[must_use]
    pub(crate) fn had(&self) -> Had {
        self.written.clone()
    }

    /// Replaces the record.
    pub(crate) fn write(&mut self, had: Had) {
        if had == self.written {
            return;
        }
        match write(&self.path, &had) {
            Ok(()) => {
                self.written = had;
                self.failing = false;
            }
            Err(error) if self.failing => {
                tracing::debug!(file = %self.path.display(), %error, "still cannot be written")
            }
            Err(error) => {
                self.failing = true;
                tracing::error!(
                    file = %self.path.display(),
                    %error,
                    "cannot be written: after a crash, snapshots may be sent twice to some destinations"
                );
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Had> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Had::new()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, had: &Had) -> io::Result<()> {
    if had.is_empty() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let staged = path.with_extension("new");
    fs::write(&staged, serde_json::to_vec(had).map_err(io::Error::other)?)?;
    fs::rename(&staged, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Epoch;

    #[test]
    fn what_was_written_is_read_and_nonsense_is_nothing() {
        let place = tempfile::tempdir().unwrap();
        let had = Had::from([("otlp".to_owned(), [(Epoch(1_500_000_000), "1:2 3".to_owned())].into())]);
        let mut record = Record::open(place.path());
        assert!(record.had().is_empty());
        record.write(had.clone());
        assert_eq!(Record::open(place.path()).had(), had);
        record.write(Had::new());
        assert!(!place.path().join(NAME).exists());
        fs::write(place.path().join(NAME), "nonsense").unwrap();
        assert!(Record::open(place.path()).had().is_empty());
    }
}
