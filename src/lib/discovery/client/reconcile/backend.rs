//! A backend that is being decided about, and the steps that its slots have in common.

use super::places::At;
use super::slot::{Slot, endpoint_of};
use super::step::{Expected, Step};
use super::view::{Settings, View};
use crate::discovery::client::record::Entry;
use crate::discovery::client::slots::{Desired, Occupant};
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
        let reason = || "its agent is enabled only while the list has a serving server here".to_owned();
        let step = || self.set(slot, "", AdminState::Maint, reason(), self.entry(slot, AdminState::Maint));
        server.has_agent().then(step)
    }
}

/// A server that serves is asked for by its agent again.
pub(super) fn wake_agent(slot: &Slot<'_>, server: &ServerState) -> Option<Command> {
    let asleep = server.may_have_agent() && !server.has_agent();
    asleep.then(|| Command::EnableAgent(slot.name.clone()))
}
