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
    body: Vec<u8>,
    /// Samples in the body.
    samples: usize,
    /// Samples in all bodies since they were last taken.
    all: usize,
    stamp: Epoch,
    messages: Messages,
}

impl Requests {
    /// Each of at most so many samples.
    pub(super) fn new(max_samples: NonZeroUsize) -> Self {
        let max_samples = max_samples.get();
        Self { max_samples, body: Vec::new(), samples: 0, all: 0, stamp: Epoch(0), messages: Messages::default() }
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
        &mut self.body
    }

    /// So many samples have been appended. A body that is full becomes a message.
    pub(super) fn count(&mut self, samples: usize) {
        self.samples += samples;
        self.all += samples;
        if self.samples >= self.max_samples || self.body.len() >= MOST {
            self.end();
        }
    }

    /// Samples in the body.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// The body becomes a message, if there is anything in it.
    pub(super) fn end(&mut self) {
        if self.samples > 0 {
            self.messages.push(b"", self.stamp, [self.body.as_slice()]);
        }
        self.body.clear();
        self.samples = 0;
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> usize {
        self.messages.bytes() + self.body.len()
    }

    /// All there is so far, as a batch like `batch`.
    pub(super) fn take(&mut self, batch: &Batch) -> Batch {
        self.end();
        let mut messages = std::mem::take(&mut self.messages);
        messages.shrink();
        let lines = std::mem::take(&mut self.all);
        Batch { messages, lines, ..batch.clone() }
    }
}
