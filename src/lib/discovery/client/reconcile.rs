//! From what is wanted and what is there to the commands between them. A pure function: no clock, no socket.
//!
//! A slot goes through these states, a step with each round at most; where nothing has to be waited for, rounds follow
//! each other at once:
//!
//! ```text
//! empty (maint) ─► address, weight 0, ready, health down, weight ─► checks pass ─► serving
//! serving ─► drain ─► no open session, or drain-timeout ─► maint ─► empty, or the next occupant
//! ```
//!
//! - `ready` makes a server UP before any check has passed, and `health down` has an effect only after it. With the weight
//!   at 0 between the two, no request gets there in between.
//! - Somebody else's `maint` or `drain` stays until they end it. What we set is in the [`Record`], for the process
//!   that we set it in.
//! - Servers leave while half of those that are wanted are up, or when waiting would help nobody.

use super::record::{Entry, Record};
use super::slots::{Desired, Occupant, Wanted};
use crate::haproxy::runtime::{
    AdminState, Command, Endpoint, OpenSessions, Process, ServerName, ServerState, Servers, Weight,
};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// What the operator of the client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Time for the sessions of a leaving server to end.
    pub drain_timeout: Duration,
    /// End the sessions that are left after it.
    pub shutdown_sessions: bool,
}

/// What is seen of one HAProxy.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The process.
    pub process: &'a Process,
    /// Its servers.
    pub servers: &'a Servers,
    /// Their open sessions, as far as they are known.
    pub sessions: &'a OpenSessions,
    /// Whether the backend takes no weights (a static balance algorithm).
    pub fixed_weights: bool,
    /// UTC seconds.
    pub now: u64,
}

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
    pub fn is_met(&self, server: Option<&ServerState>) -> bool {
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
    /// Somebody else has set it to drain or maint.
    Held(AdminState),
    /// Its server is in a slot that somebody else has set to drain or maint.
    HeldElsewhere(u32),
    /// Its sessions have not ended.
    Draining,
    /// It goes on serving until others are up.
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
    /// Changes, servers that leave first.
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

/// What there is to do so that a backend becomes as it should be.
#[must_use]
pub fn reconcile(desired: &Desired, view: View<'_>, record: &Record, settings: Settings) -> Outcome {
    let mut outcome = Outcome::default();
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let rows = || view.servers.rows.iter().filter(|server| server.backend == desired.backend.as_str());
    let by_name: HashMap<&str, &ServerState> = rows().map(|server| (server.server.as_str(), server)).collect();
    for (&number, wanted) in &desired.slots {
        let Ok(name) = desired.server(number) else { continue };
        let server = by_name.get(name.server.as_str()).copied();
        slots.push(Slot { number, entry: record.get(&name), name, server, wanted });
    }
    // Slots beyond the list are ours only where we have set something.
    for server in rows() {
        let beyond = desired.slot(&server.server).filter(|number| !desired.slots.contains_key(number));
        if let Some(number) = beyond
            && let Ok(name) = desired.server(number)
            && let Some(entry) = record.get(&name)
        {
            slots.push(Slot { number, name, server: Some(server), entry: Some(entry), wanted: &Wanted::Empty });
        }
    }
    let backend = Backend { desired, view, settings, places: places(&slots, desired, view.process) };
    let mut budget = Budget::new(&slots, desired, view);
    let mut leaving = Vec::new();
    let mut deleting = Vec::new();
    let mut coming = Vec::new();
    for slot in &slots {
        match backend.decide(slot, &mut budget, &mut outcome) {
            None => {}
            Some(step) if step.entry.is_none() => deleting.push(step),
            Some(step) if step.expected.state == Some(AdminState::Ready) => coming.push(step),
            Some(step) => leaving.push(step),
        }
    }
    // A server that goes to another slot is gone from the old one before it comes up in the new one.
    outcome.steps = leaving;
    outcome.steps.extend(deleting);
    outcome.steps.extend(coming);
    outcome
}

/// A slot as it is and as it should be.
struct Slot<'a> {
    number: u32,
    name: ServerName,
    server: Option<&'a ServerState>,
    entry: Option<&'a Entry>,
    wanted: &'a Wanted,
}

impl Slot<'_> {
    fn occupant_is_there(&self) -> bool {
        match (self.server, self.wanted.occupant()) {
            (Some(server), Some(occupant)) => is_at(server, occupant.endpoint),
            _ => false,
        }
    }

    /// Whether its state was set by somebody else, and is not ours to change.
    fn is_foreign(&self, process: &Process) -> bool {
        let Some(server) = self.server else { return false };
        let state = server.state();
        if state == AdminState::Ready {
            return false;
        }
        match self.entry {
            Some(entry) if entry.foreign.is_some() && entry.process == process.id => true,
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

fn is_at(server: &ServerState, endpoint: Endpoint) -> bool {
    server.address == Some(endpoint.ip()) && server.port == endpoint.port()
}

fn endpoint_of(server: &ServerState) -> Option<Endpoint> {
    Endpoint::new(server.address?, server.port).ok()
}

fn has_traffic(server: &ServerState) -> bool {
    server.state() == AdminState::Ready && server.is_up() && server.weight > 0
}

/// A slot that holds an address, as others see it.
#[derive(Debug, Clone, Copy)]
struct Place {
    slot: u32,
    foreign: bool,
    state: AdminState,
    up: bool,
}

/// What is known about an address: the slots that hold it, and a slot that waits for it and could take it now.
#[derive(Debug, Default)]
struct At {
    holders: Vec<Place>,
    ready_for_it: Option<u32>,
}

fn places(slots: &[Slot<'_>], desired: &Desired, process: &Process) -> HashMap<Endpoint, At> {
    let mut places: HashMap<Endpoint, At> = HashMap::new();
    for slot in slots {
        if let Some(server) = slot.server
            && let Some(endpoint) = endpoint_of(server)
        {
            let (foreign, state, up) = (slot.is_foreign(process), server.state(), server.is_up());
            let place = Place { slot: slot.number, foreign, state, up };
            places.entry(endpoint).or_default().holders.push(place);
        }
        let free = match slot.server {
            Some(server) if slot.is_foreign(process) || server.is_led_by_others() => false,
            Some(server) if server.state() == AdminState::Drain => slot.occupant_is_there(),
            Some(server) => server.state() == AdminState::Maint,
            None => desired.dynamic.is_some() && process.has_dynamic_servers(),
        };
        if let Wanted::Serve(occupant) = slot.wanted
            && free
        {
            places.entry(occupant.endpoint).or_default().ready_for_it = Some(slot.number);
        }
    }
    places
}

/// How many servers that are up may leave now.
struct Budget(usize);

impl Budget {
    fn new(slots: &[Slot<'_>], desired: &Desired, view: View<'_>) -> Self {
        let (mut wanted, mut good, mut leaving, mut coming) = (0_usize, 0_usize, 0_usize, 0_usize);
        for slot in slots.iter().filter(|slot| !slot.is_foreign(view.process)) {
            let up = slot.server.is_some_and(has_traffic);
            let serves = matches!(slot.wanted, Wanted::Serve(_));
            wanted += usize::from(serves);
            match (serves && slot.occupant_is_there(), up) {
                (true, true) => good += 1,
                (false, true) => leaving += 1,
                (_, false) => coming += usize::from(serves && (slot.server.is_some() || desired.dynamic.is_some())),
            }
        }
        let needed = wanted.div_ceil(2);
        if good >= needed {
            return Self(usize::MAX);
        }
        let spare = (good + leaving).saturating_sub(needed);
        // Nobody is on the way: one has to leave so that another one can take its place.
        Self(if coming == 0 { spare.max(1) } else { spare })
    }

    fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// What all slots of a backend share.
struct Backend<'a> {
    desired: &'a Desired,
    view: View<'a>,
    settings: Settings,
    places: HashMap<Endpoint, At>,
}

impl Backend<'_> {
    fn decide(&self, slot: &Slot<'_>, budget: &mut Budget, outcome: &mut Outcome) -> Option<Step> {
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
        if slot.is_foreign(self.view.process) {
            outcome.waiting.push((slot.number, Waiting::Held(state)));
            let mut entry = slot.entry.copied().unwrap_or_else(|| self.entry(slot, AdminState::Ready));
            entry.process = self.view.process.id;
            entry.foreign = Some(state);
            entry.verified = true;
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
            (Wanted::Drain(_), AdminState::Maint) => None,
            (Wanted::Empty, AdminState::Maint) => return self.empty(slot, server, outcome),
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

    /// A fresh entry that keeps what is known about the slot.
    fn entry(&self, slot: &Slot<'_>, state: AdminState) -> Entry {
        let mut entry = Entry::new(self.view.process.id, state);
        if let Some(before) = slot.entry {
            (entry.endpoint, entry.up) = (before.endpoint, before.up);
            // A clock that was set back does not make draining longer.
            entry.since = if state == AdminState::Drain { before.since.min(self.view.now) } else { 0 };
        }
        entry
    }

    /// The entry of a slot that is as it should be.
    fn seen(&self, slot: &Slot<'_>, server: &ServerState, state: AdminState) -> Entry {
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

    fn without_server(&self, slot: &Slot<'_>, outcome: &mut Outcome) -> Option<Step> {
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
        // Consistent hashing goes by the id: with that of the slot it is the same in every HAProxy.
        let mut same_backend = self.view.servers.rows.iter().filter(|row| row.backend == self.desired.backend.as_str());
        let id = if same_backend.any(|row| row.server_id == slot.number) { None } else { Some(slot.number) };
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
        commands.extend(self.bring_up(name, options.has_check(), options.has_agent(), occupant));
        Some(self.come(slot, occupant, commands, "added: the list has it here"))
    }

    fn activate(
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
            let weight = self.weight(server.has_agent(), server.weight, occupant);
            commands.extend(weight.map(|weight| Command::Weight(name.clone(), weight)));
            commands.push(Command::State(name.clone(), AdminState::Ready));
            let reason = if moves { "it comes from another slot" } else { "it was up before HAProxy was replaced" };
            return Some(self.come(slot, occupant, commands, reason));
        }
        commands.extend(self.bring_up(name, server.is_checked(), server.has_agent(), occupant));
        Some(self.come(slot, occupant, commands, "the list has it here"))
    }

    /// In the process before this one it was up at this address: nobody has to wait for checks after a reload.
    fn was_up(&self, slot: &Slot<'_>, occupant: &Occupant) -> bool {
        slot.entry.is_some_and(|entry| {
            entry.process != self.view.process.id && entry.up && entry.endpoint == Some(occupant.endpoint)
        })
    }

    /// Ready, but without a request before the first check has passed.
    fn bring_up(&self, name: &ServerName, checked: bool, agent: bool, occupant: &Occupant) -> Vec<Command> {
        let ready = Command::State(name.clone(), AdminState::Ready);
        let down = Command::HealthDown(name.clone());
        let weight = occupant.weight.filter(|_| !agent && !self.view.fixed_weights);
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
        let weight = commands.iter().rev().find_map(|command| match command {
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
    fn weight(&self, agent: bool, now: u16, occupant: &Occupant) -> Option<Weight> {
        occupant.weight.filter(|weight| weight.get() != now && !agent && !self.view.fixed_weights)
    }

    fn drain(
        &self,
        slot: &Slot<'_>,
        server: &ServerState,
        instance: &str,
        reason: &str,
        budget: &mut Budget,
        outcome: &mut Outcome,
    ) -> Option<Step> {
        if has_traffic(server) && !self.moves_away(slot, server) && !budget.take() {
            outcome.waiting.push((slot.number, Waiting::Capacity));
            return None;
        }
        let mut entry = self.entry(slot, AdminState::Drain);
        (entry.verified, entry.since) = (false, self.view.now);
        Some(self.set(slot, instance, AdminState::Drain, reason.to_owned(), entry))
    }

    /// From drain to maintenance, or straight to the next occupant.
    fn leave(&self, slot: &Slot<'_>, server: &ServerState, outcome: &mut Outcome) -> Option<Step> {
        let now = self.view.now;
        let since = slot.entry.map_or(now, |entry| if entry.since == 0 { now } else { entry.since });
        let overdue = now.saturating_sub(since) >= self.settings.drain_timeout.as_secs();
        let sessions = self.view.sessions.of(&server.backend, &server.server);
        if sessions.is_none() {
            outcome.ask_sessions.insert(server.backend_id);
        }
        let open = match sessions {
            Some(0) => 0,
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
            0 => "its sessions have ended".to_owned(),
            open => format!("drain-timeout is over, with {open} sessions left"),
        };
        let mut entry = self.entry(slot, AdminState::Maint);
        entry.verified = false;
        let mut step = self.set(slot, "", AdminState::Maint, reason, entry);
        if open > 0 && self.settings.shutdown_sessions {
            step.commands.push(Command::ShutdownSessions(slot.name.clone()));
        }
        Some(step)
    }

    /// In maintenance, as it should be; a dynamic server is deleted.
    fn empty(&self, slot: &Slot<'_>, server: &ServerState, outcome: &mut Outcome) -> Option<Step> {
        let noted = self.seen(slot, server, AdminState::Maint);
        if self.desired.dynamic.is_none() {
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

    fn set(&self, slot: &Slot<'_>, instance: &str, state: AdminState, reason: String, mut entry: Entry) -> Step {
        entry.verified = false;
        Step {
            slot: slot.number,
            server: slot.name.clone(),
            instance: instance.to_owned(),
            commands: vec![Command::State(slot.name.clone(), state)],
            reason,
            expected: Expected { state: Some(state), endpoint: None, weight: None },
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

    /// Whether the server in this slot is wanted in another one, which is free for it now.
    fn moves_away(&self, slot: &Slot<'_>, server: &ServerState) -> bool {
        let at = endpoint_of(server).and_then(|endpoint| self.places.get(&endpoint));
        at.is_some_and(|at| {
            at.ready_for_it.is_some_and(|number| number != slot.number) && !at.holders.iter().any(|place| place.foreign)
        })
    }

    fn elsewhere(&self, slot: &Slot<'_>, endpoint: Endpoint) -> impl Iterator<Item = &Place> {
        let holders = self.places.get(&endpoint).map(|at| at.holders.as_slice()).unwrap_or_default();
        let number = slot.number;
        holders.iter().filter(move |place| place.slot != number)
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
