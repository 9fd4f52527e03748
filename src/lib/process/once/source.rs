//! The snapshot that a command line names: a directory, or an archive.

use crate::archive::{Form, Scratch, list};
use crate::exit;
use crate::logging::Chain;
use crate::snapshot::Epoch;
use crate::snapshot::moment::Span;
use crate::snapshot::origin::Origin;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub(in crate::process) struct Source {
    epoch: Epoch,
    /// As the command line names it.
    named: PathBuf,
    dir: PathBuf,
    hostname: String,
    archived: bool,
    /// Where it is unpacked; removed with this value.
    _scratch: Option<Scratch>,
}

impl Source {
    /// Opens it; `hostname` is that of a snapshot that does not say where it is from. What goes wrong is said, and is the exit
    /// code.
    pub(in crate::process) fn open(path: &Path, hostname: &str) -> Result<Self, u8> {
        let listing = list(path, Span::default()).map_err(|error| {
            tracing::error!(snapshot = %path.display(), %error, "no such snapshot");
            exit::NO_INPUT
        })?;
        let real = std::fs::canonicalize(path).unwrap_or_default();
        let Some(stored) = listing.snapshots.into_iter().find(|stored| stored.path == real) else {
            let message = "the name must be seconds since the epoch, followed by .tar.zst if it is an archive";
            tracing::error!(snapshot = %path.display(), "{message}");
            return Err(exit::NO_INPUT);
        };
        let (dir, scratch) = match stored.form {
            // As it was named, for what is said of its files.
            Form::Directory => (path.to_owned(), None),
            Form::Packed => {
                let unpacked = Scratch::new().map_err(|error| error.to_string()).and_then(|scratch| {
                    let dir = scratch.path().join(stored.epoch.to_string());
                    let here = Origin { host: hostname.to_owned() };
                    let unpacked = stored.unpack(&dir, &here).map_err(|error| Chain(&error).to_string());
                    unpacked.map(|_| (dir, Some(scratch)))
                });
                unpacked.map_err(|error| {
                    tracing::error!(snapshot = %path.display(), error, "cannot be unpacked");
                    exit::NO_INPUT
                })?
            }
        };
        let origin = Origin::read(&dir).map_err(|error| {
            tracing::error!(snapshot = %path.display(), %error, "cannot be read");
            exit::NO_INPUT
        })?;
        let archived = origin.is_some();
        let hostname = origin.map_or_else(|| hostname.to_owned(), |origin| origin.host);
        Ok(Self { epoch: stored.epoch, named: path.to_owned(), dir, hostname, archived, _scratch: scratch })
    }

    pub(in crate::process) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The snapshot as the command line names it.
    pub(in crate::process) fn named(&self) -> &Path {
        &self.named
    }

    /// The directory with its files; of an archive, one where it is unpacked.
    pub(in crate::process) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The host that it is from.
    pub(in crate::process) fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Whether it was processed before.
    pub(in crate::process) fn is_archived(&self) -> bool {
        self.archived
    }
}
