//! One service: its checks, and the last answer with its time.

use super::check::{self, Check};
use super::decide::{Steady, combine, worse};
use super::error::AgentError;
use super::figures::{self, Now};
use super::finding::{Failure, Finding, because};
use super::memory::Past;
use crate::config::agent::{self, Kind, Response};
use crate::daemon::duty::Roll;
use crate::haproxy::answer::{AdminState, Answer, State};
use crate::telemetry::Sample;
use futures_util::future::join_all;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::watch;

/// A service at work.
pub(super) struct Service {
    pub(super) config: agent::Service,
    checks: Vec<Box<dyn Check>>,
    steady: RefCell<Steady>,
    /// The last result and when it was found.
    result: RefCell<Option<(Response, Instant)>>,
    /// The last answer that said something, by a result of this run or of the one before. What the stop adds is not in it.
    said: RefCell<Option<Past>>,
    /// The worst answer since the agent stops.
    last_words: RefCell<Option<Answer>>,
    /// The check that is under way on demand.
    flight: RefCell<Option<watch::Receiver<()>>>,
    /// What was answered last, for the log; the reason is not compared.
    logged: Cell<Option<Option<(State, u8)>>>,
    stopping: Rc<Cell<bool>>,
    figures: Rc<figures::Service>,
    /// In the order of `checks`.
    check_figures: Vec<Rc<figures::Check>>,
}

/// What a service takes over from the one of the same name before it.
#[derive(Default)]
pub(super) struct Before {
    /// Its last answer.
    past: Option<Past>,
    /// Its last result, in the same run.
    result: Option<(Response, Instant)>,
    /// What it has counted.
    figures: Rc<figures::Service>,
    check_figures: Vec<(Kind, Rc<figures::Check>)>,
}

impl Before {
    /// By what is on disk.
    pub(super) fn of(past: Option<Past>) -> Self {
        Self { past, ..Self::default() }
    }
}

/// Sets up the checks of all services, each with what `before` has for its name; runs none and opens no port.
pub(super) fn open(
    services: Vec<agent::Service>,
    stopping: &Rc<Cell<bool>>,
    mut before: impl FnMut(&str) -> Before,
) -> Result<Vec<Rc<Service>>, AgentError> {
    let open = |service: agent::Service| {
        let before = before(&service.name);
        Service::open(service, before, Rc::clone(stopping)).map(Rc::new)
    };
    services.into_iter().map(open).collect()
}

impl Service {
    /// Sets up its checks. An answer of the run before that is younger than `initial-grace` is still the answer.
    pub(super) fn open(config: agent::Service, before: Before, stopping: Rc<Cell<bool>>) -> Result<Self, AgentError> {
        // Within a run nothing is forgotten.
        let fresh = |past: &Past| before.result.is_some() || past.since.elapsed() <= config.initial_grace;
        let past = before.past.filter(fresh);
        let going_on = past.as_ref().filter(|past| !past.stopped);
        // Of several checks nobody knows which one had found it.
        let found = going_on.filter(|_| config.checks.len() == 1).map(|past| (past.again(), past.since));
        let checks = config.checks.iter().map(|(kind, _)| {
            let failed = |source| AgentError::Check { service: config.name.clone(), check: kind.word(), source };
            check::open(*kind, &config, found.clone()).map_err(failed)
        });
        let checks = checks.collect::<Result<_, _>>()?;
        let counted = |kind: Kind| before.check_figures.iter().find(|(other, _)| *other == kind);
        let check_figures = config.checks.iter().map(|(kind, _)| counted(*kind).map(|(_, figures)| Rc::clone(figures)));
        let check_figures = check_figures.map(Option::unwrap_or_default).collect();
        // Delays count on: a restart is no reason to take a server out, or in, at once.
        let steady = Steady::from(going_on.map(|past| past.answer.clone()));
        Ok(Self {
            checks,
            figures: before.figures,
            check_figures,
            steady: RefCell::new(steady),
            result: RefCell::new(before.result),
            said: RefCell::new(past),
            last_words: RefCell::default(),
            flight: RefCell::default(),
            logged: Cell::new(None),
            stopping,
            config,
        })
    }

    /// What the service of the same name takes over when the configuration is read again.
    pub(super) fn hand_over(&self) -> Before {
        let kinds = self.config.checks.iter().zip(&self.check_figures);
        Before {
            past: self.past(),
            result: self.result.borrow().clone(),
            figures: Rc::clone(&self.figures),
            check_figures: kinds.map(|((kind, _), figures)| (*kind, Rc::clone(figures))).collect(),
        }
    }

    /// What is kept for the next run.
    pub(super) fn past(&self) -> Option<Past> {
        let said = self.said.borrow().clone();
        let stopped = self.stopping.get() && self.config.responses.stop.is_some();
        said.map(|past| Past { stopped: past.stopped || stopped, ..past })
    }

    /// Checks at its interval and never returns; returns at once when it checks on demand.
    pub(super) async fn poll(self: Rc<Self>, roll: Roll) {
        let Some(interval) = self.config.interval else { return };
        let limit = self.config.check_timeout;
        let duty = roll.duty(format!("checks of {}", self.config.name), limit);
        self.check().await;
        // All services begin at once, to have results soon. From then on they are spread over the interval, with a
        // little jitter, so that those of a host do not ask in step.
        let mut pause = interval.mul_f64(fastrand::f64());
        loop {
            duty.report(pause);
            tokio::time::sleep(pause).await;
            duty.report(limit);
            duty.spring().await;
            self.check().await;
            pause = interval.mul_f64(0.95 + 0.05 * fastrand::f64());
        }
    }

    /// The line for HAProxy, with its end. The empty line changes nothing there.
    pub(super) async fn line(self: &Rc<Self>, roll: &Roll) -> String {
        if self.config.interval.is_none() {
            self.check_once(roll).await;
        }
        let (response, owner) = self.response(Instant::now());
        self.log(response.as_ref(), owner);
        self.figures.answered(response.as_ref().map(|answer| answer.state));
        response.map_or_else(|| "\n".to_owned(), |answer| answer.line(owner))
    }

    /// The answer, and in whose words.
    fn response(&self, now: Instant) -> (Response, AdminState) {
        let (current, owner) = self.current(now);
        let response = if self.stopping.get() { self.stopped(current) } else { current };
        let up = response.as_ref().is_some_and(|answer| answer.state == State::Up);
        let owner = if up { owner } else { self.config.owner };
        (response.map(|answer| Answer { maxconn: self.config.maxconn, ..answer }), owner)
    }

    /// The answer by results alone.
    fn current(&self, now: Instant) -> (Response, AdminState) {
        let owner = self.config.owner;
        match &*self.result.borrow() {
            None => self.initial(now),
            Some((_, found)) if now.saturating_duration_since(*found) > self.config.staleness => {
                let reason = format!("no result for {} s", now.saturating_duration_since(*found).as_secs());
                (because(&self.config.responses.stale, reason), owner)
            }
            Some((response, _)) => (response.clone(), owner),
        }
    }

    /// Before the first result: what was said last, for `initial-grace`. HAProxy has it in mind still, unless it was
    /// started again meanwhile; so nothing that is said here is worse, and nothing is better.
    fn initial(&self, now: Instant) -> (Response, AdminState) {
        let owner = self.config.owner;
        let said = self.said.borrow();
        match said.as_ref().filter(|past| now.saturating_duration_since(past.since) <= self.config.initial_grace) {
            None => (because(&self.config.responses.initial, "no result yet"), owner),
            // Who was drained by the stop waits for a result.
            Some(past) if past.stopped => (None, owner),
            Some(past) => {
                let answer = past.again();
                // `ready` opens a server that starts disabled, or that was closed from elsewhere meanwhile: only a
                // result may say it.
                let owner = if answer.state == State::Up { AdminState::Operator } else { owner };
                (Some(answer), owner)
            }
        }
    }

    /// The answer while the agent stops: `stop-response` where the operator has set one, and never a better one than
    /// the last.
    fn stopped(&self, current: Response) -> Response {
        let Some(stop) = because(&self.config.responses.stop, "agent is stopping") else { return current };
        let said = || self.said.borrow().as_ref().map(|past| past.answer.clone());
        let mut worst = self.last_words.borrow_mut();
        let known = worst.clone().or_else(|| current.clone()).or_else(said);
        // Nothing was ever found: HAProxy may hold something worse than `stop`.
        let known = known?;
        let known = current.map_or(known.clone(), |current| worse(known, current));
        *worst = Some(worse(known, stop));
        worst.clone()
    }

    /// The figures at this moment.
    pub(super) fn samples(&self, now: Instant) -> Vec<Sample<'_>> {
        let answer = self.response(now).0.map(|answer| (answer.state, answer.weight));
        let age = self.result.borrow().as_ref().map(|(_, found)| now.saturating_duration_since(*found));
        let stale = age.is_some_and(|age| age > self.config.staleness);
        let mut samples = self.figures.samples(&self.config.name, Now { answer, age, stale });
        for ((kind, _), figures) in self.config.checks.iter().zip(&self.check_figures) {
            samples.extend(figures.samples(&self.config.name, kind.word()));
        }
        samples
    }

    /// Checks, unless a check is under way: then that one is waited for.
    async fn check_once(self: &Rc<Self>, roll: &Roll) {
        let running = self.flight.borrow().clone();
        let mut done = running.unwrap_or_else(|| {
            let (sender, receiver) = watch::channel(());
            *self.flight.borrow_mut() = Some(receiver.clone());
            let service = Rc::clone(self);
            let duty = roll.duty(format!("checks of {}", self.config.name), self.config.check_timeout);
            // A task of its own: it goes on when the one who asked first leaves.
            tokio::task::spawn_local(async move {
                duty.spring().await;
                service.check().await;
                *service.flight.borrow_mut() = None;
                drop(sender);
            });
            receiver
        });
        // The end of the sender is the sign.
        let _ = done.changed().await;
    }

    /// Runs all checks at the same time, each within its limit of time, and keeps what comes out.
    async fn check(&self) {
        let limit = self.config.check_timeout;
        let checks = self.checks.iter().zip(&self.check_figures).map(|(check, figures)| {
            async move {
                let begun = Instant::now();
                let found = tokio::time::timeout(limit, check.check()).await;
                let late = found.is_err().then_some(Failure::Timeout);
                let reason = || format!("{}: no result within {} s", check.name(), limit.as_secs_f64());
                let found = found.unwrap_or_else(|_| check.timed_out(reason()));
                let failure = match &found {
                    Finding::Failure(failure, _) => Some(*failure),
                    // What a check remembers in place of a result does not hide that it has none.
                    _ => late.or_else(|| check.concealed()),
                };
                figures.done(failure, begun.elapsed());
                found
            }
        });
        let findings = join_all(checks).await;
        let (response, overridden) = combine(findings, &self.config);
        let now = Instant::now();
        let mut steady = self.steady.borrow_mut();
        let settled = response
            .map(|found| if overridden { steady.force(found) } else { steady.settle(found, &self.config, now) });
        if let Some(answer) = settled.clone() {
            *self.said.borrow_mut() = Some(Past { answer, since: now, stopped: false });
        }
        *self.result.borrow_mut() = Some((settled, now));
    }

    fn log(&self, response: Option<&Answer>, owner: AdminState) {
        let said = response.map(|answer| (answer.state, answer.weight));
        if self.logged.replace(Some(said)) == Some(said) {
            return;
        }
        self.figures.changes.add();
        let service = self.config.name.as_str();
        match response {
            Some(answer) => tracing::info!(service, answer = %answer.words(owner), "answer changed"),
            None => tracing::info!(service, "answer changed: an empty line, which changes nothing in HAProxy"),
        }
    }
}
