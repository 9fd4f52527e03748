//! A list that is replaced by another.

use super::*;
use proptest::prelude::*;

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
}
