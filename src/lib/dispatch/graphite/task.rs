//! The task of the dispatcher: one loop that looks at everything there is, acts, and sleeps until something happens.

use super::connect::{ConnectError, Connector};
use super::link::{Health, Link};
use super::progress::{Owing, Progress, Verdict};
use super::{NAME, Shared};
use crate::backoff::{Rounds, jitter};
use crate::config::{self, Acknowledge, QueueFull};
use crate::dispatch::Notice;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// Shortest and longest time between the ends of two connections, however small the batches are: in a long catching up
/// the batches in between share a connection. In between, it is twice the time that the peer takes to close one.
const BETWEEN_ENDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A peer of which nothing is known, that has acknowledged everything and does not close for so many times `delay`, or
/// `write-timeout` if that is longer, is one that never closes. With the defaults that is half a minute: longer than
/// most peers hang without being killed, and the next peer of its kind is found out as late.
const NEVER_CLOSES: (u32, u32) = (3, 10);

/// A peer that has been seen to close, and does not close for so long, has become another one.
const CLOSES_NO_MORE: Duration = Duration::from_secs(15 * 60);

/// A connection that stood for so long was good; its end is no failure to connect.
const GOOD: Duration = Duration::from_secs(5);

/// Longest pause before a good connection that was lost is opened again.
const AT_ONCE: Duration = Duration::from_millis(250);

/// First and longest pause between two looks at what the kernel of the peer has acknowledged.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// Bytes that a connection carries at most, first and least, for a peer that breaks every connection.
const PART: (usize, usize) = (256 * 1024, 4 * 1024);

/// Connections in a row that may break without a confirmation before the next ones carry a part only.
const BARREN: u32 = 2;

/// The kernel itself gives a connection up when it gets no acknowledgement for this long beyond the patience.
const SILENCE: Duration = Duration::from_secs(5);

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Loss {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    #[error("the peer has been too slow for {0:?}")]
    TooSlow(Duration),
}

/// Whether the peer closes a connection after its end was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    Unknown,
    Closes,
    Never,
}

type Opening = Pin<Box<dyn Future<Output = (Connector, Result<TcpStream, ConnectError>)>>>;

/// The connection that carries the next batch.
enum Next {
    Open(Link),
    Opening(Opening),
    Pause(Instant),
}

/// See the module.
pub(super) struct Task {
    shared: Rc<Shared>,
    server: String,
    port: u16,
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
    connected_before: bool,
    /// Since when it has been said that there is no good connection.
    trouble: Option<Instant>,
    full_since: Option<Instant>,
    full_told: bool,
}

impl Task {
    pub(super) fn new(config: &config::Graphite, shared: Rc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            server: config.server.clone(),
            port: config.port,
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
            between_ends: BETWEEN_ENDS.0,
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
            connected_before: false,
            trouble: None,
            full_since: None,
            full_told: false,
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
        if let Next::Pause(until) = self.next
            && until <= now
        {
            self.open();
        }
        let acknowledged = self.check()?;
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
        self.note_full(now);
        Ok(())
    }

    /// Whether connections are kept, and the word of the peer's kernel is taken.
    fn lasting(&self) -> bool {
        self.habit == Habit::Never || (self.acknowledge == Acknowledge::Kernel && self.part.is_none())
    }

    fn open(&mut self) {
        let mut connector =
            self.connector.take().unwrap_or_else(|| Connector::new(&self.server, self.port, self.connect_timeout));
        self.next = Next::Opening(Box::pin(async move {
            let result = connector.connect().await;
            (connector, result)
        }));
    }

    /// Whether the current connection stands, and how many bytes its peer's kernel had acknowledged just before.
    fn check(&self) -> Result<Option<u64>, Loss> {
        let Next::Open(link) = &self.next else { return Ok(None) };
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

    /// Ends the current connection where that is due, and opens the next.
    fn end(&mut self, now: Instant) -> Result<(), Loss> {
        let Next::Open(link) = &self.next else { return Ok(()) };
        if self.end_due().is_none_or(|due| due > now) {
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

    fn end_due(&self) -> Option<Instant> {
        let window = self.shared.window.borrow();
        let Next::Open(link) = &self.next else { return None };
        let due = !self.lasting() && self.ended.is_none() && window.at_boundary() && !window.awaits();
        due.then(|| self.last_end.map_or(link.opened, |last| last + self.between_ends))
    }

    /// Looks at the ended connection.
    fn confirm(&mut self, now: Instant) -> Result<(), Loss> {
        let Some((link, since)) = &self.ended else { return Ok(()) };
        let outstanding = link.outstanding();
        match link.health() {
            Health::Ended if outstanding == 0 => {
                self.habit = Habit::Closes;
                self.between_ends = (2 * (now - *since)).clamp(BETWEEN_ENDS.0, BETWEEN_ENDS.1);
                self.confirmed(now);
            }
            Health::Ended => return Err(Loss::Closed),
            Health::Broken(error) => return Err(Loss::Broken(error)),
            Health::Open if outstanding > 0 => {}
            Health::Open => match self.habit {
                Habit::Unknown if now.duration_since(*since) >= self.never_closes() => {
                    tracing::warn!(
                        dispatcher = NAME,
                        server = self.server,
                        "the peer does not close a connection that has ended: what its kernel has acknowledged counts \
                         as delivered, and may be lost if the peer is restarted"
                    );
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

    fn never_closes(&self) -> Duration {
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
            self.part = Some(2 * part).filter(|part| *part <= PART.0);
            self.shared.window.borrow_mut().limit(self.part);
        }
    }

    /// Something was confirmed.
    fn arrived(&mut self) {
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
    fn watch(&mut self, now: Instant) -> Result<(), Loss> {
        let (mut taken, mut outstanding) = (0, 0);
        for link in self.links() {
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
                if self.trouble.is_none() {
                    let queued_lines = self.shared.window.borrow().lines();
                    tracing::warn!(dispatcher = NAME, server = self.server, queued_lines, "the peer takes no data");
                }
            }
            Verdict::Back => self.back(),
            Verdict::Replace => return Err(Loss::TooSlow(patience)),
        }
        Ok(())
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        let open = match &self.next {
            Next::Open(link) => Some(link),
            Next::Opening(_) | Next::Pause(_) => None,
        };
        open.into_iter().chain(self.ended.iter().map(|(link, _)| link))
    }

    fn rest(&mut self) {
        if self.progress.rest() {
            self.back();
        }
    }

    fn back(&self) {
        self.shared.stalled.set(false);
        if self.trouble.is_none() {
            tracing::info!(dispatcher = NAME, server = self.server, "the peer takes data again");
        }
    }

    /// Hands out what has been confirmed for long enough. The connection has been found healthy in this round.
    fn settle(&mut self, now: Instant) {
        let Next::Open(link) = &self.next else { return };
        let until = now.checked_sub(self.settle).filter(|_| !self.hangs);
        let delivered = until.map(|until| self.shared.window.borrow_mut().settled(until));
        let delivered = delivered.unwrap_or_default();
        for batch in &delivered {
            self.shared.count(|counters| counters.delivered_lines += batch.lines as u64);
            self.shared.tell(Notice::Delivered { dispatcher: NAME, epoch: batch.epoch });
        }
        let well = !delivered.is_empty() || (self.nothing_held() && link.opened + self.settle <= now);
        if let Some(since) = self.trouble.take_if(|_| well) {
            self.shared.well.set(true);
            let elapsed_ms = u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX);
            tracing::info!(dispatcher = NAME, server = self.server, elapsed_ms, "connected again");
        }
        if !delivered.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    fn nothing_held(&self) -> bool {
        self.shared.window.borrow().is_empty()
    }

    fn note_full(&mut self, now: Instant) {
        let (lines, queue_size) = (self.shared.window.borrow().lines(), self.shared.queue_size);
        if lines < queue_size && self.shared.dropping.replace(false) {
            tracing::info!(dispatcher = NAME, queue_size, "the queue has room again");
        }
        if lines < queue_size || self.shared.queue_full == QueueFull::DropOldest {
            self.full_since = None;
            if std::mem::take(&mut self.full_told) {
                tracing::info!(dispatcher = NAME, queue_size, "the queue has room again");
            }
        } else if now - *self.full_since.get_or_insert(now) >= self.delay && !self.full_told {
            self.full_told = true;
            tracing::warn!(dispatcher = NAME, queue_size, "the queue is full, further snapshots wait on disk");
        }
    }

    /// A connection is gone, and with it all that was not delivered.
    fn lost(&mut self, loss: &Loss, now: Instant) {
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
        // Relays close a connection on which nothing has come for some minutes. That is none of an operator's business.
        let idle = stood && matches!(loss, Loss::Closed) && !self.shared.window.borrow().in_flight();
        self.hangs = matches!(loss, Loss::TooSlow(_));
        let mut window = self.shared.window.borrow_mut();
        let resent_lines = if self.hangs { window.lost_unconfirmed() } else { window.lost() };
        drop(window);
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
        let error = loss as &dyn std::error::Error;
        if idle || self.trouble.is_some() {
            tracing::debug!(dispatcher = NAME, server = self.server, error, resent_lines, "the connection is lost");
        } else {
            self.trouble = Some(now);
            tracing::warn!(dispatcher = NAME, server = self.server, error, resent_lines, "the connection is lost");
        }
    }

    /// The peer breaks connections before anything is confirmed: let the next ones carry less.
    fn limit(&mut self) {
        self.barren = self.barren.saturating_add(1);
        self.parts = 0;
        if self.barren > BARREN || self.part.is_some() {
            self.part = Some(self.part.map_or(PART.0, |part| (part / 4).max(PART.1)));
            self.shared.window.borrow_mut().limit(self.part);
        }
    }

    fn opened(&mut self, connector: Connector, result: Result<TcpStream, ConnectError>, now: Instant) {
        self.connector = Some(connector);
        let silence = self.progress.patience() + SILENCE;
        match result.map(|stream| Link::new(stream, silence)) {
            Ok(Ok(link)) => {
                self.next = Next::Open(link);
                self.shared.well.set(self.trouble.is_none());
                self.shared.unreachable.set(false);
                if std::mem::take(&mut self.replaces) {
                    self.shared.count(|counters| counters.reconnects += 1);
                }
                if !std::mem::replace(&mut self.connected_before, true) && self.trouble.is_none() {
                    tracing::info!(dispatcher = NAME, server = self.server, port = self.port, "connected");
                }
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
            let resent_lines = self.shared.window.borrow_mut().lost();
            self.shared.count(|counters| counters.resent_lines += resent_lines);
        }
        let error = error as &dyn std::error::Error;
        if self.trouble.is_some() {
            tracing::debug!(dispatcher = NAME, server = self.server, error, "no connection");
        } else {
            self.trouble = Some(now);
            tracing::warn!(dispatcher = NAME, server = self.server, error, "no connection, metrics wait on disk");
        }
        self.shared.changed.notify_one();
    }

    /// Sleeps until there may be something to do.
    async fn wait(&mut self, now: Instant) {
        let deadline = self.deadline(now);
        let to_write = self.held_back(now).is_none() && self.shared.window.borrow().chunk().is_some();
        let mut opened = None;
        {
            let next = async {
                match &mut self.next {
                    Next::Open(link) => link.ready(to_write).await,
                    Next::Opening(opening) => opened = Some(opening.await),
                    Next::Pause(_) => std::future::pending().await,
                }
            };
            let ended = async {
                match &self.ended {
                    Some((link, _)) => link.ready(false).await,
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
                deadlines[2] = self.trouble.filter(|_| window.is_empty()).map(|_| link.opened + self.settle);
            }
        }
        deadlines[3] = self.progress.next_look(now);
        if let Some((_, since)) = self.ended
            && self.habit == Habit::Unknown
        {
            // When that is past, it still owes us some acknowledgements.
            deadlines[4] = Some((since + self.never_closes()).max(now + POLL.1));
        }
        deadlines[5] = self.full_since.filter(|_| !self.full_told).map(|since| since + self.delay);
        if self.lasting() && window.unacknowledged() {
            deadlines[6] = Some(now + self.poll);
            self.poll = (2 * self.poll).min(POLL.1);
        }
        deadlines[7] = self.held_back(now).filter(|_| window.chunk().is_some());
        deadlines.into_iter().flatten().min()
    }
}
