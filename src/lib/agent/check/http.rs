//! Any HTTP endpoint: its status, and words and numbers in its JSON. Datawave is a preset of it.

use super::{Check, Checking, Failure, Finding, weight};
use crate::agent::client::{Client, Reply};
use crate::config::agent::{Reduction, Rules};
use crate::haproxy::answer::{Answer, State};
use serde_json::Value;

/// Where the web server of Datawave has its health endpoint.
pub(super) const DATAWAVE_URL: &str = "http://localhost:8080/DataWave/Common/Health/health";

/// The rules of Datawave, with the factors of query slots, load and swap.
#[must_use]
pub fn datawave([slots, load, swap]: [f64; 3]) -> Rules {
    let reduction = |pointer: &str, factor, to| Reduction { pointer: pointer.to_owned(), factor, from: 0.0, to };
    Rules {
        expect_status: vec![200],
        status_pointer: Some("/Status".to_owned()),
        reductions: vec![
            reduction("/ConnectionUsagePercent", slots, 100.0),
            reduction("/SystemLoad", load, 1.0),
            // Bytes: the first one counts in full.
            reduction("/SwapBytesUsed", swap, 1.0),
        ],
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
    let json: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
    let at = |pointer: &str| json.pointer(pointer).ok_or_else(|| format!("{pointer} is missing"));
    let state = match &rules.status_pointer {
        None => State::Up,
        Some(pointer) => {
            let word = at(pointer)?.as_str().ok_or_else(|| format!("{pointer} is no text"))?;
            state(word).ok_or_else(|| format!("{pointer} is {word:?}"))?
        }
    };
    let mut reduction = 0.0;
    let mut reasons = Vec::new();
    for Reduction { pointer, factor, from, to } in &rules.reductions {
        let number = at(pointer)?.as_f64().ok_or_else(|| format!("{pointer} is no number"))?;
        reduction += factor * ((number - from) / (to - from)).clamp(0.0, 1.0);
        reasons.push(format!("{}={number}", pointer.trim_start_matches('/')));
    }
    Ok(Answer { weight: weight(reduction), reason: reasons.join(" "), ..Answer::of(state, "") })
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
            match self.client.get("").await {
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
        assert_eq!(health("ready", 0.0, 3.2, 0), (State::Up, 60));
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
            r#"{"Status":"ready"}"#,
            r#"{"Status":5}"#,
            r#"{"Status":"ready","ConnectionUsagePercent":"5","SystemLoad":0,"SwapBytesUsed":0}"#,
        ] {
            assert!(matches!(found(body), Finding::Failure(Failure::Error, _)), "{body}");
        }
    }

    #[test]
    fn statuses_have_answers_of_their_own() {
        let of = |status| evaluate(&datawave([0.0; 3]), status, b"");
        assert!(matches!(of(503), Finding::Failure(Failure::Unavailable, _)));
        assert!(matches!(of(500), Finding::Failure(Failure::Error, _)));
        assert!(matches!(of(404), Finding::Failure(Failure::Error, _)));
        let rules = Rules { expect_status: vec![204], status_pointer: None, reductions: Vec::new() };
        assert_eq!(evaluate(&rules, 204, b"not JSON"), Finding::Answer(Answer::up()));
    }

    #[test]
    fn more_may_be_better() {
        let free = Reduction { pointer: "/free".to_owned(), factor: 1.0, from: 100.0, to: 0.0 };
        let rules = Rules { expect_status: vec![200], status_pointer: None, reductions: vec![free] };
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
