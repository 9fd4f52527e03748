//! The life of a batch on its way out: the end of the connection, its confirmation, and the time until it is delivered.

use super::state::{BETWEEN_ENDS, Habit, LARGEST_PART, Loss, Next, Task};
use crate::dispatch::graphite::link::{Health, Link};
use crate::dispatch::graphite::progress::{Owing, Verdict};
use crate::dispatch::graphite::proof::Receipt;
use crate::dispatch::graphite::shared::Word;
use crate::looked::Moment;
use crate::snapshot::Epoch;
use std::time::Duration;
use tokio::time::Instant;

/// A peer that has acknowledged everything and does not close for so many times `delay`, or `write-timeout` if that is longer,
/// hangs, or is one that never closes. Time does not tell which of the two: only a proof that it reads does.
const NEVER_CLOSES: (u32, u32) = (3, 10);

/// A peer that has acknowledged so many bytes on one connection reads: more than the buffers of any kernel on the way hold for a
/// program that does not. Linux lets a receive buffer grow to 6 MiB (`net.ipv4.tcp_rmem`), hosts that are tuned for distant
/// peers to 16 or 32; a proxy has two of them.
const READS: u64 = 64 * 1024 * 1024;

/// A peer that says something so long after our end does so because its program runs, not as a greeting.
pub(super) const ANSWER: Duration = Duration::from_secs(1);

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
        let (peer, opened) = (link.peer, link.opened);
        match link.health() {
            Health::Ended if outstanding == 0 => {
                self.habit = Habit::Closes;
                self.told_open = false;
                self.between_ends = (2 * (now - since)).clamp(BETWEEN_ENDS.0, BETWEEN_ENDS.1);
                self.confirmed(Receipt { peer: Some(peer), opened, ended: since, confirmed: now, chained: false });
            }
            Health::Ended => return Err(Loss::Closed),
            Health::Broken(error) => return Err(Loss::Broken(error)),
            Health::Open if outstanding == 0 && now.duration_since(since) >= self.never_closes() => {
                self.does_not_close(since, now);
            }
            Health::Open => {}
        }
        Ok(())
    }

    /// The peer has everything, and has not closed for long. In doubt it hangs, and takes with it what it has not read when it
    /// is killed for that: what was sent stays on disk.
    fn does_not_close(&mut self, since: Instant, now: Instant) {
        if self.has_read(since) {
            self.shared.report.never_closes();
            self.habit = Habit::Never;
            self.unlimited();
            self.confirmed(Receipt { peer: None, opened: since, ended: since, confirmed: now, chained: false });
        } else if self.habit == Habit::Unknown && !std::mem::replace(&mut self.told_open, true) {
            self.shared.report.does_not_close();
        }
    }

    /// Whether it is proved that the peer's program reads.
    pub(super) fn has_read(&mut self, ended: Instant) -> bool {
        let next = match &mut self.next {
            Next::Open(link) => Some(link),
            Next::Opening(_) | Next::Pause(_) => None,
        };
        let mut links = next.into_iter().chain(self.ended.iter_mut().map(|(link, _)| link));
        links.any(|link: &mut Link| {
            link.acknowledged() >= READS || link.heard.is_some_and(|heard| heard >= ended + ANSWER)
        })
    }

    pub(super) fn never_closes(&self) -> Duration {
        (NEVER_CLOSES.0 * self.delay).max(NEVER_CLOSES.1 * self.write_timeout)
    }

    fn confirmed(&mut self, receipt: Receipt) {
        self.ended = None;
        let complete = self.shared.window.borrow_mut().confirmed(receipt);
        self.rest();
        self.arrived(&complete, receipt.confirmed);
        self.parts += 1;
        if let Some(part) = self.part
            && self.parts.is_multiple_of(4)
        {
            self.part = Some(2 * part).filter(|part| *part <= LARGEST_PART);
            self.shared.window.borrow_mut().limit(self.part);
        }
    }

    /// The peer's kernel has so many bytes of the lasting connection.
    pub(super) fn acknowledged(&mut self, bytes: u64, now: Instant) {
        let Next::Open(link) = &self.next else { return };
        let receipt = Receipt { peer: None, opened: link.opened, ended: now, confirmed: now, chained: false };
        let (batches, complete) = self.shared.window.borrow_mut().acknowledged(bytes, receipt);
        if batches > 0 {
            self.arrived(&complete, now);
        }
    }

    /// Something was confirmed: these snapshots to their end.
    fn arrived(&mut self, complete: &[Epoch], now: Instant) {
        self.failures = 0;
        self.barren = 0;
        self.confirmed_since_loss = true;
        self.hangs = false;
        self.progress.arrived();
        complete.iter().for_each(|epoch| self.shared.tell(Word::Confirmed(*epoch)));
        self.shared.trust_more();
        if self.doubts == 0 {
            self.well(now);
        }
        self.shared.report.holds(self.shared.window.borrow().lines());
        self.shared.changed.notify_one();
    }

    /// There is no trouble, or no more.
    fn well(&mut self, now: Instant) {
        self.shared.well.set(true);
        if self.shared.report.well(now) {
            self.shared.tell(Word::Condition);
        }
    }

    /// When a connection that nothing is sent on has stood for long enough to be called well: one to a proxy with nothing behind it
    /// is closed after a while.
    pub(super) fn well_at(&self, link: &Link) -> Instant {
        link.opened + if self.doubts > 0 || self.closed { self.rules.settle } else { self.rules.margin() }
    }

    fn unlimited(&mut self) {
        self.part = None;
        self.shared.window.borrow_mut().limit(None);
    }

    /// Looks for a stall.
    pub(super) fn watch(&mut self) -> Result<(), Loss> {
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
        match self.progress.look(Moment::now(), owing, taken) {
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
        let well_at = self.well_at(link);
        let mut delivered = Vec::new();
        if !self.hangs && self.witnesses.ends.pending(now).is_none() {
            let has_settled = |receipt: &Receipt| self.settles(receipt).is_some_and(|due| due <= now);
            delivered = self.shared.window.borrow_mut().settled(has_settled);
        }
        for gone in &delivered {
            self.shared.count(|counters| counters.delivered_lines += gone.lines as u64);
            if gone.last {
                self.shared.tell(Word::Delivered(gone.epoch));
            }
        }
        if !delivered.is_empty() {
            self.doubts = 0;
            self.closed = false;
            self.witnesses.failures = 0;
            self.shared.trust_all();
        }
        if !delivered.is_empty() || (self.nothing_held() && well_at <= now) {
            self.well(now);
        }
        if !delivered.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    fn nothing_held(&self) -> bool {
        self.shared.window.borrow().is_empty()
    }
}
