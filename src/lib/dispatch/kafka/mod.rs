//! Metrics to a topic of Kafka, through librdkafka.
//!
//! ```text
//! batch ─► its messages, in order ─► librdkafka (bounded, compressed, tried again) ─► brokers
//!          delivered ◄─ a report for every one of them ◄─ acks=all ◄─┘
//! ```
//!
//! librdkafka tries for as long as it takes to reach the brokers, in order. What the brokers refuse (no such topic, no
//! right to write, too large) comes back, is kept, and is tried again after a pause; what is too large is divided.
//!
//! `window` knows which messages are where, `client` is librdkafka, `task` does as they say, and `report` tells of it.
//! The threads of librdkafka live in workers only, and only where `[kafka]` is configured.

mod client;
mod report;
mod task;
mod window;

use super::bounds::Bounds;
use super::{Batch, Counters, Dispatcher, Notice, Notices};
use crate::batch::Output;
use crate::config;
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
pub const NAME: &str = "kafka";

/// Bytes of messages without an answer, beyond which another piece of a snapshot is not rendered yet.
const ENOUGH_HELD: usize = 4 * 1024 * 1024;

/// The dispatcher; its client lives as long as it does.
#[derive(Debug)]
pub struct Kafka {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

/// What the worker's end and the task have in common.
#[derive(Debug)]
struct Shared {
    window: RefCell<Window>,
    counters: Cell<Counters>,
    /// Whether something was delivered, and nothing went wrong since.
    well: Cell<bool>,
    /// What [`Shared::has_room`] and [`Shared::takes_more`] said.
    had_room: Cell<(bool, bool)>,
    unsent: usize,
    report: Report,
    queue_size: usize,
    notices: Notices,
    /// Wakes the task.
    submitted: Notify,
    /// Wakes [`Kafka::drain`].
    changed: Notify,
}

impl Kafka {
    /// Starts a client. To be called inside a tokio `LocalSet`.
    #[must_use]
    pub fn start(config: &config::Kafka, notices: Notices) -> Self {
        let brokers = config.properties.get("bootstrap.servers").map(String::as_str).unwrap_or_default();
        let shared = Rc::new(Shared {
            window: RefCell::new(Window::new(config.format)),
            counters: Cell::default(),
            well: Cell::new(false),
            had_room: Cell::new((true, true)),
            unsent: Bounds::get().unsent,
            report: Report::new(brokers, &config.topic),
            queue_size: config.queue_size.get(),
            notices,
            submitted: Notify::new(),
            changed: Notify::new(),
        });
        let task = tokio::task::spawn_local(task::Task::new(config, Rc::clone(&shared)).run());
        Self { shared, task }
    }
}

impl Dispatcher for Kafka {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output(&self) -> Output {
        Output::Kafka
    }

    fn submit(&self, batch: Arc<Batch>) {
        self.shared.window.borrow_mut().push(batch);
        self.shared.had_room.set(self.shared.room());
        self.shared.submitted.notify_one();
    }

    /// Before anything was delivered, and after something went wrong until something is delivered again, there is room for
    /// one batch: the snapshots wait on disk.
    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn takes_more(&self) -> bool {
        self.shared.takes_more()
    }

    fn counters(&self) -> Counters {
        let window = self.shared.window.borrow();
        let mut counters = self.shared.counters.get();
        (counters.queued_batches, counters.queued_lines) = (window.batches() as u64, window.lines() as u64);
        counters.messages_in_flight = window.flying() as u64;
        counters.messages_parked = window.refused() as u64;
        counters.queued_bytes = window.bytes() as u64;
        counters
    }

    /// Ends early while Kafka does not take anything.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            while !self.shared.window.borrow().is_empty() && !self.shared.report.is_troubled() {
                if timeout_at(deadline, self.shared.changed.notified()).await.is_err() {
                    break;
                }
            }
        })
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn has_room(&self) -> bool {
        let window = self.window.borrow();
        window.is_empty() || (self.well.get() && window.lines() < self.queue_size && window.unsent() < self.unsent)
    }

    fn takes_more(&self) -> bool {
        let window = self.window.borrow();
        window.unsent() < self.unsent && window.bytes() < ENOUGH_HELD
    }

    fn room(&self) -> (bool, bool) {
        (self.has_room(), self.takes_more())
    }

    /// Tells the worker, once, when there is room again.
    fn note_room(&self) {
        let (room, more) = self.room();
        let (had_room, took_more) = self.had_room.replace((room, more));
        if (room && !had_room) || (more && !took_more) {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    /// Something is wrong.
    fn unwell(&self) {
        self.well.set(false);
        self.changed.notify_one();
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
