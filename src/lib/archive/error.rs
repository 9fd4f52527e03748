//! Why an archived snapshot cannot be read.

use std::io;
use std::path::PathBuf;

/// Why an archived snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is cut off, or not what its checksum says, or no archive at all.
    #[error("{} is damaged, or is not a tar archive compressed with zstd", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something that no snapshot has.
    #[error("{} contains {what}, which does not belong in a snapshot", path.display())]
    Foreign {
        /// The archive.
        path: PathBuf,
        /// What.
        what: String,
    },
    /// There is no file in it.
    #[error("{} is empty", path.display())]
    Empty {
        /// The archive.
        path: PathBuf,
    },
    /// It unpacks to more than is believable.
    #[error("{} unpacks to more than {bytes} bytes, implausibly many for its size", path.display())]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// What is believed.
        bytes: u64,
    },
    /// What it holds cannot be taken where it is wanted, which is not its fault.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ArchiveError {
    /// Whether the same would happen to any other archive: a full disk, for instance.
    #[must_use]
    pub(crate) fn is_of_the_system(&self) -> bool {
        matches!(self, Self::Write { .. })
    }
}
