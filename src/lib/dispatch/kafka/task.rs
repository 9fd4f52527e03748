//! Sends what waits, hears what became of it.

use super::client::{Client, Event, Sent};
use super::files::{Files, ReadError, Reading};
use super::name::NAME;
use super::shared::Shared;
use super::window::{Delivered, Outcome, Token};
use crate::backoff::{Backoff, jitter};
use crate::config;
use crate::dispatch::{Batch, Notice, aside};
use crate::looked::{self, Moment};
use rdkafka::error::RDKafkaErrorCode;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep_until};

/// Longest pause before refused messages are tried again.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Messages that are handed over before others on this thread get their turn.
const AT_A_TIME: usize = 500;

/// See the module.
pub(super) struct Task {
    config: config::Kafka,
    shared: Rc<Shared>,
    client: Option<Client>,
    sender: UnboundedSender<Event>,
    events: UnboundedReceiver<Event>,
    backoff: Backoff,
    /// Refusals, or attempts to have a client, one after the other.
    failures: u32,
    /// When to try again.
    retry_at: Option<Instant>,
    /// When something was last heard, or there was nothing to hear.
    heard: Moment,
    /// librdkafka holds as much as it may.
    full: bool,
    /// Reads the files of snapshots, where they are what is sent.
    pub(super) reading: Option<Reading>,
}

impl Task {
    pub(super) fn new(config: &config::Kafka, shared: Rc<Shared>, files: Option<Files>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self {
            config: config.clone(),
            shared,
            client: None,
            sender,
            events,
            backoff: Backoff::new(config.delay, 2.0, LONGEST_DELAY.max(config.delay)),
            failures: 0,
            retry_at: None,
            heard: Moment::now(),
            full: false,
            reading: files.map(Reading::new),
        }
    }

    pub(super) async fn run(mut self) {
        self.connect();
        loop {
            self.read();
            let more = self.send();
            self.settle();
            if more {
                // Reports are heard in between; so is the parent.
                while let Ok(event) = self.events.try_recv() {
                    self.heed(event);
                }
                tokio::task::yield_now().await;
                continue;
            }
            let stalls = (self.shared.window.borrow().flying() > 0 && !self.shared.report.is_troubled())
                .then(|| self.heard + self.config.stall);
            tokio::select! {
                () = self.shared.condition.submitted.notified() => {
                    if self.shared.window.borrow().flying() == 0 {
                        self.heard = Moment::now();
                    }
                }
                Some(event) = self.events.recv() => {
                    self.heed(event);
                    while let Ok(event) = self.events.try_recv() {
                        self.heed(event);
                    }
                }
                () = until(self.retry_at) => self.try_again(),
                read = done(&mut self.reading) => if let Some(read) = read { self.take_in(read) },
                () = moment(stalls) => {
                    // What has been said counts first.
                    while let Ok(event) = self.events.try_recv() {
                        self.heed(event);
                    }
                    if self.heard + self.config.stall <= Moment::now() {
                        self.shared.report.stalled(self.config.stall);
                        self.shared.condition.unwell();
                    }
                }
            }
        }
    }

    /// Begins to read the next files, if there is room for them.
    fn read(&mut self) {
        let Some(reading) = self.reading.as_mut().filter(|_| self.shared.room().piece) else { return };
        let next = self.shared.files.borrow().front().copied();
        if let Some(epoch) = next {
            reading.begin(epoch);
        }
    }

    /// What was read is sent, or read again later.
    fn take_in(&mut self, read: Result<Batch, ReadError>) {
        let batch = match read {
            Ok(batch) => batch,
            Err(error) => {
                self.shared.report.unreadable(&error);
                self.shared.condition.unwell();
                return;
            }
        };
        if !batch.more {
            self.shared.files.borrow_mut().pop_front();
        }
        self.shared.report.readable();
        self.shared.window.borrow_mut().push(Arc::new(batch));
        if self.shared.window.borrow().flying() == 0 {
            self.heard = Moment::now();
        }
    }

    fn connect(&mut self) {
        self.full = false;
        match Client::new(&self.config, self.sender.clone(), self.shared.report.of_dispatcher().clone()) {
            Ok(client) => self.client = Some(client),
            Err(error) => {
                self.shared.report.no_client(&error);
                self.shared.condition.count(|counters| counters.retries += 1);
                self.shared.condition.unwell();
                self.later();
            }
        }
    }

    /// Hands over what waits; true when there is more.
    fn send(&mut self) -> bool {
        let Some(client) = self.client.as_ref().filter(|_| !self.full) else { return false };
        let mut refusals: Vec<(Token, Outcome, RDKafkaErrorCode)> = Vec::new();
        let now = std::time::Instant::now();
        let mut window = self.shared.window.borrow_mut();
        for _ in 0..AT_A_TIME {
            let Some((token, message)) = window.next() else { break };
            match client.send(token, &message) {
                Sent::Yes => window.sent(token, now),
                Sent::Full => {
                    self.full = true;
                    break;
                }
                Sent::Refused(outcome, code) => {
                    window.sent(token, now);
                    refusals.push((token, outcome, code));
                }
            }
        }
        let more = !self.full && window.next().is_some();
        drop(window);
        for (token, outcome, code) in refusals {
            self.heed(Event::Report(token, outcome, Some(code)));
        }
        more
    }

    fn heed(&mut self, event: Event) {
        match event {
            Event::Report(token, outcome, code) => self.reported(token, outcome, code),
            Event::Trouble(RDKafkaErrorCode::Fatal, reason) => self.replace(&reason),
            Event::Trouble(code, reason) => match code {
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::SSL => {
                    self.shared.report.trouble(code, &reason);
                    self.shared.condition.unwell();
                }
                _ => self.shared.report.uneasy(code, &reason),
            },
            Event::Retries(retries) => self.shared.condition.count(|counters| counters.requests_retried = retries),
        }
    }

    fn reported(&mut self, token: Token, outcome: Outcome, code: Option<RDKafkaErrorCode>) {
        let mut window = self.shared.window.borrow_mut();
        if !window.report(token, outcome) {
            return;
        }
        drop(window);
        self.heard = Moment::now();
        self.full = false;
        match (outcome, code) {
            (Outcome::Delivered, _) => {
                self.shared.condition.count(|counters| counters.messages_sent += 1);
                self.shared.report.well();
                self.shared.condition.well();
            }
            (Outcome::TooLarge | Outcome::MuchTooLarge, _) if self.shared.window.borrow().refused() == 0 => {
                self.shared.condition.count(|counters| counters.messages_failed += 1);
                self.shared.report.too_large(self.config.max_message_size.get());
            }
            // The client gives up all that it has.
            (_, Some(code @ RDKafkaErrorCode::Fatal)) => {
                self.shared.condition.count(|counters| counters.messages_failed += 1);
                self.replace(&code.to_string());
            }
            (_, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)) => {
                if self.retry_at.is_none() {
                    self.later();
                }
            }
            (_, code) => {
                self.shared.condition.count(|counters| counters.messages_failed += 1);
                if self.retry_at.is_none() {
                    self.later();
                }
                let delay = self.retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
                self.shared.report.refused(code.unwrap_or(RDKafkaErrorCode::Unknown), delay);
                self.shared.condition.unwell();
            }
        }
    }

    /// Tells of what is delivered.
    fn settle(&mut self) {
        let delivered = self.shared.window.borrow_mut().delivered();
        for Delivered { batch, since } in delivered {
            self.shared.condition.count(|counters| {
                counters.delivered_lines += batch.lines as u64;
                if let Some(since) = since {
                    // To the millisecond.
                    let time = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                    counters.acknowledge_time = time.saturating_mul(1000);
                }
            });
            if self.shared.window.borrow().refused() == 0 {
                self.failures = 0;
            }
            if !batch.more {
                self.shared.condition.tell(Notice::Delivered { dispatcher: NAME, epoch: batch.epoch });
            }
            self.shared.condition.changed.notify_one();
        }
        self.shared.condition.note_room(self.shared.room());
    }

    fn later(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + jitter(self.backoff.after(self.failures), fastrand::f64()));
    }

    fn try_again(&mut self) {
        self.retry_at = None;
        if self.client.is_none() {
            self.connect();
        }
        if self.client.is_none() {
            return;
        }
        let again = self.shared.window.borrow_mut().try_again();
        self.shared.condition.count(|counters| counters.messages_retried += again as u64);
    }

    /// librdkafka cannot go on: its sequence of messages is broken. Another client starts a new one.
    fn replace(&mut self, reason: &str) {
        let Some(client) = self.client.take() else { return };
        let of_dispatcher = self.shared.report.of_dispatcher();
        tracing::error!(parent: of_dispatcher, reason, "starting a new client; what was in flight is sent again");
        // It waits for its threads.
        drop(aside::run("kafka-end", move || drop(client)));
        let again = self.shared.window.borrow_mut().give_up();
        self.shared.condition.count(|counters| {
            counters.messages_retried += again as u64;
            counters.reconnects += 1;
        });
        self.shared.condition.unwell();
        self.later();
    }
}

async fn done(reading: &mut Option<Reading>) -> Option<Result<Batch, ReadError>> {
    match reading {
        Some(reading) => reading.done().await,
        None => pending().await,
    }
}

async fn moment(moment: Option<Moment>) {
    match moment {
        Some(moment) => looked::sleep_until(moment).await,
        None => pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
