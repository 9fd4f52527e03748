//! The guard.

use super::*;

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
