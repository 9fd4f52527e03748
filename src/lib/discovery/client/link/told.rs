//! What keeps a HAProxy from being as the list says: logged once, when it begins and when it is over.

use crate::config::Server;
use crate::discovery::client::reconcile::{Outcome, Waiting};
use crate::discovery::client::slots::Desired;
use crate::haproxy::runtime::Observation;
use std::collections::{BTreeMap, BTreeSet};

/// What was logged.
#[derive(Default)]
pub(super) struct Told {
    /// By the name of the server without its number, and the number.
    waiting: BTreeMap<(String, u32), Waiting>,
    unfit: BTreeSet<String>,
    missing: BTreeSet<String>,
}

impl Told {
    /// Logs what differs from the last time.
    pub(super) fn update(&mut self, socket: &Server, plans: &[(Desired, Outcome)], observation: &Observation) {
        let socket = socket.to_string();
        let mut waiting = BTreeMap::new();
        let mut unfit = BTreeSet::new();
        for (wanted, outcome) in plans {
            let backend = wanted.backend.as_str();
            for (slot, why) in &outcome.waiting {
                waiting.insert((format!("{backend}/{}", wanted.base), *slot), *why);
            }
            for (slot, instance, reason) in &wanted.unfit {
                unfit.insert(format!("{backend}: {instance} of slot {slot} is left out: {reason}"));
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
                tracing::info!(socket, server = format!("{base}{slot}"), "not held any more");
            }
        }
        for text in unfit.difference(&self.unfit) {
            tracing::warn!(socket, "{text}");
        }
        let missing: BTreeSet<String> = observation.missing.iter().cloned().collect();
        for backend in missing.difference(&self.missing) {
            tracing::error!(socket, backend, "HAProxy has no such backend");
        }
        *self = Self { waiting, unfit, missing };
    }
}

/// Why a slot waits, in words.
pub(super) fn words(waiting: Waiting) -> String {
    match waiting {
        Waiting::Held(state) => {
            format!("held: somebody else has set it to {state}; it is left alone until it is ready again")
        }
        Waiting::HeldElsewhere(slot) => format!("held: somebody else has taken its server out in slot {slot}"),
        Waiting::Draining => "waits for its sessions to end".to_owned(),
        Waiting::Capacity => "goes on serving until others are up".to_owned(),
        Waiting::Missing => "HAProxy has no such server; make server-template larger".to_owned(),
        Waiting::NotOurs => "follows another server or a resolver, or is a UNIX socket; it is left alone".to_owned(),
        Waiting::TooOld => "servers can be added from HAProxy 2.6 on".to_owned(),
    }
}
