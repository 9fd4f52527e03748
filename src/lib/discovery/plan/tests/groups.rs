//! Groups and backends.

use super::*;

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
