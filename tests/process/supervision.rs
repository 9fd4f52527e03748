//! The pool of worker processes from outside: killed, stopped, felled by snapshots, without a parent.

use crate::harness::graphite::Recorder;
use crate::harness::incoming::{Incoming, workers};
use crate::harness::{self, SOON, lives, names, process, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const TRAP: &str = "HAPROXYSTATS_TEST_TRAP";

#[test]
fn a_killed_worker_is_replaced_and_nothing_is_lost() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let daemon = setup.daemon();
    let mut published = Vec::new();
    for round in 0..6 {
        published.extend(setup.publish(round * 20..(round + 1) * 20));
        let victims = workers(&daemon, 2);
        kill(victims[usize::from(round % 2 == 1)], Signal::SIGKILL).unwrap();
        wait_until(SOON, "a replacement", || workers(&daemon, 2) != victims);
    }
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn all_workers_may_die_at_once() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 4");
    let daemon = setup.daemon();
    let mut published = Vec::new();
    for round in 0..4 {
        published.extend(setup.publish(round * 20..(round + 1) * 20));
        for worker in workers(&daemon, 4) {
            kill(worker, Signal::SIGKILL).unwrap();
        }
    }
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    workers(&daemon, 4);
}

#[test]
fn the_death_of_the_parent_leaves_no_orphan_and_loses_nothing() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 3");
    let mut published = setup.publish(0..60);
    for round in 0..3 {
        let mut daemon = setup.daemon();
        let orphans = workers(&daemon, 3);
        daemon.wait_for_output(" started worker=2", SOON);
        // One of them cannot even notice by itself. It has its name once it has told the kernel to end it.
        let comm = |pid: Pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        wait_until(SOON, "a worker under way", || comm(orphans[0]) == comm(daemon.pid()));
        kill(orphans[0], Signal::SIGSTOP).unwrap();
        daemon.signal(Signal::SIGKILL);
        daemon.wait(SOON);
        wait_until(SOON, "the end of all workers", || !orphans.iter().any(|worker| lives(*worker)));
        published.extend(setup.publish(60 + round * 10..70 + round * 10));
    }
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn a_stopped_worker_is_replaced_and_its_snapshot_is_not_blamed() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1\nliveness-check-interval = 0.2\nworker-timeout = 1");
    let daemon = setup.daemon();
    let mut published = Vec::new();
    for round in 0..3 {
        // Not before the parent is done with starting it: it could not go on.
        let started = usize::try_from(round).unwrap() + 1;
        wait_until(SOON, "a worker", || daemon.output().matches(" started worker=").count() == started);
        let stopped = workers(&daemon, 1);
        kill(stopped[0], Signal::SIGSTOP).unwrap();
        published.extend(setup.publish([round]));
        wait_until(SOON, "a replacement", || !lives(stopped[0]));
    }
    setup.wait_until_empty();
    assert!(!setup.failed().exists());
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn a_stopped_parent_goes_on_where_it_was() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2\nliveness-check-interval = 0.2\nworker-timeout = 1");
    let daemon = setup.daemon();
    let before = workers(&daemon, 2);
    let mut published = setup.publish([0]);
    setup.wait_until_empty();
    daemon.signal(Signal::SIGSTOP);
    published.extend(setup.publish(1..5));
    // Longer than the time after which silence is punished.
    std::thread::sleep(Duration::from_secs(3));
    daemon.signal(Signal::SIGCONT);
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    assert_eq!(workers(&daemon, 2), before, "no worker was to blame");
}

#[test]
fn a_snapshot_that_fells_workers_is_quarantined_and_the_rest_goes_on() {
    for how in ["abort", "exit", "panic"] {
        let graphite = Recorder::start();
        let setup = Incoming::new(graphite.port(), "workers = 2");
        let published = setup.publish(0..10);
        let (poisoned, good) = published.split_first().unwrap();
        let mut daemon = setup.daemon_with(TRAP, &format!("{how}:{poisoned}"));
        setup.wait_until_empty();
        assert_eq!(names(&setup.failed()), std::slice::from_ref(poisoned), "{how}");
        assert_eq!(names(&setup.failed().join(poisoned)), ["sock1_info", "sock1_stat"]);
        setup.assert_arrived(&graphite, good);
        workers(&daemon, 2);
        daemon.stop(SOON);

        // Without the trap it is as good as any.
        fs::rename(setup.failed().join(poisoned), setup.path().join(poisoned)).unwrap();
        let _daemon = setup.daemon();
        setup.wait_until_empty();
        setup.assert_arrived(&graphite, &published);
    }
}

#[test]
fn a_snapshot_that_hangs_workers_is_quarantined() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2\nliveness-check-interval = 0.2\nworker-timeout = 0.5");
    let published = setup.publish(0..5);
    let (poisoned, good) = published.split_first().unwrap();
    let _daemon = setup.daemon_with(TRAP, &format!("hang:{poisoned}"));
    setup.wait_until_empty();
    assert_eq!(names(&setup.failed()), std::slice::from_ref(poisoned));
    setup.assert_arrived(&graphite, good);
}

#[test]
fn many_poisoned_snapshots_do_not_end_the_daemon() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let published = setup.publish(0..30);
    let (good, poisoned): (Vec<_>, Vec<_>) = published.iter().cloned().partition(|name| name.ends_with(['0', '5']));
    let traps: Vec<String> = poisoned.iter().map(|name| format!("abort:{name}")).collect();
    let mut daemon = setup.daemon_with(TRAP, &traps.join(","));
    wait_until(SOON * 3, "an empty source directory", || setup.waiting().is_empty());
    assert_eq!(names(&setup.failed()), poisoned);
    setup.assert_arrived(&graphite, &good);
    assert!(daemon.is_running());
}

#[test]
fn without_a_quarantine_a_poisoned_snapshot_is_left_alone() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    // Files in the places of the quarantine: beside, and inside as a last resort.
    fs::write(setup.failed(), "").unwrap();
    fs::write(setup.path().join(".failed"), "").unwrap();
    let published = setup.publish(0..5);
    let (poisoned, good) = published.split_first().unwrap();
    let mut daemon = setup.daemon_with(TRAP, &format!("abort:{poisoned}"));
    daemon.wait_for_output("left where it is", SOON);
    wait_until(SOON, "the others to go", || setup.waiting() == [".failed", poisoned]);
    setup.assert_arrived(&graphite, good);
    fs::remove_file(setup.failed()).unwrap();
    wait_until(SOON, "the quarantine to work", || names(&setup.failed()) == std::slice::from_ref(poisoned));
    // It might have become a good one meanwhile, so it was tried once more before it was moved.
    assert_eq!(daemon.output().matches("crashed (").count(), 3);
    assert_eq!(daemon.output().matches("left where it is").count(), 1);
    daemon.stop(SOON);
}

#[test]
fn a_worker_without_memory_condemns_nothing() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let published = setup.publish(0..5);
    let (first, good) = published.split_first().unwrap();
    let mut daemon = setup.daemon_with(TRAP, &format!("memory:{first}"));
    let ends = |daemon: &harness::Daemon| daemon.output().matches("exited for lack of memory").count();
    wait_until(SOON, "several attempts", || ends(&daemon) >= 3);
    assert_eq!(setup.waiting(), std::slice::from_ref(first));
    assert_eq!(names(&setup.failed()), Vec::<String>::new());
    setup.assert_arrived(&graphite, good);
    daemon.stop(SOON);
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn signals_that_mean_nothing_end_nobody() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let mut daemon = setup.daemon();
    // A worker that has asked for work is ready for anything.
    let first = setup.publish(0..4);
    setup.wait_until_empty();
    let before = workers(&daemon, 2);
    let numbers = (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).filter(|number| {
        use Signal::*;
        let others = [
            SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGTERM, SIGSTOP,
            SIGTSTP, SIGTTIN, SIGTTOU, SIGXCPU, SIGSYS,
        ];
        !others.iter().any(|other| *other as i32 == *number)
    });
    for number in numbers {
        for pid in before.iter().copied().chain([daemon.pid()]) {
            let sent = harness::output(Command::new("kill").args([format!("-{number}"), pid.to_string()])).unwrap();
            assert!(sent.status.success(), "{number} to {pid}");
        }
    }
    let published = setup.publish(10..14);
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &[first, published].concat());
    assert_eq!(workers(&daemon, 2), before);
    assert!(daemon.is_running());
}

#[test]
fn workers_that_only_die_end_the_daemon_with_a_code() {
    // Each is killed as it appears, which is what a crash at the start looks like.
    let setup = Incoming::new(harness::free_port(), "workers = 1");
    let mut daemon = setup.daemon();
    let end = Instant::now() + Duration::from_secs(90);
    while daemon.is_running() {
        for worker in daemon.children() {
            // It may be gone already.
            let _ = kill(worker, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
        assert!(Instant::now() < end, "it never gave up");
    }
    assert_eq!(daemon.wait(SOON).code(), Some(70), "{}", daemon.output());
}

#[test]
fn deaths_are_counted_by_their_causes_and_counters_outlive_workers() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let published = setup.publish(0..3);
    let traps = format!("exit:{},panic:{}", published[1], published[2]);
    let daemon = setup.daemon_with(TRAP, &traps);
    setup.wait_until_empty();
    kill(workers(&daemon, 1)[0], Signal::SIGKILL).unwrap();
    // Figures travel at most once per pull-interval, which is ten seconds here.
    std::thread::sleep(Duration::from_secs(10));
    setup.publish([3]);
    setup.wait_until_empty();
    let figures = || {
        let lines = graphite.record().lines;
        let value = |name: &str| {
            let values = lines.keys().filter_map(|line| {
                let rest = line.split_once(&format!(".haproxystats.{name} "))?.1;
                rest.split(' ').next()?.parse::<f64>().ok()
            });
            values.reduce(f64::max)
        };
        [
            "WorkerRestartsExit",
            "SnapshotsPanicked",
            "SnapshotsQuarantined",
            "WorkerRestartsSignal",
            "SnapshotsDelivered",
        ]
        .map(value)
    };
    let expected = [2.0, 2.0, 2.0, 1.0, 1.0].map(Some);
    wait_until(SOON, "the figures", || figures() == expected);
    let delivered = graphite.record().lines.keys().any(|line| {
        line.contains(".haproxystats.GraphiteLinesDelivered ") && !line.contains("GraphiteLinesDelivered 0 ")
    });
    assert!(delivered, "what a dead worker had delivered still counts");
}

#[test]
fn workers_look_like_the_daemon_from_outside() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let daemon = setup.daemon();
    let read = |pid: Pid, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let command_line = read(daemon.pid(), "cmdline");
    for worker in workers(&daemon, 2) {
        wait_until(SOON, "its name", || read(worker, "comm") == read(daemon.pid(), "comm"));
        // Whoever counts by arguments finds the parent's in those of a worker.
        assert!(read(worker, "cmdline").starts_with(&command_line));
    }
}

#[test]
fn a_worker_by_hand_says_what_it_is_for() {
    let mut command = process();
    command.args(["--worker", "0"]);
    let (status, output) = harness::run(command, SOON);
    assert_eq!(status.code(), Some(1));
    assert!(output.contains("--worker is only for haproxystats-process itself"), "{output}");
}

#[test]
fn an_idle_worker_is_small() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let daemon = setup.daemon();
    setup.publish(0..20);
    setup.wait_until_empty();
    for worker in workers(&daemon, 2) {
        wait_until(SOON, "at most 16 MiB", || harness::rss_kib(worker).is_some_and(|kib| kib <= 16 * 1024));
    }
}
