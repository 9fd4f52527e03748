//! Any HTTP endpoint: its status, and words and numbers in its JSON. Datawave is a preset of it.

use super::interface::{Check, Checking, weight};
use super::json;
use crate::agent::client::{Client, Reply};
use crate::agent::finding::{Failure, Finding};
use crate::config::agent::{Reduction, Rules};
use crate::haproxy::answer::{Answer, State};

/// Where the web server of Datawave has its health endpoint.
pub(super) const DATAWAVE_URL: &str = "http://localhost:8080/DataWave/Common/Health/health";

/// Most redirects in a row, as many as the agent of Datawave follows.
const REDIRECTS: usize = 3;

/// The rules of Datawave, with the factors of query slots, load and swap.
#[must_use]
pub fn datawave([slots, load, swap]: [f64; 3]) -> Rules {
    let reduction = |pointer: &str, factor, to| {
        let pointer = pointer.to_owned();
        Reduction { pointer, factor, from: 0.0, to, open: false }
    };
    Rules {
        expect_status: vec![200],
        status_pointer: Some("/Status".to_owned()),
        reductions: vec![
            reduction("/ConnectionUsagePercent", slots, 100.0),
            // Not per CPU, and often above 1: a host that is loaded three times over is to get next to nothing.
            Reduction { open: true, ..reduction("/SystemLoad", load, 1.0) },
            // Bytes: the first one counts in full.
            reduction("/SwapBytesUsed", swap, 1.0),
        ],
        lenient: true,
    }
}

/// Status and body to what they mean.
#[must_use]
pub fn evaluate(rules: &Rules, status: u16, body: &[u8]) -> Finding {
    if !rules.expect_status.contains(&status) {
        let failure = if status == 503 { Failure::Unavailable } else { Failure::Error };
        return Finding::Failure(failure, format!("status {status}"));
    }
    match understand(rules, body) {
        Ok(answer) => Finding::Answer(answer),
        Err(reason) => Finding::Failure(Failure::Error, reason),
    }
}

fn understand(rules: &Rules, body: &[u8]) -> Result<Answer, String> {
    if rules.status_pointer.is_none() && rules.reductions.is_empty() {
        return Ok(Answer::up());
    }
    let json = json::read(body).map_err(|error| format!("not JSON: {error}"))?;
    let at = |pointer: &str| json.pointer(pointer).ok_or_else(|| format!("{pointer} is missing"));
    let state = match &rules.status_pointer {
        None => State::Up,
        Some(pointer) => {
            let word = at(pointer)?.as_str().ok_or_else(|| format!("{pointer} is not a string"))?;
            state(word).ok_or_else(|| format!("{pointer} is {word:?}"))?
        }
    };
    let mut sum = 0.0;
    let mut reasons = Vec::new();
    for reduction in &rules.reductions {
        let Reduction { pointer, factor, .. } = reduction;
        let name = pointer.trim_start_matches('/');
        let number = if rules.lenient {
            json.pointer(pointer).and_then(|value| json::number(value).or_else(|| value.as_bool().map(f64::from)))
        } else {
            Some(json::number(at(pointer)?).ok_or_else(|| format!("{pointer} is not a number"))?)
        };
        let part = number.map_or(1.0, |number| part(reduction, number));
        // What takes nothing off does not do so without bounds either.
        sum += if *factor > 0.0 { factor * part } else { 0.0 };
        reasons.push(number.map_or_else(|| format!("{name}=?"), |number| format!("{name}={number}")));
    }
    Ok(Answer { weight: weight(sum), reason: reasons.join(" "), ..Answer::of(state, "") })
}

/// How much of its factor a number takes off: 0 at `from`, 1 at `to`. What is not a number takes off all of it.
fn part(Reduction { from, to, open, .. }: &Reduction, number: f64) -> f64 {
    let part = (number - from) / (to - from);
    match open {
        true if part.is_nan() => f64::INFINITY,
        true => part.max(0.0),
        false if part.is_nan() => 1.0,
        false => part.clamp(0.0, 1.0),
    }
}

/// The words that endpoints use, in any case.
fn state(word: &str) -> Option<State> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ready" | "up" => State::Up,
        "drain" => State::Drain,
        "maint" => State::Maint,
        "down" | "stopped" | "fail" => State::Down,
        _ => return None,
    })
}

/// An endpoint and its rules.
pub(super) struct Http {
    client: Client,
    rules: Rules,
}

impl Http {
    pub(super) fn open(client: Client, rules: Rules) -> Self {
        Self { client, rules }
    }
}

impl Check for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async {
            let redirects = if self.rules.lenient { REDIRECTS } else { 0 };
            match self.client.get_following("", redirects).await {
                Ok(Reply { status, body, .. }) => evaluate(&self.rules, status, &body),
                Err(error) => error.finding(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(body: &str) -> Finding {
        evaluate(&datawave([0.7, 0.4, 0.3]), 200, body.as_bytes())
    }

    fn health(status: &str, slots: f64, load: f64, swap: u64) -> (State, u8) {
        let body = format!(
            r#"{{"Status":"{status}","ConnectionUsagePercent":{slots},"SystemLoad":{load},"SwapBytesUsed":{swap}}}"#
        );
        match found(&body) {
            Finding::Answer(answer) => (answer.state, answer.weight),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn the_weight_is_that_of_the_datawave_agent() {
        assert_eq!(health("ready", 0.0, 0.0, 0), (State::Up, 100));
        assert_eq!(health("ready", 50.0, 0.0, 0), (State::Up, 65));
        assert_eq!(health("ready", 50.0, 0.5, 0), (State::Up, 45));
        assert_eq!(health("ready", 0.0, 0.0, 4096), (State::Up, 70));
        assert_eq!(health("READY", 100.0, 1.0, 1), (State::Up, 1));
        assert_eq!(health("drain", 0.0, 0.0, 0).0, State::Drain);
    }

    #[test]
    fn inputs_are_clamped_to_their_range() {
        assert_eq!(health("ready", -20.0, -1.0, 0), (State::Up, 100));
        assert_eq!(health("ready", 900.0, 0.0, 0), (State::Up, 30));
        // The load is no fraction on real hosts: the more, the less is left.
        assert_eq!(health("ready", 0.0, 1.5, 0), (State::Up, 40));
        assert_eq!(health("ready", 0.0, 3.2, 0), (State::Up, 1));
    }

    #[test]
    fn a_server_that_says_that_it_is_well_is_not_down_for_a_number() {
        let weight = |slots: &str, load: &str, swap: &str| {
            let body = format!(
                r#"{{"Status":"ready","ConnectionUsagePercent":{slots},"SystemLoad":{load},"SwapBytesUsed":{swap}}}"#
            );
            match found(&body) {
                Finding::Answer(answer) => (answer.state, answer.weight),
                other => panic!("{body}: {other:?}"),
            }
        };
        for (numbers, left) in [
            (["NaN", "0", "0"], 30),
            (["0", "NaN", "0"], 1),
            (["0", "\"NaN\"", "0"], 1),
            (["0", "0", "NaN"], 70),
            (["Infinity", "0", "0"], 30),
            (["0", "Infinity", "0"], 1),
            (["-Infinity", "-Infinity", "-Infinity"], 100),
            (["0", "1e999", "0"], 1),
            (["\"5\"", "0", "0"], 30),
            (["0", "null", "0"], 60),
            (["0", "[]", "{}"], 30),
            (["0", "true", "false"], 60),
        ] {
            let [slots, load, swap] = numbers;
            assert_eq!(weight(slots, load, swap), (State::Up, left), "{numbers:?}");
        }
        let Finding::Answer(answer) = found(r#"{"Status":"ready"}"#) else { panic!() };
        assert_eq!((answer.weight, answer.reason.contains("SystemLoad=?")), (1, true));
        // A factor of 0 switches the number off, whatever it is.
        let Finding::Answer(answer) = evaluate(&datawave([0.0; 3]), 200, br#"{"Status":"ready","SystemLoad":NaN}"#)
        else {
            panic!()
        };
        assert_eq!(answer.weight, 100);
    }

    #[test]
    fn weights_are_rounded_not_cut() {
        for percent in 1..=100u8 {
            assert_eq!(weight(f64::from(100 - percent) / 100.0), percent);
        }
    }

    #[test]
    fn a_status_with_a_line_end_does_not_get_through() {
        let found = found(r#"{"Status":"down #x\nup","ConnectionUsagePercent":0,"SystemLoad":0,"SwapBytesUsed":0}"#);
        assert!(matches!(found, Finding::Failure(Failure::Error, _)), "{found:?}");
    }

    #[test]
    fn what_is_missing_or_broken_is_an_error() {
        for body in [
            "",
            "{",
            "[]",
            "null",
            r#"{"Status":5}"#,
            r#"{"ConnectionUsagePercent":5,"SystemLoad":0,"SwapBytesUsed":0}"#,
        ] {
            assert!(matches!(found(body), Finding::Failure(Failure::Error, _)), "{body}");
        }
        // Where the state is not in the reply, numbers are all there is.
        let load = Reduction { pointer: "/load".to_owned(), factor: 1.0, from: 0.0, to: 1.0, open: false };
        let rules = Rules { expect_status: vec![200], reductions: vec![load], ..Rules::default() };
        for body in ["{}", r#"{"load":"5"}"#, r#"{"load":true}"#] {
            assert!(matches!(evaluate(&rules, 200, body.as_bytes()), Finding::Failure(Failure::Error, _)), "{body}");
        }
    }

    #[test]
    fn statuses_have_answers_of_their_own() {
        let of = |status| evaluate(&datawave([0.0; 3]), status, b"");
        assert!(matches!(of(503), Finding::Failure(Failure::Unavailable, _)));
        assert!(matches!(of(500), Finding::Failure(Failure::Error, _)));
        assert!(matches!(of(404), Finding::Failure(Failure::Error, _)));
        let rules = Rules { expect_status: vec![204], ..Rules::default() };
        assert_eq!(evaluate(&rules, 204, b"not JSON"), Finding::Answer(Answer::up()));
    }

    #[test]
    fn more_may_be_better() {
        let free = Reduction { pointer: "/free".to_owned(), factor: 1.0, from: 100.0, to: 0.0, open: false };
        let rules = Rules { expect_status: vec![200], reductions: vec![free], ..Rules::default() };
        let Finding::Answer(answer) = evaluate(&rules, 200, br#"{"free":30}"#) else { panic!() };
        assert_eq!(answer.weight, 30);
    }

    proptest! {
        #[test]
        fn any_reply_gives_a_weight_above_zero_or_a_failure(
            status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200),
            numbers in proptest::collection::vec(any::<f64>(), 3),
        ) {
            let rules = datawave([0.7, 0.4, 0.3]);
            let _ = evaluate(&rules, status, &body);
            let json = serde_json::json!({"Status": "up", "ConnectionUsagePercent": numbers[0],
                "SystemLoad": numbers[1], "SwapBytesUsed": numbers[2]});
            if let Finding::Answer(answer) = evaluate(&rules, 200, json.to_string().as_bytes()) {
                prop_assert!((1..=100).contains(&answer.weight));
            }
        }
    }
}
