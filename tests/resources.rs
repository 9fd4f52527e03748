//! What a worker takes from the machine, seen from outside: its threads.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken machine may fail the test")]

mod harness;

use harness::graphite::Recorder;
use harness::incoming::{FIRST, Incoming, workers};
use harness::{SOON, wait_until, write};
use nix::unistd::Pid;
use std::fs;

/// Names of the threads.
fn threads(process: Pid) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the worker lives");
    tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect()
}

/// Processes with different objects, which polars has to group.
fn publish_uneven(setup: &Incoming, epoch: u64) {
    let staged = setup.stage(epoch);
    let header = "# pxname,svname,qcur,scur,stot,bin,bout,lbtot,weight,act,bck,type,";
    for (process, servers) in [("one", 0..200), ("two", 100..300), ("three", 0..300)] {
        let rows: String = servers.map(|server| format!("app,s{server},0,1,2,3,4,5,1,1,0,2,\n")).collect();
        write(&staged, &format!("{process}_stat"), format!("{header}\n{rows}app,BACKEND,0,1,2,3,4,5,1,1,0,1,\n\n"));
    }
    fs::rename(&staged, setup.path().join(epoch.to_string())).expect("a snapshot can be published");
}

#[test]
fn a_worker_is_one_thread() {
    // Servers over all backends have to be grouped, for which polars starts two threads, and leaves them alone.
    for (options, most) in [("workers = 1", 1), ("workers = 1\naggr-server-metrics = true", 3)] {
        let graphite = Recorder::start();
        let setup = Incoming::new(graphite.port(), options);
        let daemon = setup.daemon();
        let worker = workers(&daemon, 1)[0];
        let mut seen = threads(worker);
        for second in 0..5 {
            publish_uneven(&setup, FIRST + second);
            wait_until(SOON, "an empty source directory", || {
                let now = threads(worker);
                seen = if now.len() > seen.len() { now } else { std::mem::take(&mut seen) };
                setup.waiting().is_empty()
            });
        }
        assert_eq!(workers(&daemon, 1), [worker]);
        assert!(seen.len() <= most, "{seen:?}");
        assert!(graphite.distinct() > 300, "the snapshots were empty");
    }
}
