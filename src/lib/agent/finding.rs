//! Findings of the checks of a service, and the answers given when there is no result.

use crate::config::agent::Response;
use crate::haproxy::answer::{Answer, State};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// State and weight.
    Answer(Answer),
    /// Nothing may change at HAProxy.
    Silent,
    /// No result; the service has an answer for it. With the reason.
    Failure(Failure, String),
    /// An operator's will.
    Override {
        /// The state; `None`: that of the other checks.
        state: Option<State>,
        /// Ceiling of the weight, percent.
        weight: u8,
        /// Why.
        reason: String,
    },
    /// This check has nothing to say.
    Nothing,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The endpoint is not there.
    Down,
    /// It says that it is unavailable.
    Unavailable,
    /// It took too long.
    Timeout,
    /// It answered what it should not.
    Error,
}

/// A configured response, with a reason unless it has one of its own.
pub(crate) fn because(response: &Response, reason: impl Into<String>) -> Response {
    let mut answer = response.clone()?;
    if answer.reason.is_empty() {
        answer.reason = reason.into();
    }
    Some(answer)
}
