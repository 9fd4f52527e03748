//! What the agent counts about itself: of the program, of each service, and of each check of a service. The tables that
//! say what it means are in [`crate::telemetry`].

use super::check::Failure;
use crate::haproxy::answer::State;
use crate::telemetry::{AGENT, AGENT_CHECK, AGENT_SERVICE, Definition, as_f64};
use std::cell::Cell;
use std::time::Duration;

/// One figure at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) definition: &'static Definition,
    /// The service and the check that it belongs to.
    pub(super) service: Option<&'a str>,
    pub(super) check: Option<&'a str>,
    /// The label and its value, where the figure is one of several: `("word", "up")`.
    pub(super) variant: Option<(&'static str, &'static str)>,
    pub(super) value: f64,
}

/// Answers by word; the last one changes nothing at HAProxy.
const WORDS: [&str; 5] = ["up", "drain", "maint", "down", "empty"];
/// Failures of checks.
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
    pub(super) fn samples<'a>(&self, skipped: u64) -> Vec<Sample<'a>> {
        let [closed, refused, unknown] = [&self.closed, &self.refused, &self.unknown].map(Count::value);
        let values = [f64::from(self.services.get()), closed, refused, unknown, as_f64(skipped)];
        let sample = |(definition, value)| Sample { definition, service: None, check: None, variant: None, value };
        AGENT.iter().zip(values).map(sample).collect()
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
    match state {
        Some(State::Up) => 0,
        Some(State::Drain) => 1,
        Some(State::Maint) => 2,
        Some(State::Down) => 3,
        None => 4,
    }
}

impl Service {
    /// An answer was given.
    pub(super) fn answered(&self, state: Option<State>) {
        if let Some(count) = self.answers.get(word(state)) {
            count.add();
        }
    }

    pub(super) fn samples<'a>(&self, service: &'a str, now: Now) -> Vec<Sample<'a>> {
        let [answers, changes, state, weight, age, stale] = AGENT_SERVICE.each_ref();
        let of =
            |definition, variant, value| Sample { definition, service: Some(service), check: None, variant, value };
        let mut samples: Vec<Sample<'a>> = WORDS
            .iter()
            .zip(&self.answers)
            .map(|(word, count)| of(answers, Some(("word", *word)), count.value()))
            .collect();
        samples.push(of(changes, None, self.changes.value()));
        let current = word(now.answer.map(|(state, _)| state));
        let states = WORDS.iter().enumerate();
        samples
            .extend(states.map(|(index, word)| of(state, Some(("word", *word)), as_f64(u64::from(index == current)))));
        samples.extend(now.answer.map(|(_, percent)| of(weight, None, f64::from(percent))));
        samples.extend(now.age.map(|age_now| of(age, None, round(age_now))));
        samples.push(of(stale, None, as_f64(u64::from(now.stale))));
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
        let index = failure.map(|failure| match failure {
            Failure::Down => 0,
            Failure::Unavailable => 1,
            Failure::Timeout => 2,
            Failure::Error => 3,
        });
        if let Some(count) = index.and_then(|index: usize| self.failures.get(index)) {
            count.add();
        }
        self.time.set(self.time.get().saturating_add(took));
        self.last.set(took);
        self.longest.set(self.longest.get().max(took));
    }

    pub(super) fn samples<'a>(&self, service: &'a str, check: &'a str) -> Vec<Sample<'a>> {
        let [runs, failures, time, last, longest] = AGENT_CHECK.each_ref();
        let of = |definition, variant, value| Sample {
            definition,
            service: Some(service),
            check: Some(check),
            variant,
            value,
        };
        let mut samples = vec![of(runs, None, self.runs.value())];
        let reasons = FAILURES.iter().zip(&self.failures);
        samples.extend(reasons.map(|(reason, count)| of(failures, Some(("reason", *reason)), count.value())));
        for (definition, duration) in [(time, &self.time), (last, &self.last), (longest, &self.longest)] {
            samples.push(of(definition, None, round(duration.get())));
        }
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
            let found = samples
                .iter()
                .find(|sample| sample.definition.name == name && sample.variant.map(|(_, variant)| variant) == word);
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
