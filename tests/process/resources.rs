//! What a worker takes from the machine, seen from outside: its threads, its memory.

#[path = "../../benches/pipeline/capture.rs"]
mod capture;

use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, workers};
use crate::harness::{SOON, threads, wait_until, write};
use nix::unistd::Pid;
use std::fs;

/// The most memory that a process has had, in MiB.
fn peak(process: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the worker lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
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

/// Lines of a snapshot are held until Graphite is certain to have them, a second or more. However many snapshots wait and
/// however large they are, only some are held.
#[test]
fn a_backlog_of_large_snapshots_does_not_pile_up_in_memory() {
    const SNAPSHOTS: u64 = 12;
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    // 2,000 servers in each of four processes: 7 MB of lines.
    let large = capture::write(&setup.beside("large"), capture::SIZES[1]).expect("a snapshot can be written");
    for second in 0..SNAPSHOTS {
        let staged = setup.beside("incoming.tmp").join((FIRST + second).to_string());
        fs::create_dir(&staged).expect("a snapshot can be staged");
        for file in fs::read_dir(&large).expect("a directory").flatten() {
            fs::hard_link(file.path(), staged.join(file.file_name())).expect("a file can be linked");
        }
        fs::rename(&staged, setup.path().join((FIRST + second).to_string())).expect("a snapshot can be published");
    }
    let daemon = setup.daemon();
    let worker = workers(&daemon, 1)[0];
    // Before the first snapshot: mostly code, of which a build for development has several times that of a release.
    let before = peak(worker);
    setup.wait_until_empty();
    let grown = peak(worker) - before;
    assert!(grown <= 56, "{grown} MiB over {before}");
    assert!(graphite.bytes() > SNAPSHOTS * 6_000_000, "the snapshots were small: {} bytes", graphite.bytes());
}
