//! What a worker of HAProxy that is leaving, and what is carried of processes that are gone, add to the live ones: the table of
//! docs/metrics.md.

use crate::harness;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const HEADER: &str =
    "# pxname,svname,type,status,scur,smax,slim,qcur,stot,rate,rtime,weight,act,chkfail,lastchg,check_status,\n";

/// A process with a frontend, and a backend of this server and another one.
fn write_process(directory: &Path, name: &str, [info, stat]: [&str; 2], figures: &str, daemon: &str, other: &str) {
    let rows = [("www", "FRONTEND", 0), ("web", "s1", 2), ("web", other, 2), ("web", "BACKEND", 1)];
    let rows: String =
        rows.iter().map(|(proxy, server, kind)| format!("{proxy},{server},{kind},{figures},\n")).collect();
    harness::write(directory, &format!("{name}{stat}"), format!("{HEADER}{rows}\n"));
    harness::write(directory, &format!("{name}{info}"), format!("Name: HAProxy\n{daemon}\n"));
}

/// What is carried of sessions and failed checks.
fn write_carried(directory: &Path, socket: &str, [sessions, failed]: [i64; 2]) {
    let rows: String = [("www", "FRONTEND", 0), ("web", "s1", 2), ("web", "gone", 2), ("web", "BACKEND", 1)]
        .iter()
        .map(|(proxy, server, kind)| format!("{proxy},{server},{kind},{sessions},{failed},1700000000,\n"))
        .collect();
    let text = format!("# pxname,svname,type,stot,chkfail,seen,\n{rows}\n");
    harness::write(directory, &format!("{socket}_carriedstat"), text);
    harness::write(directory, &format!("{socket}_carriedinfo"), format!("CumConns: {sessions}\n\n"));
}

fn snapshot(carried: &[(&str, [i64; 2])]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("1700000000");
    fs::create_dir(&directory).unwrap();
    let live = ["_info", "_stat"];
    let figures = "UP,1,10,100,2,100,3,20,5,1,4,50,L7OK";
    let daemon = |pid: u32, connections: u32, stopping: u32| {
        format!(
            "Pid: {pid}\nnode: lb\nStart_time_sec: 1\nCurrConns: 2\nCumConns: {connections}\nConnRate: 4\nMaxconn: 50\n\
             Uptime_sec: 60\nIdle_pct: 90\nStopping: {stopping}\n"
        )
    };
    write_process(&directory, "a.sock", live, figures, &daemon(1, 100, 0), "s2");
    write_process(&directory, "b.sock", live, figures, &daemon(2, 100, 0), "s2");
    let figures = "STOP,7,90,900,1,1000,2,50,99,0,3,9,L4CON";
    write_process(&directory, "m.sock@3", ["_oldinfo", "_oldstat"], figures, &daemon(3, 700, 1), "removed");
    carried.iter().for_each(|(socket, figures)| write_carried(&directory, socket, *figures));
    place
}

fn lines(place: &tempfile::TempDir, batch: Option<&str>) -> BTreeMap<String, f64> {
    let text = "[process]\nstatus-metrics = true\n\
        server-metrics = scur smax slim qcur stot rate rtime weight act chkfail lastchg\n\
        [graphite]\nnamespace = lb\nprefix-hostname = false\n";
    let file = harness::write(place.path(), "haproxystats.conf", text);
    let mut command = harness::with_config(harness::process(), &file);
    command.arg("--once").arg(place.path().join("1700000000"));
    command.envs(batch.map(|bytes| ("HAPROXYSTATS_TEST_BATCH", bytes)));
    let output = harness::output(&mut command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields[0].to_owned(), fields[1].parse().unwrap())
    };
    text.lines().map(line).filter(|(path, _): &(String, f64)| !path.contains(".haproxystats.")).collect()
}

#[test]
fn each_kind_of_figure_is_what_the_table_says() {
    let place = snapshot(&[("a.sock", [5_000, 30])]);
    let lines = lines(&place, None);
    let value = |path: &str| lines.get(&format!("lb.haproxy.{path}")).copied();
    for object in ["frontend.www", "backend.web", "backend.web.server.s1"] {
        let figures = ["scur", "smax", "slim", "stot", "rate"].map(|name| value(&format!("{object}.{name}")));
        assert_eq!(figures, [9.0, 20.0, 200.0, 6_200.0, 8.0].map(Some), "{object}");
    }
    let server = "backend.web.server.s1";
    let figures = ["qcur", "weight", "act", "chkfail", "lastchg"].map(|name| value(&format!("{server}.{name}")));
    assert_eq!(figures, [5.0, 5.0, 1.0, 41.0, 50.0].map(Some));
    // Of two processes with 100 sessions and one with 1,000.
    assert_eq!(value(&format!("{server}.rtime")), Some(30.0));
    for name in ["status", "check_status"] {
        assert_eq!(value(&format!("{server}.{name}")), value(&format!("backend.web.server.s2.{name}")), "{name}");
    }
    // What only the others have is no object; what they do not have is that of the live ones.
    let is_of = |name: &str| lines.keys().any(|path| path.contains(&format!(".server.{name}.")));
    assert_eq!([is_of("removed"), is_of("gone"), is_of("s2")], [false, false, true]);
    assert_eq!(value("backend.web.server.s2.stot"), Some(200.0));
    let daemon = ["CurrConns", "CumConns", "ConnRate", "Maxconn", "Uptime_sec", "Stopping"];
    let figures = daemon.map(|name| value(&format!("daemon.{name}")));
    assert_eq!(figures, [Some(6.0), Some(5_900.0), Some(12.0), Some(100.0), Some(60.0), None], "{lines:?}");
}

/// Earlier versions wrote what is carried for each process.
#[test]
fn what_is_carried_is_the_same_in_one_file_and_in_several_and_in_batches() {
    let whole = lines(&snapshot(&[("a.sock", [5_000, 30])]), None);
    let several = snapshot(&[("a.sock", [2_000, 40]), ("b.sock", [3_500, -15]), ("m.sock", [-500, 5])]);
    assert_eq!(lines(&several, None), whole);
    assert_eq!(lines(&several, Some("100")), whole);
}
