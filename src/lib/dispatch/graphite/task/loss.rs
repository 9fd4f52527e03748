//! What happens when a connection is lost, or cannot be opened.

use super::ends::LARGEST_PART;
use super::{Habit, Next, Task};
use crate::backoff::jitter;
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Link, Stream};
use crate::dispatch::graphite::server::Word;
use crate::dispatch::graphite::window::Lost;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that stood for so long was good; its end is no failure to connect.
const GOOD: Duration = Duration::from_secs(5);

/// Longest pause before a good connection that was lost is opened again.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Smallest part that a connection is limited to, for a peer that breaks every connection.
const SMALLEST_PART: usize = 4 * 1024;

/// Connections in a row that may break without a confirmation before the next ones carry a part only.
const BARREN: u32 = 2;

/// The kernel itself gives a connection up when it gets no acknowledgement for this long beyond the patience.
const SILENCE: Duration = Duration::from_secs(5);

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    #[error("the peer has been too slow for {0:?}")]
    TooSlow(Duration),
}

impl Task {
    /// A connection is gone, and with it all that was not delivered.
    pub(super) fn lost(&mut self, loss: &Loss, now: Instant) {
        let stood = match std::mem::replace(&mut self.next, Next::Pause(now)) {
            Next::Open(link) => {
                let stood = now - link.opened >= GOOD;
                link.abort();
                stood
            }
            Next::Opening(_) | Next::Pause(_) => false,
        };
        if let Some((link, _)) = self.ended.take() {
            link.abort();
        }
        let idle = stood && matches!(loss, Loss::Closed) && !self.shared.window.borrow().in_flight();
        self.hangs = matches!(loss, Loss::TooSlow(_));
        if !self.hangs {
            self.unconfirmed_since = None;
        }
        let mut window = self.shared.window.borrow_mut();
        let Lost { resent_lines, epochs } = if self.hangs { window.lost_unconfirmed() } else { window.lost() };
        drop(window);
        self.shared.tell_lost(&epochs);
        self.shared.count(|counters| counters.resent_lines += resent_lines);
        self.shared.well.set(false);
        self.shared.stalled.set(false);
        self.progress.rest();
        if self.habit == Habit::Never {
            // Whoever listens next may be another program.
            self.habit = Habit::Unknown;
        }
        let good = std::mem::take(&mut self.confirmed_since_loss);
        match loss {
            Loss::TooSlow(_) => self.progress.replaced(),
            Loss::Closed | Loss::Broken(_) if good || idle => {}
            Loss::Closed | Loss::Broken(_) => self.limit(),
        }
        let pause = if good || stood {
            self.failures = 0;
            AT_ONCE.mul_f64(fastrand::f64())
        } else {
            self.failures = self.failures.saturating_add(1);
            jitter(self.rounds.after(self.failures), fastrand::f64())
        };
        self.next = Next::Pause(now + pause);
        self.replaces = true;
        self.shared.report.lost(loss, resent_lines, idle, now);
        self.shared.connected.set(None);
        self.shared.tell(Word::Condition);
    }

    /// Closes all connections, whatever is on them; the next is opened at once.
    pub(super) fn close(&mut self, now: Instant) {
        if matches!(self.next, Next::Open(_))
            && let Next::Open(link) = std::mem::replace(&mut self.next, Next::Pause(now))
        {
            link.abort();
            self.shared.connected.set(None);
        }
        if let Some((link, _)) = self.ended.take() {
            link.abort();
        }
        self.hangs = false;
        self.unconfirmed_since = None;
        self.progress.rest();
        self.shared.well.set(false);
        self.shared.stalled.set(false);
    }

    /// The peer breaks connections before anything is confirmed: let the next ones carry less.
    fn limit(&mut self) {
        self.barren = self.barren.saturating_add(1);
        self.parts = 0;
        if self.barren > BARREN || self.part.is_some() {
            self.part = Some(self.part.map_or(LARGEST_PART, |part| (part / 4).max(SMALLEST_PART)));
            self.shared.window.borrow_mut().limit(self.part);
        }
    }

    pub(super) fn opened(&mut self, connector: Connector, result: Result<Stream, ConnectError>, now: Instant) {
        self.connector = Some(connector);
        let silence = self.progress.patience() + SILENCE;
        match result.map(|stream| Link::new(stream, silence)) {
            Ok(Ok(link)) => {
                self.next = Next::Open(link);
                self.shared.well.set(self.shared.report.trouble().is_none());
                self.shared.unreachable.set(false);
                if std::mem::take(&mut self.replaces) {
                    self.shared.count(|counters| counters.reconnects += 1);
                }
                self.shared.report.connected();
                self.shared.connected.set(Some(now));
                self.shared.tell(Word::Condition);
            }
            Ok(Err(error)) => self.lost(&Loss::Broken(error), now),
            Err(error) => self.not_opened(&error, now),
        }
    }

    fn not_opened(&mut self, error: &ConnectError, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.shared.count(|counters| counters.retries += 1);
        self.next = Next::Pause(now + jitter(self.rounds.after(self.failures), fastrand::f64()));
        self.shared.well.set(false);
        self.shared.unreachable.set(true);
        // While the last connection still awaits its confirmation it is the one to decide. Otherwise whoever confirmed
        // is gone, perhaps with what it had read.
        if self.ended.is_none() {
            let Lost { resent_lines, epochs } = self.shared.window.borrow_mut().lost();
            self.shared.tell_lost(&epochs);
            self.shared.count(|counters| counters.resent_lines += resent_lines);
        }
        self.shared.report.not_opened(error, now);
        self.shared.connected.set(None);
        self.shared.tell(Word::Condition);
        self.shared.changed.notify_one();
    }
}
