//! A slot: what HAProxy has there, what the list wants there, and whose doing it is.

use crate::discovery::client::record::Entry;
use crate::discovery::client::slots::Wanted;
use crate::haproxy::runtime::{AdminState, Endpoint, Process, ServerName, ServerState};

/// A slot as it is and as it should be.
pub(super) struct Slot<'a> {
    pub(super) number: u32,
    pub(super) name: ServerName,
    pub(super) server: Option<&'a ServerState>,
    pub(super) entry: Option<&'a Entry>,
    pub(super) wanted: &'a Wanted,
}

impl Slot<'_> {
    pub(super) fn occupant_is_there(&self) -> bool {
        match (self.server, self.wanted.occupant()) {
            (Some(server), Some(occupant)) => is_at(server, occupant.endpoint),
            _ => false,
        }
    }

    /// The state that somebody else had set in a process that this one has replaced, and that is to be put back.
    pub(super) fn forgotten(&self, process: &Process) -> Option<AdminState> {
        let entry = self.entry?;
        let foreign = entry.foreign?;
        if entry.process == process.id && entry.verified {
            return None;
        }
        let Some(server) = self.server else { return Some(foreign) };
        // A state file brings the state back, and the address with it.
        let kept = server.state() == foreign && entry.endpoint.is_none_or(|endpoint| is_at(server, endpoint));
        if kept { None } else { Some(foreign) }
    }

    /// Whether its state was set by an operator or another program, and must not be changed.
    pub(super) fn is_foreign(&self, process: &Process) -> bool {
        if self.forgotten(process).is_some() {
            return true;
        }
        let Some(server) = self.server else { return false };
        let state = server.state();
        if state == AdminState::Ready {
            return false;
        }
        match self.entry {
            Some(entry) if entry.foreign.is_some() && entry.process == process.id => entry.verified,
            Some(entry) if entry.state == state && entry.foreign.is_none() => false,
            // Not read back yet: our command was lost.
            Some(entry) if entry.process == process.id => entry.verified,
            // A new process. `disabled` servers begin in maintenance; one that has an address of ours has its state from
            // a state file, so somebody had set it.
            Some(entry) => {
                !(state == AdminState::Maint
                    && server.is_disabled_in_configuration()
                    && entry.endpoint.is_none_or(|endpoint| !is_at(server, endpoint)))
            }
            // Never seen. What is out of service and should be, or is `disabled` in the configuration and has not the address
            // that it should have, is where a slot begins.
            None => match self.wanted {
                Wanted::Empty | Wanted::Drain(_) => false,
                Wanted::Serve(_) => {
                    state == AdminState::Drain || !server.is_disabled_in_configuration() || self.occupant_is_there()
                }
            },
        }
    }
}

pub(super) fn is_at(server: &ServerState, endpoint: Endpoint) -> bool {
    server.address == Some(endpoint.ip()) && server.port == endpoint.port()
}

pub(super) fn endpoint_of(server: &ServerState) -> Option<Endpoint> {
    Endpoint::new(server.address?, server.port).ok()
}

/// Whether its checks say that it is dead.
pub(super) fn is_down(server: &ServerState) -> bool {
    server.is_checked() && !server.is_up()
}

pub(super) fn has_traffic(server: &ServerState) -> bool {
    server.state() == AdminState::Ready && server.is_up() && server.weight > 0
}
