//! The dispatcher.

use super::files::Files;
use super::name::NAME;
use super::report::Report;
use super::shared::Shared;
use super::task::Task;
use super::window::Window;
use crate::batch::Output;
use crate::config::{self, Config, KafkaFormat};
use crate::dispatch::bounds::Bounds;
use crate::dispatch::condition::Condition;
use crate::dispatch::{Batch, Counters, Dispatcher, Notices};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The dispatcher; its client lives as long as it does.
#[derive(Debug)]
pub struct Kafka {
    shared: Rc<Shared>,
    /// Whether it takes the files of snapshots.
    files: bool,
    task: JoinHandle<()>,
}

impl Kafka {
    /// Starts a client for the snapshots of this host, which has this name. To be called inside a tokio `LocalSet`.
    #[must_use]
    pub fn start(kafka: &config::Kafka, config: &Config, hostname: &str, notices: Notices) -> Self {
        let files = (kafka.format == KafkaFormat::Snapshot).then(|| Files::new(kafka, config, hostname));
        Self::with(kafka, files, notices)
    }

    fn with(config: &config::Kafka, files: Option<Files>, notices: Notices) -> Self {
        let shared = Rc::new(Shared {
            window: RefCell::new(Window::new(config.format)),
            files: RefCell::default(),
            condition: Condition::new(NAME, notices),
            unsent: Bounds::get().unsent,
            report: Report::new(config.brokers(), &config.topic),
            queue_size: config.queue_size.get(),
        });
        let takes_files = files.is_some();
        let task = tokio::task::spawn_local(Task::new(config, Rc::clone(&shared), files).run());
        Self { shared, files: takes_files, task }
    }
}

impl Dispatcher for Kafka {
    fn name(&self) -> &'static str {
        NAME
    }

    fn output(&self) -> Output {
        if self.files { Output::Files } else { Output::Kafka }
    }

    fn submit(&self, batch: Arc<Batch>) {
        match (self.files, batch.more) {
            // It could still turn out to be unreadable.
            (true, true) => return,
            (true, false) => self.shared.files.borrow_mut().push_back(batch.epoch),
            (false, _) => self.shared.window.borrow_mut().push(batch),
        }
        self.shared.condition.know_room(self.shared.room());
        self.shared.condition.submitted.notify_one();
    }

    /// Before anything was delivered, and after something went wrong until something is delivered again, there is room for
    /// one batch: the snapshots wait on disk.
    fn has_room(&self) -> bool {
        self.shared.room().snapshot
    }

    fn takes_more(&self) -> bool {
        // Pieces cost nothing where files are sent.
        self.files || self.shared.room().piece
    }

    fn counters(&self) -> Counters {
        let window = self.shared.window.borrow();
        let mut counters = self.shared.condition.counters();
        (counters.queued_batches, counters.queued_lines) = (window.batches() as u64, window.lines() as u64);
        counters.queued_batches += self.shared.files.borrow().len() as u64;
        counters.up = u64::from(!self.shared.report.is_troubled());
        counters.messages_in_flight = window.flying() as u64;
        counters.messages_parked = window.refused() as u64;
        counters.queued_bytes = window.bytes() as u64;
        counters
    }

    /// Ends early while Kafka does not take anything.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            while !self.shared.is_empty() && !self.shared.report.is_troubled() {
                if timeout_at(deadline, self.shared.condition.changed.notified()).await.is_err() {
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
