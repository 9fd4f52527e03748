//! `--explain`: how a metric comes about, and each reason for which there is none.

use crate::harness::incoming::{FIRST, Incoming};
use crate::harness::{self, names, process, with_config, write};
use std::path::{Path, PathBuf};
use std::process::Command;

const STAT: &str = "# pxname,svname,qcur,scur,smax,stot,bin,bout,lbtot,weight,act,bck,status,rtime,check_status,hrsp_5xx,idle_conn_cur,mode,type,addr,\n";

/// Two processes with the same objects.
fn snapshot(incoming: &Incoming) -> PathBuf {
    let dir = incoming.beside("kept").join(FIRST.to_string());
    std::fs::create_dir_all(&dir).unwrap();
    for (name, requests, time) in [("lb1.sock", 10, 30), ("lb2.sock", 30, 50)] {
        write(
            &dir,
            &format!("{name}_info"),
            format!(
                "Name: HAProxy\nPid: {requests}\nUptime_sec: 5\nIdle_pct: 90\nCurrConns: {requests}\nCumReq: 0\n\n"
            ),
        );
        let stat = format!(
            "{STAT}www.eu,FRONTEND,,3,4,{requests},100,200,,,,,OPEN,,,0,,http,0,,\n\
             app,s1,0,1,2,{requests},50,60,{requests},1,1,0,UP,{time},L4OK,0,,http,2,10.0.0.1:80,\n\
             app,s2,0,0,0,0,0,0,0,1,1,0,MAINT,0,,0,,http,2,0.0.0.0:0,\n\
             app,BACKEND,0,1,2,{requests},50,60,{requests},1,1,0,UP,{time},,0,,http,1,,\n\
             idle,BACKEND,0,0,0,0,0,0,0,0,0,0,UP,0,,0,,http,1,,\n\n"
        );
        write(&dir, &format!("{name}_stat"), stat);
    }
    write(&dir, ".pull", "PullTicks 17\n");
    dir
}

fn incoming(options: &str, more: &str) -> Incoming {
    let incoming = Incoming::new(1, options);
    let text = std::fs::read_to_string(incoming.config()).unwrap();
    std::fs::write(incoming.config(), format!("{text}prefix-hostname = false\n{more}")).unwrap();
    incoming
}

/// What is said, and whether the metric is sent.
#[track_caller]
fn explained(incoming: &Incoming, snapshot: &Path, metric: &str) -> (String, bool) {
    let mut command = with_config(process(), incoming.config());
    command.arg("--explain").arg(metric).arg(snapshot);
    let output = harness::output(&mut command).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{code:?} {text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.contains("\n  sent "), code == Some(0), "{text}");
    assert_eq!(text.contains("\n  not sent "), code == Some(1), "{text}");
    (text, code == Some(0))
}

/// A metric is not sent, for this reason.
#[track_caller]
fn absent(incoming: &Incoming, snapshot: &Path, metric: &str, why: &str) {
    let (text, sent) = explained(incoming, snapshot, metric);
    assert!(!sent && text.contains(why), "{metric}: {text}");
}

#[track_caller]
fn sent(incoming: &Incoming, snapshot: &Path, metric: &str, parts: &[&str]) {
    let (text, sent) = explained(incoming, snapshot, metric);
    assert!(sent, "{metric}: {text}");
    for part in parts {
        assert!(text.contains(part), "{metric}: no {part:?} in {text}");
    }
}

#[test]
fn what_is_sent_is_explained_by_its_rows() {
    let incoming = incoming("status-metrics = true\naggr-server-metrics = true\ncalculate-percentages = true", "");
    let dir = snapshot(&incoming);
    let base = "lb.haproxy";
    sent(
        &incoming,
        &dir,
        &format!("{base}.frontend.www_eu.stot"),
        &[
            "sent      40",
            "snapshot ",
            "1700000000 (2023-11-14T22:13:20Z)",
            "HAProxy writes \"www.eu\"; in metric names this becomes \"www_eu\"",
            "field     stot of show stat in count; counter: ",
            "rule      sum of the rows below; an empty cell counts as 0",
            "lb1.sock_stat:2 www.eu/FRONTEND: stot = 10",
            "lb2.sock_stat:2 www.eu/FRONTEND: stot = 30",
        ],
    );
    sent(
        &incoming,
        &dir,
        &format!("{base}.backend.app.rtime"),
        &[
            "sent      40\n",
            "rule      mean over processes with traffic",
            "app/BACKEND: rtime = 30, stot = 10, lbtot = 10",
        ],
    );
    sent(&incoming, &dir, &format!("{base}.backend.app.server.s1.status"), &["sent      1\n", "status = UP"]);
    sent(&incoming, &dir, &format!("{base}.backend.app.TotalServers"), &["sent      2\n", "app/s2"]);
    sent(&incoming, &dir, &format!("{base}.backend.app.servers_maint"), &["sent      1\n", "app/s2: status = MAINT"]);
    sent(&incoming, &dir, &format!("{base}.server.s1.scur"), &["sent      2\n", "server s1 over all backends"]);
    sent(&incoming, &dir, &format!("{base}.daemon.CurrConns"), &["sent      40\n", "lb1.sock_info:5 CurrConns: 10"]);
    sent(&incoming, &dir, &format!("{base}.daemon.50PercentileCpuUsagePct"), &["percentile", "Idle_pct: 90"]);
    sent(&incoming, &dir, &format!("{base}.haproxystats.PullTicks"), &["sent      17", "Pulls started"]);
    // An archive is called what it was called, not where it was unpacked.
    let archive = incoming.beside("kept").join(format!("{FIRST}.tar.zst"));
    let mut tar = Command::new("tar");
    tar.arg("--zstd").arg("-cf").arg(&archive).arg("-C").arg(&dir).args(names(&dir));
    if tar.status().is_ok_and(|status| status.success()) {
        let named = format!("snapshot  {} of {FIRST} ", archive.display());
        sent(&incoming, &archive, &format!("{base}.daemon.CurrConns"), &["sent      40\n", &named]);
    }
}

#[test]
fn every_reason_for_which_a_metric_is_missing_is_found() {
    let base = "lb.haproxy";
    let plain = incoming("", "");
    let dir = snapshot(&plain);
    let of = |rest: &str| format!("{base}.{rest}");
    for (metric, why) in [
        ("backend.idle.rtime", "no process has had traffic for it"),
        ("backend.app.idle_conn_cur", "HAProxy has no value of idle_conn_cur for a backend"),
        (
            "backend.app.server.s1.idle_conn_cur",
            "not selected: it is not among the default metrics; list it in [process] server-metrics",
        ),
        ("backend.app.stots", "not a field that this version knows; did you mean stot?"),
        ("backend.app.server.s1.status", "only sent with [process] status-metrics = true"),
        ("server.s1.scur", "only sent with [process] aggr-server-metrics = true"),
        ("daemon.process.lb1_sock.CurrConns", "only sent with [process] per-process-metrics = true"),
        ("daemon.ConnPercentage", "only sent with [process] calculate-percentages = true"),
        ("daemon.CumReqs", "did you mean CumReq?"),
        ("daemon.Pid", "identifies something, which is not sent"),
        ("daemon.Nbthread", "not selected"),
        ("backend.apps.stot", "no backend apps in the snapshot, which has 2 of them; did you mean app?"),
        ("backend.app.server.s9.stot", "no server s9 of backend app in the snapshot, which has 2 of them"),
        ("backends.app.stot", "\"backends\" is not daemon, frontend, backend"),
        ("haproxystats.QueueDepth", "the running daemon sends it"),
        ("haproxystats.Nonsense", "docs/metrics.md lists them"),
    ] {
        absent(&plain, &dir, &of(metric), why);
    }
    absent(&plain, &dir, "other.haproxy.backend.app.stot", "names begin with lb.haproxy.");

    let listed = incoming("server-metrics = idle_conn_cur\nskip-zero = true\nskip-unused-slots = true", "");
    absent(&listed, &dir, &of("backend.app.server.s1.stot"), "[process] server-metrics does not list it");
    absent(&listed, &dir, &of("backend.app.server.s1.idle_conn_cur"), "every cell is empty");
    absent(&listed, &dir, &of("backend.app.hrsp_5xx"), "skip-zero = true");
    absent(&listed, &dir, &of("daemon.CumReq"), "skip-zero = true");
    absent(&listed, &dir, &of("backend.app.server.s2.weight"), "skip-unused-slots = true");
    let newer = incoming("server-metrics = need_conn_est", "");
    absent(
        &newer,
        &dir,
        &of("backend.app.server.s1.need_conn_est"),
        "no file has the field need_conn_est: HAProxy reports it since",
    );

    let excluding = Incoming::new(1, "");
    let names = write(&excluding.beside(""), "names", "app\n");
    let excluding = incoming(&format!("exclude-backends = {}", names.display()), "");
    absent(&excluding, &dir, &of("backend.app.server.s1.stot"), "[process] exclude-backends");

    // A row that cannot be read.
    let file = dir.join("lb2.sock_stat");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("app,BACKEND,0,1,2,30,", "app,BACKEND,0,1,2,thirty,")).unwrap();
    absent(&plain, &dir, &of("backend.app.stot"), "a cell is not a number, so the row was left out");
    absent(&plain, &dir, &of("backend.app.bin"), "a row or file of a process cannot be read");
}

#[test]
fn names_with_tags_and_of_groups_are_found_under_every_form() {
    let groups = "group-namespace = flavor\ngroup-namespace-double-writes = false\n[backend-groups]\nfirst = ^a\n";
    let incoming_groups = incoming("", groups);
    let dir = snapshot(&incoming_groups);
    let grouped = "lb.haproxy.flavor.first.backend.app.stot";
    sent(&incoming_groups, &dir, grouped, &["sent      40"]);
    sent(
        &incoming_groups,
        &dir,
        "lb.haproxy.backend.app.stot",
        &["not under this name", &format!("sent as   {grouped}")],
    );
    let tagged = incoming("", "tagged = true\n");
    let name = "haproxy.backend.stot;backend=app";
    sent(&tagged, &dir, name, &["sent      40"]);
    sent(&tagged, &dir, "lb.haproxy.backend.app.stot", &["not under this name", &format!("sent as   {name}")]);
    absent(&tagged, &dir, "haproxy.backend.stot;backend=other", "with these tags");
}

#[test]
fn without_a_snapshot_it_is_the_newest_that_waits() {
    let incoming = incoming("", "");
    let mut command = with_config(process(), incoming.config());
    command.arg("--explain").arg("lb.haproxy.daemon.CurrConns");
    let none = harness::output(&mut command).unwrap();
    assert_eq!(none.status.code(), Some(66), "{none:?}");
    incoming.publish([0, 10]);
    let output = harness::output(&mut command).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("1700000010 (2023-11-14T22:13:30Z)"), "{text}");
}
