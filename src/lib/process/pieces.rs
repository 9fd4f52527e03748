//! Hands a snapshot over in pieces while it is rendered, so that a large one is never in memory as a whole.

use super::pipeline::PipelineError;
use crate::dispatch::Batch;
use crate::dispatch::bounds::Bounds;
use crate::render::line::Lines;
use crate::render::messages::Shape;
use crate::snapshot::Epoch;

/// Takes pieces in order, and gives an empty buffer for the next. It may wait before it returns.
pub type Taker<'a> = dyn FnMut(Batch) -> Result<Vec<u8>, Stopped> + 'a;

/// There is no sense in going on: whoever takes the pieces is leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rest of the snapshot is not wanted any more")]
pub struct Stopped;

/// The pieces of one snapshot. The last is not handed over here: lines may still be added to it.
pub(super) struct Pieces<'a> {
    epoch: Epoch,
    taker: Option<&'a mut Taker<'a>>,
    shape: Option<&'a Shape>,
    size: usize,
    /// How many were handed over.
    pub(super) count: usize,
    /// Lines in them.
    pub(super) lines: usize,
    /// Whether no more is wanted.
    stopped: bool,
}

impl<'a> Pieces<'a> {
    /// Without `taker`, the whole snapshot is one piece.
    pub(super) fn new(epoch: Epoch, taker: Option<&'a mut Taker<'a>>, shape: Option<&'a Shape>) -> Self {
        Self { epoch, taker, shape, size: Bounds::get().piece, count: 0, lines: 0, stopped: false }
    }

    /// To be called between lines: the same where nobody takes notes of objects, since an object's lines may stand at several
    /// places. When nothing more is wanted, [`Pieces::flush`] says so later.
    pub(super) fn flush_early(&mut self, lines: &mut Lines<'_>) {
        let (text, recorder) = lines.text();
        if text.len() >= self.size && recorder.is_none() && self.taker.is_some() && !self.stopped {
            self.stopped = self.flush(lines).is_err();
        }
    }

    /// To be called between objects, where none of those before has anything more to say: hands over what there is, if it
    /// is enough for a piece.
    pub(super) fn flush(&mut self, lines: &mut Lines<'_>) -> Result<(), PipelineError> {
        if self.stopped {
            return Err(Stopped.into());
        }
        let all = lines.count();
        let (text, recorder) = lines.text();
        let Some(taker) = self.taker.as_deref_mut().filter(|_| text.len() >= self.size) else { return Ok(()) };
        let mut batch = Batch { epoch: self.epoch, piece: self.count, more: true, on_disk: true, ..Batch::default() };
        if let (Some(recorder), Some(shape)) = (recorder, self.shape) {
            recorder.end(text.len());
            batch.messages = shape.messages(recorder, text, true);
            recorder.turn();
        }
        batch.lines = all - self.lines;
        batch.text = std::mem::take(text);
        *text = taker(batch)?;
        self.count += 1;
        self.lines = all;
        Ok(())
    }
}
