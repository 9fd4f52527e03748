//! Slots whose server leaves: drain, maintenance, and deletion of dynamic ones.

use super::backend::Backend;
use super::budget::Budget;
use super::slot::{Slot, endpoint_of, has_traffic, is_down};
use super::step::{Expected, Outcome, Step, Waiting};
use crate::haproxy::runtime::{AdminState, Command, ServerState};

impl Backend<'_> {
    pub(super) fn drain(
        &self,
        slot: &Slot<'_>,
        server: &ServerState,
        instance: &str,
        reason: &str,
        budget: &mut Budget,
        outcome: &mut Outcome,
    ) -> Option<Step> {
        if has_traffic(server) && !self.is_elsewhere(slot, server) {
            if self.moves_away(slot, server) {
                // It comes up there first, and is read back.
                return None;
            }
            if !budget.take() {
                outcome.waiting.push((slot.number, Waiting::Capacity));
                return None;
            }
        }
        let mut entry = self.entry(slot, AdminState::Drain);
        (entry.verified, entry.since) = (false, self.view.now);
        Some(self.set(slot, instance, AdminState::Drain, reason.to_owned(), entry))
    }

    /// From drain to maintenance, or straight to the next occupant.
    pub(super) fn leave(&self, slot: &Slot<'_>, server: &ServerState, outcome: &mut Outcome) -> Option<Step> {
        let now = self.view.now;
        let since = slot.entry.map_or(now, |entry| if entry.since == 0 { now } else { entry.since });
        let overdue = now.saturating_sub(since) >= self.settings.drain_timeout.as_secs();
        let sessions = self.view.sessions.of(&server.backend, &server.server);
        if sessions.is_none() && !is_down(server) {
            outcome.ask_sessions.insert(server.backend_id);
        }
        let open = match sessions {
            Some(0) => 0,
            // Clients of a dead server get nothing from it any more.
            open if is_down(server) => open.unwrap_or(0),
            Some(open) if overdue => open,
            None if overdue => 0,
            _ => {
                outcome.waiting.push((slot.number, Waiting::Draining));
                let mut entry = self.entry(slot, AdminState::Drain);
                entry.since = since.min(now);
                outcome.noted.push((slot.name.clone(), entry));
                return None;
            }
        };
        let reason = match open {
            open if open > 0 && !overdue => format!("its checks fail, with {open} sessions left"),
            0 => "its sessions have ended".to_owned(),
            open => format!("drain-timeout has expired, with {open} sessions left"),
        };
        let mut entry = self.entry(slot, AdminState::Maint);
        entry.verified = false;
        let mut step = self.set(slot, "", AdminState::Maint, reason, entry);
        if open > 0 && overdue && self.settings.shutdown_sessions {
            step.commands.push(Command::ShutdownSessions(slot.name.clone()));
        }
        Some(step)
    }

    /// In maintenance, as it should be; a dynamic server is deleted.
    pub(super) fn empty(&self, slot: &Slot<'_>, server: &ServerState, outcome: &mut Outcome) -> Option<Step> {
        let noted = self.seen(slot, server, AdminState::Maint);
        if self.desired.dynamic.is_none() {
            let silent = self.silence(slot, server);
            if silent.is_some() {
                return silent;
            }
            outcome.noted.push((slot.name.clone(), noted));
            return None;
        }
        // A server that was never ours may have a name like ours.
        slot.entry?;
        match self.view.sessions.of(&server.backend, &server.server) {
            None => {
                outcome.ask_sessions.insert(server.backend_id);
                outcome.waiting.push((slot.number, Waiting::Draining));
                None
            }
            Some(open) if open > 0 => {
                outcome.waiting.push((slot.number, Waiting::Draining));
                None
            }
            Some(_) => Some(Step {
                slot: slot.number,
                server: slot.name.clone(),
                instance: String::new(),
                commands: vec![Command::Delete(slot.name.clone())],
                reason: "deleted: the list has no server here".to_owned(),
                expected: Expected { state: None, endpoint: None, weight: None },
                entry: None,
            }),
        }
    }

    /// Whether the server in this slot serves in another one.
    fn is_elsewhere(&self, slot: &Slot<'_>, server: &ServerState) -> bool {
        let at = endpoint_of(server).and_then(|endpoint| self.places.get(&endpoint));
        at.is_some_and(|at| at.serves_beside(slot.number))
    }

    /// Whether the server in this slot is wanted in another one, which is free for it now.
    fn moves_away(&self, slot: &Slot<'_>, server: &ServerState) -> bool {
        let at = endpoint_of(server).and_then(|endpoint| self.places.get(&endpoint));
        at.is_some_and(|at| {
            at.ready_for_it.is_some_and(|number| number != slot.number) && !at.holders.iter().any(|place| place.foreign)
        })
    }
}
