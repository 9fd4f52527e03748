//! The rules of the plan one by one, and what must hold for any source at any time.

use super::guard::allowance;
use super::*;
use crate::config::discovery::{Ramp, Serves};
use crate::discovery::document::Unplaced;
use crate::discovery::source::{FailedGroup, Unusable};
use proptest::prelude::*;
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

// The seed's own cases.

#[test]
fn as_in_the_seed_a_weight_grows_after_its_interval() {
    let mut rounds = Rounds::new(settings(10));
    rounds.see_numbers([1]);
    let weight = |rounds: &Rounds| rounds.document.slots[0].server.as_ref().unwrap().weight;
    assert_eq!(weight(&rounds), 1);
    rounds.wait(29);
    assert_eq!(weight(&rounds), 1);
    rounds.wait(11);
    assert_eq!(weight(&rounds), 2);
    assert_eq!(whats(&rounds.document), [What::Weight]);
    rounds.wait(10_000);
    assert_eq!(weight(&rounds), 10);
}

#[test]
fn as_in_the_seed_new_servers_fill_the_first_free_slots() {
    let mut rounds = Rounds::new(settings(5));
    rounds.see_numbers([6, 9, 1]);
    assert_eq!(shown(&rounds.document), "01 06 09 - -");
    for _ in 0..3 {
        rounds.see_numbers([1, 9]);
    }
    assert_eq!(rounds.wait(60), "01 - 09 - -");
    assert_eq!(rounds.see_numbers([1, 9, 2, 3]), "01 02 09 03 -");
}

#[test]
fn as_in_the_seed_a_server_that_has_a_slot_is_not_added_again() {
    let mut rounds = Rounds::new(settings(5));
    rounds.see_numbers([2, 3]);
    assert_eq!(rounds.see_numbers([3, 2, 7, 7]), "02 03 07 - -");
    assert_eq!(whats(&rounds.document), [What::Added]);
}

#[test]
fn as_in_the_seed_servers_that_are_gone_leave_and_others_stay() {
    let mut rounds = Rounds::new(settings(5));
    rounds.see_numbers([1, 2, 3, 4, 5]);
    for _ in 0..3 {
        rounds.see_numbers([2, 3, 5]);
    }
    assert_eq!(shown(&rounds.document), "~01 02 03 ~04 05");
    assert_eq!(rounds.wait(60), "- 02 03 - 05");
}

#[test]
fn servers_about_which_a_listing_is_silent_stay_as_they_are() {
    let mut rounds = Rounds::new(Settings { floor: 0, ratio: 1.0, ..settings(4) });
    let other = |number| Instance { group: "other".to_owned(), ..instance(number) };
    rounds.see([instance(1), instance(2), other(3), other(4)]);
    for _ in 0..5 {
        rounds.now += 1;
        let unusable = Unusable {
            instance: "i-01".to_owned(),
            group: "asg".to_owned(),
            reason: "no answer in time".to_owned(),
            unsure: true,
        };
        let failed = FailedGroup { group: "other".to_owned(), reason: "the name does not exist".to_owned() };
        let listing = Listing { unusable: vec![unusable], failed: vec![failed], ..listing(rounds.now, []) };
        rounds.document = plan(Some(&rounds.document), Some(&listing), rounds.now, &rounds.settings);
    }
    assert_eq!(shown(&rounds.document), "01 ~02 03 04");
    assert!(rounds.document.servers().all(|(_, server)| server.doubt.is_none()));
}

// Identity.

#[test]
fn a_group_that_is_misspelt_where_its_servers_are_listed_keeps_them() {
    let mut document = plan(None, Some(&listing(START, [1, 2].map(|n| of_group(n, "blue")))), START, &settings(4));
    let misspelt = Listing {
        failed: vec![FailedGroup { group: "blue".into(), reason: "nobody is of it".into() }],
        ..listing(START + 1, [1, 2].map(|n| of_group(n, "bleu")))
    };
    document = plan(Some(&document), Some(&misspelt), START + 1, &settings(4));
    let groups =
        |document: &Document| -> Vec<String> { document.servers().map(|(_, one)| one.group.clone()).collect() };
    assert_eq!(groups(&document), ["blue", "blue"], "the group could not be listed");
    let good = listing(START + 2, [of_group(1, "green"), of_group(2, "blue")]);
    document = plan(Some(&document), Some(&good), START + 2, &settings(4));
    assert_eq!(groups(&document), ["green", "blue"], "who goes to another group goes there");
}

#[test]
fn who_takes_over_an_address_is_another_server_and_begins_its_ramp() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2]);
    rounds.wait(1000);
    let mut heir = instance(1);
    heir.id = "i-77".to_owned();
    heir.group = "other".to_owned();
    assert_eq!(rounds.see([heir, instance(2)]), "77 02 -");
    let server = rounds.document.slots[0].server.clone().unwrap();
    assert_eq!((server.weight, server.group.as_str(), server.name.as_str()), (1, "other", "web1"));
    assert_eq!(rounds.document.slots[1].server.as_ref().unwrap().weight, 10);
}

#[test]
fn an_instance_with_another_address_or_port_is_another_server() {
    let mut rounds = Rounds::new(settings(4));
    rounds.see_numbers([1, 2]);
    let mut moved = instance(1);
    moved.addresses = vec![IpAddr::from([10, 0, 0, 99])];
    let mut other = instance(2);
    other.port = Some(81);
    rounds.see([moved.clone(), other.clone(), instance(2)]);
    assert_eq!(shown(&rounds.document), "01 02 01 02");
    let addresses: Vec<_> =
        rounds.document.servers().map(|(_, server)| server.address().unwrap().to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.99", "10.0.0.2"]);
}

#[test]
fn a_server_that_somebody_wrote_into_two_slots_leaves_the_later_one() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2]);
    rounds.document.slots[2].server = rounds.document.slots[0].server.clone();
    assert_eq!(rounds.see_numbers([1, 2]), "01 02 ~01");
    assert_eq!(rounds.wait(60), "01 02 -");
}

// Life and health.

#[test]
fn only_who_is_healthy_and_in_service_gets_a_slot() {
    let mut rounds = Rounds::new(settings(4));
    let mut list: Vec<Instance> = (1..=4).map(instance).collect();
    list[0].healthy = false;
    list[1].life = Life::Pending;
    list[2].life = Life::Leaving;
    assert_eq!(rounds.see(list.clone()), "04 - - -");
    list[0].healthy = true;
    rounds.wait(500);
    assert_eq!(rounds.see(list), "04 01 - -");
    assert_eq!(rounds.document.slots[1].server.as_ref().unwrap().since, rounds.now, "the ramp waits for its health");
}

#[test]
fn who_is_taken_out_of_service_drains_at_once() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2, 3]);
    let mut leaving = instance(2);
    leaving.life = Life::Leaving;
    assert_eq!(rounds.see([instance(1), leaving, instance(3)]), "01 ~02 03");
    assert!(rounds.document.reasons[0].why.contains("out of service"), "{:?}", rounds.document.reasons);
}

#[test]
fn who_is_unhealthy_or_missing_is_given_some_listings() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2, 3]);
    let mut sick = instance(2);
    sick.healthy = false;
    let seen = [instance(1), sick, instance(3)];
    assert_eq!(rounds.see(seen.clone()), "01 02 03");
    assert_eq!(rounds.see(seen.clone()), "01 02 03");
    assert_eq!(rounds.see_numbers([1, 2, 3]), "01 02 03");
    assert_eq!(rounds.document.slots[1].server.as_ref().unwrap().doubt, None, "a good listing ends the doubt");
    for _ in 0..2 {
        assert_eq!(rounds.see(seen.clone()), "01 02 03");
    }
    assert_eq!(rounds.see(seen), "01 ~02 03");
}

#[test]
fn the_same_listing_counts_once() {
    let settings = settings(3);
    let first = plan(None, Some(&numbers(START, [1, 2])), START, &settings);
    let gone = numbers(START + 1, [1]);
    let mut document = first;
    for second in 1..100 {
        document = plan(Some(&document), Some(&gone), START + second, &settings);
    }
    assert_eq!(shown(&document), "01 02 -");
}

#[test]
fn who_comes_back_while_it_drains_keeps_its_slot_and_begins_its_ramp() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2]);
    rounds.wait(1000);
    for _ in 0..3 {
        rounds.see_numbers([1]);
    }
    assert_eq!(shown(&rounds.document), "01 ~02 -");
    assert_eq!(rounds.see_numbers([1, 2]), "01 02 -");
    assert_eq!(rounds.document.slots[1].server.as_ref().unwrap().weight, 1);
    assert_eq!(whats(&rounds.document), [What::Returned]);
}

// The guard.

#[test]
fn an_empty_listing_removes_nobody() {
    let mut rounds = Rounds::new(settings(4));
    rounds.see_numbers([1, 2, 3, 4]);
    for _ in 0..20 {
        assert_eq!(rounds.see_numbers([]), "01 02 03 04");
    }
    assert_eq!(rounds.document.held.len(), 4);
    rounds.see_numbers([1, 2, 3, 4]);
    assert!(rounds.document.held.is_empty());
}

#[test]
fn it_says_once_whom_it_holds_and_why() {
    let mut rounds = Rounds::new(settings(4));
    rounds.see_numbers([1, 2, 3, 4]);
    rounds.see_numbers([1]);
    rounds.see_numbers([1]);
    rounds.see_numbers([1]);
    assert_eq!(whats(&rounds.document), [What::Held; 3]);
    assert!(rounds.document.reasons[0].why.contains("3 of 4"), "{:?}", rounds.document.reasons);
    rounds.see_numbers([1]);
    assert_eq!(rounds.document.reasons, []);
    assert_eq!(rounds.document.held.len(), 3);
}

#[test]
fn after_the_hold_time_the_source_is_believed_down_to_the_floor() {
    let mut rounds = Rounds::new(Settings { floor: 2, ..settings(4) });
    rounds.see_numbers([1, 2, 3, 4]);
    for _ in 0..300 {
        assert_eq!(rounds.see_numbers([]), "01 02 03 04");
    }
    rounds.see_numbers([]);
    assert_eq!(shown(&rounds.document), "~01 ~02 03 04");
    for _ in 0..100 {
        rounds.see_numbers([]);
    }
    assert_eq!(shown(&rounds.document), "- - 03 04");
    let mut never = Rounds::new(Settings { hold: Duration::ZERO, ..settings(4) });
    never.see_numbers([1, 2, 3, 4]);
    for _ in 0..2000 {
        assert_eq!(never.see_numbers([]), "01 02 03 04");
    }
}

#[test]
fn losses_in_a_row_count_together() {
    let mut rounds = Rounds::new(Settings { confirmations: 1, ..settings(8) });
    rounds.see_numbers(1..=8);
    rounds.see_numbers(3..=8);
    rounds.see_numbers(5..=8);
    assert_eq!(rounds.document.servers().filter(|(_, s)| s.state == State::Active).count(), 4);
    rounds.see_numbers(7..=8);
    assert_eq!(rounds.document.held.len(), 2, "half of them are gone already");
    rounds.wait(310);
    assert!(rounds.document.lost.is_empty());
}

#[test]
fn replacing_every_server_works_with_the_guard() {
    let mut rounds = Rounds::new(settings(4));
    rounds.see_numbers([1, 2]);
    let leaving = |number| Instance { life: Life::Leaving, ..instance(number) };
    assert_eq!(rounds.see([leaving(1), leaving(2), instance(3), instance(4)]), "~01 ~02 03 04");
    assert_eq!(rounds.see([leaving(3), leaving(4)]), "~01 ~02 ~03 04", "the floor keeps one");
    assert!(
        rounds.document.reasons.iter().any(|reason| reason.what == What::Held && reason.why.contains("removal-floor"))
    );
}

// Replacements.

fn of_group(number: u8, group: &str) -> Instance {
    Instance { group: group.to_owned(), ..instance(number) }
}

fn weights(document: &Document) -> Vec<u16> {
    document.servers().map(|(_, server)| server.weight).collect()
}

#[test]
fn a_full_list_is_replaced_as_soon_as_the_listings_agree_and_with_its_weights() {
    let mut rounds = Rounds::new(Settings { hold_obsolete: Duration::from_secs(30), ..settings(10) });
    rounds.see_numbers(1..=10);
    rounds.wait(1000);
    for _ in 0..2 {
        assert_eq!(rounds.see_numbers(11..=20), "01 02 03 04 05 06 07 08 09 10");
    }
    assert_eq!(rounds.see_numbers(11..=20), "11 12 13 14 15 16 17 18 19 20");
    assert_eq!(weights(&rounds.document), [10; 10]);
    assert!(rounds.document.held.is_empty() && rounds.document.unplaced.is_empty() && rounds.document.lost.is_empty());
}

#[test]
fn half_of_a_full_list_is_replaced_and_the_new_half_begins_its_ramp() {
    let mut rounds = Rounds::new(Settings { hold_obsolete: Duration::from_secs(30), ..settings(10) });
    rounds.see_numbers(1..=10);
    rounds.wait(1000);
    for _ in 0..3 {
        rounds.see_numbers(6..=15);
    }
    assert_eq!(shown(&rounds.document), "11 12 13 14 15 06 07 08 09 10");
    assert_eq!(weights(&rounds.document), [1, 1, 1, 1, 1, 10, 10, 10, 10, 10], "half of the weight stays");
}

#[test]
fn who_has_served_for_longer_than_those_who_leave_keeps_its_weight() {
    let mut rounds = Rounds::new(settings(5));
    rounds.see_numbers([1]);
    rounds.wait(1000);
    rounds.see_numbers(1..=5);
    rounds.wait(120);
    assert_eq!(weights(&rounds.document), [10, 5, 5, 5, 5]);
    for _ in 0..3 {
        rounds.see_numbers([1, 12, 13, 14, 15]);
    }
    assert_eq!(shown(&rounds.document), "01 12 13 14 15");
    assert_eq!(weights(&rounds.document), [10, 5, 5, 5, 5], "14 of 30 would be left");
}

#[test]
fn slots_of_servers_that_leave_in_so_many_words_are_taken_at_once() {
    let mut rounds = Rounds::new(settings(4));
    rounds.see_numbers(1..=4);
    let leaving = |number| Instance { life: Life::Leaving, ..instance(number) };
    let listed = (1..=4).map(leaving).chain([instance(5), instance(6)]);
    // Two come, one stays for the floor, and one leaves.
    assert_eq!(rounds.see(listed), "05 06 ~03 ~04");
    // Nobody waits until a drain is over.
    assert_eq!(rounds.see_numbers(5..=8), "05 06 07 08");
}

#[test]
fn with_spare_slots_all_may_be_replaced_and_the_guard_counts_the_newcomers() {
    let mut rounds = Rounds::new(Settings { hold_obsolete: Duration::from_secs(30), ..settings(8) });
    rounds.see_numbers(1..=4);
    rounds.wait(1000);
    assert_eq!(rounds.see_numbers(5..=8), "01 02 03 04 05 06 07 08");
    assert_eq!(weights(&rounds.document), [10; 8], "less than half of the weight would be left");
    for _ in 0..29 {
        assert_eq!(rounds.see_numbers(5..=8), "01 02 03 04 05 06 07 08");
    }
    assert_eq!(rounds.see_numbers(5..=8), "~01 ~02 ~03 ~04 05 06 07 08");
    assert!(rounds.document.lost.is_empty() && rounds.document.held.is_empty());
}

#[test]
fn too_few_newcomers_make_no_failing_source_good() {
    let mut rounds = Rounds::new(settings(20));
    rounds.see_numbers(1..=10);
    // One that stays and three that come are less than half of ten.
    for _ in 0..5 {
        rounds.see_numbers([1, 11, 12, 13]);
    }
    assert_eq!(rounds.document.held.len(), 9);
    for _ in 0..5 {
        rounds.see_numbers([1, 11, 12, 13, 14]);
    }
    assert!(rounds.document.held.is_empty(), "{}", shown(&rounds.document));
    assert_eq!(rounds.document.lost.len(), 5, "four have successors");
    let lost = rounds.document.lost.clone();
    // Those that came made up for four, and make up for no others.
    for _ in 0..5 {
        rounds.see_numbers([11]);
    }
    assert_eq!((rounds.document.held.len(), &rounds.document.lost), (4, &lost));
}

#[test]
fn a_server_of_another_group_is_no_successor_unless_it_serves_the_same_backends() {
    let all = Settings { backends: vec![("all".to_owned(), Serves::All)], ..settings(4) };
    let only = vec![("main".to_owned(), Serves::Only(vec!["blue".to_owned()]))];
    let main = Settings { backends: only, ..settings(4) };
    for (settings, wanted) in [(all, "05 06 07 08"), (main, "01 02 03 04"), (settings(4), "01 02 03 04")] {
        let mut rounds = Rounds::new(settings);
        rounds.see((1..=4).map(|number| of_group(number, "blue")));
        for _ in 0..20 {
            rounds.see((5..=8).map(|number| of_group(number, "green")));
        }
        assert_eq!(shown(&rounds.document), wanted);
    }
}

// Groups and backends.

#[test]
fn a_group_does_not_vanish_from_the_backend_that_is_its_own() {
    let of = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
    let backends = vec![("main".to_owned(), Serves::Only(of(&["a"]))), ("rest".to_owned(), Serves::Except(of(&["a"])))];
    for settings in [settings(12), Settings { backends, ..settings(12) }] {
        let mut rounds = Rounds::new(settings);
        let listed = |groups: &[(u8, &'static str)]| -> Vec<Instance> {
            groups.iter().flat_map(|(from, group)| (*from..*from + 4).map(|number| of_group(number, group))).collect()
        };
        rounds.see(listed(&[(1, "a"), (5, "b"), (9, "c")]));
        for _ in 0..5 {
            rounds.see(listed(&[(5, "b"), (9, "c")]));
        }
        assert_eq!(shown(&rounds.document), "01 02 03 04 05 06 07 08 09 10 11 12");
        assert_eq!(rounds.document.held.len(), 4);
        // When it has been so for removal-hold, the source is believed, down to the floor of the group.
        for _ in 0..320 {
            rounds.see(listed(&[(5, "b"), (9, "c")]));
        }
        assert_eq!(shown(&rounds.document), "~01 ~02 ~03 04 05 06 07 08 09 10 11 12");
    }
}

#[test]
fn a_group_may_end_when_the_source_says_so_in_so_many_words() {
    let leaving = |number, group| Instance { life: Life::Leaving, ..of_group(number, group) };
    let mut rounds = Rounds::new(settings(4));
    rounds.see([of_group(1, "a"), of_group(2, "a"), of_group(3, "b"), of_group(4, "b")]);
    assert_eq!(rounds.see([leaving(1, "a"), leaving(2, "a"), of_group(3, "b"), of_group(4, "b")]), "~01 ~02 03 04");
    // The floor of a backend that another group serves keeps nobody.
    let of_b = || vec!["b".to_owned()];
    let backends = vec![("main".to_owned(), Serves::Only(of_b())), ("rest".to_owned(), Serves::Except(of_b()))];
    let mut rounds = Rounds::new(Settings { backends, ..settings(4) });
    let rest = [of_group(2, "a"), of_group(3, "a"), of_group(4, "b")];
    rounds.see(rest.clone().into_iter().chain([of_group(1, "a")]));
    assert_eq!(rounds.see(rest.into_iter().chain([leaving(1, "a")])), "~01 02 03 04");
}

#[test]
fn a_group_that_the_source_is_not_asked_for_any_more_may_end() {
    let mut rounds = Rounds::new(Settings { groups: Some(vec!["a".to_owned(), "b".to_owned()]), ..settings(4) });
    let both = [of_group(1, "a"), of_group(2, "a"), of_group(3, "b"), of_group(4, "b")];
    rounds.see(both.clone());
    for _ in 0..5 {
        rounds.see(both[2..].to_vec());
    }
    assert_eq!(shown(&rounds.document), "01 02 03 04");
    rounds.settings.groups = Some(vec!["b".to_owned()]);
    assert_eq!(rounds.see(both[2..].to_vec()), "~01 ~02 03 04");
}

#[test]
fn a_misspelt_name_of_a_group_takes_nobody_away() {
    let mut rounds = Rounds::new(Settings { groups: Some(vec!["a".to_owned(), "b".to_owned()]), ..settings(8) });
    let both: Vec<Instance> = (1..=3).map(|n| of_group(n, "a")).chain((4..=8).map(|n| of_group(n, "b"))).collect();
    rounds.see(both.clone());
    rounds.settings.groups = Some(vec!["aa".to_owned(), "b".to_owned()]);
    for failed in [true, false] {
        for _ in 0..20 {
            rounds.now += 1;
            let reason = "there is no such group".to_owned();
            let unknown = FailedGroup { group: "aa".to_owned(), reason };
            let failed = failed.then_some(unknown).into_iter().collect();
            let listing = Listing { failed, ..listing(rounds.now, both[3..].to_vec()) };
            rounds.document = plan(Some(&rounds.document), Some(&listing), rounds.now, &rounds.settings);
        }
        assert_eq!(shown(&rounds.document), "01 02 03 04 05 06 07 08");
        assert_eq!(rounds.document.held.len(), if failed { 0 } else { 3 });
    }
}

// Subsets.

#[test]
fn who_returns_within_hold_obsolete_was_never_gone() {
    let mut rounds = Rounds::new(Settings { hold_obsolete: Duration::from_secs(30), ..settings(20) });
    rounds.see_numbers(1..=12);
    rounds.wait(1000);
    // Each answer lacks a third of them, a different one every ten seconds.
    for second in 0..120 {
        let third = u8::try_from(second / 10 % 3).unwrap();
        rounds.see_numbers((1..=12).filter(|number| number % 3 != third));
        assert_eq!(whats(&rounds.document), []);
    }
    assert_eq!(weights(&rounds.document), [10; 12]);
    for _ in 0..29 {
        rounds.see_numbers(2..=12);
        assert_eq!(whats(&rounds.document), []);
    }
    // 1 was missing for up to ten seconds before.
    for _ in 0..12 {
        rounds.see_numbers(2..=12);
    }
    assert!(shown(&rounds.document).starts_with("~01 02"), "{}", shown(&rounds.document));
}

// The list.

#[test]
fn who_finds_no_slot_is_reported_and_takes_that_of_the_first_who_is_gone() {
    let mut rounds = Rounds::new(settings(2));
    rounds.see_numbers([1, 2, 3]);
    assert_eq!(rounds.document.unplaced, [Unplaced { instance: "i-03".to_owned(), group: "asg".to_owned() }]);
    assert_eq!(whats(&rounds.document), [What::Added, What::Added, What::Unplaced]);
    rounds.see_numbers([1, 2, 3]);
    assert_eq!(whats(&rounds.document), []);
    rounds.see_numbers([1, 3]);
    assert_eq!(rounds.see_numbers([1, 3]), "01 02", "two listings may be wrong");
    assert_eq!(rounds.see_numbers([1, 3]), "01 03");
    assert_eq!(rounds.document.reasons[0].why, "in place of i-02: the source does not list it any more");
    assert!(rounds.document.unplaced.is_empty());
}

#[test]
fn the_list_grows_and_fills_its_holes() {
    let mut rounds = Rounds::new(settings(3));
    rounds.see_numbers([1, 2, 3]);
    rounds.document.slots.remove(1);
    rounds.settings.list_size = 5;
    assert_eq!(rounds.wait(1), "01 - 03 - -");
    let ids: Vec<u32> = rounds.document.slots.iter().map(|slot| slot.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}

#[test]
fn the_list_shrinks_and_keeps_whom_it_can() {
    let mut rounds = Rounds::new(Settings { confirmations: 1, ..settings(6) });
    rounds.see_numbers([1, 2, 3, 4, 5]);
    rounds.wait(1000);
    rounds.see_numbers([1, 3, 4, 5]);
    assert_eq!(rounds.wait(60), "01 - 03 04 05 -");
    rounds.settings.list_size = 3;
    assert_eq!(rounds.see_numbers([1, 3, 4, 5]), "01 04 03 ~05");
    assert_eq!(rounds.document.slots[1].server.as_ref().unwrap().weight, 10, "who moves keeps its weight");
    assert_eq!(rounds.document.unplaced.len(), 1);
    assert_eq!(rounds.wait(60), "01 04 03");
    assert_eq!(rounds.see_numbers([1, 3, 4, 5]), "01 04 03");
}

// Time.

#[test]
fn any_server_computes_the_same_weights_whatever_its_time_zone() {
    let settings = settings(2);
    let first = plan(None, Some(&numbers(START, [1])), START, &settings);
    let direct = plan(Some(&first), None, START + 95, &settings);
    let mut stepwise = first;
    for second in 1..=95 {
        stepwise = plan(Some(&stepwise), None, START + second, &settings);
    }
    assert!(direct.is_same(&stepwise));
    assert_eq!(direct.slots[0].server.as_ref().unwrap().weight, 4);
}

#[test]
fn a_clock_that_was_ahead_keeps_nothing_waiting() {
    let settings = settings(2);
    let document = plan(None, Some(&numbers(START, [1])), START + 1_000_000, &settings);
    let document = plan(Some(&document), None, START, &settings);
    assert_eq!(plan(Some(&document), None, START + 30, &settings).slots[0].server.as_ref().unwrap().weight, 2);
}

#[test]
fn the_least_weight_may_be_nought_or_many() {
    let at = |min, seconds| {
        let ramp = Ramp { min, max: 10, step: 1, interval: Duration::from_secs(30) };
        let settings = Settings { ramp, ..settings(2) };
        let first = plan(None, Some(&numbers(START, [1])), START, &settings);
        plan(Some(&first), None, START + seconds, &settings).slots[0].server.as_ref().unwrap().weight
    };
    assert_eq!([at(0, 0), at(0, 30), at(5, 0), at(5, 30), at(5, 1000)], [0, 1, 5, 6, 10]);
}

// What must hold for any source.

#[derive(Debug, Clone)]
enum Step {
    Listing(Vec<(u8, bool, u8)>),
    Outage(u64),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let members = prop::collection::vec((1_u8..16, prop::bool::weighted(0.85), 0_u8..6), 0..14);
    prop_oneof![
        8 => members.prop_map(Step::Listing),
        1 => (0_u64..400).prop_map(Step::Outage),
        1 => (1_usize..12).prop_map(Step::Resize),
    ]
}

fn instances_of(members: &[(u8, bool, u8)]) -> Vec<Instance> {
    let life = |life| match life {
        0 => Life::Pending,
        1 => Life::Leaving,
        _ => Life::InService,
    };
    members
        .iter()
        .map(|(number, healthy, n)| Instance { healthy: *healthy, life: life(*n), ..instance(*number) })
        .collect()
}

fn active(document: &Document) -> HashMap<Identity, u32> {
    let active = document.servers().filter(|(_, server)| server.state == State::Active);
    active.map(|(id, server)| (identity_of(server), id)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_a_source_says(
        steps in prop::collection::vec(step(), 1..60),
        floor in 0_usize..4,
        ratio in 0.0..1.0_f64,
        confirmations in 1_u32..4,
        obsolete in 0_u64..20,
        size in 1_usize..12,
    ) {
        let hold_obsolete = Duration::from_secs(obsolete);
        let mut rounds = Rounds::new(Settings { floor, ratio, confirmations, hold_obsolete, ..settings(size) });
        for step in steps {
            let before = rounds.document.clone();
            let resized = matches!(step, Step::Resize(_));
            let mut listed = None;
            match step {
                Step::Listing(members) => {
                    let instances = instances_of(&members);
                    rounds.see(instances.clone());
                    listed = Some(instances);
                }
                Step::Outage(seconds) => {
                    rounds.wait(seconds);
                    prop_assert_eq!(active(&before), active(&rounds.document), "an outage removes and moves nobody");
                }
                Step::Resize(size) => {
                    rounds.settings.list_size = size;
                    rounds.wait(1);
                }
            }
            let after = &rounds.document;
            // Slots: 1 to the size, and beyond it only those that drain.
            let ids: Vec<u32> = after.slots.iter().map(|slot| slot.id).collect();
            let size = u32::try_from(rounds.settings.list_size).unwrap();
            prop_assert!(ids.iter().copied().take(rounds.settings.list_size).eq(1..=size), "{:?}", ids);
            prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
            let beyond = after.servers().filter(|(id, _)| *id > size);
            prop_assert!(beyond.into_iter().all(|(_, server)| server.state != State::Active));
            // Nobody has two slots, and who stays is where it was.
            let now_active = active(after);
            let count = after.servers().filter(|(_, server)| server.state == State::Active).count();
            prop_assert_eq!(now_active.len(), count);
            if !resized {
                for (identity, slot) in active(&before) {
                    prop_assert!(now_active.get(&identity).is_none_or(|now| *now == slot));
                }
            }
            // The guard.
            if !resized {
                let were = active(&before);
                // Whose slot another one has is replaced.
                let taken: HashSet<u32> = now_active.values().copied().collect();
                let gone: Vec<_> = were.iter().filter(|(id, slot)| !now_active.contains_key(*id) && !taken.contains(slot)).map(|(id, _)| id).collect();
                prop_assert!(gone.is_empty() || now_active.len() >= floor.min(were.len()), "{} left of {}", now_active.len(), were.len());
                let leaving = |identity: &Identity| listed.as_ref().is_some_and(|list| {
                    list.iter().any(|i| identity_in(i) == *identity && i.life == Life::Leaving)
                });
                let overdue = |identity: &Identity| before.servers().any(|(_, server)| {
                    identity_of(server) == *identity && server.doubt.is_some_and(|doubt| doubt.since + 300 <= rounds.now)
                });
                let lost = gone.iter().filter(|id| !leaving(id) && !overdue(id)).count();
                let gained = before.servers().chain(after.servers());
                let gained = gained.filter(|(_, server)| server.gained > START).map(|(_, server)| identity_of(server));
                // One that came now may have made up for another at once.
                let occupied: HashSet<u32> = were.values().copied().collect();
                let came = now_active.iter().filter(|(id, slot)| !were.contains_key(*id) && !occupied.contains(slot));
                let gained = gained.chain(came.map(|(id, _)| id.clone())).collect::<HashSet<_>>().len();
                let serving = were.keys().chain(now_active.keys()).collect::<HashSet<_>>().len();
                prop_assert!(lost <= allowance(serving, 0, ratio) + gained, "{lost} of {serving}, {gained} have come");
                // Nobody waits who could have the slot of a server that drains.
                let drains = after.servers().any(|(id, server)| id <= size && server.state != State::Active);
                prop_assert!(listed.is_none() || after.unplaced.is_empty() || !drains, "{}", shown(after));
            }
            // Every weight is in HAProxy's range and that of the ramp.
            for (_, server) in after.servers().filter(|(_, server)| server.state == State::Active) {
                prop_assert_eq!(server.weight, after.weight_at(server, rounds.now * 1000));
                prop_assert!((1..=10).contains(&server.weight));
            }
            // A second application changes no server and has nothing to say, but that one more is held since others have left.
            let apply = |present: &Document| match &listed {
                Some(list) => plan(Some(present), Some(&listing(rounds.now, list.clone())), rounds.now, &rounds.settings),
                None => plan(Some(present), None, rounds.now, &rounds.settings),
            };
            let again = apply(after);
            prop_assert_eq!((&again.slots, &again.unplaced, &again.lost), (&after.slots, &after.unplaced, &after.lost));
            prop_assert!(again.reasons.iter().all(|reason| reason.what == What::Held), "{:#?}", again.reasons);
            let third = apply(&again);
            prop_assert!(third.is_same(&again) && third.reasons.is_empty(), "{:#?}", third.reasons);
        }
    }

    #[test]
    fn a_source_that_stays_the_same_is_reached(
        steps in prop::collection::vec(step(), 0..30),
        last in prop::collection::vec((1_u8..16, prop::bool::weighted(0.85), 0_u8..6), 1..14),
        size in 1_usize..12,
    ) {
        let mut rounds = Rounds::new(settings(size));
        for step in steps {
            match step {
                Step::Listing(members) => drop(rounds.see(instances_of(&members))),
                Step::Outage(seconds) => drop(rounds.wait(seconds)),
                Step::Resize(_) => {}
            }
        }
        let instances = instances_of(&last);
        for _ in 0..60 {
            rounds.now += 20;
            rounds.see(instances.clone());
        }
        let listing = listing(rounds.now, instances.clone());
        let known = known(&listing);
        let wanted: HashSet<Identity> = known.iter().filter(|i| serves(i)).map(|i| identity_in(i)).collect();
        let got: HashSet<Identity> = active(&rounds.document).into_keys().collect();
        // The floor keeps one that is not wanted only where nobody is.
        let kept = got.difference(&wanted).count();
        prop_assert!(kept == 0 || (wanted.is_empty() && kept == 1), "{} and {:?}", shown(&rounds.document), wanted);
        prop_assert_eq!(got.intersection(&wanted).count(), wanted.len().min(size), "{}", shown(&rounds.document));
        prop_assert_eq!(rounds.document.unplaced.len(), wanted.len().saturating_sub(size));
    }
}
