//! What the worker's end and the task have in common.

use super::name::NAME;
use super::report::Report;
use super::window::Window;
use crate::dispatch::{Counters, Notice, Notices};
use crate::snapshot::Epoch;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use tokio::sync::Notify;

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
    pub(super) counters: Cell<Counters>,
    /// Whether something was delivered, and nothing went wrong since.
    pub(super) well: Cell<bool>,
    /// What [`Shared::has_room`] and [`Shared::takes_more`] said.
    pub(super) had_room: Cell<(bool, bool)>,
    pub(super) unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
    pub(super) notices: Notices,
    /// Wakes the task.
    pub(super) submitted: Notify,
    /// Wakes [`Kafka::drain`].
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn has_room(&self) -> bool {
        let (window, files) = (self.window.borrow(), self.files.borrow().len());
        let room = window.lines() < self.queue_size && window.unsent() < self.unsent && files < FILES_WAIT;
        (window.is_empty() && files == 0) || (self.well.get() && room)
    }

    pub(super) fn takes_more(&self) -> bool {
        let window = self.window.borrow();
        window.unsent() < self.unsent && window.bytes() < ENOUGH_HELD
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.window.borrow().is_empty() && self.files.borrow().is_empty()
    }

    pub(super) fn room(&self) -> (bool, bool) {
        (self.has_room(), self.takes_more())
    }

    /// Tells the worker, once, when there is room again.
    pub(super) fn note_room(&self) {
        let (room, more) = self.room();
        let (had_room, took_more) = self.had_room.replace((room, more));
        if (room && !had_room) || (more && !took_more) {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    /// Something is wrong.
    pub(super) fn unwell(&self) {
        self.well.set(false);
        self.changed.notify_one();
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    pub(super) fn tell(&self, notice: Notice) {
        // Without a receiver the worker is on its way out.
        let _ = self.notices.send(notice);
    }
}
