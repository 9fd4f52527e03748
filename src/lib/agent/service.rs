//! One service: its checks, and the last answer with its time.

use super::AgentError;
use super::check::{self, Check, Failure, Finding};
use super::decide::{Steady, because, combine, waited};
use super::figures::{self, Now, Sample};
use crate::config::agent::{self, Response};
use crate::haproxy::answer::{Answer, State};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;
use tokio::sync::watch;

/// A service at work.
pub(super) struct Service {
    pub(super) config: agent::Service,
    checks: Vec<Box<dyn Check>>,
    steady: RefCell<Steady>,
    /// The last result and when it was found.
    result: RefCell<Option<(Response, Instant)>>,
    /// The check that is under way on demand.
    flight: RefCell<Option<watch::Receiver<()>>>,
    /// What was answered last, for the log; the reason is not compared.
    logged: Cell<Option<Option<(State, u8)>>>,
    stopping: Rc<Cell<bool>>,
    figures: figures::Service,
    /// In the order of `checks`.
    check_figures: Vec<figures::Check>,
}

impl Service {
    /// Sets up its checks.
    pub(super) fn open(config: agent::Service, stopping: Rc<Cell<bool>>) -> Result<Self, AgentError> {
        let checks = config.checks.iter().map(|(kind, _)| {
            let failed = |source| AgentError::Check { service: config.name.clone(), check: kind.word(), source };
            check::open(*kind, &config).map_err(failed)
        });
        let checks = checks.collect::<Result<_, _>>()?;
        let check_figures = config.checks.iter().map(|_| figures::Check::default()).collect();
        Ok(Self {
            checks,
            figures: figures::Service::default(),
            check_figures,
            steady: RefCell::default(),
            result: RefCell::default(),
            flight: RefCell::default(),
            logged: Cell::new(None),
            stopping,
            config,
        })
    }

    /// Checks at its interval, for ever; returns at once when it checks on demand.
    pub(super) async fn poll(self: Rc<Self>) {
        let Some(interval) = self.config.interval else { return };
        self.check().await;
        // All services begin at once, to have results soon. From then on they are spread over the interval, with a
        // little jitter, so that those of a host do not ask in step.
        let mut pause = interval.mul_f64(fastrand::f64());
        loop {
            tokio::time::sleep(pause).await;
            self.check().await;
            pause = interval.mul_f64(0.95 + 0.05 * fastrand::f64());
        }
    }

    /// The line for HAProxy, with its end. The empty line changes nothing there.
    pub(super) async fn line(self: &Rc<Self>) -> String {
        if self.config.interval.is_none() && !self.stopping.get() {
            self.check_once().await;
        }
        let response = self.response(Instant::now());
        self.log(response.as_ref());
        self.figures.answered(response.as_ref().map(|answer| answer.state));
        response.map_or_else(|| "\n".to_owned(), |answer| answer.line(self.config.owner))
    }

    fn response(&self, now: Instant) -> Response {
        let responses = &self.config.responses;
        let response = if self.stopping.get() {
            because(&responses.stop, "agent stops")
        } else {
            match &*self.result.borrow() {
                None => because(&responses.initial, "no result yet"),
                Some((_, found)) if waited(*found, now) > self.config.staleness => {
                    because(&responses.stale, format!("no result for {} s", waited(*found, now).as_secs()))
                }
                Some((response, _)) => return response.clone(),
            }
        };
        response.map(|answer| Answer { maxconn: self.config.maxconn, ..answer })
    }

    /// The figures at this moment.
    pub(super) fn samples(&self, now: Instant) -> Vec<Sample<'_>> {
        let answer = self.response(now).map(|answer| (answer.state, answer.weight));
        let age = self.result.borrow().as_ref().map(|(_, found)| waited(*found, now));
        let stale = age.is_some_and(|age| age > self.config.staleness);
        let mut samples = self.figures.samples(&self.config.name, Now { answer, age, stale });
        for ((kind, _), figures) in self.config.checks.iter().zip(&self.check_figures) {
            samples.extend(figures.samples(&self.config.name, kind.word()));
        }
        samples
    }

    /// Checks, unless a check is under way: then that one is waited for.
    async fn check_once(self: &Rc<Self>) {
        let running = self.flight.borrow().clone();
        let mut done = running.unwrap_or_else(|| {
            let (sender, receiver) = watch::channel(());
            *self.flight.borrow_mut() = Some(receiver.clone());
            let service = Rc::clone(self);
            // A task of its own: it goes on when the one who asked first leaves.
            tokio::task::spawn_local(async move {
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
            let found = async move {
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
            };
            Box::pin(found) as Pin<Box<dyn Future<Output = Finding>>>
        });
        let findings = all(checks.collect()).await;
        let (response, overridden) = combine(findings, &self.config);
        let now = Instant::now();
        let mut steady = self.steady.borrow_mut();
        let settled = response
            .map(|found| if overridden { steady.force(found) } else { steady.settle(found, &self.config, now) });
        *self.result.borrow_mut() = Some((settled, now));
    }

    fn log(&self, response: Option<&Answer>) {
        let said = response.map(|answer| (answer.state, answer.weight));
        if self.logged.replace(Some(said)) == Some(said) {
            return;
        }
        self.figures.changes.add();
        let service = self.config.name.as_str();
        match response {
            Some(answer) => tracing::info!(service, answer = %answer.words(self.config.owner), "answer changes"),
            None => tracing::info!(service, "answer changes: an empty line, which leaves HAProxy as it is"),
        }
    }
}

/// Waits for all, in their order.
async fn all(mut running: Vec<Pin<Box<dyn Future<Output = Finding> + '_>>>) -> Vec<Finding> {
    let mut found: Vec<Option<Finding>> = running.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, slot) in running.iter_mut().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(finding) => *slot = Some(finding),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let lost = || Finding::Failure(Failure::Error, "no result".to_owned());
    found.into_iter().map(|finding| finding.unwrap_or_else(lost)).collect()
}
