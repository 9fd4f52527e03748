//! Tables that do not fit, that are full, and rows that HAProxy drops.

use super::releases;
use super::world::{Wish, World, rules};
use crate::harness::haproxy::ask;
use crate::harness::{SOON, poll, pull, wait_until};

/// One release is enough for what haproxystats does itself.
fn newest() -> Option<crate::harness::newer::Haproxy> {
    releases().pop()
}

#[test]
fn a_table_with_other_counters_than_its_bounds_is_refused_and_costs_nothing_else() {
    let Some(haproxy) = newest() else { return };
    let wish = Wish { rules: vec![("store gpc(5)", "store gpc(6)".to_owned())], ..Wish::default() };
    let mut world = World::start(&haproxy, &wish);
    let mut client = world.client(0);
    (0..3).for_each(|_| client.get("b", 0));
    let refused = poll(SOON, || {
        world.read();
        (world.value("haproxystats.PullLatencyRefusedRows") > Some(0.0)).then_some(())
    });
    assert!(refused.is_some(), "{}", world.pull.output());
    world
        .pull
        .wait_for_output("it has 6 counters, but its bounds need 5: write \\\"store gpc(5)\\\" in the table", SOON);
    assert_eq!(world.value("backend.b.latency_response_count"), None);
    assert_eq!(world.value("backend.b.stot"), Some(3.0));
    world.pull.stop(SOON);
}

#[test]
fn a_table_that_other_rules_fill_is_refused() {
    let Some(haproxy) = newest() else { return };
    let key = "%[be_name]/%[srv_name]/response/50,200,800/%pid/";
    for (rules, words) in [
        (vec![(key, "%[src]".to_owned())], "its key is not <backend>/<server>/<timers>/<bounds>/<pid>/"),
        (vec![("len 179", "len 20".to_owned())], "its key is truncated: the len of the table is too small"),
    ] {
        let mut world = World::start(&haproxy, &Wish { rules, ..Wish::default() });
        world.client(0).get("b", 0);
        world.pull.wait_for_output(words, SOON);
        world.settle();
        assert_eq!(world.pull.output().matches(words).count(), 1, "once");
        assert_eq!(world.value("backend.b.latency_response_count"), None);
        world.pull.stop(SOON);
    }
}

#[test]
fn a_socket_without_the_level_and_a_table_that_is_missing_are_said_once_with_what_to_write() {
    let Some(haproxy) = newest() else { return };
    for (wish, words) in [
        (Wish { level: "user", ..Wish::default() }, "lb0.sock level operator"),
        (
            Wish {
                rules: vec![
                    ("backend latency ", "backend other ".to_owned()),
                    ("table latency", "table other".to_owned()),
                ],
                ..Wish::default()
            },
            "No such table",
        ),
    ] {
        let mut world = World::start_unread(&haproxy, &wish);
        world.pull.wait_for_output(words, SOON);
        world.settle();
        assert_eq!(world.pull.output().matches(words).count(), 1, "once:\n{}", world.pull.output());
        assert_eq!(world.value("haproxystats.PullLatencyTables"), Some(0.0));
        assert!(world.value("backend.b.stot").is_some());
        world.pull.stop(SOON);
    }
}

#[test]
fn a_full_table_is_said_and_rows_that_are_dropped_begin_again() {
    let Some(haproxy) = newest() else { return };
    let servers = vec![("s1", 0), ("s2", 0)];
    let wish = Wish { rules: vec![("size 100k", "size 2".to_owned())], servers, level: "admin", ..Wish::default() };
    let mut world = World::start(&haproxy, &wish);
    let mut client = world.client(0);
    (0..6).for_each(|_| client.get("b", 0));
    world.pull.wait_for_output("the latency table is full", SOON);
    world.settle();
    assert_eq!(world.value("haproxystats.PullLatencyFullTables"), Some(1.0));
    assert_eq!(world.value("backend.b.latency_response_count"), Some(6.0));
    // As HAProxy does with rows that have expired.
    ask(&world.socket(0), "clear table latency");
    // It frees rows a little later; until then the table is full, and one of the next two would have to go.
    world.settle();
    (0..2).for_each(|_| client.get("b", 0));
    world.settle();
    assert_eq!(world.value("backend.b.latency_response_count"), Some(8.0), "nothing is lost or counted twice");
    world.pull.stop(SOON);
}

#[test]
fn counters_of_haproxy_wrap_and_ours_do_not() {
    let Some(haproxy) = newest().filter(|haproxy| haproxy.version >= (3, 2)) else { return };
    let mut world = World::start(&haproxy, &Wish { level: "admin", ..Wish::default() });
    let mut client = world.client(0);
    client.get("b", 0);
    world.settle();
    let row = format!("b/s1/response/50,200,800/{}/", world.pid(0).unwrap());
    // By steps of less than half of their range, up to just below its end.
    for count in [2_000_000_000_u32, 4_000_000_000, u32::MAX - 1] {
        let values: Vec<String> = (0..5).map(|place| format!("data.gpc[{place}] {count}")).collect();
        let answer = ask(&world.socket(0), &format!("set table latency key {row} {}", values.join(" "))).unwrap();
        assert_eq!(answer.trim(), "");
        world.settle();
        assert_eq!(world.value("backend.b.latency_response_count"), Some(f64::from(count)));
    }
    (0..5).for_each(|_| client.get("b", 60));
    world.settle();
    let count = f64::from(u32::MAX - 1) + 5.0;
    for metric in ["count", "le_200", "le_inf"] {
        assert_eq!(world.value(&format!("backend.b.latency_response_{metric}")), Some(count), "{metric}");
    }
    assert_eq!(world.value("backend.b.latency_response_le_50"), Some(count - 5.0));
    let sum = world.value("backend.b.latency_response_sum").unwrap();
    assert!(sum >= f64::from(u32::MAX - 1) + 5.0 * 60.0, "{sum}");
    assert_eq!(world.value("haproxystats.PullLatencyResets"), Some(0.0));
    world.pull.stop(SOON);
}

#[test]
fn rules_are_what_every_release_takes() {
    for haproxy in releases() {
        for arguments in
            [&[][..], &["--timers", "response,connect,queue", "--buckets", "1,5,25,100,1000", "--table", "t.1"]]
        {
            let place = tempfile::tempdir().unwrap();
            let file = place.path().join("haproxy.cfg");
            let text = format!(
                "defaults base\n  mode http\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\n{}\
                 frontend f from base\n  bind unix@{}/f\n  default_backend b\nbackend b from {}-rules\n  server s 127.0.0.1:9\n",
                rules(arguments),
                place.path().display(),
                if arguments.is_empty() { "latency" } else { "t.1" },
            );
            std::fs::write(&file, text).unwrap();
            let output = haproxy.command().arg("-c").arg("-f").arg(&file).output().unwrap();
            assert!(output.status.success(), "{:?}: {}", haproxy.version, String::from_utf8_lossy(&output.stderr));
        }
    }
    let refused = pull().args(["--latency-rules", "--buckets", "5,1"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("bounds must ascend"));
}

#[test]
fn what_cannot_be_read_of_earlier_pulls_is_set_aside() {
    let Some(haproxy) = newest() else { return };
    let mut world = World::start(&haproxy, &Wish::default());
    (0..3).for_each(|_| world.client(0).get("b", 0));
    world.assert_counts("at the start");
    let state = world.place.path().join("incoming/.latency");
    world.restart_pull(|_| std::fs::write(&state, "nonsense").unwrap());
    world.pull.wait_for_output("set aside", SOON);
    wait_until(SOON, "the next snapshots", || {
        world.read();
        world.value("haproxystats.PullDamagedStates") == Some(1.0)
    });
    assert_eq!(std::fs::read_to_string(state.with_file_name(".latency.damaged")).unwrap(), "nonsense");
    world.settle();
    assert_eq!(world.value("backend.b.latency_response_count"), Some(0.0), "counting starts over");
    world.pull.stop(SOON);
}
