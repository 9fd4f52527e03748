//! A batch in the window.

use crate::batch::Batch;
use crate::encode::pickle;
use crate::snapshot::Epoch;
use std::sync::Arc;

/// A batch that is no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) epoch: Epoch,
    pub(crate) lines: usize,
    /// Whether its snapshot is gone with it: no further piece follows.
    pub(crate) last: bool,
}

/// What a text is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// Lines.
    #[default]
    Lines,
    /// Frames of several points; what is said of lines holds for these, as far as a connection may end between them.
    Frames,
}

/// A batch that is held, and how far it has come.
#[derive(Debug)]
pub(super) struct Entry {
    /// No other entry has or had the same.
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    /// Which of the pieces of the snapshot it is.
    pub(super) piece: usize,
    pub(super) lines: usize,
    /// Length of the text.
    pub(super) bytes: usize,
    /// Whether further pieces of the snapshot follow.
    pub(super) more: bool,
    /// `None` when it has been forgotten.
    pub(super) batch: Option<Arc<Batch>>,
    /// Whether later pieces of the snapshot were lost after this one had been confirmed: all of it comes again, and this is
    /// never sent again.
    pub(super) void: bool,
    /// Length of the lines at the start of the text that were confirmed by themselves, and of those of them that have settled.
    pub(super) skip: usize,
    pub(super) firm: usize,
    /// Position on the current connection at which this entry begins; meaningful once it is being written.
    pub(super) begin: u64,
}

impl Entry {
    pub(super) fn new(number: u64, batch: Arc<Batch>) -> Self {
        let Batch { epoch, piece, lines, more, .. } = *batch;
        let (bytes, batch) = (batch.text.len(), Some(batch));
        Self { number, epoch, piece, lines, bytes, more, batch, void: false, skip: 0, firm: 0, begin: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes - self.skip
    }

    pub(super) fn end(&self) -> u64 {
        self.begin + self.len() as u64
    }

    pub(super) fn text(&self) -> &[u8] {
        self.batch.as_ref().map(|batch| batch.text.as_slice()).unwrap_or_default()
    }

    pub(super) fn gone(&self) -> Gone {
        Gone { epoch: self.epoch, lines: self.lines, last: !self.more }
    }

    /// Number of lines after `skip`.
    pub(super) fn lines(&self, framing: Framing) -> u64 {
        if self.skip == 0 { self.lines as u64 } else { self.lines_up_to(self.bytes, framing) }
    }

    /// Number of lines between `skip` and `offset`.
    pub(super) fn lines_up_to(&self, offset: usize, framing: Framing) -> u64 {
        if framing == Framing::Frames {
            return pickle::points(self.text(), self.skip, offset, self.lines) as u64;
        }
        memchr::memchr_iter(b'\n', self.text().get(self.skip..offset).unwrap_or_default()).count() as u64
    }

    /// The offset after the last line that ends within `most` bytes, or after the first line if that is longer.
    pub(super) fn part(&self, most: usize, framing: Framing) -> usize {
        if framing == Framing::Frames {
            return pickle::part(self.text(), self.skip, most);
        }
        let rest = self.text().get(self.skip..).unwrap_or_default();
        let Some(start) = rest.get(..most) else { return self.bytes };
        let end = memchr::memrchr(b'\n', start).or_else(|| memchr::memchr(b'\n', rest));
        self.skip + end.map_or(rest.len(), |newline| newline + 1)
    }
}
