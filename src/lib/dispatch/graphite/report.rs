//! What an operator reads: one line for each change of state, not one for each attempt or batch. Everything else is
//! for those who debug.

use crate::config::Endpoint;
use crate::looked::Moment;
use std::cell::Cell;
use std::error::Error;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{Span, error_span};

/// The states of which the log knows.
#[derive(Debug)]
pub(super) struct Report {
    /// Whose lines they are. Of the highest level, so that no log level is without.
    of_dispatcher: Span,
    at_server: Span,
    server: String,
    queue_size: usize,
    connected_before: Cell<bool>,
    /// Since when it has been said that there is no good connection, by both clocks.
    trouble: Cell<Option<(Moment, Instant)>>,
    /// Whether it has been said that the queue is full, and since when it is.
    full_told: Cell<bool>,
    full_since: Cell<Option<Moment>>,
    dropping: Cell<bool>,
}

impl Report {
    /// Of the dispatcher `name`.
    pub(super) fn new(name: &str, server: &Endpoint, queue_size: usize) -> Self {
        let server = server.to_string();
        let of_dispatcher = error_span!("dispatcher", dispatcher = name);
        let at_server = error_span!(parent: &of_dispatcher, "server", server);
        Self {
            of_dispatcher,
            at_server,
            server,
            queue_size,
            connected_before: Cell::new(false),
            trouble: Cell::new(None),
            full_told: Cell::new(false),
            full_since: Cell::new(None),
            dropping: Cell::new(false),
        }
    }

    /// Name and port.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Since when there is trouble: from a loss or a failed attempt until [`Report::well`].
    pub(super) fn trouble(&self) -> Option<Moment> {
        self.trouble.get().map(|(since, _)| since)
    }

    fn in_trouble(&self, now: Instant) {
        self.trouble.set(Some((Moment::now(), now)));
    }

    pub(super) fn connected(&self) {
        if !self.connected_before.replace(true) && self.trouble.get().is_none() {
            tracing::info!(parent: &self.at_server, "connected");
        } else {
            tracing::debug!(parent: &self.at_server, "connected");
        }
    }

    /// `idle`: nothing was on its way, and the peer closed in order. Relays do that after some minutes of silence, which
    /// is none of an operator's business.
    pub(super) fn lost(&self, error: &(dyn Error + 'static), resent_lines: u64, idle: bool, now: Instant) {
        if idle || self.trouble.get().is_some() {
            tracing::debug!(parent: &self.at_server, error, resent_lines, "connection lost");
        } else {
            self.in_trouble(now);
            tracing::warn!(parent: &self.at_server, error, resent_lines, "connection lost");
        }
    }

    pub(super) fn not_opened(&self, error: &(dyn Error + 'static), now: Instant) {
        if self.trouble.get().is_some() {
            tracing::debug!(parent: &self.at_server, error, "no connection");
        } else {
            self.in_trouble(now);
            tracing::warn!(parent: &self.at_server, error, "no connection; snapshots wait on disk");
        }
    }

    /// Something has been delivered, or a connection stands and there is nothing to deliver. Returns whether that is
    /// the end of trouble.
    pub(super) fn well(&self, now: Instant) -> bool {
        let trouble = self.trouble.take();
        if let Some((_, since)) = trouble {
            let elapsed_ms = u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX);
            tracing::info!(parent: &self.at_server, elapsed_ms, "connected again");
        }
        trouble.is_some()
    }

    pub(super) fn stalled(&self, queued_lines: usize) {
        if self.trouble.get().is_none() {
            tracing::warn!(parent: &self.at_server, queued_lines, "the server does not accept data");
        }
    }

    pub(super) fn back(&self) {
        if self.trouble.get().is_none() {
            tracing::info!(parent: &self.at_server, "the server accepts data again");
        }
    }

    pub(super) fn never_closes(&self) {
        tracing::warn!(
            parent: &self.at_server,
            "the server does not close connections that haproxystats has ended: what its kernel has acknowledged \
             counts as delivered, and may be lost when the server restarts"
        );
    }

    pub(super) fn does_not_close(&self) {
        tracing::warn!(
            parent: &self.at_server,
            "the server has acknowledged everything but does not close the connection: it hangs, or it never closes \
             connections; snapshots stay on disk until it closes the connection, or has accepted so much data that it \
             is certainly reading; for a server that never closes connections set [graphite] acknowledge = kernel"
        );
    }

    pub(super) fn dropped(&self) {
        if !self.dropping.replace(true) {
            let queue_size = self.queue_size;
            tracing::error!(parent: &self.of_dispatcher, queue_size, "the queue is full; dropping the oldest metrics");
        }
    }

    /// Something has been delivered, and so many lines are held: half the queue ends the state of giving up.
    pub(super) fn holds(&self, lines: usize) {
        if lines <= self.queue_size / 2 && self.dropping.replace(false) {
            tracing::info!(parent: &self.of_dispatcher, queue_size = self.queue_size, "metrics are no longer dropped");
        }
    }

    /// Says that the worker is held back, once that has lasted for `patience`.
    pub(super) fn full(&self, full: bool, patience: Duration) {
        let queue_size = self.queue_size;
        if !full {
            self.full_since.set(None);
            if self.full_told.replace(false) {
                tracing::info!(parent: &self.of_dispatcher, queue_size, "the queue has room again");
            }
            return;
        }
        let now = Moment::now();
        let since = self.full_since.get().unwrap_or(now);
        self.full_since.set(Some(since));
        if now.since(since) >= patience && !self.full_told.replace(true) {
            tracing::warn!(parent: &self.of_dispatcher, queue_size, "the queue is full; further snapshots wait on disk");
        }
    }

    /// Since when the queue is full, as long as that has not been said.
    pub(super) fn full_untold(&self) -> Option<Moment> {
        self.full_since.get().filter(|_| !self.full_told.get())
    }
}
