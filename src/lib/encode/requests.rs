//! Requests under construction: each is a message of the batch, with a body of limited size, encoded as it is sent.

use crate::batch::Batch;
use crate::batch::messages::Messages;
use crate::prometheus::compression::Compression;
use crate::snapshot::Epoch;
use std::num::NonZeroUsize;

/// Approximate maximum size of a body before compression. Receivers accept 16 MiB and more.
const MOST: usize = 2 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Requests {
    max_samples: usize,
    /// Number of samples in the open body.
    samples: usize,
    /// Bytes of the open body before compression.
    bytes: usize,
    /// Number of samples in all bodies since they were last taken.
    all: usize,
    stamp: Epoch,
    /// All bodies; the last one is open.
    messages: Messages,
}

impl Requests {
    /// Requests of at most `max_samples` samples each.
    pub(super) fn new(max_samples: NonZeroUsize) -> Self {
        let max_samples = max_samples.get();
        Self { max_samples, samples: 0, bytes: 0, all: 0, stamp: Epoch(0), messages: Messages::default() }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { max_samples: self.max_samples, ..Self::new(NonZeroUsize::MIN) };
    }

    /// Sets the time of the following samples.
    pub(super) fn stamp(&mut self, stamp: Epoch) {
        self.stamp = stamp;
    }

    /// The open body, to be appended to.
    pub(super) fn body(&mut self) -> &mut Vec<u8> {
        self.messages.open()
    }

    /// Notes that this many samples were appended, with this many bytes before compression.
    pub(super) fn count(&mut self, samples: usize, bytes: usize) {
        self.samples += samples;
        self.bytes += bytes;
        self.all += samples;
    }

    /// Whether the body must end before anything else is appended.
    pub(super) fn is_full(&self) -> bool {
        self.samples >= self.max_samples || self.bytes >= MOST
    }

    /// How many more samples fit into the body.
    pub(super) fn room(&self) -> usize {
        self.max_samples.saturating_sub(self.samples)
    }

    /// Compresses the complete body.
    pub(super) fn compress(&mut self, compression: Compression) {
        if !self.messages.opened().is_empty() {
            let compressed = compression.compress(self.messages.opened());
            self.messages.reopen(&compressed);
        }
    }

    /// Ends the body: if it is not empty, it becomes a message, with `head` in front.
    pub(super) fn end(&mut self, head: &[u8]) {
        self.messages.close(self.stamp, self.samples, head);
        (self.samples, self.bytes) = (0, 0);
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> usize {
        self.messages.bytes()
    }

    /// All ended bodies, as a batch like `batch`.
    pub(super) fn take(&mut self, batch: &Batch) -> Batch {
        let expected = if batch.more { self.messages.bytes() + self.messages.bytes() / 16 } else { 0 };
        let mut messages = std::mem::replace(&mut self.messages, Messages::with_capacity(expected));
        messages.shrink();
        let lines = std::mem::take(&mut self.all);
        Batch { messages, lines, ..batch.clone() }
    }
}
