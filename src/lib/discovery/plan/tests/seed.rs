//! The seed's own cases.

use super::*;

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
