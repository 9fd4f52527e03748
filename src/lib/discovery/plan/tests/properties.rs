//! What must hold for any source.

use super::*;
use proptest::prelude::*;

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

/// Slots: 1 to the size, and beyond it only those that drain. Nobody has two slots.
fn slots_are_those_of_the_list(after: &Document, list_size: usize) -> Result<(), TestCaseError> {
    let ids: Vec<u32> = after.slots.iter().map(|slot| slot.id).collect();
    let size = u32::try_from(list_size).unwrap();
    prop_assert!(ids.iter().copied().take(list_size).eq(1..=size), "{:?}", ids);
    prop_assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    let beyond = after.servers().filter(|(id, _)| *id > size);
    prop_assert!(beyond.into_iter().all(|(_, server)| server.state != State::Active));
    let count = after.servers().filter(|(_, server)| server.state == State::Active).count();
    prop_assert_eq!(active(after).len(), count);
    Ok(())
}

fn the_guard_holds(before: &Document, rounds: &Rounds, listed: Option<&[Instance]>) -> Result<(), TestCaseError> {
    let (after, floor, ratio) = (&rounds.document, rounds.settings.floor, rounds.settings.ratio);
    let (were, now_active) = (active(before), active(after));
    // Whose slot another one has is replaced.
    let taken: HashSet<u32> = now_active.values().copied().collect();
    let gone = were.iter().filter(|(id, slot)| !now_active.contains_key(*id) && !taken.contains(slot));
    let gone: Vec<_> = gone.map(|(id, _)| id).collect();
    let (left, all) = (now_active.len(), were.len());
    prop_assert!(gone.is_empty() || left >= floor.min(all), "{left} left of {all}");
    let leaving = |identity: &Identity| {
        listed.is_some_and(|list| list.iter().any(|i| identity_in(i) == *identity && i.life == Life::Leaving))
    };
    let overdue = |identity: &Identity| {
        before.servers().any(|(_, server)| {
            identity_of(server) == *identity && server.doubt.is_some_and(|doubt| doubt.since + 300 <= rounds.now)
        })
    };
    let lost = gone.iter().filter(|id| !leaving(id) && !overdue(id)).count();
    let gained = before.servers().chain(after.servers());
    let gained = gained.filter(|(_, server)| server.gained > START).map(|(_, server)| identity_of(server));
    // One that came now may have made up for another at once.
    let occupied: HashSet<u32> = were.values().copied().collect();
    let came = now_active.iter().filter(|(id, slot)| !were.contains_key(*id) && !occupied.contains(slot));
    let gained = gained.chain(came.map(|(id, _)| id.clone())).collect::<HashSet<_>>().len();
    let serving = were.keys().chain(now_active.keys()).collect::<HashSet<_>>().len();
    prop_assert!(lost <= allowance(serving, 0, ratio) + gained, "{lost} of {serving}, {gained} have come");
    Ok(())
}

/// A second application changes no server and has nothing to say, but that one more is held since others have left.
fn planning_again_changes_nothing(rounds: &Rounds, listed: Option<&[Instance]>) -> Result<(), TestCaseError> {
    let after = &rounds.document;
    let listed = listed.map(|list| listing(rounds.now, list.to_vec()));
    let apply = |present: &Document| plan(Some(present), listed.as_ref(), rounds.now, &rounds.settings);
    let again = apply(after);
    prop_assert_eq!((&again.slots, &again.unplaced, &again.lost), (&after.slots, &after.unplaced, &after.lost));
    prop_assert!(again.reasons.iter().all(|reason| reason.what == What::Held), "{:#?}", again.reasons);
    let third = apply(&again);
    prop_assert!(third.is_same(&again) && third.reasons.is_empty(), "{:#?}", third.reasons);
    Ok(())
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
            slots_are_those_of_the_list(after, rounds.settings.list_size)?;
            if !resized {
                let now_active = active(after);
                for (identity, slot) in active(&before) {
                    prop_assert!(now_active.get(&identity).is_none_or(|now| *now == slot));
                }
                the_guard_holds(&before, &rounds, listed.as_deref())?;
                // Nobody waits who could have the slot of a server that drains.
                let size = u32::try_from(rounds.settings.list_size).unwrap();
                let drains = after.servers().any(|(id, server)| id <= size && server.state != State::Active);
                prop_assert!(listed.is_none() || after.unplaced.is_empty() || !drains, "{}", shown(after));
            }
            // Every weight is in HAProxy's range and that of the ramp.
            for (_, server) in after.servers().filter(|(_, server)| server.state == State::Active) {
                prop_assert_eq!(server.weight, after.weight_at(server, rounds.now * 1000));
                prop_assert!((1..=10).contains(&server.weight));
            }
            planning_again_changes_nothing(&rounds, listed.as_deref())?;
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
