//! The answer to an agent check: one line of text that tells HAProxy state and weight of a server.
//!
//! HAProxy keeps what an answer does not mention: after `drain` only `ready` ends the drain, after `down` only `up`
//! ends it, after `0%` only another percentage does. An agent cannot know which of its earlier answers arrived, so an
//! [`Answer`] always says everything that any of its answers may ever have said. [`grammar`] is the other side:
//! what HAProxy makes of a line.

pub mod explain;
pub mod grammar;

use std::fmt;

/// Most characters of a reason. HAProxy cuts descriptions at about this length.
const LONGEST_REASON: usize = 120;

/// What a server is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Take traffic.
    Up,
    /// Take no new sessions, save those that belong to it (cookies, stick tables).
    Drain,
    /// Take nothing: out of order by intention.
    Maint,
    /// Take nothing: out of order.
    Down,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Drain => "drain",
            Self::Maint => "maint",
            Self::Down => "down",
        }
    }
}

/// Whether the operator or the agent decides about `ready`, `drain` and `maint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminState {
    /// The operator, at HAProxy's socket: the agent says `up`, `down` and a weight.
    Operator,
    /// The agent: what an operator sets at HAProxy's socket lasts until the next check.
    Agent,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the server is to do.
    pub state: State,
    /// Percent of the weight in HAProxy's configuration, 0 to 100.
    pub weight: u8,
    /// Most connections of the server; `None` for a service that never sets it.
    pub maxconn: Option<u32>,
    /// Why, for the log of HAProxy and its statistics page. Any text: what HAProxy cannot take is replaced.
    pub reason: String,
}

impl Answer {
    /// Up with all its weight and no reason.
    #[must_use]
    pub const fn up() -> Self {
        Self { state: State::Up, weight: 100, maxconn: None, reason: String::new() }
    }

    /// A state with all the weight.
    #[must_use]
    pub fn of(state: State, reason: impl Into<String>) -> Self {
        Self { state, weight: 100, maxconn: None, reason: reason.into() }
    }

    /// The line without its end.
    ///
    /// Where the operator owns the administrative state, drain is weight 0 (which treats sessions alike) and
    /// maintenance is down.
    #[must_use]
    pub fn words(&self, owner: AdminState) -> Words<'_> {
        Words { answer: self, owner }
    }

    /// The line with its end, as it is sent.
    #[must_use]
    pub fn line(&self, owner: AdminState) -> String {
        format!("{}\n", self.words(owner))
    }
}

/// An [`Answer`] in HAProxy's words.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    answer: &'a Answer,
    owner: AdminState,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { state, weight, maxconn, reason } = self.answer;
        let weight = (*weight).min(100);
        match (self.owner, state) {
            (AdminState::Operator, State::Up) => write!(f, "up {weight}%")?,
            (AdminState::Operator, State::Drain) => f.write_str("up 0%")?,
            (AdminState::Operator, State::Maint | State::Down) => write!(f, "down {weight}%")?,
            (AdminState::Agent, State::Up) => write!(f, "ready up {weight}%")?,
            // Weight 0 has no effect of its own here, but the statistics page shows it.
            (AdminState::Agent, State::Drain) => f.write_str("drain up 0%")?,
            // Down as well: a server that is set ready by hand must not take traffic before the next check.
            (AdminState::Agent, State::Maint) => write!(f, "maint down {weight}%")?,
            (AdminState::Agent, State::Down) => write!(f, "ready down {weight}%")?,
        }
        if let Some(maxconn) = maxconn {
            write!(f, " maxconn:{maxconn}")?;
        }
        let reason = printable(reason);
        if reason.is_empty() { Ok(()) } else { write!(f, " #{reason}") }
    }
}

/// One line of ASCII: runs of blanks and control characters become one blank, other foreign characters `?`.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST_REASON));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(LONGEST_REASON));
        if out.len() >= LONGEST_REASON {
            break;
        }
    }
    out.truncate(LONGEST_REASON);
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::grammar::{Reading, read};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_state_in_both_vocabularies() {
        for (state, operator, agent) in [
            (State::Up, "up 80% #why", "ready up 80% #why"),
            (State::Drain, "up 0% #why", "drain up 0% #why"),
            (State::Maint, "down 80% #why", "maint down 80% #why"),
            (State::Down, "down 80% #why", "ready down 80% #why"),
        ] {
            let answer = Answer { weight: 80, ..Answer::of(state, "why") };
            assert_eq!(answer.words(AdminState::Operator).to_string(), operator);
            assert_eq!(answer.words(AdminState::Agent).to_string(), agent);
        }
        let answer = Answer { maxconn: Some(7), ..Answer::up() };
        assert_eq!(answer.line(AdminState::Operator), "up 100% maxconn:7\n");
    }

    #[test]
    fn foreign_text_stays_one_ascii_line() {
        let answer = Answer::of(State::Down, "  disk\nup\t\u{0}full \u{1b}[1m ärger\r\n");
        assert_eq!(answer.words(AdminState::Operator).to_string(), "down 100% #disk up full [1m ?rger");
        let long = Answer::of(State::Down, "x ".repeat(1000));
        assert!(long.line(AdminState::Operator).len() < LONGEST_REASON + 20);
    }

    proptest! {
        #[test]
        fn haproxy_understands_every_answer_wholly(
            state in prop::sample::select(vec![State::Up, State::Drain, State::Maint, State::Down]),
            weight in 0u8..,
            maxconn in proptest::option::of(any::<u32>()),
            reason in "(?s).{0,300}",
            owned in any::<bool>(),
        ) {
            let owner = if owned { AdminState::Agent } else { AdminState::Operator };
            let answer = Answer { state, weight, maxconn, reason };
            let line = answer.line(owner);
            prop_assert!(line.ends_with('\n') && line.is_ascii() && line.matches(['\n', '\r', '\0']).count() == 1);
            for version in grammar::Version::ALL {
                let Ok(Reading { health, admin, weight, maxconn: connections, unknown, .. }) =
                    read(line.as_bytes(), version) else { return Err(TestCaseError::fail("ignored")) };
                prop_assert!(health.is_some() && weight.is_some() && unknown.is_empty());
                prop_assert_eq!(admin.is_some(), owned);
                prop_assert_eq!(connections.is_some(), maxconn.is_some());
            }
        }
    }
}
