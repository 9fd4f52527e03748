//! What goes wrong between the sockets and the queue.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A snapshot was not published, or cannot be.
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
    #[error("{} already exists", path.display())]
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

impl StageError {
    /// What the kernel said, for telling one condition of the disk from another.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Create { source, .. }
            | Self::Clean { source, .. }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Publish { source, .. } => source.kind(),
            Self::InUse { .. } => ErrorKind::ResourceBusy,
            Self::Exists { .. } => ErrorKind::AlreadyExists,
        }
    }
}
