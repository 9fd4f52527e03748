//! What the client tells about itself.

use super::reconcile::{Outcome, Waiting};
use super::slots::{Desired, Occupant, Wanted};
use crate::discovery::clock::utc_seconds;
use crate::discovery::document::Document;
use crate::discovery::report::ServerWeight;
use crate::haproxy::address::Address;
use crate::haproxy::runtime::{AdminState, Servers};
use crate::telemetry::{Definition, Sample, as_f64, definitions, size};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

definitions! {
    /// Of the client of haproxystats-discovery: about the list.
    pub(crate) static DISCOVERY_CLIENT {
        STORE_UP "DiscoveryClientStoreUp" "1 or 0" Gauge
            "Whether the store answered the client's last request.";
        VERSION "DiscoveryClientVersion" "documents" Gauge
            "Version of the list that the client uses; 0 if it has none.";
        LIST_AGE "DiscoveryClientListAge" "seconds" Gauge
            "Time since the store last returned the list that the client uses, or confirmed that it is unchanged.";
    }
}

definitions! {
    /// Of the client of haproxystats-discovery: about each HAProxy.
    pub(crate) static DISCOVERY_SOCKET {
        UP "DiscoveryClientUp" "1 or 0" Gauge
            "Whether HAProxy answered in the last round.";
        ROUND_AGE "DiscoveryClientRoundAge" "seconds" Gauge
            "Time since the last round that was completed.";
        ROUNDS "DiscoveryClientRounds" "rounds" Counter
            "Completed rounds: HAProxy was compared with the list, and changed where it differed.";
        ROUND_FAILURES "DiscoveryClientRoundFailures" "rounds" Counter
            "Rounds that ended early because HAProxy did not answer.";
        REPLACEMENTS "DiscoveryClientReplacements" "processes" Counter
            "Times that a new process answered: reloads and restarts of HAProxy.";
        COMMANDS "DiscoveryClientCommands" "commands" Counter
            "Commands sent to change something.";
        CHANGES "DiscoveryClientChanges" "changes" Counter
            "Changes that were made and then verified.";
        FAILURES "DiscoveryClientFailures" "changes" Counter
            "Changes that HAProxy refused, or that had not taken effect when they were verified.";
        REFUSED_ROWS "DiscoveryClientRefusedRows" "servers" Gauge
            "Servers in HAProxy's last answer that cannot be read.";
    }
}

definitions! {
    /// Of the client of haproxystats-discovery: about each backend of each HAProxy.
    pub(crate) static DISCOVERY_BACKEND {
        SLOTS "DiscoveryClientSlots" "slots" Gauge
            "Slots for which the list has a server in this backend.";
        SERVING "DiscoveryClientServing" "slots" Gauge
            "Slots that have the server of the list, in state ready.";
        SERVERS_UP "DiscoveryClientServersUp" "slots" Gauge
            "Of these, slots whose server is up.";
        DRIFT "DiscoveryClientDrift" "slots" Gauge
            "Slots that differ from the list and are not held: changes in progress, or changes that fail.";
        HELD "DiscoveryClientHeld" "slots" Gauge
            "Slots that something else has set to drain or maint, or whose server was taken out like that in another \
             slot.";
        WAITING "DiscoveryClientWaiting" "slots" Gauge
            "Slots waiting for sessions to end, or for other servers to be up.";
        UNPLACED "DiscoveryClientUnplaced" "slots" Gauge
            "Servers of the list for which HAProxy has no slot, or only one that cannot be set.";
        LEFT_OUT "DiscoveryClientLeftOut" "slots" Gauge
            "Servers of the list that are not put into HAProxy: they are listed twice, or have no valid address.";
    }
}

/// What is counted for each HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A round was completed.
    Round,
    /// A round ended early.
    RoundFailure,
    /// Another process answers.
    Replaced,
    /// Commands were sent.
    Commands,
    /// Changes were made.
    Changes,
    /// Changes failed.
    Failures,
}

/// Figures of a backend.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackendFigures {
    values: Vec<(&'static Definition, usize)>,
    weights: Vec<(u32, Occupant, u16)>,
}

impl BackendFigures {
    /// What the last look at a backend says.
    #[must_use]
    pub fn new(wanted: &Desired, outcome: &Outcome, servers: &Servers) -> Self {
        let count = |of: &dyn Fn(Waiting) -> bool| outcome.waiting.iter().filter(|(_, why)| of(*why)).count();
        let (mut up, mut weights) = (0, Vec::new());
        let mut slots = 0;
        for (&slot, wants) in &wanted.slots {
            let Some(occupant) = wants.occupant() else { continue };
            slots += 1;
            let name = wanted.server(slot).ok();
            let row = name.and_then(|name| servers.find(wanted.backend.as_str(), name.server.as_str()));
            let there =
                row.filter(|row| row.address == Some(occupant.endpoint.ip()) && row.port == occupant.endpoint.port());
            if let Some(row) = there {
                let ready = row.state() == AdminState::Ready && matches!(wants, Wanted::Serve(_));
                up += usize::from(ready && row.is_up());
                weights.push((slot, occupant.clone(), if ready { row.weight } else { 0 }));
            }
        }
        let draining = count(&|why| matches!(why, Waiting::Draining | Waiting::Capacity));
        let values = vec![
            (&SLOTS, slots),
            (&SERVING, outcome.serving),
            (&SERVERS_UP, up),
            (&DRIFT, outcome.steps.len() + draining),
            (&HELD, count(&|why| matches!(why, Waiting::Held(_) | Waiting::HeldElsewhere(_)))),
            (&WAITING, draining),
            (&UNPLACED, count(&|why| matches!(why, Waiting::Missing | Waiting::NotOurs | Waiting::TooOld))),
            (&LEFT_OUT, wanted.unfit.len()),
        ];
        Self { values, weights }
    }
}

#[derive(Debug, Clone, Default)]
struct OfSocket {
    up: bool,
    last: u64,
    counts: [u64; 6],
    refused: usize,
    backends: BTreeMap<String, BackendFigures>,
}

#[derive(Debug, Default)]
struct Figures {
    store_up: bool,
    version: u64,
    read: u64,
    sockets: BTreeMap<String, OfSocket>,
}

/// The figures of the client, shared by its parts.
#[derive(Debug, Clone, Default)]
pub struct Shown(Rc<RefCell<Figures>>);

impl Shown {
    /// Whether the store answered.
    pub fn store(&self, up: bool) {
        let mut figures = self.0.borrow_mut();
        figures.store_up = up;
        if up {
            figures.read = utc_seconds();
        }
    }

    /// The list that is in force.
    pub fn list(&self, list: &Document) {
        self.0.borrow_mut().version = list.version;
    }

    /// Counts something of a HAProxy.
    pub fn count(&self, socket: &Address, event: Event, by: usize) {
        let mut figures = self.0.borrow_mut();
        let of = figures.sockets.entry(socket.to_string()).or_default();
        match event {
            Event::Round => (of.up, of.last) = (true, utc_seconds()),
            Event::RoundFailure => of.up = false,
            _ => {}
        }
        if let Some(count) = of.counts.get_mut(event as usize) {
            *count = count.saturating_add(u64::try_from(by).unwrap_or(u64::MAX));
        }
    }

    /// What a backend of a HAProxy is like.
    pub fn backend(&self, socket: &Address, backend: &str, of: BackendFigures) {
        let mut figures = self.0.borrow_mut();
        figures.sockets.entry(socket.to_string()).or_default().backends.insert(backend.to_owned(), of);
    }

    /// What its answer was like.
    pub fn rows(&self, socket: &Address, refused: usize) {
        self.0.borrow_mut().sockets.entry(socket.to_string()).or_default().refused = refused;
    }

    /// All values that there are: nothing is said about what never happened.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample<'static>> {
        let figures = self.0.borrow();
        let now = utc_seconds();
        let age = |since: u64| (since > 0).then(|| as_f64(now.saturating_sub(since)));
        let mut samples =
            vec![STORE_UP.sample(f64::from(u8::from(figures.store_up))), VERSION.sample(as_f64(figures.version))];
        samples.extend(age(figures.read).map(|age| LIST_AGE.sample(age)));
        for (socket, of) in &figures.sockets {
            let count = |event: Event| as_f64(of.counts.get(event as usize).copied().unwrap_or(0));
            let round_age = age(of.last).map(|age| ROUND_AGE.sample(age));
            let of_socket = [
                UP.sample(f64::from(u8::from(of.up))),
                ROUNDS.sample(count(Event::Round)),
                ROUND_FAILURES.sample(count(Event::RoundFailure)),
                REPLACEMENTS.sample(count(Event::Replaced)),
                COMMANDS.sample(count(Event::Commands)),
                CHANGES.sample(count(Event::Changes)),
                FAILURES.sample(count(Event::Failures)),
                REFUSED_ROWS.sample(size(of.refused)),
            ];
            samples.extend(of_socket.into_iter().chain(round_age).map(|sample| sample.with("socket", socket.clone())));
            for (backend, of) in &of.backends {
                let values = of.values.iter().map(|(definition, value)| definition.sample(size(*value)));
                samples
                    .extend(values.map(|value| value.with("socket", socket.clone()).with("backend", backend.clone())));
            }
        }
        samples
    }

    /// The weight of each server of the list in HAProxy: of all processes and backends, the largest.
    #[must_use]
    pub fn weights(&self) -> Vec<ServerWeight> {
        let mut weights: BTreeMap<(u32, &str), (&Occupant, u16)> = BTreeMap::new();
        let figures = self.0.borrow();
        for of in figures.sockets.values().flat_map(|of| of.backends.values()) {
            for (slot, occupant, weight) in &of.weights {
                let (_, largest) = weights.entry((*slot, &occupant.instance)).or_insert((occupant, 0));
                *largest = (*largest).max(*weight);
            }
        }
        let weight = |((id, _), (occupant, weight)): ((u32, &str), (&Occupant, u16))| ServerWeight {
            id,
            name: occupant.name.clone(),
            ip: occupant.endpoint.ip().to_string(),
            asg: occupant.group.clone(),
            weight,
        };
        weights.into_iter().map(weight).collect()
    }
}
