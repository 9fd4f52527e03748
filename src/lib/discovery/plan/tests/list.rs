//! The list: servers without a slot, and its size.

use super::*;

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
    assert_eq!(rounds.document.reasons[0].why, "in place of i-02: the source no longer lists it");
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
