//! What the worker's end and the task have in common.

use super::body::Format;
use super::name::name;
use super::report::Report;
use super::window::Window;
use crate::dispatch::{Counters, Notice, Notices};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use tokio::sync::Notify;

/// Bytes of compressed requests, beyond which another piece of a snapshot is not rendered yet. Before compression they are five
/// to ten times as many.
const ENOUGH_HELD: usize = 256 * 1024;

/// What the worker's end and the task have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) format: Format,
    pub(super) window: RefCell<Window>,
    pub(super) counters: Cell<Counters>,
    /// Whether something was accepted, and nothing went wrong since.
    pub(super) well: Cell<bool>,
    /// Bodies of more bytes before compression are divided before they are sent, since the receiver did not take one.
    pub(super) limit: Cell<Option<usize>>,
    /// What [`Shared::has_room`] and [`Shared::takes_more`] said.
    pub(super) had_room: Cell<(bool, bool)>,
    pub(super) unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
    /// Beside it lies what is refused.
    pub(super) src_dir: PathBuf,
    pub(super) notices: Notices,
    /// Wakes the task.
    pub(super) submitted: Notify,
    /// Wakes whoever drains.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn name(&self) -> &'static str {
        name(self.format.protocol)
    }

    pub(super) fn has_room(&self) -> bool {
        let window = self.window.borrow();
        window.has_room(self.well.get()) && window.lines() < self.queue_size
    }

    pub(super) fn takes_more(&self) -> bool {
        let window = self.window.borrow();
        window.unsent() < self.unsent.min(ENOUGH_HELD)
    }

    fn room(&self) -> (bool, bool) {
        (self.has_room(), self.takes_more())
    }

    /// What is the case now needs not be told.
    pub(super) fn know_room(&self) {
        self.had_room.set(self.room());
    }

    /// Tells the worker, once, when there is room again.
    pub(super) fn note_room(&self) {
        let (room, more) = self.room();
        let (had_room, took_more) = self.had_room.replace((room, more));
        if (room && !had_room) || (more && !took_more) {
            self.tell(Notice::Room { dispatcher: self.name() });
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
