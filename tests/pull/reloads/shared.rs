//! Workers that share their counters (`shm-stats-file`, HAProxy 3.3 and newer): what both show counts once.

use super::World;
use crate::harness::SOON;
use crate::harness::newer::newer_haproxy;
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

#[test]
fn counters_that_workers_share_count_once() {
    let Some(haproxy) = newer_haproxy("3.4").filter(|haproxy| haproxy.version >= (3, 3)) else { return };
    let name = format!("/haproxystats-test-{}", std::process::id());
    let file = Shared(PathBuf::from(format!("/dev/shm{name}")));
    let _ = fs::remove_file(&file.0);
    let guids = ["guid front-f", "guid back-b", "guid srv-s1"];
    let mut world = World::start(haproxy, &format!("  shm-stats-file {name}\n"), guids);
    world.begin();
    world.open(4);
    world.transfer(3_000);
    world.assert_counts("at the start");
    for round in 0..2 {
        world.reload();
        world.transfer(200);
        world.open(1);
        world.transfer(100);
        world.assert_counts(&format!("after reload {round}"));
    }
    // Which workers share what is not to be seen any more: it is kept.
    world.restart_pull(&[]);
    world.transfer(700);
    world.assert_counts("after haproxystats-pull was killed while old workers stand");
    world.close();
    world.assert_counts("when the old workers are gone");
    world.pull.stop(SOON);
}
