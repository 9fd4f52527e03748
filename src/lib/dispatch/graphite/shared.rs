//! What the worker's end of a server and its task have in common.

use super::report::Report;
use super::window::Window;
use crate::config::QueueFull;
use crate::dispatch::Counters;
use crate::looked::Moment;
use crate::snapshot::Epoch;
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;

/// The worker renders nothing more while this many bytes are held that may have to be sent again, in two snapshots or more:
/// `queue-size` counts lines, a million of which are a hundred million bytes. More would only make catching up faster than
/// some large snapshots a second.
const ENOUGH_HELD: usize = 8 * 1024 * 1024;

/// What a server tells its owner, while nothing of it is borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It has the whole batch.
    Delivered(Epoch),
    /// It says that it has the whole batch, which settles now.
    Confirmed(Epoch),
    /// The batch was given up to make room.
    Dropped(Epoch),
    /// The batch was sent, and would have to be sent again, but is no longer held.
    Lost(Epoch),
    /// [`Server::has_room`] or [`Server::takes_more`] may have changed to true.
    Room,
    /// [`Server::condition`] may have changed.
    Condition,
}

/// Hears words.
pub(super) type Listener = Box<dyn Fn(Word)>;

/// How a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Nothing is known yet, or there is some trouble that may pass.
    Unknown,
    /// Connected since then, without trouble.
    Up(Moment),
    /// It cannot be reached, or takes nothing, or breaks every connection.
    Down,
}

/// What the worker's end and the task have in common.
pub(super) struct Shared {
    pub(super) window: RefCell<Window>,
    pub(super) counters: Cell<Counters>,
    /// Whether there is a connection, and no trouble since something was last delivered.
    pub(super) well: Cell<bool>,
    pub(super) stalled: Cell<bool>,
    /// Whether the last attempt to connect failed.
    pub(super) unreachable: Cell<bool>,
    /// Since when there is a connection.
    pub(super) connected: Cell<Option<Moment>>,
    /// What was held has been taken back; its connections are to be closed.
    pub(super) recalled: Cell<bool>,
    /// What [`Server::has_room`] and [`Server::takes_more`] said.
    pub(super) had_room: Cell<(bool, bool)>,
    /// After what the server had confirmed was in doubt: most snapshots that it is to be given, those that settle included, until
    /// something has settled. Twice as many with each confirmation.
    pub(super) trust: Cell<Option<usize>>,
    /// Whether what settles is worth waiting for when all is to end.
    pub(super) settles_soon: bool,
    pub(super) unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
    pub(super) queue_full: QueueFull,
    pub(super) listener: Listener,
    /// Wakes the task.
    pub(super) submitted: Notify,
    /// Wakes [`Server::drain`].
    pub(super) changed: Notify,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("report", &self.report).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn has_room(&self) -> bool {
        let window = self.window.borrow();
        if self.trust.get().is_some_and(|most| window.snapshots() >= most) && self.queue_full == QueueFull::Keep {
            return false;
        }
        match self.queue_full {
            QueueFull::DropOldest => true,
            QueueFull::Keep if window.batches() == 0 => true,
            QueueFull::Keep => {
                self.well.get()
                    && !self.stalled.get()
                    && window.lines() < self.queue_size
                    && (window.batches() < 2 || window.bytes() < ENOUGH_HELD)
                    && window.unsent() < self.unsent
            }
        }
    }

    /// What waits for a connection is bounded, except where it is to be dropped anyway when that does not come.
    pub(super) fn takes_more(&self) -> bool {
        self.window.borrow().unsent() < self.unsent || (self.queue_full == QueueFull::DropOldest && !self.well.get())
    }

    /// What the server confirms has proved to be in vain.
    pub(super) fn trust_little(&self) {
        self.trust.set(Some(1));
    }

    /// It has confirmed something.
    pub(super) fn trust_more(&self) {
        self.trust.set(self.trust.get().and_then(|most| most.checked_mul(2)));
    }

    /// What it had confirmed has settled.
    pub(super) fn trust_all(&self) {
        self.trust.set(None);
    }

    pub(super) fn room(&self) -> (bool, bool) {
        (self.has_room(), self.takes_more())
    }

    /// Tells the worker, once, when there is room again.
    pub(super) fn note_room(&self) {
        let (room, more) = self.room();
        let (had_room, took_more) = self.had_room.replace((room, more));
        if (room && !had_room) || (more && !took_more) {
            self.tell(Word::Room);
        }
    }

    pub(super) fn tell_lost(&self, epochs: &[Epoch]) {
        epochs.iter().for_each(|epoch| self.tell(Word::Lost(*epoch)));
    }

    pub(super) fn drop_oldest(&self) {
        let dropped = self.window.borrow_mut().drop_oldest(self.queue_size);
        for gone in &dropped {
            self.count(|counters| counters.dropped_lines += gone.lines as u64);
            if gone.last {
                self.tell(Word::Dropped(gone.epoch));
            }
        }
        if !dropped.is_empty() {
            self.report.dropped();
        }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    pub(super) fn tell(&self, word: Word) {
        (self.listener)(word);
    }
}
