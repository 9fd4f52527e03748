//! Less to send: unused slots and counters that have never moved are left out where that is asked for, and counted.

use crate::harness::graphite::Recorder;
use crate::harness::incoming::Incoming;
use crate::harness::{self, Daemon, SOON, wait_for, wait_until};
use nix::sys::signal::{Signal, kill};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// As HAProxy 2.6 prints them: servers of server-templates, one in use, one that is on hold.
const HEADER: &str = "# pxname,svname,scur,stot,bin,status,type,lbtot,smax,addr,\n";
const FREE: [&str; 4] = [
    "be,dns1,0,0,0,MAINT (resolution),2,0,0,,\n",
    "be,slot1,0,0,0,MAINT,2,0,0,0.0.0.0:80,\n",
    "be,slot2,0,0,0,MAINT,2,0,0,[::]:80,\n",
    "be,slot3,0,0,0,MAINT (via be/slot1),2,0,0,0.0.0.0:80,\n",
];
const KEPT: [&str; 6] = [
    "be,busy,1,3,900,UP,2,3,1,10.0.0.1:80,\n",
    "be,new,0,0,0,UP,2,0,0,10.0.0.2:80,\n",
    // Held back by an operator: it has an address.
    "be,held,0,0,0,MAINT,2,0,0,10.0.0.3:80,\n",
    // Freed: what it had counted stays in sight.
    "be,freed,0,7,70,MAINT,2,7,1,0.0.0.0:80,\n",
    // The socket tells no addresses.
    "be,hidden,0,0,0,MAINT,2,0,0,,\n",
    "be,checked,0,0,0,DOWN,2,0,0,0.0.0.0:80,\n",
];
const REST: &str = "fe,FRONTEND,0,0,0,OPEN,0,,0,,\nbe,BACKEND,1,10,970,UP,1,10,1,,\n";

/// Each proxy is a batch of its own.
const BATCHES: (&str, &str) = ("HAPROXYSTATS_TEST_BATCH", "1");

/// Each batch is a piece of its own, and is forgotten when it was sent.
const PIECES: (&str, &str) = ("HAPROXYSTATS_TEST_BOUNDS", "1");

fn stat(rows: &[&str]) -> String {
    [HEADER.to_owned(), rows.concat(), REST.to_owned()].concat()
}

fn snapshot(processes: &[String]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("1700000000");
    std::fs::create_dir(&directory).unwrap();
    for (number, stat) in processes.iter().enumerate() {
        harness::write(&directory, &format!("{number}.sock_stat"), stat);
        harness::write(
            &directory,
            &format!("{number}.sock_info"),
            "Process_num: 1\nCurrConns: 0\nCumConns: 0\nCumReq: 5\nIdle_pct: 100\n",
        );
    }
    place
}

/// The lines of a snapshot, whether it is read at once or proxy by proxy.
fn lines(options: &str, snapshot: &Path) -> BTreeMap<String, String> {
    let lines = lines_with(options, snapshot, &[]);
    assert_eq!(lines_with(options, snapshot, &[BATCHES]), lines);
    lines
}

fn lines_with(options: &str, snapshot: &Path, variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    let place = tempfile::tempdir().unwrap();
    let config = format!("[process]\n{options}\n[graphite]\nnamespace = lb\n");
    let file = harness::write(place.path(), "haproxystats.conf", config);
    let mut command = harness::with_config(harness::process(), &file);
    command.arg("--once").arg(snapshot.join("1700000000")).envs(variables.iter().copied());
    let output = harness::output(&mut command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (path, rest) = line.split_once(' ').unwrap();
        let path = path.split_once(".haproxy.").unwrap().1;
        (path.to_owned(), rest.split(' ').next().unwrap().to_owned())
    };
    text.lines().map(line).filter(|(path, _)| !path.starts_with("haproxystats.")).collect()
}

/// Names of the servers of a backend, or over all backends.
fn servers<'a>(lines: &'a BTreeMap<String, String>, before: &str) -> BTreeSet<&'a str> {
    lines.keys().filter_map(|path| path.strip_prefix(before)?.split('.').next()).collect()
}

fn names(rows: &[&str]) -> BTreeSet<String> {
    rows.iter().map(|row| row.split(',').nth(1).unwrap().to_owned()).collect()
}

fn owned(names: BTreeSet<&str>) -> BTreeSet<String> {
    names.into_iter().map(ToOwned::to_owned).collect()
}

#[test]
fn only_slots_that_nobody_uses_are_left_out() {
    let place = snapshot(&[stat(&[&FREE[..], &KEPT[..]].concat())]);
    for aggregated in ["", "aggr-server-metrics = true\n"] {
        let without = lines(aggregated, place.path());
        let with = lines(&format!("skip-unused-slots = true\n{aggregated}"), place.path());
        assert_eq!(owned(servers(&without, "backend.be.server.")), names(&[&FREE[..], &KEPT[..]].concat()));
        assert_eq!(owned(servers(&with, "backend.be.server.")), names(&KEPT));
        if !aggregated.is_empty() {
            assert_eq!(owned(servers(&with, "server.")), names(&KEPT));
        }
        // Nothing else changes; the number of servers counts them all.
        let slots = names(&FREE);
        let expected: BTreeMap<_, _> =
            without.into_iter().filter(|(path, _)| !path.split('.').any(|element| slots.contains(element))).collect();
        assert_eq!(with, expected);
        assert_eq!(with["backend.be.TotalServers"], "10");
    }
}

#[test]
fn a_slot_that_one_of_several_processes_uses_is_sent() {
    // `late` is in maintenance here and up there; the objects stand in another order, too.
    let late = ["be,late,0,0,0,MAINT,2,0,0,0.0.0.0:80,\n", "be,late,0,0,0,UP,2,0,0,10.0.0.9:80,\n"];
    let one = stat(&[FREE[0], FREE[1], late[0]]);
    let two = stat(&[late[1], FREE[1], FREE[0]]);
    // Values beyond 64 bits and odd shapes go another way through the aggregation.
    let big = two.replace("be,BACKEND,1,10,970", "be,BACKEND,1,10,18446744073709551615");
    let big = big.replace("be,late,0,0,0,UP,2,0,0", "be,late,0,0,18446744073709551615,UP,2,0,0");
    for processes in [[one.clone(), two], [one, big]] {
        let place = snapshot(&processes);
        for status in ["false", "true"] {
            let with = lines(&format!("skip-unused-slots = true\nstatus-metrics = {status}"), place.path());
            assert_eq!(owned(servers(&with, "backend.be.server.")), BTreeSet::from(["late".to_owned()]));
        }
        assert_eq!(servers(&lines("", place.path()), "backend.be.server.").len(), 3);
    }
}

#[test]
fn counters_that_are_zero_are_left_out_and_nothing_else() {
    let place = snapshot(&[stat(&KEPT), stat(&KEPT)]);
    for options in ["per-process-metrics = true", "frontend-metrics = all\nbackend-metrics = all\nserver-metrics = all"]
    {
        let without = lines(options, place.path());
        let with = lines(&format!("{options}\nskip-zero = true"), place.path());
        let left_out: BTreeMap<_, _> = without.iter().filter(|(path, _)| !with.contains_key(*path)).collect();
        assert!(left_out.values().all(|value| *value == "0"), "{left_out:?}");
        for (path, value) in &with {
            assert_eq!(Some(value), without.get(path), "{path}");
        }
        let metrics: BTreeSet<&str> = left_out.keys().map(|path| path.rsplit('.').next().unwrap()).collect();
        for counter in ["stot", "bin", "CumConns"] {
            assert!(metrics.contains(counter), "{counter} of {metrics:?}");
        }
        // Gauges, largest values, states and numbers of servers say something where they are 0.
        for other in ["scur", "smax", "CurrConns", "qcur", "TotalServers", "rate", "CumReq"] {
            assert!(!metrics.contains(other), "{other} of {metrics:?}");
        }
        for (path, value) in [("backend.be.server.busy.stot", "6"), ("backend.be.server.busy.bin", "1800")] {
            assert_eq!(with[path], value);
        }
        assert_eq!(with["frontend.fe.scur"], "0");
        assert!(!with.contains_key("frontend.fe.stot") && !with.contains_key("backend.be.server.new.stot"));
    }
}

#[test]
fn roll_ups_leave_out_what_no_host_uses_or_counts() {
    let late = ["be,late,0,0,0,MAINT,2,0,0,0.0.0.0:80,\n", "be,late,0,0,0,UP,2,0,0,10.0.0.9:80,\n"];
    let place = snapshot(&[stat(&[FREE[1], late[0]]), stat(&[FREE[1], late[1], KEPT[0]])]);
    let options = "cluster-metrics = true\nskip-unused-slots = true\nskip-zero = true\n\
                   [hosts]\n0.sock = lb-01 edge\n1.sock = lb-02 edge";
    let all: BTreeSet<String> = {
        let file = harness::write(place.path(), "haproxystats.conf", format!("[process]\n{options}\n"));
        let mut command = harness::with_config(harness::process(), &file);
        let output = harness::output(command.arg("--once").arg(place.path().join("1700000000"))).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let has = |host: &str, rest: &str| all.iter().any(|path| path.contains(host) && path.ends_with(rest));
    assert!(!all.iter().any(|path| path.contains("slot1")));
    assert!(!has(".lb-01.", "server.late.scur") && has(".lb-02.", "server.late.scur"));
    assert!(has("edge", "haproxy.backend.be.server.late.scur"));
    assert!(!has("", "late.stot") && has("edge", "busy.stot"));
    assert!(!has("", ".CumConns") && has("edge", ".CumReq"));
}

#[test]
fn the_effect_is_counted() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1\nskip-unused-slots = true\nskip-zero = true");
    // Fresh snapshots carry the figures at once.
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 5;
    let publish = |second: u64| {
        let staged = setup.stage(first + second);
        for name in harness::names(&staged) {
            std::fs::remove_file(staged.join(name)).unwrap();
        }
        harness::write(&staged, "1.sock_stat", stat(&[&FREE[..], &KEPT[..]].concat()));
        harness::write(&staged, "1.sock_info", "CurrConns: 0\nCumConns: 0\n");
        std::fs::rename(staged, setup.path().join((first + second).to_string())).unwrap();
    };
    let _daemon = setup.daemon();
    let figure = |name: &str| -> Option<f64> {
        let lines = graphite.record().lines;
        let values =
            lines.keys().filter_map(|line| line.split_once(&format!(".haproxystats.{name} "))?.1.split(' ').next());
        values.filter_map(|value| value.parse().ok()).reduce(f64::max)
    };
    publish(0);
    setup.wait_until_empty();
    // Figures travel with a later snapshot.
    let mut second = 0;
    let slots = wait_for(SOON, "the figures", || {
        second += 1;
        publish(second);
        setup.wait_until_empty();
        figure("SlotsSkipped").filter(|slots| *slots > 0.0)
    });
    assert_eq!(slots % 4.0, 0.0, "four each time");
    wait_until(SOON, "lines", || figure("ZerosSkipped").is_some_and(|zeros| zeros > 10.0));
    let lines = graphite.record().lines;
    assert!(!lines.keys().any(|line| line.contains(".slot1.") || line.contains(".CumConns ")));
    assert!(lines.keys().any(|line| line.contains(".server.held.scur 0 ")));
}

/// Whoever carries values forward knows every value of these snapshots, and none is older than so many snapshots; returns
/// how many lines there are of how many.
fn assert_carried(setup: &Incoming, graphite: &Recorder, snapshots: &[String], every: u64) -> (usize, usize) {
    let split = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[2].parse::<u64>().unwrap(), words[0].to_owned(), words[1].to_owned())
    };
    let arrived: BTreeSet<_> = graphite.record().lines.keys().map(|line| split(line)).collect();
    let expected: BTreeSet<_> = setup.expected(snapshots).iter().map(|line| split(line)).collect();
    let mut carried: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    let mut sent = arrived.iter().peekable();
    for (epoch, path, value) in &expected {
        while let Some((at, path, value)) = sent.next_if(|(at, ..)| at <= epoch) {
            carried.insert(path, (value, *at));
        }
        let (known, since) = carried[path.as_str()];
        assert_eq!(known, value, "{path} at {epoch}");
        assert!(epoch - since < every, "{path} at {epoch} is of {since}");
    }
    (expected.intersection(&arrived).count(), expected.len())
}

#[test]
fn values_that_stay_the_same_are_sent_now_and_then() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2\nsend-unchanged-every = 4");
    let mut daemon = setup.daemon();
    let mut snapshots = Vec::new();
    for second in 0..12 {
        snapshots.extend(setup.publish([second]));
        setup.wait_until_empty();
    }
    daemon.stop(SOON);
    let (sent, all) = assert_carried(&setup, &graphite, &snapshots, 4);
    assert!(sent < all * 3 / 4, "{sent} of {all}");
    // Figures about haproxystats are always there.
    let of = |name: &str| graphite.record().lines.keys().filter(|line| line.contains(name)).count();
    assert_eq!(of(".haproxystats.MetricsServer "), 12);

    // After a restart everything is sent.
    let _daemon = setup.daemon();
    let next = setup.publish([12]);
    setup.wait_until_empty();
    wait_until(SOON, "all lines", || {
        setup.expected(&next).iter().all(|line| graphite.record().lines.contains_key(line))
    });
}

#[test]
fn no_change_is_lost_when_workers_die() {
    assert_nothing_is_lost(&[]);
}

#[test]
fn no_change_is_lost_when_large_snapshots_are_rendered_again() {
    assert_nothing_is_lost(&[BATCHES, PIECES]);
}

/// Workers die, and connections break under what has been sent.
fn assert_nothing_is_lost(variables: &[(&str, &str)]) {
    let mut graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 3\nsend-unchanged-every = 5");
    let mut command = harness::with_config(harness::process(), setup.config());
    command.envs(variables.iter().copied());
    let daemon = Daemon::spawn(command);
    let mut snapshots = Vec::new();
    for round in 0..4 {
        snapshots.extend((0..3).flat_map(|step| setup.publish([round * 10 + step])));
        setup.wait_until_empty();
        graphite.vanish();
        // These wait with the workers, some of which die.
        snapshots.extend(setup.publish(round * 10 + 3..round * 10 + 10));
        let workers = harness::incoming::workers(&daemon, 3);
        kill(workers[round as usize % 3], Signal::SIGKILL).unwrap();
        graphite.come_back();
        setup.wait_until_empty();
    }
    // Something is left out as soon as a worker renders two in a row, which none of those above may have done.
    wait_until(SOON, "a line is left out", || {
        snapshots.extend(setup.publish([snapshots.len() as u64]));
        setup.wait_until_empty();
        wait_until(SOON, "the last line", || {
            let last = snapshots.last().unwrap();
            graphite.record().lines.keys().any(|line| line.ends_with(last.as_str()) && line.contains("TotalWallClock"))
        });
        let (sent, all) = assert_carried(&setup, &graphite, &snapshots, 5);
        sent < all
    });
}
