//! State that is shared by the dispatcher and its task.

use super::body::Format;
use super::name::name;
use super::report::Report;
use super::window::Window;
use crate::dispatch::condition::{Condition, Room};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;

/// While this many bytes of compressed requests are held, no further piece of a snapshot is rendered. Uncompressed, they are five
/// to ten times as large.
const ENOUGH_HELD: usize = 256 * 1024;

/// State that is shared by the dispatcher and its task.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) format: Format,
    pub(super) window: RefCell<Window>,
    pub(super) condition: Condition,
    /// Bodies with more bytes before compression are divided before they are sent, because the receiver refused one as too large.
    pub(super) limit: Cell<Option<usize>>,
    pub(super) unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
    /// Refused samples are kept next to this directory.
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
