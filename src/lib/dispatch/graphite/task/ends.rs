//! The life of a batch on its way out: the end of the connection, its confirmation, and the time until it is delivered.

use super::loss::Loss;
use super::{Habit, Next, Task};
use crate::dispatch::graphite::link::Health;
use crate::dispatch::graphite::progress::{Owing, Verdict};
use crate::dispatch::graphite::server::Word;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest and longest time between the ends of two connections, however small the batches are: in a long catching up
/// the batches in between share a connection. In between, it is twice the time that the peer takes to close one.
pub(super) const BETWEEN_ENDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A peer of which nothing is known, that has acknowledged everything and does not close for so many times `delay`, or
/// `write-timeout` if that is longer, is one that never closes. With the defaults that is half a minute: longer than
/// most peers hang without being killed, and the next peer of its kind is found out as late.
const NEVER_CLOSES: (u32, u32) = (3, 10);

/// A peer that has been seen to close, and does not close for so long, has become another one.
const CLOSES_NO_MORE: Duration = Duration::from_secs(15 * 60);

/// Largest part that a connection is limited to, for a peer that breaks every connection.
pub(super) const LARGEST_PART: usize = 256 * 1024;

impl Task {
    /// Ends the current connection where that is due, and opens the next.
    pub(super) fn end(&mut self, now: Instant) -> Result<(), Loss> {
        let due = self.end_due().is_some_and(|due| due <= now);
        let Next::Open(link) = &mut self.next else { return Ok(()) };
        if !due {
            return Ok(());
        }
        link.end()?;
        self.shared.window.borrow_mut().end();
        self.last_end = Some(now);
        self.unconfirmed_since.get_or_insert(now);
        if let Next::Open(link) = std::mem::replace(&mut self.next, Next::Pause(now)) {
            self.ended = Some((link, now));
        }
        self.open();
        Ok(())
    }

    pub(super) fn end_due(&self) -> Option<Instant> {
        let window = self.shared.window.borrow();
        let Next::Open(link) = &self.next else { return None };
        let due = !self.lasting() && self.ended.is_none() && window.at_boundary() && !window.awaits();
        due.then(|| self.last_end.map_or(link.opened, |last| last + self.between_ends))
    }

    /// Looks at the ended connection.
    pub(super) fn confirm(&mut self, now: Instant) -> Result<(), Loss> {
        let Some((link, since)) = &mut self.ended else { return Ok(()) };
        link.flush()?;
        let (outstanding, since) = (link.outstanding(), *since);
        match link.health() {
            Health::Ended if outstanding == 0 => {
                self.habit = Habit::Closes;
                self.between_ends = (2 * (now - since)).clamp(BETWEEN_ENDS.0, BETWEEN_ENDS.1);
                self.confirmed(now);
            }
            Health::Ended => return Err(Loss::Closed),
            Health::Broken(error) => return Err(Loss::Broken(error)),
            Health::Open if outstanding > 0 => {}
            Health::Open => match self.habit {
                Habit::Unknown if now.duration_since(since) >= self.never_closes() => {
                    self.shared.report.never_closes();
                    self.habit = Habit::Never;
                    self.unlimited();
                    self.confirmed(now);
                }
                Habit::Closes if self.unconfirmed_since.is_some_and(|since| now - since >= CLOSES_NO_MORE) => {
                    self.habit = Habit::Unknown;
                }
                _ => {}
            },
        }
        Ok(())
    }

    pub(super) fn never_closes(&self) -> Duration {
        (NEVER_CLOSES.0 * self.delay).max(NEVER_CLOSES.1 * self.write_timeout)
    }

    fn confirmed(&mut self, now: Instant) {
        self.ended = None;
        self.shared.window.borrow_mut().confirmed(now);
        self.rest();
        self.arrived();
        self.parts += 1;
        if let Some(part) = self.part
            && self.parts.is_multiple_of(4)
        {
            self.part = Some(2 * part).filter(|part| *part <= LARGEST_PART);
            self.shared.window.borrow_mut().limit(self.part);
        }
    }

    /// Something was confirmed.
    pub(super) fn arrived(&mut self) {
        self.failures = 0;
        self.barren = 0;
        self.confirmed_since_loss = true;
        self.hangs = false;
        self.unconfirmed_since = None;
        self.progress.arrived();
    }

    fn unlimited(&mut self) {
        self.part = None;
        self.shared.window.borrow_mut().limit(None);
    }

    /// Looks for a stall.
    pub(super) fn watch(&mut self, now: Instant) -> Result<(), Loss> {
        let (mut taken, mut outstanding) = (0, 0);
        let open = match &mut self.next {
            Next::Open(link) => Some(link),
            Next::Opening(_) | Next::Pause(_) => None,
        };
        for link in open.into_iter().chain(self.ended.iter_mut().map(|(link, _)| link)) {
            taken += link.acknowledged();
            outstanding += u64::from(link.outstanding() > 0);
        }
        // Of a peer that has never closed a connection, closing is no duty.
        let end = self.ended.is_some() && self.habit == Habit::Closes;
        let owing = match (outstanding, end) {
            (0, false) => {
                self.rest();
                return Ok(());
            }
            (0, true) => Owing::End,
            (_, _) => Owing::Bytes,
        };
        let patience = self.progress.patience();
        match self.progress.look(now, owing, taken) {
            Verdict::Unchanged => {}
            Verdict::Stalled => {
                self.shared.stalled.set(true);
                self.shared.count(|counters| counters.stalls += 1);
                self.shared.report.stalled(self.shared.window.borrow().lines());
                self.shared.tell(Word::Condition);
            }
            Verdict::Back => self.back(),
            Verdict::Replace => return Err(Loss::TooSlow(patience)),
        }
        Ok(())
    }

    fn rest(&mut self) {
        if self.progress.rest() {
            self.back();
        }
    }

    fn back(&self) {
        self.shared.stalled.set(false);
        self.shared.report.back();
        self.shared.tell(Word::Condition);
    }

    /// Hands out what has been confirmed for long enough. The connection has been found healthy in this round.
    pub(super) fn settle(&mut self, now: Instant) {
        let Next::Open(link) = &self.next else { return };
        let until = now.checked_sub(self.settle).filter(|_| !self.hangs);
        let delivered = until.map(|until| self.shared.window.borrow_mut().settled(until));
        let delivered = delivered.unwrap_or_default();
        for gone in &delivered {
            self.shared.count(|counters| counters.delivered_lines += gone.lines as u64);
            if gone.last {
                self.shared.tell(Word::Delivered(gone.epoch));
            }
        }
        if !delivered.is_empty() || (self.nothing_held() && link.opened + self.settle <= now) {
            self.shared.well.set(true);
            if self.shared.report.well(now) {
                self.shared.tell(Word::Condition);
            }
        }
        if !delivered.is_empty() {
            self.shared.report.holds(self.shared.window.borrow().lines());
            self.shared.changed.notify_one();
        }
    }

    fn nothing_held(&self) -> bool {
        self.shared.window.borrow().is_empty()
    }
}
