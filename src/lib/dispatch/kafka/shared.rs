//! What the worker's end and the task have in common.

use super::report::Report;
use super::window::Window;
use crate::dispatch::condition::{Condition, Room};
use crate::snapshot::Epoch;
use std::cell::RefCell;
use std::collections::VecDeque;

/// Bytes of messages without an answer, beyond which another piece of a snapshot is not rendered yet.
const ENOUGH_HELD: usize = 4 * 1024 * 1024;

/// Snapshots whose files may wait to be read.
const FILES_WAIT: usize = 8;

/// What the worker's end and the task have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) window: RefCell<Window>,
    /// Snapshots whose files are to be sent, oldest first; the first may be in the window in part.
    pub(super) files: RefCell<VecDeque<Epoch>>,
    pub(super) condition: Condition,
    pub(super) unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
}

impl Shared {
    pub(super) fn room(&self) -> Room {
        let (window, files) = (self.window.borrow(), self.files.borrow().len());
        let room = window.lines() < self.queue_size && window.unsent() < self.unsent && files < FILES_WAIT;
        Room {
            snapshot: (window.is_empty() && files == 0) || (self.condition.is_well() && room),
            piece: window.unsent() < self.unsent && window.bytes() < ENOUGH_HELD,
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.window.borrow().is_empty() && self.files.borrow().is_empty()
    }
}
