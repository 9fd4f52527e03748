//! Slots whose server comes: it is added, or brought up.

use super::backend::{Backend, wake_agent};
use super::places::Place;
use super::slot::{Slot, is_at};
use super::step::{Expected, Outcome, Step, Waiting};
use crate::discovery::client::slots::{Occupant, Wanted, dynamic_id};
use crate::haproxy::runtime::{AdminState, Command, Endpoint, ServerName, ServerState, Weight};

impl Backend<'_> {
    pub(super) fn without_server(&self, slot: &Slot<'_>, outcome: &mut Outcome) -> Option<Step> {
        if self.desired.dynamic.is_some()
            && self.view.process.has_dynamic_servers()
            && let Some(state) = slot.forgotten(self.view.process)
        {
            return self.add_back(slot, state, outcome);
        }
        let Wanted::Serve(occupant) = slot.wanted else { return None };
        let Some(options) = &self.desired.dynamic else {
            outcome.waiting.push((slot.number, Waiting::Missing));
            return None;
        };
        if !self.view.process.has_dynamic_servers() {
            outcome.waiting.push((slot.number, Waiting::TooOld));
            return None;
        }
        if let Some(waiting) = self.held_elsewhere(slot, occupant) {
            outcome.waiting.push((slot.number, waiting));
            return None;
        }
        let name = &slot.name;
        let id = dynamic_id(slot.number);
        let mut commands = vec![Command::Add(name.clone(), occupant.endpoint, id, options.clone())];
        if options.has_check() {
            commands.push(Command::EnableHealth(name.clone()));
        }
        if options.has_agent() {
            commands.push(Command::EnableAgent(name.clone()));
        }
        if self.was_up(slot, occupant) {
            let weight = occupant.weight.filter(|_| !options.has_agent() && !self.view.fixed_weights);
            commands.extend(weight.map(|weight| Command::Weight(name.clone(), weight)));
            commands.push(Command::State(name.clone(), AdminState::Ready));
            return Some(self.come(slot, occupant, commands, "added: it was up before HAProxy was replaced"));
        }
        let weight = occupant.weight.filter(|_| !options.has_agent());
        commands.extend(self.bring_up(name, options.has_check(), weight));
        Some(self.come(slot, occupant, commands, "added: the list has it here"))
    }

    pub(super) fn activate(
        &self,
        slot: &Slot<'_>,
        server: &ServerState,
        occupant: &Occupant,
        outcome: &mut Outcome,
    ) -> Option<Step> {
        if let Some(waiting) = self.held_elsewhere(slot, occupant) {
            outcome.waiting.push((slot.number, waiting));
            return None;
        }
        let name = &slot.name;
        let mut commands = Vec::new();
        if !is_at(server, occupant.endpoint) {
            commands.push(Command::Address(name.clone(), occupant.endpoint));
        }
        let was_up = self.was_up(slot, occupant);
        let moves = self.moves_here(slot, occupant);
        if was_up || moves {
            let weight = self.weight(server.may_have_agent(), server.weight, occupant);
            commands.extend(weight.map(|weight| Command::Weight(name.clone(), weight)));
            commands.push(Command::State(name.clone(), AdminState::Ready));
            commands.extend(wake_agent(slot, server));
            let reason = if moves { "it comes from another slot" } else { "it was up before HAProxy was replaced" };
            return Some(self.come(slot, occupant, commands, reason));
        }
        commands.extend(self.bring_up(name, server.is_checked(), self.first_weight(server, occupant)));
        commands.extend(wake_agent(slot, server));
        Some(self.come(slot, occupant, commands, "the list has it here"))
    }

    /// In the process before this one it was up at this address: nobody has to wait for checks after a reload.
    fn was_up(&self, slot: &Slot<'_>, occupant: &Occupant) -> bool {
        slot.entry.is_some_and(|entry| {
            entry.process != self.view.process.id && entry.up && entry.endpoint == Some(occupant.endpoint)
        })
    }

    /// The weight with which a server begins: that of the list, or, where an agent decides, the configured one. What the
    /// agent of the slot's last server said is not true of this one.
    fn first_weight(&self, server: &ServerState, occupant: &Occupant) -> Option<Weight> {
        let configured = Weight::new(u64::from(server.initial_weight)).ok();
        if server.may_have_agent() { occupant.weight.and(configured) } else { occupant.weight }
    }

    /// Ready, but without a request before the first check has passed.
    fn bring_up(&self, name: &ServerName, checked: bool, weight: Option<Weight>) -> Vec<Command> {
        let ready = Command::State(name.clone(), AdminState::Ready);
        let down = Command::HealthDown(name.clone());
        let weight = weight.filter(|_| !self.view.fixed_weights);
        let set = |weight| Command::Weight(name.clone(), weight);
        match (checked, weight) {
            (true, Some(weight)) if weight == Weight::ZERO => vec![set(weight), ready, down],
            (true, Some(weight)) => vec![set(Weight::ZERO), ready, down, set(weight)],
            (true, None) => vec![ready, down],
            (false, Some(weight)) => vec![set(weight), ready],
            (false, None) => vec![ready],
        }
    }

    fn come(&self, slot: &Slot<'_>, occupant: &Occupant, commands: Vec<Command>, reason: &str) -> Step {
        let mut entry = self.entry(slot, AdminState::Ready);
        (entry.verified, entry.endpoint, entry.up) = (false, Some(occupant.endpoint), false);
        // An agent may change it at once.
        let agent = slot.server.is_some_and(ServerState::may_have_agent);
        let weight = commands.iter().rev().filter(|_| !agent).find_map(|command| match command {
            Command::Weight(_, weight) => Some(*weight),
            _ => None,
        });
        Step {
            slot: slot.number,
            server: slot.name.clone(),
            instance: occupant.instance.clone(),
            commands,
            reason: format!("{reason} ({})", occupant.endpoint),
            expected: Expected { state: Some(AdminState::Ready), endpoint: Some(occupant.endpoint), weight },
            entry: Some(entry),
        }
    }

    /// Somebody else has taken this server out, in another slot.
    fn held_elsewhere(&self, slot: &Slot<'_>, occupant: &Occupant) -> Option<Waiting> {
        self.elsewhere(slot, occupant.endpoint)
            .find(|place| place.foreign)
            .map(|place| Waiting::HeldElsewhere(place.slot))
    }

    /// Whether the server is up in another slot, which it leaves for this one.
    fn moves_here(&self, slot: &Slot<'_>, occupant: &Occupant) -> bool {
        self.elsewhere(slot, occupant.endpoint).any(|place| place.state != AdminState::Maint && place.up)
    }

    fn elsewhere(&self, slot: &Slot<'_>, endpoint: Endpoint) -> impl Iterator<Item = &Place> {
        let holders = self.places.get(&endpoint).map(|at| at.holders.as_slice()).unwrap_or_default();
        let number = slot.number;
        holders.iter().filter(move |place| place.slot != number)
    }
}
