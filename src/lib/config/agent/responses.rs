//! Answers that the operator chooses.

use crate::config::option::options;
use crate::config::program::AGENT;
use crate::config::reading::{Reading, Refusal, Type};
use crate::config::section::{Section, gather};
use crate::haproxy::answer::grammar::{self, Admin, Health, Version, Weight};
use crate::haproxy::answer::{Answer, State};

options! {
    pub(crate) static ROWS: AGENT, Agent {
        STALENESS_RESPONSE: Response = Reading::new(Type::Answer, response), "staleness-response", Some("down"),
            "Answer instead of a stale result.";
        INITIAL_RESPONSE: Response = Reading::new(Type::Answer, response), "initial-response", Some(""),
            "Answer before the first result, if the previous run left no recent enough answer (initial-grace); empty: \
             nothing changes in HAProxy.";
        DOWN_RESPONSE: Response = Reading::new(Type::Answer, response), "down-response", Some("down"),
            "Answer when the endpoint refuses the connection or cannot be reached.";
        TIMEOUT_RESPONSE: Response = Reading::new(Type::Answer, response), "timeout-response", Some("down"),
            "Answer when a check takes longer than check-timeout.";
        ERROR_RESPONSE: Response = Reading::new(Type::Answer, response), "error-response", Some("down"),
            "Answer when the result of a check is invalid: an unexpected status, broken JSON, an unknown exit code.";
        UNAVAILABLE_RESPONSE: Response = Reading::new(Type::Answer, response), "unavailable-response", Some("0% drain"),
            "Answer when the endpoint says that it is unavailable (status 503).";
        STOP_RESPONSE: Response = Reading::new(Type::Answer, response), "stop-response", Some(""),
            "Answer while the agent is stopping, never better than the last one: drain takes the server out on \
             purpose. Empty: the agent exits at once and HAProxy keeps the last answer.";
    }
}

/// A response; `None` (written as nothing) changes nothing at HAProxy.
pub type Response = Option<Answer>;

/// Answers for what is not a result.
#[derive(Debug, Clone)]
pub struct Responses {
    /// Before the first result.
    pub initial: Response,
    /// Instead of a stale one.
    pub stale: Response,
    /// The endpoint is not there.
    pub down: Response,
    /// The endpoint says that it is unavailable.
    pub unavailable: Response,
    /// The check took too long.
    pub timeout: Response,
    /// The check ended with what it should not.
    pub error: Response,
    /// While the agent stops; `None`: the last answer.
    pub stop: Response,
}

impl Responses {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        gather!(Self {
            initial: section.get(&INITIAL_RESPONSE),
            stale: section.get(&STALENESS_RESPONSE),
            down: section.get(&DOWN_RESPONSE),
            unavailable: section.get(&UNAVAILABLE_RESPONSE),
            timeout: section.get(&TIMEOUT_RESPONSE),
            error: section.get(&ERROR_RESPONSE),
            stop: section.get(&STOP_RESPONSE),
        })
    }
}

/// Words of an answer, as the agents that went before have them in their configuration. No words: no change.
pub(super) fn response(text: &str) -> Result<Response, Refusal> {
    let right = "write for example down, 0% drain, maint #why, or nothing for no change";
    let reading =
        grammar::read(format!("{text}\n").as_bytes(), Version::Until30).map_err(|error| format!("{error}; {right}"))?;
    if let Some(word) = reading.unknown.first() {
        return Err(format!("{word:?} is not valid in an answer; {right}"));
    }
    if reading.maxconn.is_some() {
        return Err(format!("set the option maxconn instead; {right}"));
    }
    let state = match (reading.admin, reading.health) {
        (Some(Admin::Maint), _) => State::Maint,
        (_, Some(Health::Down)) => State::Down,
        (Some(Admin::Drain), _) => State::Drain,
        (_, Some(Health::Up)) | (Some(Admin::Ready), None) => State::Up,
        (None, None) if reading.weight.is_some() => State::Up,
        (None, None) => return Ok(None),
    };
    let weight = match reading.weight {
        None => 100,
        Some(Ok(Weight::Percent(percent))) if percent <= 100 => u8::try_from(percent).unwrap_or(100),
        Some(_) => return Err(format!("the weight is not a percentage from 0% to 100%; {right}")),
    };
    // A drained server answers weight 0 anyhow; its weight comes back with the next result.
    let weight = if state == State::Drain { 0 } else { weight };
    Ok(Some(Answer { state, weight, maxconn: None, reason: reading.description.unwrap_or_default() }))
}
