//! The idle connections whose standing proves that what was confirmed has been read; see [`crate::dispatch::graphite::proof`].

use super::state::{Loss, Next, Task};
use crate::backoff::jitter;
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Health, Link, Stream};
use crate::dispatch::graphite::proof::Receipt;
use crate::dispatch::graphite::shared::Word;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// A witness that stood for less was no success.
const SHORT: Duration = Duration::from_secs(1);

impl Task {
    /// Whether what is confirmed rests on witnesses.
    pub(super) fn needs_witnesses(&self) -> bool {
        !self.lasting() && !self.rules.settle.is_zero()
    }

    /// Whether the next connection may carry something, as far as witnesses are concerned: one that was opened before it has to stand.
    pub(super) fn is_witnessed(&self) -> bool {
        let Next::Open(link) = &self.next else { return true };
        !self.needs_witnesses() || self.witnesses.of(link.peer).any(|witness| witness.opened <= link.opened)
    }

    /// Looks whether the witnesses stand.
    pub(super) fn look(&mut self, now: Instant) -> Result<(), Loss> {
        let mut index = 0;
        while let Some(link) = self.witnesses.links.get_mut(index) {
            let health = link.health();
            let age = link.seen - link.opened;
            if matches!(health, Health::Open) {
                self.witnesses.time_out.take_if(|limit| age > 2 * *limit);
                index += 1;
                continue;
            }
            let link = self.witnesses.links.remove(index);
            if age < SHORT {
                self.pause_calls(now);
            }
            let in_flight = self.shared.window.borrow().in_flight();
            match health {
                Health::Ended => self.idle_end(&link, now)?,
                Health::Broken(error) if in_flight => return Err(Loss::Witness(Some(error))),
                Health::Open | Health::Broken(_) => {}
            }
        }
        Ok(())
    }

    /// A connection that carried nothing was closed in order: by a time-out for idle connections, or since the peer is gone.
    pub(super) fn idle_end(&mut self, link: &Link, now: Instant) -> Result<(), Loss> {
        // It may have ended at any moment since, and what was confirmed was fresh then.
        let stood = link.seen;
        // As long as it certainly stood.
        let age = link.seen - link.opened;
        if age >= SHORT && age < self.rules.settle {
            self.witnesses.time_out = Some(self.witnesses.time_out.map_or(age, |limit| limit.min(age)));
        }
        if !self.shared.window.borrow().in_flight() {
            return Ok(());
        }
        let mut window = self.shared.window.borrow_mut();
        let carriers = self.ended.iter().map(|(link, _)| link);
        let mut carriers = carriers.chain(self.current().filter(|_| window.is_used()));
        let covered = |peer, opened| self.witnesses.of(peer).any(|witness| witness.opened <= opened);
        let followed = |receipt: &Receipt| {
            receipt.peer.is_some_and(|peer| self.witnesses.of(peer).any(|witness| witness.opened >= receipt.ended))
        };
        let stands = |receipt: &Receipt| match receipt.peer {
            Some(peer) if self.rules.is_fresh(receipt, stood) => covered(peer, receipt.opened),
            Some(_) => followed(receipt) || self.rules.excuses(receipt, age, stood),
            None => false,
        };
        let excused = carriers.all(|carrier| covered(carrier.peer, carrier.opened)) && window.receipts().all(stands);
        if !excused {
            return Err(Loss::Witness(None));
        }
        window.chain(|receipt| !self.rules.is_fresh(receipt, stood) && !followed(receipt));
        drop(window);
        if !self.witnesses.ends.note(link.opened, now) {
            return Err(Loss::Witness(None));
        }
        tracing::debug!(server = self.shared.report.server(), ?age, "the peer closed an idle connection");
        Ok(())
    }

    fn current(&self) -> Option<&Link> {
        match &self.next {
            Next::Open(link) => Some(link),
            Next::Opening(_) | Next::Pause(_) => None,
        }
    }

    /// Opens a witness where one is needed, and closes those that are needed no more.
    pub(super) fn call(&mut self, now: Instant) {
        if !self.needs_witnesses() {
            if self.shared.window.borrow().receipts().all(|receipt| receipt.peer.is_none()) {
                self.witnesses.close();
            }
            return;
        }
        self.renew_next();
        self.dismiss(now);
        if self.witnesses.calling.is_some() || self.witnesses.not_before > now {
            return;
        }
        let Some((peer, _)) = self.wanted().filter(|(_, at)| *at <= now) else { return };
        let connector = Connector::new(self.target.clone(), self.connect_timeout);
        self.witnesses.calling = Some(Box::pin(async move {
            let result = connector.connect_to(peer).await;
            (connector, result)
        }));
    }

    /// Where the next connection was opened before all witnesses that stand, another one is opened in its place.
    fn renew_next(&mut self) {
        let has = self.current().is_some_and(|link| self.witnesses.has(link.peer));
        if has && !self.is_witnessed() && !self.shared.window.borrow().is_used() {
            self.open();
        }
    }

    /// Where the next witness is to be opened, and when.
    fn wanted(&self) -> Option<(SocketAddr, Instant)> {
        if let Next::Open(link) = &self.next
            && !self.witnesses.has(link.peer)
        {
            return Some((link.peer, self.witnesses.not_before));
        }
        let window = self.shared.window.borrow();
        let receipts = window.receipts().filter_map(|receipt| Some((receipt.peer?, receipt.ended)));
        let ended = self.ended.iter().map(|(link, since)| (link.peer, *since));
        let lacking = receipts.chain(ended).filter_map(|(peer, end)| match self.witnesses.youngest(peer) {
            Some(opened) if opened >= end => None,
            Some(opened) => Some((peer, opened + self.rules.spacing(self.witnesses.time_out))),
            None => Some((peer, self.witnesses.not_before)),
        });
        lacking.min_by_key(|(_, at)| *at)
    }

    /// When [`Self::call`] has something to do.
    pub(super) fn next_call(&self) -> Option<Instant> {
        let idle = self.needs_witnesses() && self.witnesses.calling.is_none();
        let (_, at) = self.wanted().filter(|_| idle)?;
        Some(at.max(self.witnesses.not_before))
    }

    /// Closes the witnesses in whose place a later one can stand: it has proved itself, and was opened before any connection
    /// that still carries, or carried a moment ago, what it would have to vouch for.
    fn dismiss(&mut self, now: Instant) {
        let Next::Open(next) = &self.next else { return };
        let window = self.shared.window.borrow();
        let fresh = |receipt: &&Receipt| self.rules.is_fresh(receipt, now);
        let carriers = window.receipts().filter(fresh).map(|receipt| receipt.opened);
        let carriers = carriers.chain(self.ended.iter().map(|(link, _)| link.opened)).chain([next.opened]);
        let oldest = carriers.min().unwrap_or(now);
        let used: Vec<SocketAddr> = window
            .receipts()
            .filter_map(|receipt| receipt.peer)
            .chain(self.ended.iter().map(|(link, _)| link.peer))
            .collect();
        let stands = |link: &&Link| link.opened + self.rules.settle <= now && link.opened <= oldest;
        let proved: Vec<_> = self.witnesses.links.iter().filter(stands).map(|link| (link.peer, link.opened)).collect();
        let current = next.peer;
        self.witnesses.links.retain(|link| {
            let replaced = proved.iter().any(|(peer, opened)| *peer == link.peer && *opened > link.opened);
            !replaced && (link.peer == current || used.contains(&link.peer))
        });
    }

    /// A witness stands, or there is none to be had.
    pub(super) fn called(&mut self, result: Result<Stream, ConnectError>, now: Instant) {
        let silence = self.silence();
        match result.map(|stream| Link::new(stream, silence)) {
            Ok(Ok(link)) => {
                self.witnesses.links.push(link);
                self.renew_next();
                self.shared.unreachable.set(false);
                self.shared.tell(Word::Condition);
            }
            Ok(Err(error)) => self.lost(&Loss::Witness(Some(error)), now),
            Err(error) => {
                self.pause_calls(now);
                if self.witnesses.links.is_empty() {
                    self.unreachable(&error, now);
                } else {
                    tracing::debug!(server = self.shared.report.server(), %error,
                        "cannot open another connection yet");
                }
            }
        }
    }

    /// There is none to be had, or it was closed at once: the next is not asked for without a pause.
    fn pause_calls(&mut self, now: Instant) {
        self.witnesses.failures = self.witnesses.failures.saturating_add(1);
        self.witnesses.not_before = now + jitter(self.rounds.after(self.witnesses.failures), fastrand::f64());
    }

    /// When the oldest confirmation has settled, if nothing breaks.
    pub(super) fn settles(&self, receipt: &Receipt) -> Option<Instant> {
        let Next::Open(next) = &self.next else { return None };
        let Some(peer) = receipt.peer else { return Some(self.rules.due_lasting(receipt, next.opened)) };
        if self.rules.settle.is_zero() {
            return Some(receipt.confirmed);
        }
        self.witnesses.of(peer).filter_map(|link| self.rules.due(receipt, link.opened)).min()
    }
}
