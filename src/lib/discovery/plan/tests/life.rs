//! Life and health.

use super::*;

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
