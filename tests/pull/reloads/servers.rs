//! Servers that are deleted and added again while HAProxy runs.

use super::World;
use crate::harness::lasting::{Sessions, server};
use crate::harness::newer::haproxies;
use crate::harness::{SOON, names, wait_until};
use std::fs;

#[test]
fn a_server_that_is_added_again_goes_on_where_it_was() {
    // Before 2.6 this was an experiment.
    let newest = haproxies().into_iter().next_back().expect("Debian's, if no other");
    let mut world = World::start(newest, "", ["", "", ""]);
    world.begin();
    world.open(2);
    world.transfer(1_000);
    world.assert_counts_of(&[("backend.b.server.s1", world.client.counts())], "at the start");
    world.admin("set server b/s1 state maint");
    let add = |world: &World| {
        world.admin(&format!("add server b/s2 127.0.0.1:{}", server()));
        world.admin("enable server b/s2");
    };
    add(&world);
    let mut others = Sessions::default();
    for round in 0..3 {
        others.open(world.port);
        others.open(world.port);
        assert_eq!(others.transfer(700), 0);
        let (first, second) = (world.client.counts(), others.counts());
        let all = std::array::from_fn(|place| first[place] + second[place]);
        let objects = [("backend.b", all), ("backend.b.server.s1", first), ("backend.b.server.s2", second)];
        world.assert_counts_of(&objects, &format!("in round {round}"));
        others.close();
        world.admin("set server b/s2 state maint");
        world.settle();
        let delete = || world.admin("del server b/s2").contains("Server deleted");
        wait_until(SOON, "the last sessions have ended", delete);
        // While it is gone its backend shows what it has counted, and it is not shown.
        world.values.remove("lb.haproxy.backend.b.server.s2.weight");
        world.settle();
        assert!(!world.values.contains_key("lb.haproxy.backend.b.server.s2.weight"), "in round {round}");
        assert_eq!(world.value("backend.b.stot"), all[0]);
        add(&world);
    }
    world.pull.stop(SOON);
}

#[test]
fn a_server_that_was_gone_for_longer_than_forget_after_begins_at_0() {
    let newest = haproxies().into_iter().next_back().expect("Debian's, if no other");
    let mut world = World::start(newest, "", ["", "", ""]);
    let file = world.place.path().join("haproxystats.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("continuous-counters = true", "continuous-counters = true\nforget-after = 4"))
        .unwrap();
    world.restart_pull(&[]);
    wait_until(SOON, "HAProxy answers", || world.pid().is_some());
    world.settle();
    world.admin("set server b/s1 state maint");
    let add = |world: &World| {
        world.admin(&format!("add server b/s2 127.0.0.1:{}", server()));
        world.admin("enable server b/s2");
    };
    add(&world);
    world.open(3);
    world.transfer(500);
    world.settle();
    assert_eq!(world.value("backend.b.server.s2.stot"), 3);
    world.close();
    world.admin("set server b/s2 state maint");
    wait_until(SOON, "the last sessions have ended", || world.admin("del server b/s2").contains("Server deleted"));
    let of_backend = world.value("backend.b.stot");
    // It is not shown any more; its row is in the file of what is carried, until it is forgotten.
    let carrying = |world: &World| -> Vec<bool> {
        let mut all = names(&world.incoming());
        all.retain(|name| name.parse::<u64>().is_ok());
        all.sort();
        let carried = |name: &String| fs::read_to_string(world.incoming().join(name).join("lb.sock_carriedstat"));
        all.iter().map(|name| carried(name).unwrap_or_default().contains("b,s2,")).collect()
    };
    wait_until(SOON, "it is carried", || carrying(&world).contains(&true));
    wait_until(SOON, "it is forgotten", || carrying(&world).last() == Some(&false));
    world.settle();
    // It steps back on purpose.
    world.values.retain(|path, _| !path.contains("server.s2."));
    add(&world);
    world.open(2);
    world.transfer(500);
    world.settle();
    assert_eq!((world.value("backend.b.server.s2.stot"), world.value("backend.b.stot")), (2, of_backend + 2));
    world.pull.stop(SOON);
}
