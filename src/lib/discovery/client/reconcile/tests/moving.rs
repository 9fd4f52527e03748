//! Servers that go from one slot to another.

use super::*;

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
