//! What the agent counts about itself: of the program, of each service, and of each check of a service.

use super::finding::Failure;
use crate::haproxy::answer::State;
use crate::telemetry::{Definition, Sample, as_f64, definitions};
use std::cell::Cell;
use std::time::Duration;

definitions! {
    /// Of haproxystats-agent.
    pub(crate) static AGENT {
        SERVICES "AgentServices" "services" Gauge
            "Services that are configured.";
        CONNECTIONS_CLOSED "AgentConnectionsClosed" "connections" Counter
            "Connections closed without an answer because max-connections was reached.";
        CONNECTIONS_REFUSED "AgentConnectionsRefused" "connections" Counter
            "Connections from addresses that allow does not list.";
        REQUESTS_UNKNOWN "AgentRequestsUnknown" "requests" Counter
            "Requests for a service that does not exist, or that the client may not ask for; answered with an empty \
             line.";
        REPORTS_SKIPPED "AgentReportsSkipped" "reports" Counter
            "Reports to Graphite that were skipped because it had not accepted the previous one; counters lose nothing.";
    }
}

definitions! {
    /// Of each service of the agent.
    pub(crate) static AGENT_SERVICE {
        ANSWERS "Answers" "answers" Counter
            "Answers given, by word (up, drain, maint, down, or empty for no change); with own-admin-state off, \
             drain is said as weight 0 and maint as down.";
        ANSWER_CHANGES "AnswerChanges" "changes" Counter
            "Times that the answered state or weight changed.";
        STATE "State" "1 or 0" Gauge
            "1 for the word that would be answered now, 0 for the others.";
        WEIGHT "Weight" "percent" Gauge
            "Weight that would be answered now; absent while the answer would change nothing.";
        RESULT_AGE "ResultAge" "seconds" Gauge
            "Age of the last result of the checks; absent before the first one.";
        STALE "Stale" "1 or 0" Gauge
            "Whether the last result is older than staleness-interval.";
    }
}

definitions! {
    /// Of each check of a service of the agent.
    pub(crate) static AGENT_CHECK {
        CHECK_RUNS "CheckRuns" "checks" Counter
            "Checks that were run.";
        CHECK_FAILURES "CheckFailures" "checks" Counter
            "Checks without a result, by reason: down, unavailable, timeout, error.";
        CHECK_TIME "CheckTime" "seconds" Counter
            "Total time taken by all checks.";
        CHECK_TIME_LAST "CheckTimeLast" "seconds" Gauge
            "Time taken by the last check.";
        CHECK_TIME_LONGEST "CheckTimeLongest" "seconds" Gauge
            "Longest time taken by a check since the agent started.";
    }
}

/// Answers by word, in the order of [`State`]; the last one changes nothing at HAProxy.
const WORDS: [&str; 5] = ["up", "drain", "maint", "down", "empty"];
/// Failures of checks, in the order of [`Failure`].
const FAILURES: [&str; 4] = ["down", "unavailable", "timeout", "error"];

/// A count.
#[derive(Debug, Default)]
pub(super) struct Count(Cell<u64>);

impl Count {
    pub(super) fn add(&self) {
        self.0.set(self.0.get().saturating_add(1));
    }

    fn value(&self) -> f64 {
        as_f64(self.0.get())
    }
}

/// Counts of the program.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) services: Cell<u32>,
    pub(super) closed: Count,
    pub(super) refused: Count,
    pub(super) unknown: Count,
}

impl Program {
    /// `skipped`: reports to Graphite that were left out.
    pub(super) fn samples(&self, skipped: u64) -> Vec<Sample<'static>> {
        vec![
            SERVICES.sample(f64::from(self.services.get())),
            CONNECTIONS_CLOSED.sample(self.closed.value()),
            CONNECTIONS_REFUSED.sample(self.refused.value()),
            REQUESTS_UNKNOWN.sample(self.unknown.value()),
            REPORTS_SKIPPED.sample(as_f64(skipped)),
        ]
    }
}

/// Counts of a service.
#[derive(Debug, Default)]
pub(super) struct Service {
    answers: [Count; WORDS.len()],
    pub(super) changes: Count,
}

/// What a service would answer now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// State and weight; `None`: an empty line.
    pub(super) answer: Option<(State, u8)>,
    pub(super) age: Option<Duration>,
    pub(super) stale: bool,
}

/// Index into [`WORDS`].
fn word(state: Option<State>) -> usize {
    state.map_or(State::Down as usize + 1, |state| state as usize)
}

impl Service {
    /// An answer was given.
    pub(super) fn answered(&self, state: Option<State>) {
        if let Some(count) = self.answers.get(word(state)) {
            count.add();
        }
    }

    pub(super) fn samples<'a>(&self, service: &'a str, now: Now) -> Vec<Sample<'a>> {
        let of = |definition: &'static Definition, value| definition.sample(value).with("service", service);
        let answers = WORDS.iter().zip(&self.answers);
        let mut samples: Vec<Sample<'a>> =
            answers.map(|(word, count)| of(&ANSWERS, count.value()).with("word", *word)).collect();
        samples.push(of(&ANSWER_CHANGES, self.changes.value()));
        let current = word(now.answer.map(|(state, _)| state));
        let states = WORDS.iter().enumerate();
        samples.extend(states.map(|(index, word)| of(&STATE, as_f64(u64::from(index == current))).with("word", *word)));
        samples.extend(now.answer.map(|(_, percent)| of(&WEIGHT, f64::from(percent))));
        samples.extend(now.age.map(|age| of(&RESULT_AGE, round(age))));
        samples.push(of(&STALE, as_f64(u64::from(now.stale))));
        samples
    }
}

/// Counts of a check.
#[derive(Debug, Default)]
pub(super) struct Check {
    runs: Count,
    failures: [Count; FAILURES.len()],
    time: Cell<Duration>,
    last: Cell<Duration>,
    longest: Cell<Duration>,
}

impl Check {
    /// A check was made.
    pub(super) fn done(&self, failure: Option<Failure>, took: Duration) {
        self.runs.add();
        if let Some(count) = failure.and_then(|failure| self.failures.get(failure as usize)) {
            count.add();
        }
        self.time.set(self.time.get().saturating_add(took));
        self.last.set(took);
        self.longest.set(self.longest.get().max(took));
    }

    pub(super) fn samples<'a>(&self, service: &'a str, check: &'a str) -> Vec<Sample<'a>> {
        let of = |definition: &'static Definition, value| {
            definition.sample(value).with("service", service).with("check", check)
        };
        let mut samples = vec![of(&CHECK_RUNS, self.runs.value())];
        let reasons = FAILURES.iter().zip(&self.failures);
        samples.extend(reasons.map(|(reason, count)| of(&CHECK_FAILURES, count.value()).with("reason", *reason)));
        samples.push(of(&CHECK_TIME, round(self.time.get())));
        samples.push(of(&CHECK_TIME_LAST, round(self.last.get())));
        samples.push(of(&CHECK_TIME_LONGEST, round(self.longest.get())));
        samples
    }
}

/// Seconds, to the microsecond.
fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_says_what_it_said_and_would_say() {
        let service = Service::default();
        for state in [Some(State::Up), Some(State::Up), Some(State::Down), None] {
            service.answered(state);
        }
        let now = Now { answer: Some((State::Maint, 30)), age: Some(Duration::from_millis(1500)), stale: false };
        let samples = service.samples("web", now);
        let value = |name: &str, word: Option<&str>| {
            let found = samples.iter().find(|sample| {
                sample.definition.name == name
                    && sample.labels.iter().find(|(label, _)| *label == "word").map(|(_, text)| &**text) == word
            });
            found.map(|sample| sample.value)
        };
        for (word, count) in [("up", 2.0), ("down", 1.0), ("empty", 1.0), ("drain", 0.0)] {
            assert_eq!(value("Answers", Some(word)), Some(count), "{word}");
        }
        assert_eq!((value("State", Some("maint")), value("State", Some("up"))), (Some(1.0), Some(0.0)));
        assert_eq!((value("Weight", None), value("ResultAge", None)), (Some(30.0), Some(1.5)));
        let silent = service.samples("web", Now { answer: None, age: None, stale: true });
        assert!(!silent.iter().any(|sample| ["Weight", "ResultAge"].contains(&sample.definition.name)));
    }

    #[test]
    fn checks_count_their_failures_and_their_time() {
        let check = Check::default();
        check.done(None, Duration::from_millis(30));
        check.done(Some(Failure::Timeout), Duration::from_millis(20));
        let values: Vec<f64> = check.samples("web", "http").iter().map(|sample| sample.value).collect();
        assert_eq!(values, [2.0, 0.0, 0.0, 1.0, 0.0, 0.05, 0.02, 0.03]);
    }
}
