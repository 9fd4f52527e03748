//! Requests under construction: each a body of bounded size, as it is sent, a message of the batch.

use crate::batch::Batch;
use crate::batch::messages::Messages;
use crate::prometheus::compression::Compression;
use crate::snapshot::Epoch;
use std::num::NonZeroUsize;

/// Most bytes of a body before compression, about. Receivers take 16 MiB and more.
const MOST: usize = 2 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Requests {
    max_samples: usize,
    /// Samples in the body.
    samples: usize,
    /// Bytes that the body stands for.
    bytes: usize,
    /// Samples in all bodies since they were last taken.
    all: usize,
    stamp: Epoch,
    /// The last of them, which is open, is the body.
    messages: Messages,
}

impl Requests {
    /// Each of at most so many samples.
    pub(super) fn new(max_samples: NonZeroUsize) -> Self {
        let max_samples = max_samples.get();
        Self { max_samples, samples: 0, bytes: 0, all: 0, stamp: Epoch(0), messages: Messages::default() }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { max_samples: self.max_samples, ..Self::new(NonZeroUsize::MIN) };
    }

    /// The moment that the next are of.
    pub(super) fn stamp(&mut self, stamp: Epoch) {
        self.stamp = stamp;
    }

    /// Where the body goes on, as it is sent.
    pub(super) fn body(&mut self) -> &mut Vec<u8> {
        self.messages.open()
    }

    /// So many samples have been appended, and so many bytes before compression.
    pub(super) fn count(&mut self, samples: usize, bytes: usize) {
        self.samples += samples;
        self.bytes += bytes;
        self.all += samples;
    }

    /// Whether the body is to end, before anything more is appended.
    pub(super) fn is_full(&self) -> bool {
        self.samples >= self.max_samples || self.bytes >= MOST
    }

    /// How many samples still fit.
    pub(super) fn room(&self) -> usize {
        self.max_samples.saturating_sub(self.samples)
    }

    /// Compresses the body, which is whole.
    pub(super) fn compress(&mut self, compression: Compression) {
        if !self.messages.opened().is_empty() {
            let compressed = compression.compress(self.messages.opened());
            self.messages.reopen(&compressed);
        }
    }

    /// The body becomes a message, `head` in front of it, if there is anything in it.
    pub(super) fn end(&mut self, head: &[u8]) {
        self.messages.close(self.stamp, self.samples, head);
        (self.samples, self.bytes) = (0, 0);
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> usize {
        self.messages.bytes()
    }

    /// All bodies that have ended, as a batch like `batch`.
    pub(super) fn take(&mut self, batch: &Batch) -> Batch {
        let expected = if batch.more { self.messages.bytes() + self.messages.bytes() / 16 } else { 0 };
        let mut messages = std::mem::replace(&mut self.messages, Messages::with_capacity(expected));
        messages.shrink();
        let lines = std::mem::take(&mut self.all);
        Batch { messages, lines, ..batch.clone() }
    }
}
