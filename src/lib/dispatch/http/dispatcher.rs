//! The dispatcher for receivers of HTTP requests.

use super::body::Format;
use super::client::{Client, ClientError};
use super::credentials;
use super::name::name;
use super::report::Report;
use super::shared::Shared;
use super::task::Task;
use super::window::{Piece, Pushed, Window};
use crate::batch::Output;
use crate::config::{Config, Remote};
use crate::dispatch::bounds::Bounds;
use crate::dispatch::condition::Condition;
use crate::dispatch::{Batch, Counters, Dispatcher, Notice, Notices};
use crate::prometheus::request::Protocol;
use crate::snapshot::Epoch;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// At shutdown, snapshots whose turn does not come within this time stay on disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the configuration of a destination cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up [{section}]")]
pub struct HttpError {
    section: &'static str,
    source: ClientError,
}

/// Checks the files of all destinations of this kind: certificates, keys, passwords, tokens.
///
/// # Errors
/// One of the files cannot be used.
pub fn check(config: &Config) -> Result<(), HttpError> {
    for (protocol, remote) in [(Protocol::Otlp, &config.otlp), (Protocol::RemoteWrite, &config.remote_write)] {
        if let Some(remote) = remote {
            let opened = Client::open(Format { protocol, compress: remote.compress }, remote);
            let read = opened.and_then(|_| Ok(credentials::read(remote)?));
            read.map_err(|source| HttpError { section: name(protocol), source })?;
        }
    }
    Ok(())
}

/// The dispatcher. It owns its connections.
#[derive(Debug)]
pub struct Http {
    shared: Rc<Shared>,
    task: JoinHandle<()>,
}

impl Http {
    /// Starts without a connection. Refused samples are kept in a directory next to `src_dir`. Must be called inside a tokio
    /// `LocalSet`.
    #[must_use]
    pub fn start(protocol: Protocol, config: &Remote, src_dir: &Path, notices: Notices) -> Self {
        let bounds = Bounds::get();
        let shared = Rc::new(Shared {
            format: Format { protocol, compress: config.compress },
            window: RefCell::new(Window::new(bounds.kept.saturating_mul(2))),
            condition: Condition::new(name(protocol), notices),
            limit: Cell::new(None),
            unsent: bounds.unsent,
            report: Report::new(protocol, &config.url),
            queue_size: config.queue_size.get(),
            src_dir: src_dir.to_owned(),
        });
        let task = tokio::task::spawn_local(Task::new(config, Rc::clone(&shared)).run());
        Self { shared, task }
    }
}

impl Dispatcher for Http {
    fn name(&self) -> &'static str {
        self.shared.name()
    }

    fn output(&self) -> Output {
        match self.shared.format.protocol {
            Protocol::Otlp => Output::Otlp,
            Protocol::RemoteWrite => Output::RemoteWrite,
        }
    }

    fn submit(&self, batch: Arc<Batch>) {
        let shared = &self.shared;
        let (format, limit) = (shared.format, shared.limit.get());
        let bodies = batch.messages.iter().flat_map(|message| format.bodies(message, limit)).collect();
        let Batch { epoch, piece: number, more, lines, .. } = *batch;
        let pushed = shared.window.borrow_mut().push(Piece { epoch, number, more, lines }, bodies);
        if pushed == Pushed::TooMuch {
            shared.condition.tell(Notice::Lost { dispatcher: shared.name(), epoch });
        }
        shared.condition.know_room(shared.room());
        shared.condition.submitted.notify_one();
    }

    /// Until the receiver accepts something, at the start and after an error, there is room for one snapshot; the others wait on
    /// disk.
    fn has_room(&self) -> bool {
        self.shared.room().snapshot
    }

    fn has_room_for(&self, epoch: Epoch) -> bool {
        let window = self.shared.window.borrow();
        window.has_room_for(epoch, self.shared.condition.is_well())
    }

    fn is_ordered(&self) -> bool {
        true
    }

    fn go(&self, epoch: Epoch) {
        self.shared.window.borrow_mut().go(epoch);
        self.shared.condition.submitted.notify_one();
        // The snapshot may still be on disk; there is always room for the one whose turn it is.
        self.shared.condition.tell(Notice::Room { dispatcher: self.shared.name() });
    }

    fn takes_more(&self) -> bool {
        self.shared.room().piece
    }

    fn counters(&self) -> Counters {
        let window = self.shared.window.borrow();
        let mut counters = self.shared.condition.counters();
        counters.up = u64::from(!self.shared.report.is_troubled());
        (counters.queued_batches, counters.queued_lines) = (window.snapshots() as u64, window.lines() as u64);
        (counters.held_bytes, counters.requests_in_flight) = (window.bytes() as u64, window.flying() as u64);
        counters
    }

    /// Ends early if the receiver accepts nothing, or if the turn of the held snapshots does not come.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            let shared = &self.shared;
            while !shared.window.borrow().is_empty() && !shared.report.is_troubled() {
                let turn = shared.window.borrow().has_turn();
                let until = if turn { deadline } else { deadline.min(Instant::now() + PATIENCE) };
                if timeout_at(until, shared.condition.changed.notified()).await.is_err() {
                    break;
                }
            }
        })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.task.abort();
    }
}
