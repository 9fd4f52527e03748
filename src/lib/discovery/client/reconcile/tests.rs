//! Facts and properties of [`super::reconcile`], against a model of HAProxy.

use super::slot::has_traffic;
use super::*;
use crate::config::discovery::{Backend as Configured, BackendMode, Ramp, Serves};
use crate::discovery::client::model::{Model, PLACEHOLDER};
use crate::discovery::client::slots::{Desired, desired};
use crate::discovery::document::{Document, Server, State};
use crate::discovery::hint::Hint;
use crate::haproxy::runtime::Batch;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

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

    /// Sends steps, command by command: HAProxy answers requests between any two of them. Whoever serves before and after
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

#[test]
fn an_empty_slot_goes_to_maintenance() {
    // The original's cases "disabled server" and "fallback disabled server": one command, `state maint`; an occupied
    // slot is drained before.
    let mut site = Site::new(1, true);
    assert!(site.pass(&wanted(&document(&[None]))).is_empty(), "a disabled slot is in maintenance already");
    site.settle(&wanted(&document(&[active(1)])));
    let sent = site.settle(&wanted(&document(&[None])));
    assert_eq!(sent, ["set server web/web1 state drain", "set server web/web1 state maint"]);
}

#[test]
fn an_occupied_slot_gets_address_weight_and_ready() {
    // The original's cases "enabled server" and "fallback enabled server": addr, weight, ready, in this order.
    let mut site = Site::new(1, false);
    assert_eq!(
        site.pass(&wanted(&document(&[active(1)]))),
        [
            "set server web/web1 addr 10.0.0.1 port 8765",
            "set server web/web1 weight 10",
            "set server web/web1 state ready"
        ]
    );
    assert!(site.pass(&wanted(&document(&[active(1)]))).is_empty());
}

#[test]
fn a_checked_slot_has_no_weight_until_it_is_down() {
    let mut site = Site::new(1, true);
    let sent = site.pass(&wanted(&document(&[active(1)])));
    assert_eq!(
        sent,
        [
            "set server web/web1 addr 10.0.0.1 port 8765",
            "set server web/web1 weight 0",
            "set server web/web1 state ready",
            "set server web/web1 health down",
            "set server web/web1 weight 10",
        ]
    );
    assert!(!site.server(1).is_up());
}

#[test]
fn a_server_of_another_group_leaves_the_dedicated_backend_and_the_fallback() {
    let only = backend(Serves::Only(vec!["asg-0".into()]), BackendMode::Template);
    let except = backend(Serves::Except(vec!["asg-0".into()]), BackendMode::Template);
    let all = backend(Serves::All, BackendMode::Template);
    let of = |backend: &Configured, group: &'static str| {
        desired(&document(&[Some((1, group, State::Active))]), backend, true, 0).unwrap().slots[&1].clone()
    };
    assert!(matches!(of(&only, "asg-0"), Wanted::Serve(_)));
    assert_eq!(of(&only, "asg-1"), Wanted::Empty);
    assert_eq!(of(&except, "asg-0"), Wanted::Empty);
    assert!(matches!(of(&except, "asg-1"), Wanted::Serve(_)));
    assert!(matches!(of(&all, "asg-1"), Wanted::Serve(_)));
    // And a freed slot is empty in both, whatever its group was.
    let freed = document(&[None]);
    for backend in [&only, &except, &all] {
        assert_eq!(desired(&freed, backend, true, 0).unwrap().slots[&1], Wanted::Empty);
    }
}

#[test]
fn a_slot_is_drained_before_it_gets_another_address() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), active(2)])));
    let next = wanted(&document(&[active(3), active(2)]));
    site.model.sessions.insert("web", "web1", 4);
    assert_eq!(site.pass(&next), ["set server web/web1 state drain"]);
    assert!(site.pass(&next).is_empty(), "sessions are open");
    assert_eq!(site.look(&next).waiting, [(1, Waiting::Draining)]);
    site.model.sessions.insert("web", "web1", 0);
    assert_eq!(site.pass(&next), ["set server web/web1 state maint"]);
    assert_eq!(site.pass(&next)[0], "set server web/web1 addr 10.0.0.3 port 8765");
}

#[test]
fn draining_ends_with_its_time() {
    let mut site = Site::new(1, true);
    site.settle(&wanted(&document(&[active(1)])));
    let next = wanted(&document(&[None]));
    site.model.sessions.insert("web", "web1", 4);
    assert_eq!(site.pass(&next), ["set server web/web1 state drain"]);
    site.now += 29;
    assert!(site.pass(&next).is_empty());
    site.now += 1;
    assert_eq!(site.pass(&next), ["set server web/web1 state maint"]);
}

#[test]
fn sessions_are_ended_after_the_time_to_drain_where_that_is_asked_for() {
    let (maint, shutdown) = ("set server web/web1 state maint", "shutdown sessions server web/web1");
    let cases = [
        (30, 4, true, false, &[maint, shutdown][..], "drain-timeout is over, with 4 sessions left"),
        (30, 4, false, false, &[maint], "drain-timeout is over, with 4 sessions left"),
        (30, 0, true, false, &[maint], "its sessions have ended"),
        (29, 4, true, true, &[maint], "its checks fail, with 4 sessions left"),
    ];
    for (waited, open, shutdown_sessions, dead, commands, reason) in cases {
        let mut site = Site::new(1, true);
        site.settle(&all([1]));
        let next = wanted(&document(&[None]));
        site.model.sessions.insert("web", "web1", 4);
        site.pass(&next);
        site.now += waited;
        site.model.sessions.insert("web", "web1", open);
        if dead {
            site.model.row("web1").unwrap().operation = 0;
        }
        let (process, servers, sessions) = (&site.model.process, &site.model.servers, &site.model.sessions);
        let view = View { process, servers, sessions, fixed_weights: false, now: site.now };
        let outcome = reconcile(&next, view, &site.record, Settings { shutdown_sessions, ..SETTINGS });
        let sent: Vec<String> = outcome.steps[0].commands.iter().map(Command::to_string).collect();
        assert_eq!(
            (sent, outcome.steps[0].reason.as_str()),
            (commands.iter().map(ToString::to_string).collect(), reason)
        );
    }
}

#[test]
fn who_drains_where_the_list_has_another_one_leaving_is_not_waited_for() {
    let mut site = Site::new(1, true);
    site.settle(&all([1]));
    site.settle(&wanted(&document(&[Some((2, "asg-0", State::Draining { since: 0 }))])));
    assert_eq!(site.server(1).state(), AdminState::Maint);
}

#[test]
fn draining_ends_with_its_time_where_sessions_cannot_be_counted() {
    let mut site = Site::new(1, true);
    site.settle(&all([1]));
    let next = wanted(&document(&[None]));
    site.model.sessions = OpenSessions::default();
    assert_eq!(site.pass(&next), ["set server web/web1 state drain"]);
    site.now += 29;
    let outcome = site.look(&next);
    assert_eq!((outcome.steps.len(), outcome.ask_sessions.len()), (0, 1));
    assert_eq!(outcome.waiting, [(1, Waiting::Draining)]);
    site.now += 1;
    assert_eq!(site.pass(&next), ["set server web/web1 state maint"]);
}

#[test]
fn a_dynamic_server_is_deleted_only_when_its_sessions_have_certainly_ended() {
    let mut site = Site::new(0, true);
    let dynamic = |servers: &[Option<(u8, &str, State)>]| {
        desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
    };
    site.settle(&dynamic(&[active(1)]));
    let none = dynamic(&[None]);
    let sent: Vec<String> = (0..2).flat_map(|_| site.pass(&none)).collect();
    assert_eq!(sent, ["set server web/web1 state drain", "set server web/web1 state maint"]);
    for (open, asked) in [(None, 1), (Some(3), 0)] {
        site.model.sessions = OpenSessions::default();
        if let Some(open) = open {
            site.model.sessions.insert("web", "web1", open);
        }
        let outcome = site.look(&none);
        assert_eq!((outcome.steps, outcome.ask_sessions.len()), (vec![], asked));
        assert_eq!(outcome.waiting, [(1, Waiting::Draining)]);
    }
    site.model.sessions.insert("web", "web1", 0);
    assert_eq!(site.pass(&none), ["del server web/web1"]);
}

#[test]
fn only_who_drains_has_a_time_since_when() {
    let mut site = Site::new(1, true);
    let (one, none) = (all([1]), wanted(&document(&[None])));
    let since = |site: &Site| site.record.get(&one.server(1).unwrap()).unwrap().since;
    site.settle(&one);
    assert_eq!(since(&site), 0);
    site.model.sessions.insert("web", "web1", 4);
    let drained = site.now;
    for _ in 0..3 {
        site.pass(&none);
        assert_eq!(since(&site), drained);
        site.now += 1;
    }
    site.settle(&none);
    assert_eq!(since(&site), 0);
}

#[test]
fn the_weight_of_one_who_comes_is_read_back_unless_an_agent_may_change_it() {
    for (agent, weight) in [(0, Some(10)), (2, None)] {
        let mut site = Site::new(1, true);
        site.model.row("web1").unwrap().agent = agent;
        assert_eq!(site.server(1).may_have_agent(), agent != 0);
        let outcome = site.look(&all([1]));
        assert_eq!(outcome.steps[0].expected.weight.map(Weight::get), weight);
    }
}

#[test]
fn an_operators_state_stays_until_the_operator_ends_it() {
    for state in [AdminState::Maint, AdminState::Drain] {
        let mut site = Site::new(2, true);
        let both = wanted(&document(&[active(1), active(2)]));
        site.settle(&both);
        site.model.force("web1", state);
        for next in [both.clone(), wanted(&document(&[None, active(2)])), wanted(&document(&[active(3), active(2)]))] {
            assert!(site.pass(&next).is_empty());
            assert_eq!(site.look(&next).waiting, [(1, Waiting::Held(state))]);
        }
        site.model.force("web1", AdminState::Ready);
        assert!(site.settle(&both).is_empty());
        assert!(site.look(&both).waiting.is_empty());
    }
}

#[test]
fn a_server_that_is_held_in_one_slot_does_not_come_up_in_another() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), None])));
    site.model.force("web1", AdminState::Maint);
    let moved = wanted(&document(&[None, active(1)]));
    assert!(site.pass(&moved).is_empty());
    assert_eq!(site.look(&moved).waiting, [(1, Waiting::Held(AdminState::Maint)), (2, Waiting::HeldElsewhere(1))]);
}

#[test]
fn our_own_maintenance_is_ours_after_a_reload_and_without_a_record() {
    let mut site = Site::new(1, true);
    site.settle(&wanted(&document(&[active(1)])));
    site.settle(&wanted(&document(&[None])));
    site.model.reload();
    assert!(site.look(&wanted(&document(&[None]))).waiting.is_empty());
    site.record = Record::default();
    assert!(!site.settle(&wanted(&document(&[active(1)]))).is_empty());
    assert_eq!(site.server(1).state(), AdminState::Ready);
}

#[test]
fn what_was_up_before_a_reload_is_up_at_once_after_it() {
    let mut site = Site::new(2, true);
    let one = wanted(&document(&[active(1), active(2)]));
    site.settle(&one);
    site.model.row("web2").unwrap().operation = 0;
    site.pass(&one);
    site.model.reload();
    let sent = site.pass(&one);
    assert!(site.server(1).is_up() && !site.server(2).is_up(), "{sent:?}");
    assert!(!sent.contains(&"set server web/web1 health down".to_owned()), "{sent:?}");
}

#[test]
fn a_state_that_a_state_file_kept_over_a_reload_is_still_the_operators() {
    let mut site = Site::new(1, true);
    let one = wanted(&document(&[active(1)]));
    site.settle(&one);
    let rows = site.model.servers.rows.clone();
    site.model.reload();
    site.model.servers.rows = rows;
    site.model.force("web1", AdminState::Maint);
    assert!(site.pass(&one).is_empty());
    assert_eq!(site.look(&one).waiting, [(1, Waiting::Held(AdminState::Maint))]);
}

#[test]
fn an_operators_maintenance_is_seen_without_a_record() {
    let mut site = Site::new(1, true);
    let one = wanted(&document(&[active(1)]));
    site.settle(&one);
    site.model.force("web1", AdminState::Maint);
    site.record = Record::default();
    assert!(site.pass(&one).is_empty());
    assert_eq!(site.look(&one).waiting, [(1, Waiting::Held(AdminState::Maint))]);
}

#[test]
fn a_server_that_goes_to_another_slot_serves_without_a_gap() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), None])));
    let moved = wanted(&document(&[None, active(1)]));
    let sent = site.pass(&moved);
    assert!(site.server(2).is_up() && site.server(2).state() == AdminState::Ready, "{sent:?}");
    assert!(has_traffic(site.server(1)), "{sent:?}");
    assert_eq!(site.pass(&moved), ["set server web/web1 state drain"]);
}

#[test]
fn the_only_server_that_serves_is_up_in_its_new_slot_before_it_is_drained_in_the_old_one() {
    for mode in [BackendMode::Template, BackendMode::Dynamic] {
        let of = |numbers: [Option<u8>; 3]| {
            let list: Vec<_> = numbers.into_iter().map(|number| number.and_then(active)).collect();
            desired(&document(&list), &backend(Serves::All, mode), true, 1_000_000).unwrap()
        };
        let mut site = Site::new(if mode == BackendMode::Template { 3 } else { 0 }, true);
        site.settle(&of([None, Some(2), Some(3)]));
        let next = of([Some(1), Some(3), None]);
        for _ in 0..8 {
            // The newcomer's checks have not passed.
            site.pass(&next);
            end_sessions(&mut site);
            assert!(up(&site) >= 1, "{:?}", site.model.servers.rows);
        }
        assert_eq!(site.serving(), HashSet::from([(Some("10.0.0.3".parse().unwrap()), 8765)]));
        site.settle(&next);
        assert_eq!(up(&site), 2);
    }
}

#[test]
fn a_server_that_cannot_come_up_in_its_new_slot_stays_in_the_old_one() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), None])));
    let moved = wanted(&document(&[None, active(1)]));
    // As where HAProxy refuses the commands for it.
    for _ in 0..3 {
        let steps = site.look(&moved).steps;
        assert!(steps.iter().all(|step| step.slot == 2), "{steps:?}");
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

#[test]
fn not_all_servers_leave_before_others_are_up() {
    let mut site = Site::new(4, true);
    site.settle(&all(1..=4));
    let next = all(5..=8);
    for _ in 0..20 {
        site.pass(&next);
        end_sessions(&mut site);
        assert!(up(&site) >= 2, "{:?}", site.model.servers.rows);
    }
    assert!(site.look(&next).waiting.contains(&(3, Waiting::Capacity)), "{:?}", site.look(&next));
    site.settle(&next);
    assert_eq!(site.look(&next).serving, 4);
}

#[test]
fn slots_of_dead_servers_are_handed_over_at_once_whatever_their_sessions() {
    let mut site = Site::new(4, true);
    site.settle(&all(1..=4));
    for slot in 1..=4 {
        site.model.sessions.insert("web", &format!("web{slot}"), 3);
    }
    for slot in ["web1", "web2", "web3"] {
        site.model.row(slot).unwrap().operation = 0;
    }
    let next = all(5..=8);
    site.pass(&next);
    site.pass(&next);
    for slot in 1..=3 {
        assert_eq!(site.server(slot).address, Some(format!("10.0.0.{}", slot + 4).parse().unwrap()));
    }
    // The only one that is left serves until half of the new ones do.
    assert!(has_traffic(site.server(4)));
    site.pass(&next);
    assert!(has_traffic(site.server(4)));
    site.model.pass_checks();
    assert_eq!(site.pass(&next), ["set server web/web4 state drain"]);
}

#[test]
fn servers_whose_slots_are_waited_for_leave_first() {
    let mut site = Site::new(4, true);
    site.settle(&all(1..=4));
    // Three leave, and somebody waits for the last slot.
    let next = wanted(&document(&[None, None, None, active(5)]));
    assert!(site.pass(&next).contains(&"set server web/web4 state drain".to_owned()));
    for _ in 0..5 {
        end_sessions(&mut site);
        site.pass(&next);
        assert!(up(&site) >= 1, "{:?}", site.model.servers.rows);
    }
    site.settle(&next);
    assert_eq!(up(&site), 1);
}

#[test]
fn what_an_operator_had_set_is_put_back_after_a_reload() {
    for state in [AdminState::Maint, AdminState::Drain] {
        for disabled in [true, false] {
            let mut site = Site::new(2, true);
            site.model = Model::new(2, true, disabled);
            let both = all([1, 2]);
            site.settle(&both);
            site.model.force("web1", state);
            site.pass(&both);
            site.model.reload();
            let sent = site.pass(&both);
            let first = if disabled && state == AdminState::Maint { "addr 10.0.0.1 port 8765" } else { "state" };
            assert!(sent[0].starts_with(&format!("set server web/web1 {first}")), "{sent:?}");
            assert_eq!((site.server(1).state(), site.server(1).address), (state, Some("10.0.0.1".parse().unwrap())));
            site.settle(&both);
            assert!(has_traffic(site.server(2)));
            assert_eq!(site.look(&both).waiting, [(1, Waiting::Held(state))]);
            // Nor is it brought up elsewhere.
            let moved = all([2, 1]);
            site.model.reload();
            site.pass(&moved);
            site.settle(&moved);
            assert_eq!(site.server(1).state(), state);
            assert!(
                !site.model.servers.rows.iter().any(|row| has_traffic(row) && row.address == site.server(1).address)
            );
            site.model.force("web1", AdminState::Ready);
            site.settle(&both);
            assert_eq!(up(&site), 2);
        }
    }
}

#[test]
fn a_state_that_could_not_be_put_back_is_not_taken_for_its_end() {
    let mut site = Site::new(1, true);
    site.model = Model::new(1, true, false);
    let one = all([1]);
    site.settle(&one);
    site.model.force("web1", AdminState::Maint);
    site.pass(&one);
    site.model.reload();
    // It is noted, and then the commands are lost.
    let outcome = site.look(&one);
    for step in &outcome.steps {
        site.record.set(&step.server, step.entry.unwrap());
    }
    assert_eq!(site.pass(&one)[0], "set server web/web1 state maint");
    assert_eq!(site.server(1).state(), AdminState::Maint);
}

#[test]
fn a_dynamic_server_that_an_operator_had_taken_out_is_added_in_maintenance() {
    let mut site = Site::new(0, true);
    let dynamic = |servers: &[Option<(u8, &str, State)>]| {
        desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
    };
    let one = dynamic(&[active(1)]);
    site.settle(&one);
    site.model.force("web1", AdminState::Maint);
    site.pass(&one);
    site.model.reload();
    let sent = site.settle(&one);
    assert!(sent[0].starts_with("add server web/web1 10.0.0.1:8765"), "{sent:?}");
    assert_eq!(site.server(1).state(), AdminState::Maint);
    assert_eq!(site.look(&one).waiting, [(1, Waiting::Held(AdminState::Maint))]);
    site.model.force("web1", AdminState::Ready);
    site.model.reload();
    // Seen as ready only by the next round: the reload came before it.
    site.settle(&one);
    assert_eq!(site.server(1).state(), AdminState::Maint);
    site.model.force("web1", AdminState::Ready);
    site.settle(&one);
    site.model.reload();
    site.settle(&one);
    assert!(has_traffic(site.server(1)));
    // Nobody is there any more: nothing is held.
    site.model.force("web1", AdminState::Maint);
    site.pass(&one);
    site.model.reload();
    assert!(site.settle(&dynamic(&[None])).is_empty());
    site.settle(&one);
    assert!(has_traffic(site.server(1)));
}

#[test]
fn an_agent_that_an_operator_has_switched_off_stays_so_over_a_reload() {
    for unasked in [false, true] {
        let mut site = Site::new(1, true);
        let agent =
            |site: &mut Site, enabled: bool| site.model.row("web1").unwrap().agent = if enabled { 22 } else { 18 };
        agent(&mut site, true);
        let one = wanted(&document(&[active(1)]));
        site.settle(&one);
        agent(&mut site, !unasked);
        site.model.force("web1", AdminState::Maint);
        site.pass(&one);
        site.model.reload();
        agent(&mut site, true);
        let sent = site.pass(&one);
        assert_eq!(sent.first().is_some_and(|first| first == "disable agent web/web1"), unasked, "{sent:?}");
        assert_eq!(site.server(1).has_agent(), !unasked);
    }
}

#[test]
fn what_was_held_of_a_dynamic_server_that_is_gone_holds_no_other() {
    // A list that is too short for the slot says as much as one whose slot is empty.
    for gone in [&[None][..], &[]] {
        let mut site = Site::new(0, true);
        let dynamic = |servers: &[Option<(u8, &str, State)>]| {
            desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
        };
        site.settle(&dynamic(&[active(1)]));
        site.model.force("web1", AdminState::Drain);
        site.pass(&dynamic(gone));
        site.model.reload();
        assert!(site.settle(&dynamic(gone)).is_empty());
        site.settle(&dynamic(&[active(2)]));
        assert!(has_traffic(site.server(1)), "{gone:?}");
    }
}

#[test]
fn two_servers_change_places() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), active(2)])));
    site.settle(&wanted(&document(&[active(2), active(1)])));
    assert_eq!(site.server(1).address, Some("10.0.0.2".parse().unwrap()));
    assert_eq!(site.server(2).address, Some("10.0.0.1".parse().unwrap()));
}

#[test]
fn the_same_server_in_two_slots_of_the_list_is_put_into_one() {
    let twice = wanted(&document(&[active(1), active(1)]));
    assert_eq!(twice.slots[&2], Wanted::Empty);
    assert_eq!(twice.unfit.len(), 1);
}

#[test]
fn weights_follow_the_list_and_leave_agents_alone() {
    let mut site = Site::new(1, true);
    let one = wanted(&document(&[active(1)]));
    site.settle(&one);
    site.model.row("web1").unwrap().weight = 3;
    assert_eq!(site.pass(&one), ["set server web/web1 weight 10"]);
    site.model.row("web1").unwrap().weight = 3;
    site.model.row("web1").unwrap().agent = 22;
    assert!(site.pass(&one).is_empty());
    site.model.row("web1").unwrap().agent = 0;
    let unmanaged = desired(&document(&[active(1)]), &backend(Serves::All, BackendMode::Template), false, 0).unwrap();
    assert!(site.pass(&unmanaged).is_empty());
}

#[test]
fn slots_that_haproxy_lacks_are_told() {
    let site = Site::new(1, true);
    let outcome = site.look(&wanted(&document(&[active(1), active(2)])));
    assert_eq!(outcome.waiting, [(2, Waiting::Missing)]);
}

#[test]
fn dynamic_servers_are_added_and_deleted() {
    let mut site = Site::new(0, true);
    let dynamic = |servers: &[Option<(u8, &str, State)>]| {
        desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
    };
    assert_eq!(
        site.pass(&dynamic(&[active(1)])),
        [
            "add server web/web1 10.0.0.1:8765 id 100001 check",
            "enable health web/web1",
            "set server web/web1 weight 0",
            "set server web/web1 state ready",
            "set server web/web1 health down",
            "set server web/web1 weight 10",
        ]
    );
    site.settle(&dynamic(&[active(1)]));
    let sent = site.settle(&dynamic(&[None]));
    assert_eq!(sent.last().map(String::as_str), Some("del server web/web1"));
    assert!(site.model.servers.rows.is_empty());
    site.model.process.release = (2, 4);
    assert_eq!(site.look(&dynamic(&[active(1)])).waiting, [(1, Waiting::TooOld)]);
}

#[test]
fn a_server_that_is_led_by_others_is_left_alone() {
    let mut site = Site::new(2, true);
    site.model.row("web1").unwrap().address = None;
    site.model.row("web2").unwrap().admin = 2;
    let both = wanted(&document(&[active(1), active(2)]));
    assert!(site.pass(&both).is_empty());
    assert_eq!(site.look(&both).waiting, [(1, Waiting::NotOurs), (2, Waiting::NotOurs)]);
}

/// What may happen between two rounds.
#[derive(Debug, Clone)]
enum Event {
    List(Vec<Option<(u8, bool)>>),
    Operator(u32, AdminState),
    Reload,
    Checks,
    Sessions(u32, u64),
    Time(u64),
    Forget,
}

fn event() -> impl Strategy<Value = Event> {
    let slot = prop_oneof![1 => Just(None), 3 => (1_u8..9, any::<bool>()).prop_map(Some)];
    prop_oneof![
        4 => prop::collection::vec(slot, 0..6).prop_map(Event::List),
        2 => (1_u32..6, prop_oneof![Just(AdminState::Ready), Just(AdminState::Drain), Just(AdminState::Maint)])
            .prop_map(|(slot, state)| Event::Operator(slot, state)),
        1 => Just(Event::Reload),
        3 => Just(Event::Checks),
        2 => (1_u32..6, 0_u64..3).prop_map(|(slot, open)| Event::Sessions(slot, open)),
        2 => (0_u64..40).prop_map(Event::Time),
        1 => Just(Event::Forget),
    ]
}

fn from_list(list: &[Option<(u8, bool)>]) -> Document {
    let servers: Vec<_> = list
        .iter()
        .map(|slot| {
            slot.map(|(number, active)| {
                (number, "asg-0", if active { State::Active } else { State::Draining { since: 0 } })
            })
        })
        .collect();
    document(&servers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A list is replaced by another: half of the wanted servers serve at any moment with checks passed, as long as the
    /// old ones live and nobody else interferes, and in the end all do.
    #[test]
    fn replacements_keep_half_of_the_servers(
        size in 2_usize..10,
        replaced in prop::collection::vec(any::<bool>(), 10),
        gone in prop::collection::vec(prop::bool::weighted(0.2), 10),
        dead in prop::collection::vec(prop::bool::weighted(0.2), 10),
        spare in 0_usize..6,
        dynamic in any::<bool>(),
        slow in 1_usize..6,
    ) {
        let mode = if dynamic { BackendMode::Dynamic } else { BackendMode::Template };
        let of = |list: &[Option<(u8, &str, State)>]| {
            desired(&document(list), &backend(Serves::All, mode), true, 1_000_000).unwrap()
        };
        let slots = size + spare;
        let mut site = Site::new(if dynamic { 0 } else { u32::try_from(slots).unwrap() }, true);
        let number = |slot: usize| u8::try_from(slot + 1).unwrap();
        let old: Vec<_> = (0..slots).map(|slot| if slot < size { active(number(slot)) } else { None }).collect();
        site.settle(&of(&old));
        let mut live = size;
        for slot in (0..size).filter(|slot| dead[*slot] && (gone[*slot] || replaced[*slot])) {
            site.model.row(&format!("web{}", slot + 1)).unwrap().operation = 0;
            live -= 1;
        }
        // Some leave without a successor, some are replaced in place, and some come in the spare slots.
        let next: Vec<_> = (0..slots).map(|slot| match slot {
            slot if slot >= size => active(100 + number(slot)),
            slot if gone[slot] => Some((number(slot), "asg-0", State::Draining { since: 0 })),
            slot if replaced[slot] => active(100 + number(slot)),
            slot => active(number(slot)),
        }).collect();
        let wanted = next.iter().filter(|slot| slot.is_some_and(|(_, _, state)| state == State::Active)).count();
        let next = of(&next);
        for round in 0..200 {
            site.pass(&next);
            // Alone in its slot, a server cannot be replaced without a gap.
            let least = if wanted == 1 && spare == 0 { 0 } else { wanted.div_ceil(2).min(live) };
            prop_assert!(up(&site) >= least, "round {}: {} of {}: {:#?}", round, up(&site), wanted, site.model.servers.rows);
            end_sessions(&mut site);
            site.now += 1;
            if round % slow == 0 {
                // Only the new ones come up: the dead stay dead.
                for row in &mut site.model.servers.rows {
                    let old = row.address.is_some_and(|at| matches!(at, IpAddr::V4(at) if at.octets()[3] < 100));
                    if !old && row.address != Some(PLACEHOLDER) && row.state() != AdminState::Maint { row.operation = 2; }
                }
            }
        }
        prop_assert_eq!(up(&site), wanted);
    }

    /// Whatever happened before: left alone, HAProxy becomes as the list says, and then nothing is sent any more; what an
    /// operator has set stays; no server is in two slots but for a moment (asserted with every pass).
    #[test]
    fn always_converges_and_never_overrides(
        events in prop::collection::vec(event(), 1..25), checked in any::<bool>(), dynamic in any::<bool>(),
    ) {
        let mut site = Site::new(if dynamic { 0 } else { 5 }, checked);
        let mode = if dynamic { BackendMode::Dynamic } else { BackendMode::Template };
        let of = |list: &Document| desired(list, &backend(Serves::All, mode), true, 1_000_000).unwrap();
        let mut list = of(&from_list(&[None; 5]));
        let mut operators: HashMap<u32, AdminState> = HashMap::new();
        for event in events {
            let reloaded = matches!(event, Event::Reload);
            match event {
                Event::List(slots) => list = of(&from_list(&slots)),
                Event::Operator(slot, state) => {
                    let name = format!("web{slot}");
                    // Only what is seen as another state than ours can be told from it.
                    let before = site.model.row(&name).map(|row| row.state());
                    if before.is_some_and(|before| before == AdminState::Ready || operators.contains_key(&slot)) {
                        site.model.force(&name, state);
                        if state == AdminState::Ready { operators.remove(&slot); } else { operators.insert(slot, state); }
                    }
                }
                // What was seen of an operator is put back, unless a dynamic server is gone from the list.
                Event::Reload => site.model.reload(),
                Event::Checks => site.model.pass_checks(),
                Event::Sessions(slot, open) => site.model.sessions.insert("web", &format!("web{slot}"), open),
                Event::Time(seconds) => site.now += seconds,
                // Without a record, our own drain and maintenance at an address that comes back is taken for an operator's,
                // and what is beyond the list is nobody's.
                Event::Forget => {
                    let mut rows = site.model.servers.rows.iter();
                    let serves = |row: &ServerState| match list.slots.get(&row.server_id) {
                        Some(Wanted::Serve(occupant)) => is_at(row, occupant.endpoint),
                        _ => false,
                    };
                    let known = |row: &ServerState| {
                        row.address == Some(PLACEHOLDER) || (row.state() == AdminState::Ready && serves(row))
                    };
                    if operators.is_empty() && rows.all(known)
                    {
                        site.record = Record::default();
                    }
                }
            }
            let states = |site: &mut Site, operators: &HashMap<u32, AdminState>| -> Vec<_> {
                operators.keys().map(|slot| site.model.row(&format!("web{slot}")).cloned()).collect()
            };
            let before = states(&mut site, &operators);
            site.pass(&list);
            if reloaded {
                operators.retain(|slot, _| site.model.row(&format!("web{slot}")).is_some());
                for (slot, state) in &operators {
                    let row = site.model.row(&format!("web{slot}")).unwrap();
                    prop_assert_eq!(row.state(), *state);
                }
            } else {
                prop_assert_eq!(before, states(&mut site, &operators));
            }
        }
        for slot in operators.keys() {
            site.model.force(&format!("web{slot}"), AdminState::Ready);
        }
        site.settle(&list);
        prop_assert!(site.pass(&list).is_empty(), "applying twice changes nothing");
        for (slot, wanted) in &list.slots {
            let row = site.model.servers.find("web", &format!("web{slot}"));
            match wanted {
                Wanted::Serve(occupant) => {
                    let row = row.expect("a server");
                    prop_assert!(is_at(row, occupant.endpoint) && row.state() == AdminState::Ready && row.is_up(), "{:?}", row);
                    prop_assert_eq!(row.weight, 10);
                }
                Wanted::Drain(occupant) => prop_assert!(row.is_none_or(|row| match row.state() {
                    AdminState::Ready => false,
                    // Another one than the list has leaving is gone.
                    AdminState::Drain => is_at(row, occupant.endpoint),
                    AdminState::Maint => true,
                }), "{:?}", row),
                Wanted::Empty => prop_assert!(row.is_none_or(|row| row.state() == AdminState::Maint), "{:?}", row),
            }
        }
    }
}
