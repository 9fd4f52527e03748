//! The rules of the plan one by one, and what must hold for any source at any time.

mod groups;
mod guard;
mod identity;
mod life;
mod list;
mod properties;
mod replacements;
mod seed;
mod time;

use super::guard::allowance;
use super::planning::{Identity, identity_of};
use super::*;
use crate::config::discovery::{Ramp, Serves};
use crate::discovery::document::{Slot, State, Unplaced, What};
use crate::discovery::hint::Hint;
use crate::discovery::source::{FailedGroup, Life, Unusable};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

const START: u64 = 1_700_000_000;

fn settings(list_size: usize) -> Settings {
    Settings {
        list_size,
        ramp: Ramp { min: 1, max: 10, step: 1, interval: Duration::from_secs(30) },
        source_weights: true,
        drain_time: Duration::from_secs(60),
        confirmations: 3,
        hold_obsolete: Duration::ZERO,
        ratio: 0.5,
        floor: 1,
        hold: Duration::from_secs(300),
        groups: None,
        backends: Vec::new(),
    }
}

/// At a time in seconds.
fn plan(present: Option<&Document>, listing: Option<&Listing>, now: u64, settings: &Settings) -> Document {
    super::plan(present, listing, now * 1000, settings)
}

fn instance(number: u8) -> Instance {
    Instance {
        id: format!("i-{number:02}"),
        name: format!("web{number}"),
        addresses: vec![IpAddr::from([10, 0, 0, number])],
        port: None,
        group: "asg".to_owned(),
        zone: "a".to_owned(),
        healthy: true,
        life: Life::InService,
        hint: Hint::FULL,
    }
}

fn listing(at: u64, instances: impl IntoIterator<Item = Instance>) -> Listing {
    Listing { taken: at * 1000, instances: instances.into_iter().collect(), ..Listing::default() }
}

fn numbers(at: u64, numbers: impl IntoIterator<Item = u8>) -> Listing {
    listing(at, numbers.into_iter().map(instance))
}

/// The instances by slot; `-` for a free one, `~` before a draining one.
fn shown(document: &Document) -> String {
    let slot = |slot: &Slot| match &slot.server {
        None => "-".to_owned(),
        Some(server) if server.state == State::Active => server.instance.replace("i-", ""),
        Some(server) => server.instance.replace("i-", "~"),
    };
    document.slots.iter().map(slot).collect::<Vec<_>>().join(" ")
}

fn whats(document: &Document) -> Vec<What> {
    document.reasons.iter().map(|reason| reason.what).collect()
}

/// A server's rounds: each call is one listing, a second later than the one before.
struct Rounds {
    document: Document,
    now: u64,
    settings: Settings,
}

impl Rounds {
    fn new(settings: Settings) -> Self {
        Self { document: Document::empty(settings.list_size, settings.ramp), now: START, settings }
    }

    fn see(&mut self, instances: impl IntoIterator<Item = Instance>) -> String {
        self.now += 1;
        let listing = listing(self.now, instances);
        self.document = plan(Some(&self.document), Some(&listing), self.now, &self.settings);
        shown(&self.document)
    }

    fn see_numbers(&mut self, list: impl IntoIterator<Item = u8>) -> String {
        self.see(list.into_iter().map(instance))
    }

    fn wait(&mut self, seconds: u64) -> String {
        self.now += seconds;
        self.document = plan(Some(&self.document), None, self.now, &self.settings);
        shown(&self.document)
    }
}

fn of_group(number: u8, group: &str) -> Instance {
    Instance { group: group.to_owned(), ..instance(number) }
}

fn weights(document: &Document) -> Vec<u16> {
    document.servers().map(|(_, server)| server.weight).collect()
}
