//! Metrics to Graphite, in its plaintext protocol over TCP.
//!
//! TCP says what the peer's *kernel* has; what its program has read, it does not say, and a relay that is restarted or
//! killed takes with it what lay unread in its buffers. So the end of each connection is used as the acknowledgement
//! that the protocol lacks:
//!
//! ```text
//! write batches ─► end our side ─► the peer reads up to our end, closes its side ─► confirmed ─► settle ─► delivered
//!                                └► it resets, or breaks, or hangs: all that is held is sent again
//! ```
//!
//! A peer's side that closes in order, after ours and with our whole stream acknowledged, proves that the peer has read
//! every byte: a kernel that closes a connection with unread data resets it instead. The next connection is opened in
//! the same moment as one is ended. It stands idle until the next batch, so the loss of the peer is noticed at once, and
//! a batch counts as delivered only when that has not happened for a short while (`settle`) after its confirmation:
//! a relay that dies then has probably not passed on what it had read.
//!
//! A peer that reads but never closes (some simple listeners do) is found out once; from then on, for as long as it
//! stays, what its kernel has acknowledged counts as confirmed. `acknowledge = kernel` asks for that from the start, on
//! one lasting connection.
//!
//! `window` knows which batches are where, `progress` when a peer is too slow, `link` is a socket, `connect` opens one,
//! `task` does as they say, and `report` tells of it.

mod connect;
mod link;
mod progress;
mod report;
mod task;
mod window;

use super::{Batch, Counters, Dispatcher, Notice, Notices};
use crate::config;
use crate::config::QueueFull;
use report::Report;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use window::Window;

/// Name of this dispatcher.
pub const NAME: &str = "graphite";

/// Rendered text that waits for the connection beyond this many bytes is of no use to it: the next snapshot can as well
/// wait on disk.
const ENOUGH_UNSENT: usize = 1024 * 1024;

/// The dispatcher; its connection lives as long as it does.
#[derive(Debug)]
pub struct Graphite {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

/// What the worker's end and the task have in common.
#[derive(Debug)]
struct Shared {
    window: RefCell<Window>,
    counters: Cell<Counters>,
    /// Whether there is a connection, and no trouble since something was last delivered.
    well: Cell<bool>,
    stalled: Cell<bool>,
    /// Whether the last attempt to connect failed.
    unreachable: Cell<bool>,
    had_room: Cell<bool>,
    report: Report,
    queue_size: usize,
    queue_full: QueueFull,
    notices: Notices,
    /// Wakes the task.
    submitted: Notify,
    /// Wakes [`Graphite::drain`].
    changed: Notify,
}

impl Graphite {
    /// Starts to connect. To be called inside a tokio `LocalSet`.
    #[must_use]
    pub fn start(config: &config::Graphite, notices: Notices) -> Self {
        let shared = Rc::new(Shared {
            window: RefCell::default(),
            counters: Cell::default(),
            well: Cell::new(false),
            stalled: Cell::new(false),
            unreachable: Cell::new(false),
            had_room: Cell::new(true),
            report: Report::new(&config.server, config.port, config.queue_size.get()),
            queue_size: config.queue_size.get(),
            queue_full: config.queue_full,
            notices,
            submitted: Notify::new(),
            changed: Notify::new(),
        });
        let task = tokio::task::spawn_local(task::Task::new(config, Rc::clone(&shared)).run());
        Self { shared, task }
    }
}

impl Dispatcher for Graphite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn submit(&self, batch: Arc<Batch>) {
        self.shared.window.borrow_mut().push(batch);
        if self.shared.queue_full == QueueFull::DropOldest {
            self.shared.drop_oldest();
        }
        self.shared.had_room.set(self.shared.has_room());
        self.shared.submitted.notify_one();
    }

    /// Without a connection, with one that is stalled, and after a loss until something has been delivered again, there
    /// is room for one batch: the snapshots wait on disk.
    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn counters(&self) -> Counters {
        let window = self.shared.window.borrow();
        let (queued_batches, queued_lines) = (window.batches() as u64, window.lines() as u64);
        Counters { queued_batches, queued_lines, ..self.shared.counters.get() }
    }

    /// Ends early while Graphite cannot be reached.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            while !self.shared.window.borrow().is_empty() && !self.shared.unreachable.get() {
                if timeout_at(deadline, self.shared.changed.notified()).await.is_err() {
                    break;
                }
            }
        })
    }
}

impl Drop for Graphite {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        let window = self.window.borrow();
        match self.queue_full {
            QueueFull::DropOldest => true,
            QueueFull::Keep if window.is_empty() => true,
            QueueFull::Keep => {
                self.well.get()
                    && !self.stalled.get()
                    && window.lines() < self.queue_size
                    && window.unsent() < ENOUGH_UNSENT
            }
        }
    }

    /// Tells the worker, once, when there is room again.
    fn note_room(&self) {
        let room = self.has_room();
        let had_room = self.had_room.replace(room);
        if room && !had_room {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    fn drop_oldest(&self) {
        let dropped = self.window.borrow_mut().drop_oldest(self.queue_size);
        for batch in &dropped {
            self.count(|counters| counters.dropped_lines += batch.lines as u64);
            self.tell(Notice::Dropped { dispatcher: NAME, epoch: batch.epoch });
        }
        if !dropped.is_empty() {
            self.report.dropped();
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    fn tell(&self, notice: Notice) {
        // Without a receiver the worker is on its way out.
        let _ = self.notices.send(notice);
    }
}
