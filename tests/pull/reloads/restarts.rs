//! haproxystats-pull is killed at each step of a tick, and while a process does not answer: what it has kept is enough to go on.

use super::World;
use crate::harness::newer::own_haproxy;
use crate::harness::{Daemon, SOON, names, pull, wait_until, with_config};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::ExitStatusExt;

/// The steps of a tick, in their order, and what is on the disk then.
const STEPS: [(&str, &str); 9] = [
    ("begun", "a directory for the snapshot"),
    ("answered", "the replies"),
    ("carried", "what is carried, beside them"),
    ("linked", "links to all of it, that have no name yet"),
    ("kept", "what is kept of this tick and of the one before"),
    ("cleared", "what is kept of this tick, the snapshot not being published"),
    ("counted", "a complete snapshot that is not published"),
    ("published", "the snapshot, in its place"),
    ("noted", "everything"),
];

#[test]
fn pull_may_be_killed_at_every_step_of_a_tick() {
    // Some at a time: each waits for most of its time.
    let part = |steps: &'static [(&str, &str)]| std::thread::spawn(move || killed_at(steps));
    let parts: Vec<_> = STEPS.chunks(3).map(part).collect();
    for part in parts {
        part.join().expect("said above");
    }
}

fn killed_at(steps: &[(&str, &str)]) {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    world.begin();
    world.open(3);
    world.transfer(1_000);
    world.assert_counts("at the start");
    world.reload();
    world.close();
    world.assert_counts("when a process is gone, and carried");
    for (step, there) in steps {
        // The first of the old workers ends, and is carried from one of the next ticks on.
        drop(world.client.take(0..world.client.standing().min(1)));
        // It has a tick, and is killed in the second one.
        world.restart_pull(&[("HAPROXYSTATS_TEST_STEP", &format!("{step}:2"))]);
        world.open(1);
        world.transfer(500);
        world.reload();
        world.transfer(300);
        let status = world.pull.wait(SOON);
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{step}:\n{}", world.pull.output());
        world.transfer(200);
        world.restart_pull(&[]);
        world.assert_counts(&format!("after haproxystats-pull was killed; there was {there}"));
    }
    world.close();
    world.assert_counts("when the old workers are gone");
    world.pull.stop(SOON);
}

#[test]
fn a_process_that_did_not_answer_before_a_restart_counts_once() {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    world.begin();
    world.open(3);
    world.transfer(1_000);
    world.assert_counts("at the start");
    let old: i32 = world.pid().unwrap().parse().unwrap();
    world.reload();
    world.open(1);
    world.transfer(200);
    world.assert_counts("after a reload");
    // The old worker hangs: what it had reached is carried, and it may come back.
    kill(Pid::from_raw(old), Signal::SIGSTOP).unwrap();
    wait_until(SOON, "it is missing", || {
        world.settle();
        world.value("haproxystats.PullOldWorkers") == 0
    });
    assert_eq!(world.value("frontend.f.bout"), world.client.received);
    world.restart_pull(&[]);
    world.settle();
    kill(Pid::from_raw(old), Signal::SIGCONT).unwrap();
    world.transfer(50);
    world.assert_counts("when it answers again");
    assert_eq!(world.value("haproxystats.PullOldWorkers"), 1);
    world.pull.stop(SOON);
}

#[test]
fn what_cannot_be_read_is_set_aside_and_counters_begin_anew() {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    world.begin();
    world.open(2);
    world.transfer(100);
    world.assert_counts("at the start");
    world.reload();
    world.close();
    world.assert_counts("after a reload");
    world.pull.stop(SOON);
    world.read();
    let kept = world.incoming().join(".continuity");
    let epoch = names(&kept).into_iter().find(|name| name.parse::<u64>().is_ok()).expect("a state is kept");
    let carried = kept.join(&epoch).join("lb.sock_carriedstat");
    let text = fs::read_to_string(&carried).unwrap();
    fs::remove_file(&carried).unwrap();
    fs::write(&carried, &text[..10]).unwrap();
    world.pull = Daemon::spawn(with_config(pull(), &world.place.path().join("haproxystats.conf")));
    world.pull.wait_for_output("set aside", SOON);
    let seen = world.snapshots;
    world.values.clear();
    wait_until(SOON, "a snapshot", || {
        world.read();
        world.snapshots > seen
    });
    assert_eq!(world.value("haproxystats.PullDamagedStates"), 1);
    assert!(names(&kept).contains(&format!("damaged-{epoch}")));
    assert_eq!(world.value("frontend.f.stot"), 0, "it starts from 0");
    world.pull.stop(SOON);
}

#[test]
fn counters_go_on_while_their_state_cannot_be_saved_which_is_counted() {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    world.begin();
    world.open(2);
    world.transfer(100);
    world.assert_counts("at the start");
    assert_eq!(world.value("haproxystats.PullUnsavedStates"), 0);
    let in_the_way = world.incoming().join(".continuity/next");
    // Where haproxystats-pull has a directory of this name for a moment in each tick.
    wait_until(SOON, "a file in the way", || fs::write(&in_the_way, "").is_ok());
    world.pull.wait_for_output("cannot save the state of continuous counters", SOON);
    world.settle();
    let unsaved = world.value("haproxystats.PullUnsavedStates");
    assert!(unsaved >= 1, "{unsaved}");
    world.reload();
    world.close();
    world.assert_counts("after a reload");
    fs::remove_file(&in_the_way).unwrap();
    world.pull.wait_for_output("can be saved again", SOON);
    world.pull.stop(SOON);
}
