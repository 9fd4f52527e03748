//! What happens when a connection is lost, or cannot be opened.

use super::state::{Habit, LARGEST_PART, Loss, Next, Task};
use crate::backoff::jitter;
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Link, Stream};
use crate::dispatch::graphite::shared::Word;
use crate::dispatch::graphite::window::{Lost, Window};
use crate::looked::Moment;
use std::time::Duration;
use tokio::time::Instant;

/// A connection that stood for so long was good; its end is no failure to connect.
const GOOD: Duration = Duration::from_secs(5);

/// Longest pause before a good connection that was lost is opened again.
pub(super) const AT_ONCE: Duration = Duration::from_millis(250);

/// Smallest part that a connection is limited to, for a peer that breaks every connection.
const SMALLEST_PART: usize = 4 * 1024;

/// Connections in a row that may break without a confirmation before the next ones carry a part only.
const BARREN: u32 = 2;

/// The kernel itself gives a connection up when it gets no acknowledgement for this long beyond the patience.
const SILENCE: Duration = Duration::from_secs(5);

impl Task {
    /// A connection is gone, and with it what was not confirmed; with a witness, or where there is none, all that was not delivered.
    pub(super) fn lost(&mut self, loss: &Loss, now: Instant) {
        let stood = match std::mem::replace(&mut self.next, Next::Pause(now)) {
            Next::Open(link) => {
                // Since it broke, nobody may have looked for long.
                let stood = Moment::now().since(link.begun) >= GOOD;
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
        self.closed = matches!(loss, Loss::Closed | Loss::Witness(None));
        // What was confirmed rests on the witnesses, while there are some.
        let witnessed = self.shared.window.borrow().receipts().all(|receipt| {
            receipt.peer.is_some_and(|peer| self.witnesses.has(peer)) && !matches!(loss, Loss::Witness(_))
        });
        let resent_lines =
            if self.hangs || witnessed { self.take_back(Window::lost_unconfirmed) } else { self.doubt() };
        self.renewal.begin(now);
        self.shared.well.set(false);
        self.shared.stalled.set(false);
        self.progress.rest();
        if self.habit == Habit::Never {
            // What listens next may be another program.
            self.habit = Habit::Unknown;
        }
        let good = std::mem::take(&mut self.confirmed_since_loss);
        match loss {
            Loss::TooSlow(_) => self.progress.replaced(),
            Loss::Witness(_) => {}
            Loss::Closed | Loss::Broken(_) if good || idle => {}
            Loss::Closed | Loss::Broken(_) => self.limit(),
        }
        let pause = if self.doubts > 1 {
            jitter(self.rounds.after(self.doubts - 1), fastrand::f64())
        } else if good || stood {
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

    /// What was confirmed, and has not settled, counts for nothing. Returns the number of lines that are sent again.
    fn doubt(&mut self) -> u64 {
        self.witnesses.close();
        if self.shared.window.borrow().receipts().next().is_some() {
            self.doubts = self.doubts.saturating_add(1);
            self.shared.trust_little();
        }
        self.take_back(Window::lost)
    }

    fn take_back(&mut self, lost: impl FnOnce(&mut Window) -> Lost) -> u64 {
        let Lost { resent_lines, epochs } = lost(&mut self.shared.window.borrow_mut());
        self.shared.tell_lost(&epochs);
        self.shared.count(|counters| counters.resent_lines += resent_lines);
        resent_lines
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
        self.witnesses.close();
        self.renewal.begin(now);
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
        match result.map(|stream| Link::new(stream, self.silence())) {
            Ok(Ok(link)) => {
                self.next = Next::Open(link);
                self.renewal.begin(now);
                self.shared.well.set(self.shared.report.trouble().is_none());
                self.shared.unreachable.set(false);
                if std::mem::take(&mut self.replaces) {
                    self.shared.count(|counters| counters.reconnects += 1);
                }
                self.shared.report.connected();
                self.shared.connected.set(Some(Moment::now()));
                self.shared.tell(Word::Condition);
            }
            Ok(Err(error)) => self.lost(&Loss::Broken(error), now),
            Err(error) => self.not_opened(&error, now),
        }
    }

    fn not_opened(&mut self, error: &ConnectError, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.next = Next::Pause(now + jitter(self.rounds.after(self.failures), fastrand::f64()));
        self.shared.connected.set(None);
        self.unreachable(error, now);
    }

    /// There is no further connection to be had.
    pub(super) fn unreachable(&mut self, error: &ConnectError, now: Instant) {
        self.shared.count(|counters| counters.retries += 1);
        self.shared.well.set(false);
        self.shared.unreachable.set(true);
        // While the last connection still awaits its confirmation, or a witness stands, these are the ones to decide. Otherwise
        // the program that confirmed is gone, perhaps with what it had read.
        if self.ended.is_none() && !self.shared.window.borrow().is_used() && self.witnesses.links.is_empty() {
            self.doubt();
        }
        if self.habit == Habit::Closes && matches!(error, ConnectError::Connect { .. }) {
            // What listens next may be another program.
            self.habit = Habit::Unknown;
        }
        self.shared.report.not_opened(error, now);
        self.shared.tell(Word::Condition);
        self.shared.changed.notify_one();
    }

    /// How long the kernel waits for an acknowledgement.
    pub(super) fn silence(&self) -> Duration {
        self.progress.patience() + SILENCE
    }
}
