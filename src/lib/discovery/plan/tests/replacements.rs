//! Replacements.

use super::*;

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
