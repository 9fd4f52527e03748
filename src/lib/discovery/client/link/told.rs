//! What keeps an HAProxy from matching the list: logged once when it begins, and once when it is over.

use crate::discovery::client::reconcile::{Outcome, Waiting};
use crate::discovery::client::record::Record;
use crate::discovery::client::slots::{Desired, Wanted, dynamic_id};
use crate::haproxy::address::Address;
use crate::haproxy::runtime::{AdminState, Observation, ServerState};
use std::collections::{BTreeMap, BTreeSet};

/// What was logged.
#[derive(Default)]
pub(super) struct Told {
    /// By the name of the server without its number, and the number.
    waiting: BTreeMap<(String, u32), Waiting>,
    unfit: BTreeSet<String>,
    missing: BTreeSet<String>,
    /// Backends with servers whose ids are those of an earlier version.
    other_ids: BTreeSet<String>,
    /// Backends whose slots have agent checks, and those where an agent has been in the way.
    agents: BTreeSet<String>,
    in_the_way: BTreeSet<String>,
}

impl Told {
    /// Logs what differs from the last time.
    pub(super) fn update(&mut self, socket: &Address, plans: &[(Desired, Outcome)], observation: &Observation) {
        let socket = socket.to_string();
        let mut waiting = BTreeMap::new();
        let mut unfit = BTreeSet::new();
        for (wanted, outcome) in plans {
            let backend = wanted.backend.as_str();
            for (slot, why) in &outcome.waiting {
                waiting.insert((format!("{backend}/{}", wanted.base), *slot), *why);
            }
            for (slot, instance, reason) in &wanted.unfit {
                unfit.insert(format!("{backend}: {instance} in slot {slot} is left out: {reason}"));
            }
        }
        for ((base, slot), why) in &waiting {
            let server = format!("{base}{slot}");
            match (self.waiting.get(&(base.clone(), *slot)), why) {
                (Some(before), now) if before == now => {}
                (_, Waiting::Draining) => {}
                (_, Waiting::Capacity) => tracing::info!(socket, server, "{}", words(*why)),
                _ => tracing::warn!(socket, server, "{}", words(*why)),
            }
        }
        for ((base, slot), why) in &self.waiting {
            let now = waiting.get(&(base.clone(), *slot));
            if matches!(why, Waiting::Held(_)) && !matches!(now, Some(Waiting::Held(_))) {
                tracing::info!(socket, server = format!("{base}{slot}"), "no longer held");
            }
        }
        for text in unfit.difference(&self.unfit) {
            tracing::warn!(socket, "{text}");
        }
        let missing: BTreeSet<String> = observation.missing.iter().cloned().collect();
        for backend in missing.difference(&self.missing) {
            tracing::error!(socket, backend, "HAProxy has no such backend");
        }
        let other_ids: BTreeSet<String> = plans
            .iter()
            .filter(|(wanted, _)| has_other_ids(wanted, observation))
            .map(|(w, _)| w.backend.to_string())
            .collect();
        for backend in other_ids.difference(&self.other_ids) {
            tracing::warn!(
                socket,
                backend,
                "servers added by an earlier version have ids that differ from those on other HAProxy hosts, which \
                 matters for consistent hashing; reload HAProxy to correct this"
            );
        }
        (self.waiting, self.unfit, self.missing, self.other_ids) = (waiting, unfit, missing, other_ids);
    }
}

/// What there is to say where agents are asked about slots.
pub(super) const AGENTS: &str = "its slots have agent checks: there the agent sets weights, and the list sets states; \
    the agent must not answer ready (haproxystats-agent: own-admin-state = false), or else empty slots need the address \
    255.255.255.255, where no agent answers";

impl Told {
    /// Logs where agents are asked about slots, and where one has made a slot ready that the list has empty.
    pub(super) fn agents(
        &mut self,
        socket: &Address,
        plans: &[(Desired, Outcome)],
        observation: &Observation,
        record: Option<&Record>,
    ) {
        for (wanted, _) in plans {
            let backend = wanted.backend.as_str();
            for (number, row) in slots_with_agents(wanted, observation) {
                if self.agents.insert(backend.to_owned()) {
                    tracing::info!(%socket, backend, "{AGENTS}");
                }
                let empty = matches!(wanted.slots.get(&number), Some(Wanted::Empty));
                let name = wanted.server(number).ok();
                let entry = name.as_ref().and_then(|name| record?.get(name));
                let was_ours = match entry {
                    Some(entry) if entry.process == observation.process.id => {
                        entry.state != AdminState::Ready && entry.foreign.is_none()
                    }
                    _ => row.is_disabled_in_configuration(),
                };
                let made_ready = empty && was_ours && row.has_agent() && row.state() == AdminState::Ready;
                if made_ready && self.in_the_way.insert(backend.to_owned()) {
                    let server = &row.server;
                    tracing::warn!(
                        %socket, backend, server,
                        "its agent has set a slot to ready that should be empty; the slot is taken out again; set \
                         own-admin-state = false in haproxystats-agent, let the agent answer without ready, or \
                         configure the slots with the address 255.255.255.255, where no agent answers"
                    );
                }
            }
        }
    }
}

/// The slots of a backend about which an agent may be asked.
pub(super) fn slots_with_agents<'o>(
    wanted: &'o Desired,
    observation: &'o Observation,
) -> impl Iterator<Item = (u32, &'o ServerState)> {
    let rows = observation.servers.rows.iter().filter(|row| row.backend == wanted.backend.as_str());
    rows.filter(|row| row.may_have_agent())
        .filter_map(|row| Some((wanted.slot(&row.server)?, row)))
        .filter(|(number, _)| wanted.slots.contains_key(number))
}

/// Whether a server that was added has not the id that its slot gives it.
fn has_other_ids(wanted: &Desired, observation: &Observation) -> bool {
    let mut rows = observation.servers.rows.iter().filter(|row| row.backend == wanted.backend.as_str());
    wanted.dynamic.is_some()
        && rows.any(|row| wanted.slot(&row.server).is_some_and(|slot| row.server_id != dynamic_id(slot)))
}

/// Why a slot waits, in words.
pub(super) fn words(waiting: Waiting) -> String {
    match waiting {
        Waiting::Held(state) => {
            format!("held: set to {state} by an operator or another program; left alone until it is ready again")
        }
        Waiting::HeldElsewhere(slot) => {
            format!("held: its server was taken out in slot {slot} by an operator or another program")
        }
        Waiting::Draining => "waits for its sessions to end".to_owned(),
        Waiting::Capacity => "keeps serving until other servers are up".to_owned(),
        Waiting::Missing => "HAProxy has no such server; make server-template larger".to_owned(),
        Waiting::NotOurs => "tracks another server, uses a resolver, or is a UNIX socket; left alone".to_owned(),
        Waiting::TooOld => "adding servers requires HAProxy 2.6".to_owned(),
    }
}
