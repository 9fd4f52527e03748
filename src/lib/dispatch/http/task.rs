//! Sends the requests that may be sent, and acts on the answers.

use super::client::{Client, SendError};
use super::refused::{KeepError, Place, keep};
use super::shared::Shared;
use super::verdict::{Answer, Verdict, is_duplicate, judge};
use super::window::{Finished, Token};
use crate::backoff::{Backoff, LONGEST_PAUSE, SHORTEST_PAUSE, jitter};
use crate::config::Remote;
use crate::dispatch::{Notice, aside};
use crate::http::Reply;
use crate::snapshot::Epoch;
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The result of a request.
type Outcome = (Token, Result<Reply, SendError>);

/// See the module.
pub(super) struct Task {
    config: Remote,
    shared: Rc<Shared>,
    client: Option<Rc<Client>>,
    requests: JoinSet<Outcome>,
    backoff: Backoff,
    /// Failures in a row.
    failures: u32,
    /// When to try again.
    retry_at: Option<Instant>,
    /// The snapshot of which some refused samples are already on disk.
    keeping: Option<Epoch>,
    /// When to retry writing refused samples.
    keep_at: Option<Instant>,
    /// Whether samples of the present snapshot were refused.
    refused: bool,
}

impl Task {
    pub(super) fn new(config: &Remote, shared: Rc<Shared>) -> Self {
        let first = config.delay.max(SHORTEST_PAUSE);
        Self {
            config: config.clone(),
            shared,
            client: None,
            requests: JoinSet::new(),
            backoff: Backoff::new(first, 2.0, LONGEST_PAUSE.max(first)),
            failures: 0,
            retry_at: None,
            keeping: None,
            keep_at: None,
            refused: false,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.send();
            self.put_aside().await;
            self.settle();
            tokio::select! {
                () = self.shared.condition.submitted.notified() => {}
                Some(done) = self.requests.join_next(), if !self.requests.is_empty() => {
                    self.heed(done);
                    while let Some(done) = self.requests.try_join_next() {
                        self.heed(done);
                    }
                }
                () = until(self.retry_at) => self.retry_at = None,
                () = until(self.keep_at) => self.keep_at = None,
            }
        }
    }

    /// Sends requests: a single one while it is unknown whether the receiver accepts any, otherwise several at once.
    fn send(&mut self) {
        if self.retry_at.is_some() || !self.shared.window.borrow().has_turn() {
            return;
        }
        let Some(client) = self.open() else { return };
        let most = if self.shared.condition.is_well() { self.config.parallel.get() } else { 1 };
        while self.requests.len() < most {
            let Some((token, body)) = self.shared.window.borrow_mut().send(std::time::Instant::now()) else { break };
            let client = Rc::clone(&client);
            self.requests.spawn_local(async move { (token, client.send(body.bytes).await) });
        }
    }

    fn open(&mut self) -> Option<Rc<Client>> {
        if self.client.is_none() {
            match Client::open(self.shared.format, &self.config) {
                Ok(client) => self.client = Some(Rc::new(client)),
                Err(error) => {
                    let pause = self.later(None);
                    self.shared.report.fails(&error, pause);
                }
            }
        }
        self.client.clone()
    }

    fn heed(&mut self, done: Result<Outcome, tokio::task::JoinError>) {
        // A panic is logged, and ends the worker.
        let Ok((token, outcome)) = done else { return };
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => {
                if self.shared.window.borrow_mut().again(token) {
                    self.shared.condition.count(|counters| counters.retries += 1);
                    let pause = self.later(None);
                    self.shared.report.fails(&error, pause);
                }
                return;
            }
        };
        let answer = Answer { status: reply.status, headers: &reply.headers, body: &reply.body };
        match judge(self.shared.format.protocol, &answer, SystemTime::now()) {
            Verdict::Accepted { rejected, words } => self.accepted(token, rejected, &words),
            Verdict::Again { after, words, advice } => {
                if matches!(reply.status, 401 | 403)
                    && let Some(client) = &self.client
                {
                    client.forget_secrets();
                }
                if self.shared.window.borrow_mut().again(token) {
                    self.shared.condition.count(|counters| counters.requests_failed += 1);
                    let pause = self.later(after);
                    self.shared.report.trouble(&words, advice, pause);
                }
            }
            Verdict::Refused { words } => self.refused(token, &words, false),
            Verdict::TooLarge { words } => self.refused(token, &words, true),
        }
    }

    fn accepted(&mut self, token: Token, rejected: u64, words: &str) {
        let Some(body) = self.shared.window.borrow_mut().accepted(token) else { return };
        self.shared.condition.count(|counters| {
            counters.requests_accepted += 1;
            counters.sent_bytes += body.bytes.len() as u64;
            counters.samples_refused += rejected;
        });
        if rejected > 0 {
            self.refused = true;
            self.shared.report.refused(rejected, words);
        }
        self.answers();
    }

    /// Notes that the receiver answers, so that more can be sent.
    fn answers(&mut self) {
        self.failures = 0;
        self.shared.report.well();
        self.shared.condition.well();
    }

    fn refused(&mut self, token: Token, words: &str, too_large: bool) {
        let (format, shared) = (self.shared.format, Rc::clone(&self.shared));
        let mut length = None;
        let halves = |body: &_| {
            length = Some(format.length(body));
            format.halves(body)
        };
        let single = shared.window.borrow().samples(token) == Some(1);
        if single && is_duplicate(words) {
            if shared.window.borrow_mut().had(token).is_some() {
                shared.condition.count(|counters| counters.samples_duplicate += 1);
                self.answers();
            }
            return;
        }
        let samples = shared.window.borrow().samples(token).unwrap_or_default();
        let Some(refused) = shared.window.borrow_mut().refused(token, words, halves) else { return };
        self.answers();
        if refused > 0 {
            self.refused = true;
            shared.condition.count(|counters| counters.samples_refused += refused as u64);
            shared.report.refused(refused as u64, words);
        } else {
            shared.condition.count(|counters| counters.requests_divided += 1);
        }
        if too_large && let Some(length) = length {
            let less = shared.limit.get().map_or(length / 2, |limit| limit.min(length / 2));
            shared.limit.set(Some(less));
            shared.report.too_large(samples, words);
        }
    }

    /// Writes refused samples as text.
    async fn put_aside(&mut self) {
        if self.keep_at.is_some() {
            return;
        }
        let found = self.shared.window.borrow().put_aside().map(|(epoch, aside)| (epoch, aside.to_vec()));
        let Some((epoch, refused)) = found else { return };
        let count = refused.len();
        let place = Place { src_dir: self.shared.src_dir.clone(), epoch, first: self.keeping != Some(epoch) };
        let format = self.shared.format;
        let done = aside::run("refused", move || keep(format, &place, &refused));
        let kept = match done {
            Ok(done) => done.await.unwrap_or(Err(KeepError::Thread)),
            Err(_) => Err(KeepError::Thread),
        };
        match kept {
            Ok(()) => {
                self.keeping = Some(epoch);
                self.shared.report.can_keep();
            }
            // They are counted and logged; the existing files are enough to see what is wrong.
            Err(error @ KeepError::Full { .. }) => self.shared.report.cannot_keep(&error),
            Err(error) => {
                self.shared.report.cannot_keep(&error);
                self.keep_at = Some(Instant::now() + jitter(LONGEST_PAUSE / 6, fastrand::f64()));
                return;
            }
        }
        self.shared.window.borrow_mut().kept(epoch, count);
    }

    /// Reports a delivered snapshot.
    fn settle(&mut self) {
        let finished = self.shared.window.borrow_mut().finished();
        if let Some(Finished { epoch, lines, since }) = finished {
            self.shared.condition.count(|counters| {
                counters.delivered_lines += lines as u64;
                if let Some(since) = since {
                    // In milliseconds.
                    let time = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                    counters.send_time = time.saturating_mul(1000);
                }
            });
            if !std::mem::take(&mut self.refused) {
                self.shared.report.nothing_refused();
            }
            self.keeping = None;
            self.shared.condition.tell(Notice::Delivered { dispatcher: self.shared.name(), epoch });
            self.shared.condition.changed.notify_one();
        }
        self.shared.condition.note_room(self.shared.room());
    }

    /// Pauses sending, for as long as the receiver asks, or longer with each failure.
    fn later(&mut self, after: Option<Duration>) -> Duration {
        self.shared.condition.unwell();
        if self.retry_at.is_none() {
            self.failures = self.failures.saturating_add(1);
        }
        let pause = jitter(self.backoff.after(self.failures), fastrand::f64());
        // Wait at least as long as the receiver asks for.
        let pause = after.map_or(pause, |after| after.max(SHORTEST_PAUSE));
        let at = Instant::now() + pause;
        self.retry_at = Some(self.retry_at.map_or(at, |before| before.max(at)));
        pause
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
