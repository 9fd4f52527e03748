//! What to do with a slot, by what it is and what it should be.

use super::backend::Backend;
use super::budget::Budget;
use super::slot::{Slot, endpoint_of, is_down};
use super::step::{Expected, Outcome, Step, Waiting};
use crate::discovery::client::slots::{Occupant, Wanted};
use crate::haproxy::runtime::{AdminState, Command, ServerState};

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
            return self.leave_to_others(slot, server, state, outcome);
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
                    Some(occupant) => (occupant.instance.as_str(), "its slot belongs to another server now"),
                    None => ("", "the list has no server of this backend in the slot"),
                };
                self.drain(slot, server, instance, reason, budget, outcome)
            }
            (_, AdminState::Drain) => self.leave(slot, server, outcome),
        };
        // What an operator had set here is over. Kept, it would be put back after a reload, and nobody would end it.
        let ended = state == AdminState::Ready && slot.entry.is_some_and(|entry| entry.foreign.is_some());
        if step.is_none() && (ended || !outcome.waiting.iter().any(|(number, _)| *number == slot.number)) {
            outcome.noted.push((slot.name.clone(), self.seen(slot, server, state)));
        }
        step
    }

    /// A state that is not ours stays, and is noted.
    fn leave_to_others(
        &self,
        slot: &Slot<'_>,
        server: &ServerState,
        state: AdminState,
        outcome: &mut Outcome,
    ) -> Option<Step> {
        if slot.entry.is_some() && server.may_have_agent() && !slot.occupant_is_there() {
            // As likely its agent's doing as an operator's, and about a server that is not wanted here any more. The agent
            // may be gone with it, and would never end it.
            let reason = "its agent or an operator had taken out the previous server of this slot";
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
        None
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
            reason: format!("its weight is {} and should be {weight}", server.weight),
            expected: Expected { state: Some(AdminState::Ready), endpoint: None, weight: Some(weight) },
            entry: Some(entry),
        })
    }
}
