//! What the client tells about itself.

use super::reconcile::{Outcome, Waiting};
use super::slots::{Desired, Occupant, Wanted};
use crate::config::Server;
use crate::discovery::document::Document;
use crate::discovery::report::{Sample, ServerWeight};
use crate::discovery::utc_seconds;
use crate::haproxy::runtime::{AdminState, Servers};
use crate::telemetry::{DISCOVERY_BACKEND as BACKEND, DISCOVERY_CLIENT as LIST, DISCOVERY_SOCKET as SOCKET, as_f64};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

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
    pub fn rows(&self, socket: &Server, refused: usize) {
        self.0.borrow_mut().sockets.entry(socket.to_string()).or_default().refused = refused;
    }

    /// All values, figure by figure.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let figures = self.0.borrow();
        let now = utc_seconds();
        // Nothing is told about what never happened.
        let age = |since: u64| if since == 0 { f64::NAN } else { as_f64(now.saturating_sub(since)) };
        let size = |value: usize| as_f64(u64::try_from(value).unwrap_or(u64::MAX));
        let mut samples = Vec::new();
        let list = [f64::from(u8::from(figures.store_up)), as_f64(figures.version), age(figures.read)];
        for (definition, value) in LIST.iter().zip(list) {
            samples.push(Sample { definition, labels: Vec::new(), value });
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
                samples.push(Sample { definition, labels: vec![("socket", socket.clone())], value });
            }
        }
        for (index, definition) in BACKEND.iter().enumerate() {
            for (socket, of) in &figures.sockets {
                for (backend, of) in &of.backends {
                    let labels = vec![("socket", socket.clone()), ("backend", backend.clone())];
                    let value = of.values.get(index).copied().map_or(f64::NAN, size);
                    samples.push(Sample { definition, labels, value });
                }
            }
        }
        samples.retain(|sample| !sample.value.is_nan());
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
