//! Workers that share their counters (`shm-stats-file`, HAProxy 3.3 and newer): what both show counts once.

use super::World;
use crate::harness::lasting::Sessions;
use crate::harness::newer::newer_haproxy;
use crate::harness::{SOON, free_port};
use std::fs;
use std::path::PathBuf;

/// What HAProxy keeps the counters in; removed in the end, and also where the test fails: another program may have the same pid
/// later, and would begin with these counters.
struct Shared(PathBuf);

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Workers share the counters of what has a guid; those of a frontend without one begin at 0, and add.
#[test]
fn counters_that_workers_share_count_once() {
    let Some(haproxy) = newer_haproxy("3.4").filter(|haproxy| haproxy.version >= (3, 3)) else { return };
    let name = format!("/haproxystats-test-{}", std::process::id());
    let file = Shared(PathBuf::from(format!("/dev/shm{name}")));
    let _ = fs::remove_file(&file.0);
    let port = free_port();
    let server = format!("guid srv-s1\nfrontend noguid\n  bind 127.0.0.1:{port}\n  default_backend b");
    let guids = ["guid front-f", "guid back-b", &server];
    let mut world = World::start(haproxy, &format!("  shm-stats-file {name}\n"), guids);
    let mut other = Sessions::default();
    world.begin();
    world.open(4);
    other.open(port);
    world.transfer(3_000);
    other.transfer(70);
    assert_counts(&mut world, &other, "at the start");
    for round in 0..2 {
        world.reload();
        world.transfer(200);
        world.open(1);
        world.transfer(100);
        other.open(port);
        other.transfer(9);
        assert_counts(&mut world, &other, &format!("after reload {round}"));
    }
    // Which workers share what is not to be seen any more: it is kept.
    world.restart_pull(&[]);
    world.transfer(700);
    other.transfer(5);
    assert_counts(&mut world, &other, "after haproxystats-pull was killed while old workers stand");
    world.close();
    other.close();
    assert_counts(&mut world, &other, "when the old workers are gone");
    world.pull.stop(SOON);
}

#[track_caller]
fn assert_counts(world: &mut World, other: &Sessions, when: &str) {
    let (with, without) = (world.client.counts(), other.counts());
    let all = std::array::from_fn(|place| with[place] + without[place]);
    let objects =
        [("frontend.f", with), ("frontend.noguid", without), ("backend.b", all), ("backend.b.server.s1", all)];
    world.assert_counts_of(&objects, when);
}
