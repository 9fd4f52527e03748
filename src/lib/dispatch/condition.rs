//! How a dispatcher is, and what the worker hears of it.

use super::{Counters, Notice, Notices};
use std::cell::Cell;
use tokio::sync::Notify;

/// For what there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// For another snapshot.
    pub(super) snapshot: bool,
    /// For another piece of the present one.
    pub(super) piece: bool,
}

/// What the worker's end of a dispatcher and its task have in common.
#[derive(Debug)]
pub(super) struct Condition {
    dispatcher: &'static str,
    counters: Cell<Counters>,
    well: Cell<bool>,
    /// What the worker knows.
    room: Cell<Room>,
    notices: Notices,
    /// Wakes the task.
    pub(super) submitted: Notify,
    /// Wakes what waits for everything to be delivered.
    pub(super) changed: Notify,
}

impl Condition {
    pub(super) fn new(dispatcher: &'static str, notices: Notices) -> Self {
        Self {
            dispatcher,
            counters: Cell::default(),
            well: Cell::new(false),
            room: Cell::new(Room { snapshot: true, piece: true }),
            notices,
            submitted: Notify::new(),
            changed: Notify::new(),
        }
    }

    /// Whether something was delivered, and nothing went wrong since.
    pub(super) fn is_well(&self) -> bool {
        self.well.get()
    }

    /// Something was delivered.
    pub(super) fn well(&self) {
        self.well.set(true);
    }

    /// Something is wrong.
    pub(super) fn unwell(&self) {
        self.well.set(false);
        self.changed.notify_one();
    }

    /// Room as it is now; the worker need not hear of it.
    pub(super) fn know_room(&self, room: Room) {
        self.room.set(room);
    }

    /// Tells the worker, once, when there is room again.
    pub(super) fn note_room(&self, room: Room) {
        let before = self.room.replace(room);
        if (room.snapshot && !before.snapshot) || (room.piece && !before.piece) {
            self.tell(Notice::Room { dispatcher: self.dispatcher });
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters.get()
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
