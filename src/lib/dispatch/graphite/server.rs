//! One Graphite server: the batches that it is to get, and the task that sends them.

use super::connect::Target;
use super::report::Report;
use super::shared::{Condition, Listener, Shared};
use super::task::Task;
use super::window::Window;
use crate::config::{self, QueueFull};
use crate::dispatch::bounds::Bounds;
use crate::dispatch::{Batch, Counters};
use crate::looked::Moment;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// When all is to end, what settles within this time is waited for.
const SOON: std::time::Duration = std::time::Duration::from_secs(1);

/// A server; its connection lives as long as it does.
#[derive(Debug)]
pub(super) struct Server {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
    /// How long there may be trouble before the server is down.
    patience: std::time::Duration,
}

impl Server {
    /// Starts to connect, for the dispatcher `name`. To be called inside a tokio `LocalSet`.
    pub(super) fn start(config: &config::Graphite, name: &str, target: Target, listener: Listener) -> Self {
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
            report: Report::new(name, &target.endpoint, config.queue_size.get()),
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
        let up = u64::from(self.shared.report.trouble().is_none() && !self.shared.stalled.get());
        Counters { up, queued_batches, queued_lines, settling, ..self.shared.counters.get() }
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
