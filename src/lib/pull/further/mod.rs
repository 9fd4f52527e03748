//! Further questions: what is asked beside `show info` and `show stat`, when something is switched on that needs it
//! ([`QUESTIONS`](crate::haproxy::questions::QUESTIONS)).
//!
//! They go behind those two on the same connection, or on one of their own where that cannot be: in the second and later lines of
//! many questions, with a peer that takes one command per connection, after an attempt that failed. Whatever becomes of them, the
//! two replies of the tick are stored as ever.
//!
//! [`inquiry`] knows which socket is to be asked what, [`asking`] stores the replies of one socket.

pub(super) mod asking;
mod connection;
pub(super) mod inquiry;

use crate::config;
use crate::haproxy::family::Family;
use crate::haproxy::further::Refusal;
use crate::haproxy::questions::{QUESTIONS, Question, Rhythm, argument};

/// A question, as it is to be asked of each socket.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) question: &'static Question,
    /// Asked with each of these; without any, the command alone.
    pub(super) arguments: Vec<String>,
    /// Seconds from one time to the next; 0: in every pull.
    pub(super) every: u64,
}

impl Wanted {
    /// The commands to send.
    fn commands(&self) -> Vec<Asked> {
        let first = Asked::of(self.question);
        if self.arguments.is_empty() {
            return vec![first];
        }
        let of = |argument: &String| Asked { argument: Some(argument.clone()), ..first.clone() };
        self.arguments.iter().map(of).collect()
    }
}

/// What this configuration wants to be asked.
pub(super) fn wanted(config: &config::Pull) -> Vec<Wanted> {
    let on = QUESTIONS.iter().filter(|question| config.families.has(question.family));
    let every = |rhythm| match rhythm {
        Rhythm::Tick => 0,
        Rhythm::Slow => config.families_interval.as_secs(),
    };
    let families = on.map(|question| Wanted { question, arguments: Vec::new(), every: every(question.rhythm) });
    let of_latency = QUESTIONS.iter().filter(|question| question.family == Family::Latency);
    let latency = of_latency.zip(&config.latency_table).map(|(question, table)| Wanted {
        question,
        arguments: vec![table.clone()],
        every: every(question.rhythm),
    });
    families.chain(latency).collect()
}

/// A command.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) question: &'static Question,
    pub(super) argument: Option<String>,
    /// Whether it is the command that lists the arguments.
    pub(super) lists: bool,
}

impl Asked {
    /// A question without an argument.
    pub(super) fn of(question: &'static Question) -> Self {
        Self { question, argument: None, lists: question.list.is_some() }
    }

    /// The first command of a question.
    pub(super) fn of_list(question: &Question) -> String {
        question.list.map_or(question.command, |list| list.command).to_owned()
    }

    /// The command as it is sent.
    pub(super) fn command(&self) -> String {
        let command = match self.question.list {
            Some(list) if self.lists => list.command,
            _ => self.question.command,
        };
        match &self.argument {
            None => command.to_owned(),
            Some(name) => format!("{command} {}", argument(name)),
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// A reply, of so many bytes.
    Stored(u64),
    Refused(Refusal),
    /// A reply that is not stored.
    Kept(Vec<u8>),
    /// Nothing, or not all of it: why.
    Failed(String),
}
