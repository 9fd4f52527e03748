//! States that others had set in an HAProxy process that was replaced: the new one does not know them.

use super::backend::Backend;
use super::slot::{Slot, is_at};
use super::step::{Expected, Outcome, Step, Waiting};
use crate::discovery::client::record::Entry;
use crate::discovery::client::slots::{Wanted, dynamic_id};
use crate::haproxy::runtime::{AdminState, Command, Endpoint, ServerState, Weight};

impl Backend<'_> {
    /// Puts a slot back: first the state, so that no request gets there, then the address that it was about.
    pub(super) fn put_back(&self, slot: &Slot<'_>, server: &ServerState, state: AdminState) -> Step {
        let mut commands = Vec::new();
        // Where the agent is switched off as well, it is not wanted to say `ready` now.
        if server.has_agent() && slot.entry.is_some_and(|entry| entry.unasked) {
            commands.push(Command::DisableAgent(slot.name.clone()));
        }
        if server.state() != state {
            commands.push(Command::State(slot.name.clone(), state));
        }
        let endpoint = self.endpoint(slot);
        if let Some(endpoint) = endpoint.filter(|endpoint| !is_at(server, *endpoint)) {
            commands.push(Command::Address(slot.name.clone(), endpoint));
        }
        let occupant = slot.wanted.occupant().filter(|occupant| Some(occupant.endpoint) == endpoint);
        let weight = occupant.and_then(|occupant| self.weight(server.may_have_agent(), server.weight, occupant));
        commands.extend(weight.map(|weight| Command::Weight(slot.name.clone(), weight)));
        self.held(slot, state, endpoint, weight, commands)
    }

    /// Adds a dynamic server, which a reload has deleted, and leaves it in maintenance or draining.
    pub(super) fn add_back(&self, slot: &Slot<'_>, state: AdminState, outcome: &mut Outcome) -> Option<Step> {
        let options = self.desired.dynamic.as_ref()?;
        let Some(endpoint) = self.endpoint(slot).filter(|_| !matches!(slot.wanted, Wanted::Empty)) else {
            // The list has nobody here any more: there is nothing to hold.
            outcome.noted.push((slot.name.clone(), Entry::new(self.view.process.id, AdminState::Maint)));
            return None;
        };
        outcome.waiting.push((slot.number, Waiting::Held(state)));
        let name = &slot.name;
        let mut commands = vec![Command::Add(name.clone(), endpoint, dynamic_id(slot.number), options.clone())];
        if options.has_check() {
            commands.push(Command::EnableHealth(name.clone()));
        }
        if options.has_agent() && !slot.entry.is_some_and(|entry| entry.unasked) {
            commands.push(Command::EnableAgent(name.clone()));
        }
        // A server that was added is in maintenance.
        if state != AdminState::Maint {
            commands.push(Command::State(name.clone(), state));
        }
        Some(self.held(slot, state, Some(endpoint), None, commands))
    }

    fn endpoint(&self, slot: &Slot<'_>) -> Option<Endpoint> {
        let noted = slot.entry.and_then(|entry| entry.endpoint);
        noted.or_else(|| slot.wanted.occupant().map(|occupant| occupant.endpoint))
    }

    fn held(
        &self,
        slot: &Slot<'_>,
        state: AdminState,
        endpoint: Option<Endpoint>,
        weight: Option<Weight>,
        commands: Vec<Command>,
    ) -> Step {
        let mut entry = slot.entry.copied().unwrap_or_else(|| self.entry(slot, AdminState::Ready));
        entry.process = self.view.process.id;
        entry.foreign = Some(state);
        entry.endpoint = endpoint;
        // Until it is read back, it is still to be put back.
        entry.verified = false;
        let instance = slot.wanted.occupant().map_or_else(String::new, |occupant| occupant.instance.clone());
        Step {
            slot: slot.number,
            server: slot.name.clone(),
            instance,
            commands,
            reason: format!("it had been set to {state} by an operator or another program before HAProxy was replaced"),
            expected: Expected { state: Some(state), endpoint, weight },
            entry: Some(entry),
        }
    }
}
