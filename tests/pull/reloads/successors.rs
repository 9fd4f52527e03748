//! A worker whose successor takes long to start. Since 3.2 its master lists it as old meanwhile, and its stats socket still leads
//! to it.

use super::World;
use crate::harness::newer::haproxies;
use crate::harness::{SOON, wait_until, write};
use nix::sys::signal::Signal;
use std::fs;

#[test]
fn a_worker_counts_once_while_its_successor_starts() {
    let newest = haproxies().into_iter().next_back().expect("Debian's, if no other");
    let place = tempfile::tempdir().unwrap();
    let mark = place.path().join("slow");
    let script = format!("if io.open('{}') then os.execute('sleep 5') end\n", mark.display());
    let script = write(place.path(), "slow.lua", script);
    let mut world = World::start(newest, &format!("  lua-load {}\n", script.display()), ["", "", ""]);
    world.begin();
    world.open(2);
    world.transfer(1_000);
    world.assert_counts("at the start");
    let old = world.pid();
    fs::write(&mark, "").unwrap();
    world.master.as_ref().unwrap().signal(Signal::SIGUSR2);
    world.settle();
    assert_eq!(world.pid(), old, "the other one still starts");
    wait_until(SOON, "the other one answers", || world.pid().is_some_and(|pid| Some(pid) != old));
    world.open(1);
    world.transfer(200);
    world.assert_counts("after the reload");
    assert_eq!(world.value("haproxystats.PullOldWorkers"), 1);
    world.pull.stop(SOON);
}
