//! Slots whose server leaves: drain, sessions, and who may leave now.

use super::*;

#[test]
fn a_slot_is_drained_before_it_gets_another_address() {
    let mut site = Site::new(2, true);
    site.settle(&wanted(&document(&[active(1), active(2)])));
    let next = wanted(&document(&[active(3), active(2)]));
    site.model.sessions.insert("web", "web1", 4);
    assert_eq!(site.pass(&next), ["set server web/web1 state drain"]);
    assert!(site.pass(&next).is_empty(), "sessions are open");
    assert_eq!(site.look(&next).waiting, [(1, Waiting::Draining)]);
    site.model.sessions.insert("web", "web1", 0);
    assert_eq!(site.pass(&next), ["set server web/web1 state maint"]);
    assert_eq!(site.pass(&next)[0], "set server web/web1 addr 10.0.0.3 port 8765");
}

#[test]
fn draining_ends_with_its_time() {
    let mut site = Site::new(1, true);
    site.settle(&wanted(&document(&[active(1)])));
    let next = wanted(&document(&[None]));
    site.model.sessions.insert("web", "web1", 4);
    assert_eq!(site.pass(&next), ["set server web/web1 state drain"]);
    site.now += 29;
    assert!(site.pass(&next).is_empty());
    site.now += 1;
    assert_eq!(site.pass(&next), ["set server web/web1 state maint"]);
}

#[test]
fn sessions_are_ended_after_the_time_to_drain_where_that_is_asked_for() {
    let (maint, shutdown) = ("set server web/web1 state maint", "shutdown sessions server web/web1");
    let cases = [
        (30, 4, true, false, &[maint, shutdown][..], "drain-timeout has expired, with 4 sessions left"),
        (30, 4, false, false, &[maint], "drain-timeout has expired, with 4 sessions left"),
        (30, 0, true, false, &[maint], "its sessions have ended"),
        (29, 4, true, true, &[maint], "its checks fail, with 4 sessions left"),
    ];
    for (waited, open, shutdown_sessions, dead, commands, reason) in cases {
        let mut site = Site::new(1, true);
        site.settle(&all([1]));
        let next = wanted(&document(&[None]));
        site.model.sessions.insert("web", "web1", 4);
        site.pass(&next);
        site.now += waited;
        site.model.sessions.insert("web", "web1", open);
        if dead {
            site.model.row("web1").unwrap().operation = 0;
        }
        let (process, servers, sessions) = (&site.model.process, &site.model.servers, &site.model.sessions);
        let view = View { process, servers, sessions, fixed_weights: false, now: site.now };
        let outcome = reconcile(&next, view, &site.record, Settings { shutdown_sessions, ..SETTINGS });
        let sent: Vec<String> = outcome.steps[0].commands.iter().map(Command::to_string).collect();
        assert_eq!(
            (sent, outcome.steps[0].reason.as_str()),
            (commands.iter().map(ToString::to_string).collect(), reason)
        );
    }
}

#[test]
fn who_drains_where_the_list_has_another_one_leaving_is_not_waited_for() {
    let mut site = Site::new(1, true);
    site.settle(&all([1]));
    site.settle(&wanted(&document(&[Some((2, "asg-0", State::Draining { since: 0 }))])));
    assert_eq!(site.server(1).state(), AdminState::Maint);
}

#[test]
fn draining_ends_with_its_time_where_sessions_cannot_be_counted() {
    let mut site = Site::new(1, true);
    site.settle(&all([1]));
    let next = wanted(&document(&[None]));
    site.model.sessions = OpenSessions::default();
    assert_eq!(site.pass(&next), ["set server web/web1 state drain"]);
    site.now += 29;
    let outcome = site.look(&next);
    assert_eq!((outcome.steps.len(), outcome.ask_sessions.len()), (0, 1));
    assert_eq!(outcome.waiting, [(1, Waiting::Draining)]);
    site.now += 1;
    assert_eq!(site.pass(&next), ["set server web/web1 state maint"]);
}

#[test]
fn a_dynamic_server_is_deleted_only_when_its_sessions_have_certainly_ended() {
    let mut site = Site::new(0, true);
    let dynamic = |servers: &[Option<(u8, &str, State)>]| {
        desired(&document(servers), &backend(Serves::All, BackendMode::Dynamic), true, 1_000_000).unwrap()
    };
    site.settle(&dynamic(&[active(1)]));
    let none = dynamic(&[None]);
    let sent: Vec<String> = (0..2).flat_map(|_| site.pass(&none)).collect();
    assert_eq!(sent, ["set server web/web1 state drain", "set server web/web1 state maint"]);
    for (open, asked) in [(None, 1), (Some(3), 0)] {
        site.model.sessions = OpenSessions::default();
        if let Some(open) = open {
            site.model.sessions.insert("web", "web1", open);
        }
        let outcome = site.look(&none);
        assert_eq!((outcome.steps, outcome.ask_sessions.len()), (vec![], asked));
        assert_eq!(outcome.waiting, [(1, Waiting::Draining)]);
    }
    site.model.sessions.insert("web", "web1", 0);
    assert_eq!(site.pass(&none), ["del server web/web1"]);
}

#[test]
fn only_who_drains_has_a_time_since_when() {
    let mut site = Site::new(1, true);
    let (one, none) = (all([1]), wanted(&document(&[None])));
    let since = |site: &Site| site.record.get(&one.server(1).unwrap()).unwrap().since;
    site.settle(&one);
    assert_eq!(since(&site), 0);
    site.model.sessions.insert("web", "web1", 4);
    let drained = site.now;
    for _ in 0..3 {
        site.pass(&none);
        assert_eq!(since(&site), drained);
        site.now += 1;
    }
    site.settle(&none);
    assert_eq!(since(&site), 0);
}

#[test]
fn not_all_servers_leave_before_others_are_up() {
    let mut site = Site::new(4, true);
    site.settle(&all(1..=4));
    let next = all(5..=8);
    for _ in 0..20 {
        site.pass(&next);
        end_sessions(&mut site);
        assert!(up(&site) >= 2, "{:?}", site.model.servers.rows);
    }
    assert!(site.look(&next).waiting.contains(&(3, Waiting::Capacity)), "{:?}", site.look(&next));
    site.settle(&next);
    assert_eq!(site.look(&next).serving, 4);
}

#[test]
fn slots_of_dead_servers_are_handed_over_at_once_whatever_their_sessions() {
    let mut site = Site::new(4, true);
    site.settle(&all(1..=4));
    for slot in 1..=4 {
        site.model.sessions.insert("web", &format!("web{slot}"), 3);
    }
    for slot in ["web1", "web2", "web3"] {
        site.model.row(slot).unwrap().operation = 0;
    }
    let next = all(5..=8);
    site.pass(&next);
    site.pass(&next);
    for slot in 1..=3 {
        assert_eq!(site.server(slot).address, Some(format!("10.0.0.{}", slot + 4).parse().unwrap()));
    }
    // The only one that is left serves until half of the new ones do.
    assert!(has_traffic(site.server(4)));
    site.pass(&next);
    assert!(has_traffic(site.server(4)));
    site.model.pass_checks();
    assert_eq!(site.pass(&next), ["set server web/web4 state drain"]);
}

#[test]
fn servers_whose_slots_are_waited_for_leave_first() {
    let mut site = Site::new(4, true);
    site.settle(&all(1..=4));
    // Three leave, and another server waits for the last slot.
    let next = wanted(&document(&[None, None, None, active(5)]));
    assert!(site.pass(&next).contains(&"set server web/web4 state drain".to_owned()));
    for _ in 0..5 {
        end_sessions(&mut site);
        site.pass(&next);
        assert!(up(&site) >= 1, "{:?}", site.model.servers.rows);
    }
    site.settle(&next);
    assert_eq!(up(&site), 1);
}
