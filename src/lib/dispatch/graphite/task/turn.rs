//! A turn of the loop.

use super::ends;
use super::state::{Habit, Loss, Next, POLL, Task};
use crate::config::{Acknowledge, QueueFull};
use crate::dispatch::graphite::connect::Connector;
use crate::dispatch::graphite::link::Health;
use crate::looked::{self, Moment};
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two looks whether a peer that does not close has proved that it reads.
const LOOK: Duration = Duration::from_secs(1);

/// Pause between two looks at idle connections while something rests on them.
const SEEN: Duration = Duration::from_millis(500);

impl Task {
    pub(crate) async fn run(mut self) {
        loop {
            let now = Instant::now();
            if let Err(loss) = self.advance(now) {
                self.lost(&loss, now);
            }
            self.shared.note_room();
            self.wait(Instant::now()).await;
        }
    }

    /// Does what can be done without waiting.
    pub(super) fn advance(&mut self, now: Instant) -> Result<(), Loss> {
        if self.shared.recalled.take() {
            self.close(now);
        }
        if let Next::Pause(until) = self.next
            && until <= now
        {
            self.open();
        }
        self.look(now)?;
        let acknowledged = self.check(now)?;
        if let Next::Open(link) = &mut self.next {
            link.flush()?;
        }
        if self.may_write(now) {
            self.write()?;
        }
        self.end(now)?;
        self.confirm(now)?;
        if let Some(bytes) = acknowledged.filter(|_| self.lasting() && self.ended.is_none()) {
            self.acknowledged(bytes, now);
        }
        self.watch()?;
        self.settle(now);
        // After that: what has just settled may have been the last that was under way, and nothing else wakes the task then.
        self.renew(now);
        self.call(now);
        let full =
            self.shared.queue_full == QueueFull::Keep && self.shared.window.borrow().lines() >= self.shared.queue_size;
        self.shared.report.full(full, self.delay);
        Ok(())
    }

    /// Whether connections are kept, and the word of the peer's kernel is taken.
    pub(super) fn lasting(&self) -> bool {
        self.habit == Habit::Never || (self.acknowledge == Acknowledge::Kernel && self.part.is_none())
    }

    pub(super) fn open(&mut self) {
        // A connection that is lost takes with it the connector that is at work on the next.
        let new = || Connector::new(self.target.clone(), self.connect_timeout);
        let mut connector = self.connector.take().unwrap_or_else(new);
        self.next = Next::Opening(Box::pin(async move {
            let result = connector.connect().await;
            (connector, result)
        }));
    }

    /// Whether the current connection stands, and how many bytes its peer's kernel had acknowledged just before.
    fn check(&mut self, now: Instant) -> Result<Option<u64>, Loss> {
        let Next::Open(link) = &mut self.next else { return Ok(None) };
        let acknowledged = link.acknowledged();
        match link.health() {
            Health::Open => return Ok(Some(acknowledged)),
            Health::Ended => {}
            Health::Broken(error) => return Err(Loss::Broken(error)),
        }
        let (used, in_flight) = {
            let window = self.shared.window.borrow();
            (window.is_used(), window.in_flight())
        };
        if used || !in_flight || !self.needs_witnesses() {
            return Err(Loss::Closed);
        }
        // It carried nothing, while others are confirmed, or will be.
        if let Next::Open(link) = std::mem::replace(&mut self.next, Next::Pause(now)) {
            self.idle_end(&link, now)?;
        }
        self.open();
        Ok(None)
    }

    /// Whether something may be handed to the current connection.
    fn may_write(&self, now: Instant) -> bool {
        self.held_back(now).is_none() && self.is_witnessed() && !(self.lasting() && self.renewal.is_due())
    }

    /// Until when the next connection is left idle, so that the peer has all of the last one before it gets more: the
    /// oldest arrive first. A peer that is slow to close does not hold up the rest for that.
    fn held_back(&self, now: Instant) -> Option<Instant> {
        self.ended.as_ref().map(|(_, since)| *since + self.write_timeout).filter(|until| *until > now)
    }

    fn write(&mut self) -> Result<(), Loss> {
        let Next::Open(link) = &mut self.next else { return Ok(()) };
        let mut window = self.shared.window.borrow_mut();
        // Then the others have their turn.
        for _ in 0..8 {
            let Some(chunk) = window.chunk() else { break };
            match link.write(chunk) {
                Ok(0) => break,
                Ok(bytes) => window.wrote(bytes),
                Err(error) => {
                    return Err(if matches!(link.health(), Health::Ended) {
                        Loss::Closed
                    } else {
                        Loss::Broken(error)
                    });
                }
            }
            self.poll = POLL.0;
        }
        Ok(())
    }

    /// Sleeps until there may be something to do.
    async fn wait(&mut self, now: Instant) {
        let deadline = self.deadline(now);
        let more = self.may_write(now) && self.shared.window.borrow().chunk().is_some();
        let (mut opened, mut called, mut renewed) = (None, None, None);
        {
            let next = async {
                match &mut self.next {
                    Next::Open(link) => link.ready(more || link.pending()).await,
                    Next::Opening(opening) => opened = Some(opening.await),
                    Next::Pause(_) => std::future::pending().await,
                }
            };
            let ended = async {
                match &self.ended {
                    Some((link, _)) => link.ready(link.pending()).await,
                    None => std::future::pending().await,
                }
            };
            let timer = async {
                match deadline {
                    Some(deadline) => looked::sleep_until_time(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let witnesses = std::future::poll_fn(|context| self.witnesses.poll(context));
            let renewal = std::future::poll_fn(|context| self.renewal.poll(context));
            tokio::select! {
                () = self.shared.submitted.notified() => {}
                () = next => {}
                () = ended => {}
                answer = witnesses => called = answer,
                answer = renewal => renewed = Some(answer),
                () = timer => {}
            }
        }
        if let Some((connector, result)) = opened {
            self.opened(connector, result, Instant::now());
        }
        if let Some((_, result)) = called {
            self.called(result, Instant::now());
        }
        if let Some((connector, result)) = renewed {
            self.renewed(connector, result, Instant::now());
        }
    }

    /// When there is something to do even if nothing happens; `None` when there is not: an idle dispatcher sleeps.
    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let window = self.shared.window.borrow();
        let mut deadlines = [None; 11];
        match &self.next {
            Next::Pause(until) => deadlines[0] = Some(*until),
            Next::Opening(_) => {}
            Next::Open(link) => {
                deadlines[0] = self.end_due();
                let due = window.receipts().next().filter(|_| !self.hangs).and_then(|receipt| self.settles(receipt));
                deadlines[1] = due.map(|due| self.witnesses.ends.pending(now).map_or(due, |until| due.max(until)));
                let well = self.shared.report.trouble().filter(|_| window.is_empty());
                deadlines[2] = well.map(|_| self.well_at(link));
            }
        }
        deadlines[3] = self.progress.next_look(Moment::now()).map(Moment::at);
        if let Some((_, since)) = self.ended {
            // When that is past, it still owes us some acknowledgements, or a proof.
            // What the peer says later than that is an answer; from then on it is known when it said it.
            let answer = Some(since + ends::ANSWER).filter(|at| *at > now);
            deadlines[4] = answer.or(Some((since + self.never_closes()).max(now + LOOK)));
        }
        deadlines[5] = self.shared.report.full_untold().map(|since| (since + self.delay).at());
        if self.lasting() && window.unacknowledged() {
            deadlines[6] = Some(now + self.poll);
            self.poll = (2 * self.poll).min(POLL.1);
        }
        deadlines[7] = self.held_back(now).filter(|_| window.chunk().is_some());
        deadlines[8] = self.next_call();
        // So it is known how long they stood for certain.
        deadlines[10] = window.receipts().next().map(|_| now + SEEN);
        deadlines[9] = self.renewal.next_look().filter(|_| matches!(self.next, Next::Open(_)) && self.lasting());
        deadlines.into_iter().flatten().min()
    }
}
