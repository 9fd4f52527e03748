//! One Graphite server: the batches that it is to get, and the task that sends them.

use super::connect::Target;
use super::report::Report;
use super::task::Task;
use super::window::Window;
use crate::config::{self, QueueFull};
use crate::dispatch::bounds::Bounds;
use crate::dispatch::{Batch, Counters};
use crate::looked::Moment;
use crate::snapshot::Epoch;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The worker renders nothing more while this many bytes are held that may have to be sent again, in two snapshots or more:
/// `queue-size` counts lines, a million of which are a hundred million bytes. More would only make catching up faster than
/// some large snapshots a second.
const ENOUGH_HELD: usize = 8 * 1024 * 1024;

/// When all is to end, what settles within this time is waited for.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);

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

/// A server; its connection lives as long as it does.
#[derive(Debug)]
pub(super) struct Server {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
    /// How long there may be trouble before the server is down.
    patience: std::time::Duration,
}

/// What the worker's end and the task have in common.
pub(super) struct Shared {
    pub(super) window: RefCell<Window>,
    counters: Cell<Counters>,
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
    had_room: Cell<(bool, bool)>,
    /// After what the server had confirmed was in doubt: most snapshots that it is to be given, those that settle included, until
    /// something has settled. Twice as many with each confirmation.
    trust: Cell<Option<usize>>,
    /// Whether what settles is worth waiting for when all is to end.
    settles_soon: bool,
    unsent: usize,
    pub(super) report: Report,
    pub(super) queue_size: usize,
    pub(super) queue_full: QueueFull,
    listener: Listener,
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

impl Server {
    /// Starts to connect. To be called inside a tokio `LocalSet`.
    pub(super) fn start(config: &config::Graphite, target: Target, listener: Listener) -> Self {
        let bounds = Bounds::get();
        let shared = Rc::new(Shared {
            window: RefCell::new(Window::new(config.protocol, bounds.kept)),
            counters: Cell::default(),
            well: Cell::new(false),
            stalled: Cell::new(false),
            unreachable: Cell::new(false),
            connected: Cell::new(None),
            recalled: Cell::new(false),
            had_room: Cell::new((true, true)),
            trust: Cell::new(None),
            settles_soon: config.settle <= SOON,
            unsent: bounds.unsent,
            report: Report::new(&target.endpoint, config.queue_size.get()),
            queue_size: config.queue_size.get(),
            queue_full: config.queue_full,
            listener,
            submitted: Notify::new(),
            changed: Notify::new(),
        });
        let task = tokio::task::spawn_local(Task::new(config, target, Rc::clone(&shared)).run());
        Self { shared, task, patience: config.connect_timeout + config.write_timeout }
    }

    /// Name and port.
    pub(super) fn name(&self) -> &str {
        self.shared.report.server()
    }

    /// Puts a batch at the end of the queue.
    pub(super) fn submit(&self, batch: Arc<Batch>) {
        self.shared.window.borrow_mut().push(batch);
        if self.shared.queue_full == QueueFull::DropOldest {
            self.shared.drop_oldest();
        }
        self.shared.had_room.set(self.shared.room());
        self.shared.submitted.notify_one();
    }

    /// Without a connection, with one that is stalled, and after a loss until something has been delivered again, there
    /// is room for one batch: the snapshots wait on disk.
    pub(super) fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Whether another piece of the snapshot whose first pieces it got is of use to it.
    pub(super) fn takes_more(&self) -> bool {
        self.shared.takes_more()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shared.window.borrow().is_empty()
    }

    /// Takes all batches back, oldest first. What of them is on its way may arrive nevertheless. Those that are not held as a
    /// whole are lost.
    pub(super) fn recall(&self) -> Vec<Arc<Batch>> {
        let (batches, lost) = self.shared.window.borrow_mut().take_all();
        self.shared.recalled.set(true);
        self.shared.submitted.notify_one();
        self.shared.tell_lost(&lost);
        batches
    }

    pub(super) fn condition(&self, now: Moment) -> Condition {
        let trouble = self.shared.report.trouble();
        let lasts = trouble.is_some_and(|since| now.since(since) >= self.patience);
        match self.shared.connected.get() {
            _ if self.shared.unreachable.get() || self.shared.stalled.get() || lasts => Condition::Down,
            Some(since) if trouble.is_none() => Condition::Up(since),
            _ => Condition::Unknown,
        }
    }

    /// When the condition changes by itself: trouble that lasts.
    pub(super) fn next_change(&self) -> Option<Moment> {
        self.shared.report.trouble().map(|since| since + self.patience)
    }

    pub(super) fn counters(&self) -> Counters {
        let window = self.shared.window.borrow();
        let (queued_batches, queued_lines) = (window.batches() as u64, window.lines() as u64);
        let settling = window.settling() as u64;
        Counters { queued_batches, queued_lines, settling, ..self.shared.counters.get() }
    }

    /// Ends when nothing is held, at `deadline`, or early while the server cannot be reached. What settles is not waited for where
    /// that takes long: it stays on disk, and is sent once more.
    pub(super) async fn drain(&self, deadline: Instant) {
        let done = || {
            let window = self.shared.window.borrow();
            window.is_empty() || (!self.shared.settles_soon && window.batches() == 0)
        };
        while !done() && !self.shared.unreachable.get() {
            if timeout_at(deadline, self.shared.changed.notified()).await.is_err() {
                break;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn has_room(&self) -> bool {
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
    fn takes_more(&self) -> bool {
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

    fn room(&self) -> (bool, bool) {
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

    fn drop_oldest(&self) {
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
