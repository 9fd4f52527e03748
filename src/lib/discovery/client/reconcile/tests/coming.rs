//! Slots whose server comes, and what is set of it.

use super::*;

#[test]
fn an_empty_slot_goes_to_maintenance() {
    // The original's cases "disabled server" and "fallback disabled server": one command, `state maint`; an occupied
    // slot is drained before.
    let mut site = Site::new(1, true);
    assert!(site.pass(&wanted(&document(&[None]))).is_empty(), "a disabled slot is in maintenance already");
    site.settle(&wanted(&document(&[active(1)])));
    let sent = site.settle(&wanted(&document(&[None])));
    assert_eq!(sent, ["set server web/web1 state drain", "set server web/web1 state maint"]);
}

#[test]
fn an_occupied_slot_gets_address_weight_and_ready() {
    // The original's cases "enabled server" and "fallback enabled server": addr, weight, ready, in this order.
    let mut site = Site::new(1, false);
    assert_eq!(
        site.pass(&wanted(&document(&[active(1)]))),
        [
            "set server web/web1 addr 10.0.0.1 port 8765",
            "set server web/web1 weight 10",
            "set server web/web1 state ready"
        ]
    );
    assert!(site.pass(&wanted(&document(&[active(1)]))).is_empty());
}

#[test]
fn a_checked_slot_has_no_weight_until_it_is_down() {
    let mut site = Site::new(1, true);
    let sent = site.pass(&wanted(&document(&[active(1)])));
    assert_eq!(
        sent,
        [
            "set server web/web1 addr 10.0.0.1 port 8765",
            "set server web/web1 weight 0",
            "set server web/web1 state ready",
            "set server web/web1 health down",
            "set server web/web1 weight 10",
        ]
    );
    assert!(!site.server(1).is_up());
}

#[test]
fn a_server_of_another_group_leaves_the_dedicated_backend_and_the_fallback() {
    let only = backend(Serves::Only(vec!["asg-0".into()]), BackendMode::Template);
    let except = backend(Serves::Except(vec!["asg-0".into()]), BackendMode::Template);
    let all = backend(Serves::All, BackendMode::Template);
    let of = |backend: &Configured, group: &'static str| {
        desired(&document(&[Some((1, group, State::Active))]), backend, true, 0).unwrap().slots[&1].clone()
    };
    assert!(matches!(of(&only, "asg-0"), Wanted::Serve(_)));
    assert_eq!(of(&only, "asg-1"), Wanted::Empty);
    assert_eq!(of(&except, "asg-0"), Wanted::Empty);
    assert!(matches!(of(&except, "asg-1"), Wanted::Serve(_)));
    assert!(matches!(of(&all, "asg-1"), Wanted::Serve(_)));
    // And a freed slot is empty in both, whatever its group was.
    let freed = document(&[None]);
    for backend in [&only, &except, &all] {
        assert_eq!(desired(&freed, backend, true, 0).unwrap().slots[&1], Wanted::Empty);
    }
}

#[test]
fn the_weight_of_one_who_comes_is_read_back_unless_an_agent_may_change_it() {
    for (agent, weight) in [(0, Some(10)), (2, None)] {
        let mut site = Site::new(1, true);
        site.model.row("web1").unwrap().agent = agent;
        assert_eq!(site.server(1).may_have_agent(), agent != 0);
        let outcome = site.look(&all([1]));
        assert_eq!(outcome.steps[0].expected.weight.map(Weight::get), weight);
    }
}

#[test]
fn weights_follow_the_list_and_leave_agents_alone() {
    let mut site = Site::new(1, true);
    let one = wanted(&document(&[active(1)]));
    site.settle(&one);
    site.model.row("web1").unwrap().weight = 3;
    assert_eq!(site.pass(&one), ["set server web/web1 weight 10"]);
    site.model.row("web1").unwrap().weight = 3;
    site.model.row("web1").unwrap().agent = 22;
    assert!(site.pass(&one).is_empty());
    site.model.row("web1").unwrap().agent = 0;
    let unmanaged = desired(&document(&[active(1)]), &backend(Serves::All, BackendMode::Template), false, 0).unwrap();
    assert!(site.pass(&unmanaged).is_empty());
}

#[test]
fn slots_that_haproxy_lacks_are_told() {
    let site = Site::new(1, true);
    let outcome = site.look(&wanted(&document(&[active(1), active(2)])));
    assert_eq!(outcome.waiting, [(2, Waiting::Missing)]);
}

#[test]
fn dynamic_servers_are_added_and_deleted() {
    let mut site = Site::new(0, true);
    let dynamic = |servers: &[Option<(u8, &str, State)>]| {
        desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
    };
    assert_eq!(
        site.pass(&dynamic(&[active(1)])),
        [
            "add server web/web1 10.0.0.1:8765 id 100001 check",
            "enable health web/web1",
            "set server web/web1 weight 0",
            "set server web/web1 state ready",
            "set server web/web1 health down",
            "set server web/web1 weight 10",
        ]
    );
    site.settle(&dynamic(&[active(1)]));
    let sent = site.settle(&dynamic(&[None]));
    assert_eq!(sent.last().map(String::as_str), Some("del server web/web1"));
    assert!(site.model.servers.rows.is_empty());
    site.model.process.release = (2, 4);
    assert_eq!(site.look(&dynamic(&[active(1)])).waiting, [(1, Waiting::TooOld)]);
}

#[test]
fn a_server_that_is_led_by_others_is_left_alone() {
    let mut site = Site::new(2, true);
    site.model.row("web1").unwrap().address = None;
    site.model.row("web2").unwrap().admin = 2;
    let both = wanted(&document(&[active(1), active(2)]));
    assert!(site.pass(&both).is_empty());
    assert_eq!(site.look(&both).waiting, [(1, Waiting::NotOurs), (2, Waiting::NotOurs)]);
}
