//! Stored snapshots: a directory of them, an archive, or a single one.

use crate::archive::{ArchiveError, Listing, Stored, list};
use crate::config::Hosts;
use crate::snapshot::Epoch;
use crate::snapshot::moment::Span;
use crate::top::read::tick::Tick;
use crate::top::read::{Draft, TickReader};
use std::io;
use std::path::{Path, PathBuf};

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(in crate::top) enum ShelfError {
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has no snapshot{of_span}; name a directory of snapshots, such as dst-dir of [pull], or an archive", path.display())]
    Empty { path: PathBuf, of_span: &'static str },
    #[error(transparent)]
    Damaged(#[from] ArchiveError),
}

/// See the module.
#[derive(Debug)]
pub(in crate::top) struct Shelf {
    path: PathBuf,
    span: Span,
    snapshots: Vec<Stored>,
    reader: TickReader,
}

impl Shelf {
    /// Lists the snapshots in this period at `path`.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub(in crate::top) fn open(path: &Path, span: Span, hosts: Hosts, own: String) -> Result<Self, ShelfError> {
        let reader = TickReader::new(hosts, own);
        let mut shelf = Self { path: path.to_owned(), span, snapshots: Vec::new(), reader };
        shelf.look()?;
        if shelf.snapshots.is_empty() {
            let of_span = if span == Span::default() { "" } else { " of this period" };
            return Err(ShelfError::Empty { path: shelf.path, of_span });
        }
        Ok(shelf)
    }

    fn look(&mut self) -> Result<(), ShelfError> {
        let unreadable = |source| ShelfError::Unreadable { path: self.path.clone(), source };
        let Listing { snapshots, .. } = list(&self.path, self.span).map_err(unreadable)?;
        self.snapshots = snapshots;
        Ok(())
    }

    /// Number of snapshots.
    pub(in crate::top) fn len(&self) -> usize {
        self.snapshots.len()
    }

    /// Index of the last snapshot that is not after this time; of the first one if all are after it.
    pub(in crate::top) fn at(&self, epoch: Epoch) -> usize {
        self.snapshots.partition_point(|stored| stored.epoch <= epoch).saturating_sub(1)
    }

    /// Reads a snapshot; `None` if there is none with this index.
    ///
    /// # Errors
    /// The snapshot is damaged.
    pub(in crate::top) fn read(&mut self, index: usize) -> Result<Option<Tick>, ShelfError> {
        let Some(stored) = self.snapshots.get(index) else { return Ok(None) };
        let (mut draft, epoch, reader) = (Draft::default(), stored.epoch, &mut self.reader);
        stored.read(|name, input| reader.file(&mut draft, name, input, epoch))?;
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        Ok(Some(self.reader.finish(draft, epoch, epoch.0 as f64)))
    }
}
