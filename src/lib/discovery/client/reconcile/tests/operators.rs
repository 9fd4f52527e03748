//! What somebody else has set, also over a reload of HAProxy.

use super::*;

#[test]
fn an_operators_state_stays_until_the_operator_ends_it() {
    for state in [AdminState::Maint, AdminState::Drain] {
        let mut site = Site::new(2, true);
        let both = wanted(&document(&[active(1), active(2)]));
        site.settle(&both);
        site.model.force("web1", state);
        for next in [both.clone(), wanted(&document(&[None, active(2)])), wanted(&document(&[active(3), active(2)]))] {
            assert!(site.pass(&next).is_empty());
            assert_eq!(site.look(&next).waiting, [(1, Waiting::Held(state))]);
        }
        site.model.force("web1", AdminState::Ready);
        assert!(site.settle(&both).is_empty());
        assert!(site.look(&both).waiting.is_empty());
    }
}

#[test]
fn a_state_that_an_operator_has_ended_is_not_put_back_after_a_reload_where_a_server_waits_to_leave() {
    let mut site = Site::new(2, false);
    site.settle(&all([1, 5]));
    let one = wanted(&document(&[active(2), None]));
    site.pass(&one);
    assert_eq!(site.server(2).state(), AdminState::Ready, "it waits until another one serves");
    for state in [AdminState::Drain, AdminState::Ready] {
        site.model.force("web2", state);
        site.pass(&one);
    }
    site.model.reload();
    site.settle(&one);
    assert_eq!(site.server(2).state(), AdminState::Maint);
}

#[test]
fn a_server_that_is_held_in_one_slot_does_not_come_up_in_another() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), None])));
    site.model.force("web1", AdminState::Maint);
    let moved = wanted(&document(&[None, active(1)]));
    assert!(site.pass(&moved).is_empty());
    assert_eq!(site.look(&moved).waiting, [(1, Waiting::Held(AdminState::Maint)), (2, Waiting::HeldElsewhere(1))]);
}

#[test]
fn our_own_maintenance_is_ours_after_a_reload_and_without_a_record() {
    let mut site = Site::new(1, true);
    site.settle(&wanted(&document(&[active(1)])));
    site.settle(&wanted(&document(&[None])));
    site.model.reload();
    assert!(site.look(&wanted(&document(&[None]))).waiting.is_empty());
    site.record = Record::default();
    assert!(!site.settle(&wanted(&document(&[active(1)]))).is_empty());
    assert_eq!(site.server(1).state(), AdminState::Ready);
}

#[test]
fn what_was_up_before_a_reload_is_up_at_once_after_it() {
    let mut site = Site::new(2, true);
    let one = wanted(&document(&[active(1), active(2)]));
    site.settle(&one);
    site.model.row("web2").unwrap().operation = 0;
    site.pass(&one);
    site.model.reload();
    let sent = site.pass(&one);
    assert!(site.server(1).is_up() && !site.server(2).is_up(), "{sent:?}");
    assert!(!sent.contains(&"set server web/web1 health down".to_owned()), "{sent:?}");
}

#[test]
fn a_state_that_a_state_file_kept_over_a_reload_is_still_the_operators() {
    let mut site = Site::new(1, true);
    let one = wanted(&document(&[active(1)]));
    site.settle(&one);
    let rows = site.model.servers.rows.clone();
    site.model.reload();
    site.model.servers.rows = rows;
    site.model.force("web1", AdminState::Maint);
    assert!(site.pass(&one).is_empty());
    assert_eq!(site.look(&one).waiting, [(1, Waiting::Held(AdminState::Maint))]);
}

#[test]
fn an_operators_maintenance_is_seen_without_a_record() {
    let mut site = Site::new(1, true);
    let one = wanted(&document(&[active(1)]));
    site.settle(&one);
    site.model.force("web1", AdminState::Maint);
    site.record = Record::default();
    assert!(site.pass(&one).is_empty());
    assert_eq!(site.look(&one).waiting, [(1, Waiting::Held(AdminState::Maint))]);
}

#[test]
fn what_an_operator_had_set_is_put_back_after_a_reload() {
    for state in [AdminState::Maint, AdminState::Drain] {
        for disabled in [true, false] {
            let mut site = Site::new(2, true);
            site.model = Model::new(2, true, disabled);
            let both = all([1, 2]);
            site.settle(&both);
            site.model.force("web1", state);
            site.pass(&both);
            site.model.reload();
            let sent = site.pass(&both);
            let first = if disabled && state == AdminState::Maint { "addr 10.0.0.1 port 8765" } else { "state" };
            assert!(sent[0].starts_with(&format!("set server web/web1 {first}")), "{sent:?}");
            assert_eq!((site.server(1).state(), site.server(1).address), (state, Some("10.0.0.1".parse().unwrap())));
            site.settle(&both);
            assert!(has_traffic(site.server(2)));
            assert_eq!(site.look(&both).waiting, [(1, Waiting::Held(state))]);
            // Nor is it brought up elsewhere.
            let moved = all([2, 1]);
            site.model.reload();
            site.pass(&moved);
            site.settle(&moved);
            assert_eq!(site.server(1).state(), state);
            assert!(
                !site.model.servers.rows.iter().any(|row| has_traffic(row) && row.address == site.server(1).address)
            );
            site.model.force("web1", AdminState::Ready);
            site.settle(&both);
            assert_eq!(up(&site), 2);
        }
    }
}

#[test]
fn a_state_that_could_not_be_put_back_is_not_taken_for_its_end() {
    let mut site = Site::new(1, true);
    site.model = Model::new(1, true, false);
    let one = all([1]);
    site.settle(&one);
    site.model.force("web1", AdminState::Maint);
    site.pass(&one);
    site.model.reload();
    // It is noted, and then the commands are lost.
    let outcome = site.look(&one);
    for step in &outcome.steps {
        site.record.set(&step.server, step.entry.unwrap());
    }
    assert_eq!(site.pass(&one)[0], "set server web/web1 state maint");
    assert_eq!(site.server(1).state(), AdminState::Maint);
}

#[test]
fn a_dynamic_server_that_an_operator_had_taken_out_is_added_in_maintenance() {
    let mut site = Site::new(0, true);
    let dynamic = |servers: &[Option<(u8, &str, State)>]| {
        desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
    };
    let one = dynamic(&[active(1)]);
    site.settle(&one);
    site.model.force("web1", AdminState::Maint);
    site.pass(&one);
    site.model.reload();
    let sent = site.settle(&one);
    assert!(sent[0].starts_with("add server web/web1 10.0.0.1:8765"), "{sent:?}");
    assert_eq!(site.server(1).state(), AdminState::Maint);
    assert_eq!(site.look(&one).waiting, [(1, Waiting::Held(AdminState::Maint))]);
    site.model.force("web1", AdminState::Ready);
    site.model.reload();
    // Seen as ready only by the next round: the reload came before it.
    site.settle(&one);
    assert_eq!(site.server(1).state(), AdminState::Maint);
    site.model.force("web1", AdminState::Ready);
    site.settle(&one);
    site.model.reload();
    site.settle(&one);
    assert!(has_traffic(site.server(1)));
    // Nobody is there any more: nothing is held.
    site.model.force("web1", AdminState::Maint);
    site.pass(&one);
    site.model.reload();
    assert!(site.settle(&dynamic(&[None])).is_empty());
    site.settle(&one);
    assert!(has_traffic(site.server(1)));
}

#[test]
fn an_agent_that_an_operator_has_switched_off_stays_so_over_a_reload() {
    for unasked in [false, true] {
        let mut site = Site::new(1, true);
        let agent =
            |site: &mut Site, enabled: bool| site.model.row("web1").unwrap().agent = if enabled { 22 } else { 18 };
        agent(&mut site, true);
        let one = wanted(&document(&[active(1)]));
        site.settle(&one);
        agent(&mut site, !unasked);
        site.model.force("web1", AdminState::Maint);
        site.pass(&one);
        site.model.reload();
        agent(&mut site, true);
        let sent = site.pass(&one);
        assert_eq!(sent.first().is_some_and(|first| first == "disable agent web/web1"), unasked, "{sent:?}");
        assert_eq!(site.server(1).has_agent(), !unasked);
    }
}

#[test]
fn what_was_held_of_a_dynamic_server_that_is_gone_holds_no_other() {
    // A list that is too short for the slot says as much as one whose slot is empty.
    for gone in [&[None][..], &[]] {
        let mut site = Site::new(0, true);
        let dynamic = |servers: &[Option<(u8, &str, State)>]| {
            desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
        };
        site.settle(&dynamic(&[active(1)]));
        site.model.force("web1", AdminState::Drain);
        site.pass(&dynamic(gone));
        site.model.reload();
        assert!(site.settle(&dynamic(gone)).is_empty());
        site.settle(&dynamic(&[active(2)]));
        assert!(has_traffic(site.server(1)), "{gone:?}");
    }
}
