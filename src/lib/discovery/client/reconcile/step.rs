//! What is decided: changes, and what has to wait.

use super::slot::is_at;
use crate::discovery::client::record::Entry;
use crate::haproxy::runtime::{AdminState, Command, Endpoint, ServerName, ServerState, Weight};
use std::collections::BTreeSet;

/// A change of one slot: commands that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The number of the slot.
    pub slot: u32,
    /// Whom it changes.
    pub server: ServerName,
    /// The occupant that it is about; empty when there is none.
    pub instance: String,
    /// In their order, in one line.
    pub commands: Vec<Command>,
    /// Why, in words.
    pub reason: String,
    /// What is to be read back afterwards.
    pub expected: Expected,
    /// What is noted before the commands go out; `None`: the slot is forgotten once it is done.
    pub entry: Option<Entry>,
}

impl Step {
    /// Whether the server may serve less after it than before.
    pub(super) fn takes_traffic_away(&self) -> bool {
        self.expected.state != Some(AdminState::Ready) || self.expected.weight == Some(Weight::ZERO)
    }
}

/// What a step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// `None`: the server is not there any more.
    pub state: Option<AdminState>,
    /// Where it is, if that was set.
    pub endpoint: Option<Endpoint>,
    /// Its weight, if that was set.
    pub weight: Option<Weight>,
}

impl Expected {
    /// Whether this is what came of it.
    #[must_use]
    pub(crate) fn is_met(&self, server: Option<&ServerState>) -> bool {
        match (self.state, server) {
            (None, None) => true,
            (Some(state), Some(server)) => {
                server.state() == state
                    && self.endpoint.is_none_or(|endpoint| is_at(server, endpoint))
                    && self.weight.is_none_or(|weight| server.weight == weight.get())
            }
            _ => false,
        }
    }
}

/// Why a slot is not as it should be, and no command can change that now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Waiting {
    /// An operator or another program has set it to drain or maint.
    Held(AdminState),
    /// Its server is in a slot that an operator or another program has set to drain or maint.
    HeldElsewhere(u32),
    /// Its sessions have not ended.
    Draining,
    /// It keeps serving until others are up.
    Capacity,
    /// HAProxy has no such server.
    Missing,
    /// The server follows another one, a resolver, or is a UNIX socket.
    NotOurs,
    /// Dynamic servers need HAProxy 2.6.
    TooOld,
}

/// What there is to do for a backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Changes, in their order: states that others had set, servers that come, servers that leave.
    pub steps: Vec<Step>,
    /// Slots that have to wait.
    pub waiting: Vec<(u32, Waiting)>,
    /// What was seen and is to be noted.
    pub noted: Vec<(ServerName, Entry)>,
    /// Ids of the backends whose open sessions have to be known.
    pub ask_sessions: BTreeSet<u32>,
    /// Slots that serve as they should.
    pub serving: usize,
}
