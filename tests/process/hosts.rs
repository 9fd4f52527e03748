//! One pull for many hosts: each goes under its own name, and clusters are rolled up.

use crate::harness;
use std::collections::BTreeMap;
use std::path::Path;

const HEADER: &str = "# pxname,svname,type,scur,smax,stot,rate,rtime,\n";

/// A host with so many sessions now, the most so far, and all; sessions a second, and their time.
fn host(directory: &Path, source: &str, [scur, smax, stot, rate, rtime]: [u32; 5]) {
    let row = |proxy: &str, server: &str, kind: u32| {
        format!("{proxy},{server},{kind},{scur},{smax},{stot},{rate},{rtime},\n")
    };
    let stat =
        [HEADER.to_owned(), row("www.eu", "FRONTEND", 0), row("web", "s1", 2), row("web", "BACKEND", 1)].concat();
    harness::write(directory, &format!("{source}_stat"), stat);
    harness::write(
        directory,
        &format!("{source}_info"),
        format!("CurrConns: {scur}\nMaxConnRate: {smax}\nIdle_pct: 90\n"),
    );
}

fn lines(config: &str, snapshot: &Path) -> BTreeMap<String, f64> {
    let place = tempfile::tempdir().unwrap();
    let file = harness::write(place.path(), "haproxystats.conf", config);
    let mut command = harness::with_config(harness::process(), &file);
    command.arg("--once").arg(snapshot);
    let output = harness::output(&mut command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields[0].to_owned(), fields[1].parse().unwrap())
    };
    let all: BTreeMap<String, f64> = text.lines().map(line).collect();
    assert_eq!(all.len(), text.lines().count(), "no path is there twice");
    all
}

fn snapshot() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("1700000000");
    std::fs::create_dir(&directory).unwrap();
    host(&directory, "10.0.0.1:5555", [5, 50, 100, 10, 20]);
    host(&directory, "lb-02.example.com:5555", [7, 40, 200, 30, 40]);
    host(&directory, "10.0.0.9:5001", [1, 10, 10, 1, 5]);
    // Two processes of one host.
    host(&directory, "node-4.sock", [2, 3, 4, 1, 8]);
    host(&directory, "node-4b.sock", [3, 4, 5, 1, 4]);
    host(&directory, "stranger.sock", [9, 9, 9, 9, 9]);
    place
}

const HOSTS: &str = "[hosts]\n10.0.0.1 = lb-01 edge\nlb-02.example.com:5555 = lb-02 edge\n10.0.0.9 =\n  5001 = lb-91 core\n\
    node-4.sock = lb-04\nnode-4b.sock = lb-04\n";

#[test]
fn every_host_goes_under_its_own_name_and_clusters_are_rolled_up() {
    let place = snapshot();
    let config = format!("[process]\ncluster-metrics = true\n[graphite]\nnamespace = lb\n{HOSTS}");
    let all = lines(&config, &place.path().join("1700000000"));
    for (path, value) in [
        ("lb.lb-01.haproxy.frontend.www_eu.scur", 5.0),
        ("lb.lb-02.haproxy.backend.web.server.s1.stot", 200.0),
        ("lb.lb-91.haproxy.daemon.CurrConns", 1.0),
        ("lb.lb-04.haproxy.backend.web.scur", 5.0),
        ("lb.lb-04.haproxy.backend.web.rtime", 6.0),
        ("lb.cluster.edge.haproxy.frontend.www_eu.scur", 12.0),
        ("lb.cluster.edge.haproxy.backend.web.stot", 300.0),
        ("lb.cluster.edge.haproxy.backend.web.smax", 50.0),
        // By the requests of each: 100 of 20 ms, 200 of 40.
        ("lb.cluster.edge.haproxy.backend.web.rtime", 10_000.0 / 300.0),
        ("lb.cluster.edge.haproxy.backend.web.TotalServers", 1.0),
        ("lb.cluster.edge.haproxy.backend.web.server.s1.rtime", 10_000.0 / 300.0),
        ("lb.cluster.edge.haproxy.daemon.CurrConns", 12.0),
        ("lb.cluster.edge.haproxy.daemon.MaxConnRate", 50.0),
        ("lb.cluster.edge.haproxy.daemon.Idle_pct", 90.0),
        ("lb.cluster.core.haproxy.backend.web.scur", 1.0),
    ] {
        assert_eq!(all.get(path), Some(&value), "{path}");
    }
    let own: Vec<&String> = all.keys().filter(|path| path.contains(".haproxystats.MetricsBackend")).collect();
    assert_eq!(own.len(), 1, "what is said about the processing is said once, by this host: {own:?}");
    assert!(all.keys().any(|path| path.ends_with(".haproxy.frontend.www_eu.scur") && all[path] == 9.0), "the stranger");
}

/// A cluster is not the sum of those of its hosts that can be read.
#[test]
fn what_a_host_does_not_tell_is_not_known_of_its_cluster() {
    let config =
        format!("[process]\ncluster-metrics = true\naggr-server-metrics = true\n[graphite]\nnamespace = lb\n{HOSTS}");
    let snapshot = || {
        let place = snapshot();
        let directory = place.path().join("1700000000");
        (place, directory)
    };
    let (place, directory) = snapshot();
    let expected = lines(&config, &directory);
    drop(place);
    let stat = "lb-02.example.com:5555_stat";
    let row = |from: &str, to: &str| {
        let (place, directory) = snapshot();
        let text = std::fs::read_to_string(directory.join(stat)).unwrap();
        assert!(text.contains(from), "{text}");
        harness::write(&directory, stat, text.replace(from, to));
        let found = lines(&config, &directory);
        drop(place);
        found
    };
    let edge = "lb.cluster.edge.haproxy.";
    let own = "lb.lb-02.haproxy.";
    for (from, to, gone) in [
        ("web,BACKEND,1,7", "web,BACKEND,1,seven", &["backend.web."][..]),
        ("web,BACKEND,1,7,", "web,BACKEND,1,", &["backend.web."]),
        ("web,s1,2,7", "web,s1,2,seven", &["backend.web.server.s1.", "server.s1."]),
        ("www.eu,FRONTEND,0,7,", "www.eu,FRONTEND,0,", &["frontend.www_eu."]),
    ] {
        let found = row(from, to);
        for (path, value) in expected.iter().filter(|(path, _)| !path.contains(".haproxystats.")) {
            let below = path.strip_prefix(edge).or(path.strip_prefix(own));
            let nested = gone == ["backend.web."]
                && below.is_some_and(|below| below.contains(".server.") || below.ends_with("TotalServers"));
            // That there is such a server another host says, but not how many there are on this one.
            let servers = path.starts_with(own) && path.ends_with("TotalServers") && from.contains("s1");
            let is_gone =
                below.is_some_and(|below| gone.iter().any(|gone| below.starts_with(gone))) && !nested || servers;
            assert_eq!(found.get(path), Some(value).filter(|_| !is_gone), "{to}: {path}");
        }
    }
    // A host of which nothing can be read.
    for garbage in ["", "# pxname,svname,ty", "\0\0\0\0"] {
        let (place, directory) = snapshot();
        harness::write(&directory, stat, garbage);
        harness::write(&directory, "lb-02.example.com:5555_info", garbage);
        let found = lines(&config, &directory);
        drop(place);
        assert!(!found.keys().any(|path| path.starts_with(edge)), "{:?}", found.keys());
        assert_eq!(found["lb.lb-01.haproxy.backend.web.scur"], 5.0);
        assert_eq!(found["lb.cluster.core.haproxy.backend.web.scur"], 1.0);
        assert_eq!(found["lb.cluster.core.haproxy.daemon.CurrConns"], 1.0);
    }
}

#[test]
fn without_the_options_nothing_changes() {
    let place = snapshot();
    let snapshot = place.path().join("1700000000");
    let plain = lines("[graphite]\nnamespace = lb\n", &snapshot);
    assert!(plain.keys().all(|path| !path.contains("lb-01") && !path.contains(".cluster.")));
    assert!(plain.keys().any(|path| path.ends_with(".backend.web.scur") && plain[path] == 27.0), "all are one host");
    let hosts = lines(&format!("[graphite]\nnamespace = lb\n{HOSTS}"), &snapshot);
    assert!(hosts.keys().all(|path| !path.contains(".cluster.")));
}
