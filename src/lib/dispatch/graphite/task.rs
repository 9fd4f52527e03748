//! The task of the dispatcher: one loop that looks at everything there is, acts, and sleeps until something happens.

mod ends;
mod loss;

use super::connect::{ConnectError, Connector, Target};
use super::link::{Health, Link, Stream};
use super::progress::Progress;
use super::server::Shared;
use crate::backoff::Rounds;
use crate::config::{self, Acknowledge, QueueFull};
use loss::Loss;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// First and longest pause between two looks at what the kernel of the peer has acknowledged.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// Whether the peer closes a connection after its end was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Unknown,
    Closes,
    Never,
}

type Opening = Pin<Box<dyn Future<Output = (Connector, Result<Stream, ConnectError>)>>>;

/// The connection that carries the next batch.
enum Next {
    Open(Link),
    Opening(Opening),
    Pause(Instant),
}

/// See the module.
pub(super) struct Task {
    shared: Rc<Shared>,
    target: Target,
    connect_timeout: Duration,
    write_timeout: Duration,
    delay: Duration,
    acknowledge: Acknowledge,
    settle: Duration,
    rounds: Rounds,
    next: Next,
    /// `None` while it is at work.
    connector: Option<Connector>,
    /// A connection that has been ended, with the time of it.
    ended: Option<(Link, Instant)>,
    last_end: Option<Instant>,
    between_ends: Duration,
    /// Since when no ended connection has been confirmed.
    unconfirmed_since: Option<Instant>,
    habit: Habit,
    progress: Progress,
    poll: Duration,
    /// Failed attempts in a row.
    failures: u32,
    /// Connections in a row that broke before anything on them was confirmed.
    barren: u32,
    part: Option<usize>,
    /// Parts in a row that were confirmed.
    parts: u32,
    confirmed_since_loss: bool,
    /// Whether the peer was too slow and has confirmed nothing since: it may hang, and be killed with what it had read.
    hangs: bool,
    /// Whether the next connection replaces one that was lost.
    replaces: bool,
}

impl Task {
    pub(super) fn new(config: &config::Graphite, target: Target, shared: Rc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            target,
            connect_timeout: config.connect_timeout,
            write_timeout: config.write_timeout,
            delay: config.delay,
            acknowledge: config.acknowledge,
            settle: config.settle,
            rounds: Rounds::new(config.retries, config.interval, config.backoff, config.delay),
            next: Next::Pause(now),
            connector: None,
            ended: None,
            last_end: None,
            between_ends: ends::BETWEEN_ENDS.0,
            unconfirmed_since: None,
            habit: Habit::Unknown,
            progress: Progress::new(config.write_timeout, config.delay, now),
            poll: POLL.0,
            failures: 0,
            barren: 0,
            part: None,
            parts: 0,
            confirmed_since_loss: false,
            hangs: false,
            replaces: false,
        }
    }

    pub(super) async fn run(mut self) {
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
    fn advance(&mut self, now: Instant) -> Result<(), Loss> {
        if self.shared.recalled.take() {
            self.close(now);
        }
        if let Next::Pause(until) = self.next
            && until <= now
        {
            self.open();
        }
        let acknowledged = self.check()?;
        if let Next::Open(link) = &mut self.next {
            link.flush()?;
        }
        if self.held_back(now).is_none() {
            self.write()?;
        }
        self.end(now)?;
        self.confirm(now)?;
        if let Some(bytes) = acknowledged.filter(|_| self.lasting() && self.ended.is_none())
            && self.shared.window.borrow_mut().acknowledged(bytes, now)
        {
            self.arrived();
        }
        self.watch(now)?;
        self.settle(now);
        let full =
            self.shared.queue_full == QueueFull::Keep && self.shared.window.borrow().lines() >= self.shared.queue_size;
        self.shared.report.full(full, self.delay, now);
        Ok(())
    }

    /// Whether connections are kept, and the word of the peer's kernel is taken.
    fn lasting(&self) -> bool {
        self.habit == Habit::Never || (self.acknowledge == Acknowledge::Kernel && self.part.is_none())
    }

    fn open(&mut self) {
        // A connection that is lost takes with it the connector that is at work on the next.
        let new = || Connector::new(self.target.clone(), self.connect_timeout);
        let mut connector = self.connector.take().unwrap_or_else(new);
        self.next = Next::Opening(Box::pin(async move {
            let result = connector.connect().await;
            (connector, result)
        }));
    }

    /// Whether the current connection stands, and how many bytes its peer's kernel had acknowledged just before.
    fn check(&mut self) -> Result<Option<u64>, Loss> {
        let Next::Open(link) = &mut self.next else { return Ok(None) };
        let acknowledged = link.acknowledged();
        match link.health() {
            Health::Open => Ok(Some(acknowledged)),
            Health::Ended => Err(Loss::Closed),
            Health::Broken(error) => Err(Loss::Broken(error)),
        }
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
        let more = self.held_back(now).is_none() && self.shared.window.borrow().chunk().is_some();
        let mut opened = None;
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
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.submitted.notified() => {}
                () = next => {}
                () = ended => {}
                () = timer => {}
            }
        }
        if let Some((connector, result)) = opened {
            self.opened(connector, result, Instant::now());
        }
    }

    /// When there is something to do even if nothing happens; `None` when there is not: an idle dispatcher sleeps.
    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let window = self.shared.window.borrow();
        let mut deadlines = [None; 8];
        match &self.next {
            Next::Pause(until) => deadlines[0] = Some(*until),
            Next::Opening(_) => {}
            Next::Open(link) => {
                deadlines[0] = self.end_due();
                deadlines[1] = window.settling_since().filter(|_| !self.hangs).map(|since| since + self.settle);
                deadlines[2] =
                    self.shared.report.trouble().filter(|_| window.is_empty()).map(|_| link.opened + self.settle);
            }
        }
        deadlines[3] = self.progress.next_look(now);
        if let Some((_, since)) = self.ended
            && self.habit == Habit::Unknown
        {
            // When that is past, it still owes us some acknowledgements.
            deadlines[4] = Some((since + self.never_closes()).max(now + POLL.1));
        }
        deadlines[5] = self.shared.report.full_untold().map(|since| since + self.delay);
        if self.lasting() && window.unacknowledged() {
            deadlines[6] = Some(now + self.poll);
            self.poll = (2 * self.poll).min(POLL.1);
        }
        deadlines[7] = self.held_back(now).filter(|_| window.chunk().is_some());
        deadlines.into_iter().flatten().min()
    }
}
