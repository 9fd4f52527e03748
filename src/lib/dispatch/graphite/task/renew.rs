//! A lasting connection is replaced from time to time: only then does it follow the name of the server to another address,
//! while the old server is still there.

use super::state::{Habit, Next, Task};
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Health, Link, Stream};
use tokio::time::Instant;

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
            tracing::debug!(server = self.shared.report.server(), "connection replaced");
        } else {
            tracing::info!(server = self.shared.report.server(), from = %old.peer, to = %address, "the server has a \
                                                                                                   new address");
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
                tracing::debug!(server = self.shared.report.server(), %error, "cannot replace the connection");
                self.renewal.at = Some(now + self.delay);
            }
            Err(error) => {
                tracing::debug!(server = self.shared.report.server(), %error, "cannot replace the connection");
                self.renewal.at = Some(now + self.delay);
            }
        }
    }
}
