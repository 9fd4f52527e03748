//! Facts and properties of [`super::reconcile`], against a model of HAProxy.

mod coming;
mod converging;
mod leaving;
mod moving;
mod operators;
mod replacing;

use super::slot::{has_traffic, is_at};
use super::*;
use crate::config::discovery::{Backend as Configured, BackendMode, Ramp, Serves};
use crate::discovery::client::model::{Model, PLACEHOLDER};
use crate::discovery::client::slots::{Desired, desired};
use crate::discovery::document::{Document, Server, State};
use crate::discovery::hint::Hint;
use crate::haproxy::runtime::{AdminState, Batch, Command, OpenSessions, Weight};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

const SETTINGS: Settings = Settings { drain_timeout: Duration::from_secs(30), shutdown_sessions: false };

fn document(servers: &[Option<(u8, &str, State)>]) -> Document {
    let ramp = Ramp { min: 10, max: 10, step: 1, interval: Duration::from_secs(30) };
    let mut document = Document::empty(servers.len(), ramp);
    for (slot, server) in document.slots.iter_mut().zip(servers) {
        slot.server = server.map(|(number, group, state)| Server {
            instance: format!("i-{number}"),
            name: String::new(),
            addresses: vec![format!("10.0.0.{number}").parse().unwrap()],
            port: None,
            group: group.to_owned(),
            zone: String::new(),
            hint: Hint::FULL,
            since: 0,
            state,
            weight: 10,
            since_millis: 0,
            gained: 0,
            doubt: None,
        });
    }
    document
}

fn active(number: u8) -> Option<(u8, &'static str, State)> {
    Some((number, "asg-0", State::Active))
}

fn backend(serves: Serves, mode: BackendMode) -> Configured {
    let (name, base_name) = ("web".to_owned(), "web".to_owned());
    Configured { name, base_name, port: 8765, mode, serves, server_options: "check".to_owned() }
}

fn wanted(document: &Document) -> Desired {
    desired(document, &backend(Serves::All, BackendMode::Template), true, 1_000_000).unwrap()
}

/// One HAProxy and what we know of it.
struct Site {
    model: Model,
    record: Record,
    now: u64,
}

impl Site {
    fn new(slots: u32, checked: bool) -> Self {
        Self { model: Model::new(slots, checked, true), record: Record::default(), now: 1000 }
    }

    fn look(&self, desired: &Desired) -> Outcome {
        let (process, servers, sessions) = (&self.model.process, &self.model.servers, &self.model.sessions);
        let view = View { process, servers, sessions, fixed_weights: false, now: self.now };
        reconcile(desired, view, &self.record, SETTINGS)
    }

    /// One pass as the client does it; what was sent.
    fn pass(&mut self, desired: &Desired) -> Vec<String> {
        let outcome = self.look(desired);
        let mut seen = HashSet::new();
        let changed = outcome.steps.iter().map(|step| &step.server);
        for server in outcome.noted.iter().map(|(server, _)| server).chain(changed) {
            assert!(seen.insert(server), "{server} is noted or changed twice: {outcome:?}");
        }
        for (server, entry) in &outcome.noted {
            self.record.set(server, *entry);
        }
        for step in &outcome.steps {
            if let Some(entry) = step.entry {
                self.record.set(&step.server, entry);
            }
        }
        let batches = Batch::pack(outcome.steps.iter().map(|step| step.commands.as_slice()));
        self.run(&outcome.steps);
        self.seldom_twice(outcome.steps.is_empty());
        for step in &outcome.steps {
            let server = self.model.servers.find("web", step.server.server.as_str());
            assert!(step.expected.is_met(server), "{step:?} {server:?}");
            match step.entry {
                Some(mut entry) => {
                    entry.verified = true;
                    self.record.set(&step.server, entry);
                }
                None => drop(self.record.remove(&step.server)),
            }
        }
        batches.iter().flat_map(|batch| batch.commands().iter().map(Command::to_string)).collect()
    }

    /// Passes, passed checks and time until nothing is left to do.
    fn settle(&mut self, desired: &Desired) -> Vec<String> {
        let mut all = Vec::new();
        for round in 0..60 {
            let sent = self.pass(desired);
            if sent.is_empty() && round > 45 {
                return all;
            }
            all.extend(sent);
            self.model.pass_checks();
            self.now += 1;
            for row in &self.model.servers.rows {
                self.model.sessions.insert("web", &row.server, 0);
            }
        }
        panic!("no end: {all:?}\n{:?}", self.look(desired));
    }

    /// Sends steps, command by command: HAProxy answers requests between any two of them. A server that serves before and after
    /// serves all the time, and there are never fewer than before or after. What somebody else had set is put back first
    /// of all, whatever that costs.
    fn run(&mut self, steps: &[Step]) {
        let is_back = |step: &&Step| step.entry.is_some_and(|entry| entry.foreign.is_some());
        let back = steps.iter().take_while(is_back).count();
        let mut seen = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            if number >= back && seen.is_empty() {
                seen.push(self.serving());
            }
            for command in &step.commands {
                for batch in Batch::pack([std::slice::from_ref(command)]) {
                    self.model.run(&batch);
                }
                if number >= back {
                    seen.push(self.serving());
                }
            }
        }
        let (Some(before), Some(after)) = (seen.first(), seen.last()) else { return };
        for now in &seen {
            assert!(before.intersection(after).all(|server| now.contains(server)), "{seen:?}: {steps:?}");
            assert!(now.len() >= before.len().min(after.len()), "{seen:?}: {steps:?}");
        }
    }

    /// Who is given requests.
    fn serving(&self) -> HashSet<(Option<IpAddr>, u16)> {
        let rows = self.model.servers.rows.iter().filter(|row| has_traffic(row) && row.address != Some(PLACEHOLDER));
        rows.map(|row| (row.address, row.port)).collect()
    }

    /// A server takes new sessions through two slots only while it goes from one to the other.
    fn seldom_twice(&self, at_rest: bool) {
        let mut seen: HashMap<_, usize> = HashMap::new();
        for row in self.model.servers.rows.iter().filter(|row| has_traffic(row)) {
            *seen.entry((row.address, row.port)).or_default() += usize::from(row.address != Some(PLACEHOLDER));
        }
        let most = seen.values().copied().max().unwrap_or(0);
        assert!(most <= if at_rest { 1 } else { 2 }, "{:?}", self.model.servers.rows);
    }

    fn server(&self, slot: u32) -> &ServerState {
        self.model.servers.find("web", &format!("web{slot}")).expect("a server")
    }
}

/// Sessions end at once.
fn end_sessions(site: &mut Site) {
    for row in &site.model.servers.rows {
        site.model.sessions.insert("web", &row.server, 0);
    }
}

fn up(site: &Site) -> usize {
    site.model.servers.rows.iter().filter(|row| has_traffic(row)).count()
}

fn all(numbers: impl IntoIterator<Item = u8>) -> Desired {
    wanted(&document(&numbers.into_iter().map(active).collect::<Vec<_>>()))
}
