//! What the client tells about itself.

use super::reconcile::{Outcome, Waiting};
use super::slots::{Desired, Occupant, Wanted};
use crate::config::Server;
use crate::discovery::document::Document;
use crate::discovery::utc_seconds;
use crate::exporter::{Page, name_of};
use crate::haproxy::runtime::{AdminState, Process, Servers};
use crate::telemetry::{Definition, Kind, as_f64};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Beginning of the names of the client's figures on the page of metrics.
pub const PREFIX: &str = "haproxystats_discovery_client";

/// HSDO's only metric: its name on the page, as dashboards have it.
pub const WEIGHT: &str = "hsdo_server_weight";
/// What it says.
pub const WEIGHT_ABOUT: &str = "Weight of a server of the list in HAProxy: of all processes and backends, the largest.";

const fn row(name: &'static str, unit: &'static str, kind: Kind, about: &'static str) -> Definition {
    Definition { name, unit, kind, about }
}

/// About the list.
pub const LIST: [Definition; 3] = [
    row("StoreUp", "", Kind::Gauge, "Whether the store answered last time: 1 or 0."),
    row("ListVersion", "", Kind::Gauge, "Version of the list that is in force; 0 when there is none."),
    row(
        "ListAge",
        "seconds",
        Kind::Gauge,
        "Time since the list in force was last read from the store, or confirmed by it.",
    ),
];

/// About each HAProxy (label `socket`).
pub const SOCKET: [Definition; 9] = [
    row("HaproxyUp", "", Kind::Gauge, "Whether HAProxy answered in the last round: 1 or 0."),
    row("RoundAge", "seconds", Kind::Gauge, "Time since the last round that was completed."),
    row(
        "Rounds",
        "rounds",
        Kind::Counter,
        "Rounds that were completed: HAProxy looked at, and changed where it differed.",
    ),
    row("RoundFailures", "rounds", Kind::Counter, "Rounds that ended early, because HAProxy did not answer."),
    row("Replacements", "processes", Kind::Counter, "Times another process answered: reloads and restarts of HAProxy."),
    row("Commands", "commands", Kind::Counter, "Commands that were sent."),
    row("Changes", "changes", Kind::Counter, "Changes that were made and read back."),
    row("Failures", "changes", Kind::Counter, "Changes that HAProxy refused, or that could not be read back."),
    row("RefusedRows", "rows", Kind::Gauge, "Servers in HAProxy's last answer that could not be read."),
];

/// About each backend of each HAProxy (labels `socket`, `backend`).
pub const BACKEND: [Definition; 8] = [
    row("Slots", "slots", Kind::Gauge, "Slots that the list has a server for in this backend."),
    row("Serving", "slots", Kind::Gauge, "Slots that are as the list has them, and ready."),
    row("Up", "slots", Kind::Gauge, "Of these, slots whose server is up."),
    row(
        "Drift",
        "slots",
        Kind::Gauge,
        "Slots that differ from the list and are not held: changes under way, or failing.",
    ),
    row(
        "Held",
        "slots",
        Kind::Gauge,
        "Slots that somebody else has set to drain or maint, or whose server somebody has taken out in another slot.",
    ),
    row("Draining", "slots", Kind::Gauge, "Slots that wait for sessions to end, or for others to be up."),
    row(
        "Unplaced",
        "slots",
        Kind::Gauge,
        "Servers of the list for which HAProxy has no slot, or one that cannot be set.",
    ),
    row(
        "LeftOut",
        "slots",
        Kind::Gauge,
        "Servers of the list that are not put into HAProxy: twice there, or with an address that is none.",
    ),
];

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

/// Figures of a backend, in the order of [`BACKEND`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackendFigures {
    values: [usize; BACKEND.len()],
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
        let values = [
            slots,
            outcome.serving,
            up,
            outcome.steps.len() + draining,
            count(&|why| matches!(why, Waiting::Held(_) | Waiting::HeldElsewhere(_))),
            draining,
            count(&|why| matches!(why, Waiting::Missing | Waiting::NotOurs | Waiting::TooOld)),
            wanted.unfit.len(),
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

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What it is.
    pub definition: Definition,
    /// Socket and backend, as far as it belongs to one.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

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
    pub fn count(&self, socket: &Server, event: Event, by: usize) {
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
    pub fn backend(&self, socket: &Server, backend: &str, of: BackendFigures) {
        let mut figures = self.0.borrow_mut();
        figures.sockets.entry(socket.to_string()).or_default().backends.insert(backend.to_owned(), of);
    }

    /// What its answer was like.
    pub fn rows(&self, socket: &Server, _process: &Process, refused: usize) {
        self.0.borrow_mut().sockets.entry(socket.to_string()).or_default().refused = refused;
    }

    /// All values, family by family.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let figures = self.0.borrow();
        let now = utc_seconds();
        let age = |since: u64| if since == 0 { f64::NAN } else { as_f64(now.saturating_sub(since)) };
        let size = |value: usize| as_f64(u64::try_from(value).unwrap_or(u64::MAX));
        let mut samples = Vec::new();
        let list = [f64::from(u8::from(figures.store_up)), as_f64(figures.version), age(figures.read)];
        for (definition, value) in LIST.iter().zip(list) {
            samples.push(Sample { definition: *definition, labels: Vec::new(), value });
        }
        for (index, definition) in SOCKET.iter().enumerate() {
            for (socket, of) in &figures.sockets {
                let count = |event: Event| as_f64(of.counts.get(event as usize).copied().unwrap_or(0));
                let values = [
                    f64::from(u8::from(of.up)),
                    age(of.last),
                    count(Event::Round),
                    count(Event::RoundFailure),
                    count(Event::Replaced),
                    count(Event::Commands),
                    count(Event::Changes),
                    count(Event::Failures),
                    size(of.refused),
                ];
                let value = values.get(index).copied().unwrap_or(f64::NAN);
                samples.push(Sample { definition: *definition, labels: vec![("socket", socket.clone())], value });
            }
        }
        for (index, definition) in BACKEND.iter().enumerate() {
            for (socket, of) in &figures.sockets {
                for (backend, of) in &of.backends {
                    let labels = vec![("socket", socket.clone()), ("backend", backend.clone())];
                    let value = of.values.get(index).copied().map_or(f64::NAN, size);
                    samples.push(Sample { definition: *definition, labels, value });
                }
            }
        }
        samples
    }

    /// Writes them onto the page of metrics, HSDO's metric first.
    pub fn append(&self, page: &mut Page) {
        let mut weights: BTreeMap<(u32, String), (Occupant, u16)> = BTreeMap::new();
        for of in self.0.borrow().sockets.values().flat_map(|of| of.backends.values()) {
            for (slot, occupant, weight) in &of.weights {
                let entry = weights.entry((*slot, occupant.instance.clone())).or_insert_with(|| (occupant.clone(), 0));
                entry.1 = entry.1.max(*weight);
            }
        }
        let mut family = page.family(WEIGHT, Kind::Gauge, WEIGHT_ABOUT);
        for ((slot, _), (occupant, weight)) in &weights {
            let (id, ip) = (slot.to_string(), occupant.endpoint.ip().to_string());
            let labels = [
                ("id", id.as_str()),
                ("name", occupant.name.as_str()),
                ("ip", ip.as_str()),
                ("asg", occupant.group.as_str()),
            ];
            family.sample(&labels, f64::from(*weight));
        }
        let samples = self.samples();
        for definition in LIST.iter().chain(&SOCKET).chain(&BACKEND) {
            let mut family = page.family(&name_of(PREFIX, definition), definition.kind, definition.about);
            for sample in samples.iter().filter(|sample| sample.definition == *definition && !sample.value.is_nan()) {
                let labels: Vec<(&str, &str)> =
                    sample.labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
                family.sample(&labels, sample.value);
            }
        }
    }
}
