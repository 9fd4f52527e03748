//! The memory of rendered pieces, used again for those that follow: the kernel fills every newly mapped page with zeros first.

use crate::dispatch::Batch;
use std::sync::Arc;

/// Buffers of batches that are with the dispatchers, and those that came back.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    lent: Vec<Arc<Batch>>,
    spare: Option<Vec<u8>>,
    /// Bytes that the next piece will have, if it is like the largest of the last snapshot.
    expected: usize,
    /// Of the present snapshot.
    largest: usize,
}

impl Buffers {
    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.reclaim();
        let mut buffer = self.spare.take().unwrap_or_default();
        buffer.clear();
        buffer.reserve(self.expected);
        buffer
    }

    /// Takes note of a batch that goes to the dispatchers.
    pub(super) fn lend(&mut self, batch: Arc<Batch>) {
        self.largest = self.largest.max(batch.text.len());
        let expected = self.largest + self.largest / 16;
        if batch.more {
            self.expected = self.expected.max(expected);
        } else {
            (self.largest, self.expected) = (0, expected);
        }
        self.lent.push(batch);
    }

    /// Gives back what is not in use.
    pub(super) fn release(&mut self) {
        self.reclaim();
        self.spare = None;
    }

    /// Keeps the largest buffer of those that no dispatcher has any more.
    fn reclaim(&mut self) {
        for batch in std::mem::take(&mut self.lent) {
            match Arc::try_unwrap(batch) {
                Ok(batch) => {
                    let larger = self.spare.as_ref().is_none_or(|spare| spare.capacity() < batch.text.capacity());
                    self.spare = if larger { Some(batch.text) } else { self.spare.take() };
                }
                Err(batch) => self.lent.push(batch),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_nobody_has_it_any_more() {
        let mut buffers = Buffers::default();
        let mut text = buffers.take();
        text.reserve(2000);
        text.extend_from_slice(&[b'x'; 1000]);
        let place = text.as_ptr();
        let batch = Arc::new(Batch { text, ..Batch::default() });
        buffers.lend(Arc::clone(&batch));
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place, "a dispatcher has it");
        drop(batch);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        buffers.release();
        assert!(buffers.lent.is_empty() && buffers.spare.is_none());
    }
}
