//! What to do with a slot, by what it is and what it should be.

use super::budget::Budget;
use super::places::At;
use super::slot::{Slot, endpoint_of, is_down};
use super::{Expected, Outcome, Settings, Step, View, Waiting};
use crate::discovery::client::record::Entry;
use crate::discovery::client::slots::{Desired, Occupant, Wanted};
use crate::haproxy::runtime::{AdminState, Command, Endpoint, ServerState, Weight};
use std::collections::HashMap;

/// What all slots of a backend share.
pub(super) struct Backend<'a> {
    pub(super) desired: &'a Desired,
    pub(super) view: View<'a>,
    pub(super) settings: Settings,
    pub(super) places: HashMap<Endpoint, At>,
}

impl Backend<'_> {
    pub(super) fn decide(&self, slot: &Slot<'_>, budget: &mut Budget, outcome: &mut Outcome) -> Option<Step> {
        let Some(server) = slot.server else {
            return self.without_server(slot, outcome);
        };
        if server.address.is_none() || server.is_led_by_others() {
            if !matches!(slot.wanted, Wanted::Empty) {
                outcome.waiting.push((slot.number, Waiting::NotOurs));
            }
            return None;
        }
        let state = server.state();
        if let Some(state) = slot.forgotten(self.view.process) {
            outcome.waiting.push((slot.number, Waiting::Held(state)));
            return Some(self.put_back(slot, server, state));
        }
        if slot.is_foreign(self.view.process) {
            if slot.entry.is_some() && server.may_have_agent() && !slot.occupant_is_there() {
                // As likely its agent's doing as an operator's, and about a server that is not wanted here any more. The agent
                // may be gone with it, and would never end it.
                let reason = "its agent or an operator had taken out the server that the list has here no longer";
                return Some(self.set(slot, "", state, reason.to_owned(), self.entry(slot, state)));
            }
            outcome.waiting.push((slot.number, Waiting::Held(state)));
            let mut entry = slot.entry.copied().unwrap_or_else(|| self.entry(slot, AdminState::Ready));
            entry.process = self.view.process.id;
            entry.foreign = Some(state);
            entry.verified = true;
            entry.unasked = server.may_have_agent() && !server.has_agent();
            // For the time after a reload, when it tells a state that a state file kept from that of a new slot.
            entry.endpoint = endpoint_of(server);
            outcome.noted.push((slot.name.clone(), entry));
            return None;
        }
        let step = match (slot.wanted, state) {
            (Wanted::Serve(occupant), AdminState::Maint) => self.activate(slot, server, occupant, outcome),
            (Wanted::Serve(occupant), AdminState::Ready) if slot.occupant_is_there() => {
                return self.serving(slot, server, occupant, outcome);
            }
            (Wanted::Serve(occupant), AdminState::Drain) if slot.occupant_is_there() => {
                let reason = "it is wanted again".to_owned();
                Some(self.set(slot, &occupant.instance, AdminState::Ready, reason, self.entry(slot, AdminState::Ready)))
            }
            (Wanted::Drain(occupant), AdminState::Ready) if slot.occupant_is_there() => {
                self.drain(slot, server, &occupant.instance, "the list has it leaving", budget, outcome)
            }
            (Wanted::Drain(_), AdminState::Drain) if slot.occupant_is_there() => None,
            // A server that leaves is not brought up for it.
            (Wanted::Drain(_), AdminState::Maint) => self.silence(slot, server),
            (Wanted::Empty, AdminState::Maint) => return self.empty(slot, server, outcome),
            (_, AdminState::Ready) if is_down(server) => {
                let reason = "its checks fail, and it is to leave".to_owned();
                Some(self.set(slot, "", AdminState::Maint, reason, self.entry(slot, AdminState::Maint)))
            }
            (wanted, AdminState::Ready) => {
                let (instance, reason) = match wanted.occupant() {
                    Some(occupant) => (occupant.instance.as_str(), "its slot is another server's now"),
                    None => ("", "the list has no server for this backend there"),
                };
                self.drain(slot, server, instance, reason, budget, outcome)
            }
            (_, AdminState::Drain) => self.leave(slot, server, outcome),
        };
        if step.is_none() && !outcome.waiting.iter().any(|(number, _)| *number == slot.number) {
            outcome.noted.push((slot.name.clone(), self.seen(slot, server, state)));
        }
        step
    }

    fn serving(
        &self,
        slot: &Slot<'_>,
        server: &ServerState,
        occupant: &Occupant,
        outcome: &mut Outcome,
    ) -> Option<Step> {
        outcome.serving += 1;
        let entry = self.seen(slot, server, AdminState::Ready);
        let Some(weight) = self.weight(server.has_agent(), server.weight, occupant) else {
            outcome.noted.push((slot.name.clone(), entry));
            return None;
        };
        Some(Step {
            slot: slot.number,
            server: slot.name.clone(),
            instance: occupant.instance.clone(),
            commands: vec![Command::Weight(slot.name.clone(), weight)],
            reason: format!("its weight is {}, and {weight} is wanted now", server.weight),
            expected: Expected { state: Some(AdminState::Ready), endpoint: None, weight: Some(weight) },
            entry: Some(entry),
        })
    }

    /// The weight to set, if it is ours to set and another one. Where an agent is asked, the weight is the agent's.
    pub(super) fn weight(&self, agent: bool, now: u16, occupant: &Occupant) -> Option<Weight> {
        occupant.weight.filter(|weight| weight.get() != now && !agent && !self.view.fixed_weights)
    }

    /// A fresh entry that keeps what is known about the slot.
    pub(super) fn entry(&self, slot: &Slot<'_>, state: AdminState) -> Entry {
        let mut entry = Entry::new(self.view.process.id, state);
        if let Some(before) = slot.entry {
            (entry.endpoint, entry.up) = (before.endpoint, before.up);
            // A clock that was set back does not make draining longer.
            entry.since = if state == AdminState::Drain { before.since.min(self.view.now) } else { 0 };
        }
        entry
    }

    /// The entry of a slot that is as it should be.
    pub(super) fn seen(&self, slot: &Slot<'_>, server: &ServerState, state: AdminState) -> Entry {
        let mut entry = self.entry(slot, state);
        if state == AdminState::Ready {
            entry.endpoint = endpoint_of(server);
            entry.up = server.is_up();
        }
        if state == AdminState::Drain && entry.since == 0 {
            entry.since = self.view.now;
        }
        entry
    }

    pub(super) fn set(
        &self,
        slot: &Slot<'_>,
        instance: &str,
        state: AdminState,
        reason: String,
        mut entry: Entry,
    ) -> Step {
        entry.verified = false;
        let mut commands = vec![Command::State(slot.name.clone(), state)];
        match state {
            AdminState::Ready => commands.extend(slot.server.and_then(|server| wake_agent(slot, server))),
            // First: it might say `ready` in between.
            AdminState::Drain | AdminState::Maint => {
                let asked = slot.server.is_some_and(ServerState::has_agent);
                commands.splice(0..0, asked.then(|| Command::DisableAgent(slot.name.clone())));
            }
        }
        Step {
            slot: slot.number,
            server: slot.name.clone(),
            instance: instance.to_owned(),
            commands,
            reason,
            expected: Expected { state: Some(state), endpoint: None, weight: None },
            entry: Some(entry),
        }
    }

    /// In maintenance, as it should be, but its agent is asked, and could make it ready at whatever address it has.
    pub(super) fn silence(&self, slot: &Slot<'_>, server: &ServerState) -> Option<Step> {
        let reason = || "its agent is asked only while the list has it serving".to_owned();
        let step = || self.set(slot, "", AdminState::Maint, reason(), self.entry(slot, AdminState::Maint));
        server.has_agent().then(step)
    }
}

/// A server that serves is asked for by its agent again.
pub(super) fn wake_agent(slot: &Slot<'_>, server: &ServerState) -> Option<Command> {
    let asleep = server.may_have_agent() && !server.has_agent();
    asleep.then(|| Command::EnableAgent(slot.name.clone()))
}
