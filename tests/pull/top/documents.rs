//! `--once` and `--json` with real HAProxy.

use super::{configuration, documents, item, run};
use crate::harness::haproxy::{Fake, ManySockets, Script};
use crate::harness::lasting::Sessions;
use crate::harness::site::Site;
use crate::harness::{SOON, free_port, wait_until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Sends requests through a frontend of each process until told to stop.
fn traffic(site: &Site, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        for path in ["/", "/", "/", "/fail"] {
            site.request(0, "www", path);
            site.request(1, "www", "/");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn rates_shares_and_states_of_two_processes() {
    let site = Site::start(2, 0);
    let directory = tempfile::tempdir().unwrap();
    let file = configuration(directory.path(), &format!("socket-dir = {}", site.socket_dir().display()));
    let stop = AtomicBool::new(false);
    let (document, table) = thread::scope(|scope| {
        scope.spawn(|| traffic(&site, &stop));
        let results = std::panic::catch_unwind(|| {
            let document = documents(&file, &["--once", "-i", "1"]).remove(0);
            (document, run(&file, &["--once", "-i", "0.5"]))
        });
        stop.store(true, Ordering::Relaxed);
        results.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert_eq!((document["sockets"].as_u64(), document["processes"].as_array().map(Vec::len)), (Some(2), Some(2)));
    let rate = |of: &serde_json::Value, name: &str| of[name].as_f64().unwrap_or_else(|| panic!("no {name}: {of}"));
    let shop = item(&document, "backends", "shop", None);
    // A request is counted once it is complete, so that the two may be one apart at either end.
    let (into, through) =
        (rate(item(&document, "frontends", "www", None), "requests_per_second"), rate(shop, "requests_per_second"));
    assert!(into > 4.0 && (into - through).abs() < 5.0, "{into} {through}");
    let failed = rate(shop, "errors_per_second");
    assert!(failed > 0.0 && failed < through / 4.0, "one in eight: {failed} of {through}");
    let shares: Vec<(f64, f64)> = ["s.1", "s.2"]
        .map(|name| item(&document, "servers", "shop", Some(name)))
        .map(|server| (rate(server, "request_share"), rate(server, "weight_share")))
        .to_vec();
    assert_eq!((shares[0].1, shares[1].1), (0.25, 0.75));
    assert!((shares[0].0 + shares[1].0 - 1.0).abs() < 0.01 && shares[0].0 < shares[1].0, "{shares:?}");
    assert_eq!((shop["state"].as_str(), shop["rates"].as_str()), (Some("UP"), Some("complete")));
    let server = item(&document, "servers", "shop", Some("s.1"));
    assert!(server["last_check"].as_str().is_some_and(|check| check.starts_with("L7OK/200 in ")), "{server}");
    assert!(server["since_seconds"].as_u64().is_some() && server["processes"] == 2);
    let (code, table) = table;
    assert!(code == Some(0) && table.contains("shop/s.1") && table.contains("servers: 3 up, 0 down"), "{table}");
}

#[test]
fn old_workers_are_counted_with_their_sessions() {
    let site = Site::start_lasting(1);
    let directory = tempfile::tempdir().unwrap();
    let lines = format!("socket-dir = {}\nmaster-sockets = {}", site.socket_dir().display(), site.masters());
    let file = configuration(directory.path(), &lines);
    let mut sessions = Sessions::default();
    sessions.open(site.lasting(0));
    assert_eq!(sessions.transfer(10), 0);
    site.reload(0);
    let mut last = serde_json::Value::Null;
    wait_until(SOON, "an old worker with its session", || {
        last = documents(&file, &["--once", "-i", "0.2"]).remove(0);
        last["old_workers"] == 1 && last["old_worker_sessions"].as_f64() >= Some(1.0)
    });
    let processes = last["processes"].as_array().unwrap();
    let old = processes.iter().find(|process| process["leaving"] == true).unwrap();
    assert!(old["socket"].as_str().is_some_and(|socket| socket.starts_with("lb0.sock@")), "{old}");
}

#[test]
fn level_user_is_enough_and_nothing_else_is_asked() {
    let haproxy = ManySockets::start(1, 3);
    let directory = tempfile::tempdir().unwrap();
    let lines = format!("socket-dir = {}", haproxy.socket_dir().display());
    let (code, table) = run(&configuration(directory.path(), &lines), &["--once", "-i", "0.2"]);
    assert!(code == Some(0) && table.contains("servers: 0 up, 0 down, 3 maint"), "{table}");

    let fakes = tempfile::tempdir().unwrap();
    let fake = Fake::start(fakes.path(), "a.sock", Script::good());
    let lines = format!(
        "servers = unix://{}\nfamilies = tables states peers pools activity\nlatency-table = x",
        fake.path().display()
    );
    let (code, table) = run(&configuration(directory.path(), &lines), &["--once", "-i", "0.2"]);
    assert!(code == Some(0) && table.contains("web/s1"), "{table}");
    assert_eq!(fake.lines(), ["show info;show stat"; 2]);
}

#[test]
fn what_does_not_answer_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(directory.path(), "good.sock", Script::good());
    let lines = format!("servers = unix://{},unix:///nowhere/bad.sock\nretries = 0", fake.path().display());
    let (code, table) = run(&configuration(directory.path(), &lines), &["--once", "-i", "0.2"]);
    assert!(code == Some(0) && table.contains("bad.sock does not answer: cannot connect to"), "{table}");
}

#[test]
fn what_cannot_be_shown_is_refused_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = format!("servers = tcp://127.0.0.1:{}\nretries = 0", free_port());
    for (lines, words, code, said) in [
        (nothing.as_str(), ["--once"].as_slice(), 1, "no socket answers: 127.0.0.1:"),
        ("dst-dir = /x", &["--once"], 78, "neither socket-dir nor servers is set in [pull]"),
        (nothing.as_str(), &[], 1, "standard output is not a terminal; use --once for a table, --json for documents"),
        (nothing.as_str(), &["--replay", "/nowhere", "--json"], 66, "/nowhere cannot be read"),
        (nothing.as_str(), &["--once", "-i", "0"], 1, "--interval \"0\" is no number of seconds"),
        ("socket-dir = /x\n[hosts]\na.sock = lb-01", &["--once", "--host", "lb-1"], 78, "; did you mean \"lb-01\"?"),
        (nothing.as_str(), &["--from", "2026-11-30"], 1, "cannot be used"),
        (nothing.as_str(), &["--status"], 1, "unknown option --status"),
        ("socket-dir = /x\n[graphite]\nport = x", &["--check"], 0, "the configuration of haproxystats-top is good"),
        ("timeout = x", &["--once"], 78, "haproxystats-top: invalid configuration"),
    ] {
        let (found, output) = run(&configuration(directory.path(), lines), words);
        assert!(found == Some(code) && output.contains(said), "{words:?}: {found:?} {output}");
    }
}
