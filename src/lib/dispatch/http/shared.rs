//! What the worker's end and the task have in common.

use super::body::Format;
use super::name::name;
use super::report::Report;
use super::window::Window;
use crate::dispatch::condition::{Condition, Room};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;

/// Bytes of compressed requests, beyond which another piece of a snapshot is not rendered yet. Before compression they are five
/// to ten times as many.
const ENOUGH_HELD: usize = 256 * 1024;

/// What the worker's end and the task have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) format: Format,
    pub(super) window: RefCell<Window>,
    pub(super) condition: Condition,
    /// Bodies of more bytes before compression are divided before they are sent, since the receiver did not take one.
    pub(super) limit: Cell<Option<usize>>,
    pub(super) unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
    /// Beside it lies what is refused.
    pub(super) src_dir: PathBuf,
}

impl Shared {
    pub(super) fn name(&self) -> &'static str {
        name(self.format.protocol)
    }

    pub(super) fn room(&self) -> Room {
        let window = self.window.borrow();
        Room {
            snapshot: window.has_room(self.condition.is_well()) && window.lines() < self.queue_size,
            piece: window.unsent() < self.unsent.min(ENOUGH_HELD),
        }
    }
}
