//! Findings of the checks to the answer: pure functions of values and times.

use super::finding::{Failure, Finding, because};
use crate::config::agent::{Combine, Response, Responses, Service};
use crate::haproxy::answer::{Answer, State};
use std::cmp::Ordering;
use std::time::Instant;

/// Joins what the checks of a service found. `None`: nothing may change at HAProxy.
///
/// The worst state wins; an override wins over all.
#[must_use]
pub fn combine(findings: Vec<Finding>, config: &Service) -> (Response, bool) {
    let mut answers = Vec::with_capacity(findings.len());
    let shares = config.checks.iter().map(|(_, share)| *share).chain(std::iter::repeat(1));
    let mut silent = false;
    let (mut forced, mut ceiling) = (None, 100);
    for (finding, share) in findings.into_iter().zip(shares) {
        match finding {
            Finding::Answer(answer) => answers.push((answer, share)),
            Finding::Silent => silent = true,
            Finding::Failure(failure, reason) => match failure_response(&config.responses, failure, reason) {
                Some(answer) => answers.push((answer, share)),
                None => silent = true,
            },
            Finding::Nothing => {}
            Finding::Override { state, weight, reason } => {
                ceiling = weight;
                forced = Some((state, reason));
            }
        }
    }
    let overridden = forced.is_some();
    let force = |mut answer: Answer| {
        if let Some((state, reason)) = forced {
            answer.state = state.unwrap_or(answer.state);
            answer.reason = if reason.is_empty() { "override".to_owned() } else { format!("override: {reason}") };
        }
        answer.weight = answer.weight.min(ceiling);
        answer.maxconn = config.maxconn;
        answer
    };
    match join(answers, config.combine) {
        // What an override leaves open is not known.
        _ if silent && !overridden => (None, false),
        joined => (Some(force(joined)), overridden),
    }
}

/// Answers with their shares to one answer.
fn join(answers: Vec<(Answer, u32)>, combine: Combine) -> Answer {
    let weights = || answers.iter().map(|(answer, share)| (u32::from(answer.weight), *share));
    let weight = match combine {
        Combine::Worst => weights().map(|(weight, _)| weight).min(),
        Combine::Mean => {
            let whole: u32 = weights().map(|(_, share)| share).sum();
            let sum: u32 = weights().map(|(weight, share)| weight * share).sum();
            let mean = (sum + whole / 2).checked_div(whole);
            // Rounded down to nothing, a server that should serve a little would be drained.
            mean.map(|mean| if sum > 0 { mean.max(1) } else { mean })
        }
    };
    let weight = weight.and_then(|weight| u8::try_from(weight).ok()).unwrap_or(100);
    // Of two equal states the lower weight has the better reason.
    let worst =
        answers.into_iter().map(|(answer, _)| answer).max_by_key(|answer| (answer.state, 100 - answer.weight.min(100)));
    Answer { weight, ..worst.unwrap_or_else(Answer::up) }
}

/// The configured answer, with the reason that goes with it unless it has one of its own.
fn failure_response(responses: &Responses, failure: Failure, reason: String) -> Response {
    let response = match failure {
        Failure::Down => &responses.down,
        Failure::Unavailable => &responses.unavailable,
        Failure::Timeout => &responses.timeout,
        Failure::Error => &responses.error,
    };
    because(response, reason)
}

/// The worse of two answers: by its state, and of equal states by the weight, with the first one's reason.
///
/// Maintenance counts as worse than down here: the answer for it says both.
#[must_use]
pub fn worse(first: Answer, second: Answer) -> Answer {
    let rank = |answer: &Answer| match answer.state {
        State::Up => 0,
        State::Drain => 1,
        State::Down => 2,
        State::Maint => 3,
    };
    match rank(&first).cmp(&rank(&second)) {
        Ordering::Less => second,
        Ordering::Greater => first,
        Ordering::Equal => Answer { weight: first.weight.min(second.weight), ..first },
    }
}

/// Keeps an answer steady: state changes wait for their delay, small changes of the weight are not followed.
#[derive(Debug, Default)]
pub struct Steady {
    kept: Option<Answer>,
    /// A state other than the kept one, and since when it is found.
    pending: Option<(State, Instant)>,
}

impl From<Option<Answer>> for Steady {
    /// Goes on from the last answer of the run before.
    fn from(kept: Option<Answer>) -> Self {
        Self { kept, pending: None }
    }
}

impl Steady {
    /// The answer to give after `found` was found.
    pub fn settle(&mut self, found: Answer, config: &Service, now: Instant) -> Answer {
        let Some(kept) = self.kept.take() else {
            self.kept = Some(found.clone());
            return found;
        };
        let settled = if found.state == kept.state {
            self.pending = None;
            let far = found.weight.abs_diff(kept.weight) >= config.weight_step;
            // The ends of the scale are always reached.
            let weight = if far || matches!(found.weight, 0 | 1 | 100) { found.weight } else { kept.weight };
            Answer { weight, ..found }
        } else {
            let delay = if found.state > kept.state { config.fall_delay } else { config.rise_delay };
            let since = match self.pending {
                Some((state, since)) if state == found.state => since,
                _ => now,
            };
            if now.saturating_duration_since(since) >= delay {
                self.pending = None;
                found
            } else {
                self.pending = Some((found.state, since));
                kept
            }
        };
        self.kept = Some(settled.clone());
        settled
    }

    /// Takes an answer at once: that of an operator.
    pub fn force(&mut self, answer: Answer) -> Answer {
        self.pending = None;
        self.kept = Some(answer.clone());
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, load};
    use std::time::Duration;

    fn config(text: &str) -> Service {
        load::from_text(Program::Agent, &format!("[agent]\n{text}"), "x").unwrap().config.agent.services.remove(0)
    }

    fn answer(state: State, weight: u8) -> Answer {
        Answer { weight, ..Answer::of(state, state.word()) }
    }

    #[test]
    fn the_worst_state_and_the_lowest_weight_win() {
        let findings = || {
            vec![Finding::Answer(answer(State::Up, 40)), Finding::Answer(answer(State::Drain, 80)), Finding::Nothing]
        };
        let (joined, _) = combine(findings(), &config(""));
        let joined = joined.unwrap();
        assert_eq!((joined.state, joined.weight, joined.reason.as_str()), (State::Drain, 40, "drain"));
        let (joined, _) = combine(findings(), &config("combine = mean\n"));
        assert_eq!(joined.unwrap().weight, 60);
        let (joined, _) = combine(
            findings(),
            &config("checks = load:3 http:1 file\ncombine = mean\ncheck-url = http://a/\noverride-file = /x\n"),
        );
        assert_eq!(joined.unwrap().weight, 50);
        let little = vec![Finding::Answer(answer(State::Up, 1)), Finding::Answer(answer(State::Up, 0))];
        let (joined, _) = combine(little, &config("checks = load:1 http:9\ncombine = mean\ncheck-url = http://a/\n"));
        assert_eq!(joined.unwrap().weight, 1);
    }

    #[test]
    fn nothing_found_is_up() {
        assert_eq!(combine(vec![Finding::Nothing], &config("")).0, Some(Answer::up()));
    }

    #[test]
    fn every_failure_has_its_answer() {
        let config = config("timeout-response = drain\nerror-response =\ndown-response = maint #mine\n");
        let of = |failure| combine(vec![Finding::Failure(failure, "why".into())], &config).0;
        assert_eq!(
            of(Failure::Timeout).map(|answer| (answer.state, answer.reason)),
            Some((State::Drain, "why".into()))
        );
        assert_eq!(of(Failure::Error), None);
        assert_eq!(of(Failure::Down).map(|answer| answer.reason), Some("mine".into()));
        assert_eq!(of(Failure::Unavailable).map(|answer| answer.state), Some(State::Drain));
    }

    #[test]
    fn an_override_wins_over_every_check() {
        let forced = |state| Finding::Override { state, weight: 30, reason: "deploy".into() };
        let down = || Finding::Answer(answer(State::Down, 100));
        let (joined, overridden) = combine(vec![down(), forced(Some(State::Up))], &config(""));
        let joined = joined.unwrap();
        assert!(overridden);
        assert_eq!((joined.state, joined.weight, joined.reason.as_str()), (State::Up, 30, "override: deploy"));
        assert_eq!(combine(vec![down(), forced(None)], &config("")).0.unwrap().state, State::Down);
    }

    #[test]
    fn the_worse_of_two_answers_is_that_of_the_worse_state() {
        let states = [State::Up, State::Drain, State::Down, State::Maint];
        for (index, first) in states.into_iter().enumerate() {
            for (other, second) in states.into_iter().enumerate() {
                let worst = worse(answer(first, 30), answer(second, 20));
                let weight = if index > other { 30 } else { 20 };
                assert_eq!((worst.state, worst.weight), (states[index.max(other)], weight));
            }
        }
    }

    #[test]
    fn states_wait_for_their_delay_and_weights_for_their_step() {
        let config = config("fall-delay = 2\nrise-delay = 5\nweight-step = 10\n");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut steady = Steady::default();
        let mut settle = |state, weight, seconds| {
            let settled = steady.settle(answer(state, weight), &config, at(seconds));
            (settled.state, settled.weight)
        };
        assert_eq!(settle(State::Up, 50, 0), (State::Up, 50));
        assert_eq!(settle(State::Up, 55, 1), (State::Up, 50));
        assert_eq!(settle(State::Up, 61, 2), (State::Up, 61));
        assert_eq!(settle(State::Down, 50, 3), (State::Up, 61));
        assert_eq!(settle(State::Up, 61, 4), (State::Up, 61));
        assert_eq!(settle(State::Down, 50, 5), (State::Up, 61));
        assert_eq!(settle(State::Down, 50, 7), (State::Down, 50));
        assert_eq!(settle(State::Up, 50, 8), (State::Down, 50));
        assert_eq!(settle(State::Up, 50, 13), (State::Up, 50));
        assert_eq!(settle(State::Up, 100, 14), (State::Up, 100));
    }
}
