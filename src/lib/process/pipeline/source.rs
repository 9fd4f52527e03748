//! Files that are read batch by batch.

use crate::parse::part::Part;
use crate::parse::refused::{FileError, FileReport, RowError, is_cut_off};
use crate::parse::split::{Outline, Parts, Ranges, line_in_file};
use crate::parse::stat::Stats;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file of which it is known where the rows of which proxies are.
#[derive(Debug)]
pub(super) struct Source {
    identity: Identity,
    part: Part,
    /// Its runs are in the order of their parts.
    outline: Outline,
    /// The first run that was not read yet.
    next: usize,
    read: FileReport,
}

/// Tells a file from another one that took its place, or from what it was before it was written to.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Identity {
    fn from(metadata: Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Source {
    /// Finds out. `refused` is told each row that is left out already, by its line.
    ///
    /// # Errors
    /// When the file cannot be read, or is none of HAProxy.
    pub(super) fn split(
        path: &Path,
        part: Part,
        stats: &mut Stats,
        parts: &mut Parts,
        refused: impl FnMut(u64, RowError),
    ) -> Result<Self, FileError> {
        let file = File::open(path)?;
        let identity = Identity::from(file.metadata()?);
        let mut outline = stats.split(part, file, parts, refused)?;
        outline.runs.sort_by_key(|run| run.part);
        Ok(Self { identity, part, outline, next: 0, read: FileReport::default() })
    }

    /// Reads the rows of these parts, which follow those that were read before. `refused` is told each row that is left out,
    /// by its line.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what it was.
    pub(super) fn read(
        &mut self,
        parts: &Range<u32>,
        path: &Path,
        stats: &mut Stats,
        mut refused: impl FnMut(u64, RowError),
    ) -> Result<(), FileError> {
        let runs = self.outline.runs.get(self.next..).unwrap_or_default();
        let runs = runs.get(..runs.partition_point(|run| run.part < parts.end)).unwrap_or_default();
        self.next += runs.len();
        let Outline { header, doubtful, .. } = &self.outline;
        let doubtful = *doubtful;
        let report = if runs.is_empty() {
            // Which fields the file has counts nevertheless.
            stats.read_part(self.part, header, doubtful, io::empty(), |_, _| {})?
        } else {
            let file = File::open(path)?;
            if Identity::from(file.metadata()?) != self.identity {
                return Err(io::Error::other("has changed while it was being read").into());
            }
            let refused = |line, reason| refused(line_in_file(runs, line), reason);
            stats.read_part(self.part, header, doubtful, Ranges::new(&file, runs), refused)?
        };
        self.read.rows += report.rows;
        self.read.refused += report.refused;
        Ok(())
    }

    /// Whether there are rows, or may have been, whose object cannot be determined.
    pub(super) fn is_doubtful(&self) -> bool {
        self.outline.doubtful
    }

    /// How many rows could be read, once all parts were.
    ///
    /// # Errors
    /// When there are rows, but none that can be read.
    pub(super) fn rows(&self) -> Result<u64, FileError> {
        let refused = self.outline.refused + self.read.refused;
        let report = FileReport { refused, ..self.read };
        if report.is_nothing(is_cut_off(&self.outline.header)) { Err(FileError::NoRows) } else { Ok(report.rows) }
    }
}

/// Parts that follow each other, as many as have no more bytes together than a batch should; each at least one.
pub(super) fn batches(sizes: &[u64], limit: u64) -> Vec<Range<u32>> {
    let (mut batches, mut bytes): (Vec<Range<u32>>, u64) = (Vec::new(), 0);
    for (part, size) in (0..).zip(sizes) {
        match batches.last_mut().filter(|_| bytes + size <= limit) {
            Some(batch) => batch.end = part + 1,
            None => {
                batches.push(part..part + 1);
                bytes = 0;
            }
        }
        bytes += size;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        assert_eq!(batches(&[], 10), []);
        assert_eq!(batches(&[3, 3, 4, 1, 99, 5, 5], 10), [0..3, 3..4, 4..5, 5..7]);
    }
}
