//! A lasting connection is replaced from time to time: only then does it follow the name of the server to another address,
//! while the old server is still there.

use super::{Habit, Next, Opening, Task};
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Health, Link, Stream};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// By so much of its length, more or less, the life of a connection varies, so that not all workers of all hosts come at once.
const SPREAD: f64 = 0.1;

/// The next connection in place of one that stands.
pub(super) struct Renewal {
    lifetime: Duration,
    /// When the present connection has stood for long enough.
    at: Option<Instant>,
    opening: Option<Opening>,
    /// It stands, and takes over as soon as nothing is under way on the other.
    fresh: Option<Link>,
}

impl Renewal {
    /// No lifetime: never.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, at: None, opening: None, fresh: None }
    }

    /// A connection was opened: its life begins.
    pub(super) fn begin(&mut self, now: Instant) {
        let spread = 1.0 + SPREAD * (2.0 * fastrand::f64() - 1.0);
        self.at = (!self.lifetime.is_zero()).then(|| now + self.lifetime.mul_f64(spread));
        (self.opening, self.fresh) = (None, None);
    }

    /// Whether nothing more is to be written to the present connection.
    pub(super) fn is_due(&self) -> bool {
        self.fresh.is_some()
    }

    /// When there is something to do.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.at.filter(|_| self.opening.is_none() && self.fresh.is_none())
    }

    /// Ready with the result of opening the next connection.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Connector, Result<Stream, ConnectError>)> {
        let Some(opening) = &mut self.opening else { return Poll::Pending };
        let opened = opening.as_mut().poll(context);
        if opened.is_ready() {
            self.opening = None;
        }
        opened
    }
}

impl Task {
    /// Opens a connection in place of one that has lasted for long, and changes over where nothing is under way.
    pub(super) fn renew(&mut self, now: Instant) {
        if !self.lasting() || !matches!(self.next, Next::Open(_)) {
            return;
        }
        if self.renewal.next_look().is_some_and(|at| at <= now) {
            let new = || Connector::new(self.target.clone(), self.connect_timeout);
            let mut connector = self.connector.take().unwrap_or_else(new);
            self.renewal.opening = Some(Box::pin(async move {
                let result = connector.connect().await;
                (connector, result)
            }));
        }
        if self.ended.is_none()
            && self.shared.window.borrow().at_rest()
            && let Some(fresh) = self.renewal.fresh.take()
        {
            self.change_over(fresh, now);
        }
    }

    fn change_over(&mut self, mut fresh: Link, now: Instant) {
        if !matches!(fresh.health(), Health::Open) {
            self.renewal.at = Some(now + self.delay);
            return;
        }
        let address = fresh.peer;
        let Next::Open(mut old) = std::mem::replace(&mut self.next, Next::Open(fresh)) else { return };
        self.shared.window.borrow_mut().change_over();
        // Nothing is under way on it: it may end as it likes.
        let _ = old.end();
        self.renewal.begin(now);
        if old.peer == address {
            tracing::debug!(server = self.shared.report.server(), "the connection is renewed");
        } else {
            tracing::info!(server = self.shared.report.server(), from = %old.peer, to = %address, "the server has moved");
            if self.habit == Habit::Never {
                // That is known of the other one.
                self.habit = Habit::Unknown;
            }
        }
    }

    pub(super) fn renewed(&mut self, connector: Connector, result: Result<Stream, ConnectError>, now: Instant) {
        self.connector = Some(connector);
        match result.map(|stream| Link::new(stream, self.silence())) {
            Ok(Ok(link)) => self.renewal.fresh = Some(link),
            // The old one is good enough.
            Ok(Err(error)) => {
                tracing::debug!(server = self.shared.report.server(), %error, "the connection is not renewed");
                self.renewal.at = Some(now + self.delay);
            }
            Err(error) => {
                tracing::debug!(server = self.shared.report.server(), %error, "the connection is not renewed");
                self.renewal.at = Some(now + self.delay);
            }
        }
    }
}
