//! Requests under construction: each a body of bounded size, a message of the batch.

use crate::batch::Batch;
use crate::batch::messages::Messages;
use crate::snapshot::Epoch;
use std::num::NonZeroUsize;

/// Most bytes of a body, about. Receivers take 16 MiB and more.
const MOST: usize = 2 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Requests {
    max_samples: usize,
    /// Samples in the body.
    samples: usize,
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
        Self { max_samples, samples: 0, all: 0, stamp: Epoch(0), messages: Messages::default() }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { max_samples: self.max_samples, ..Self::new(NonZeroUsize::MIN) };
    }

    /// The moment that the next are of.
    pub(super) fn stamp(&mut self, stamp: Epoch) {
        self.stamp = stamp;
    }

    /// Where samples are appended.
    pub(super) fn body(&mut self) -> &mut Vec<u8> {
        self.messages.open()
    }

    /// So many samples have been appended. A body that is full becomes a message.
    pub(super) fn count(&mut self, samples: usize) {
        self.samples += samples;
        self.all += samples;
        if self.samples >= self.max_samples || self.messages.open_bytes() >= MOST {
            self.end();
        }
    }

    /// Samples in the body.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// The body becomes a message, if there is anything in it.
    pub(super) fn end(&mut self) {
        self.messages.close(self.stamp);
        self.samples = 0;
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> usize {
        self.messages.bytes()
    }

    /// All there is so far, as a batch like `batch`.
    pub(super) fn take(&mut self, batch: &Batch) -> Batch {
        self.end();
        let expected = if batch.more { self.messages.bytes() + self.messages.bytes() / 16 } else { 0 };
        let mut messages = std::mem::replace(&mut self.messages, Messages::with_capacity(expected));
        messages.shrink();
        let lines = std::mem::take(&mut self.all);
        Batch { messages, lines, ..batch.clone() }
    }
}
