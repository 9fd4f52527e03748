//! Every field of every HAProxy: replies of eleven releases from 1.7 to 3.4, with everything selected.

use crate::harness;
use haproxystats::haproxy::columns::{self, Kind};
use haproxystats::haproxy::{info, status};
use haproxystats::process::pipeline::{Pipeline, Report};
use haproxystats::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ALL: &str = "[process]\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\ndaemon-metrics = all\n\
                   status-metrics = true\n";

fn releases() -> Vec<PathBuf> {
    let samples = crate::harness::root().join("tests/data/samples");
    let mut found: Vec<_> = fs::read_dir(samples).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    found.sort();
    assert_eq!(found.len(), 11);
    found
}

/// Values by path below `haproxy.`, for a snapshot of one process.
fn sent(options: &str, release: &Path) -> (BTreeMap<String, f64>, Report) {
    let place = tempfile::tempdir().unwrap();
    for (from, to) in [("show_info", "a.sock_info"), ("show_stat", "a.sock_stat")] {
        fs::copy(release.join(from), place.path().join(to)).unwrap();
    }
    let mut text = Vec::new();
    let (lines, report) =
        Pipeline::new(&harness::config(options), "host").run(place.path(), Epoch(1), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), lines);
    let points = text.lines().map(|line| {
        let [path, value, "1"] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("malformed: {line}") };
        (path.strip_prefix("loadbalancers.host.haproxy.").unwrap().to_owned(), value.parse().unwrap())
    });
    (points.collect(), report)
}

/// The rows of a reply, by an independent reader.
fn rows(release: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(release.join("show_stat")).unwrap();
    let mut reader = csv::Reader::from_reader(text.trim_start_matches("# ").as_bytes());
    let header = reader.headers().unwrap().clone();
    let record = |row: csv::StringRecord| {
        header.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect::<BTreeMap<_, _>>()
    };
    reader.records().map(|row| record(row.unwrap())).collect()
}

fn path(row: &BTreeMap<String, String>) -> Option<(Kind, String)> {
    let (proxy, server) = (row["pxname"].replace('.', "_"), row["svname"].replace('.', "_"));
    match row["type"].as_str() {
        "0" => Some((Kind::Frontend, format!("frontend.{proxy}"))),
        "1" => Some((Kind::Backend, format!("backend.{proxy}"))),
        "2" => Some((Kind::Server, format!("backend.{proxy}.server.{server}"))),
        _ => None,
    }
}

#[test]
fn the_catalogue_knows_every_field() {
    for release in releases() {
        let text = fs::read_to_string(release.join("show_stat")).unwrap();
        let header = text.lines().next().unwrap().trim_start_matches("# ");
        // 2.8.0 spells one column "(null)"; "-" ends the fields with fixed positions; rows end with a comma.
        let known = |name: &&str| columns::find(name).is_some() || ["", "-", "(null)"].contains(name);
        let unknown: Vec<_> = header.split(',').filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", release.display());
        let text = fs::read_to_string(release.join("show_info")).unwrap();
        let names = text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
        let unknown: Vec<_> = names.filter(|name| info::find(name).is_none()).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", release.display());
    }
}

#[test]
fn all_sends_every_figure_that_haproxy_prints() {
    for release in releases() {
        let (points, report) = sent(ALL, &release);
        assert_eq!((report.refused_rows, report.refused_files), (0, 0), "{}", release.display());
        let mut expected = BTreeMap::new();
        for row in rows(&release) {
            let Some((kind, path)) = path(&row) else { continue };
            for (name, value) in &row {
                let figure = columns::find(name).is_some_and(|column| column.on(kind));
                let never = name == "lastsess" && value.starts_with('-');
                // Times of a row without traffic stand for nothing.
                let requests = if row["req_tot"].is_empty() { &row["stot"] } else { &row["req_tot"] };
                let of_times = columns::find(name).and_then(|c| c.combine(kind)) == Some(columns::Combine::BusyMean);
                let idle = of_times && [requests, &row["lbtot"]].iter().all(|n| n.parse::<u64>().unwrap_or(0) == 0);
                if figure && !value.is_empty() && !never && !idle {
                    expected.insert(format!("{path}.{name}"), value.parse::<f64>().unwrap());
                }
            }
        }
        assert!(expected.len() > 200, "{}", release.display());
        for (path, value) in &expected {
            assert_eq!(points.get(path), Some(value), "{}: {path}", release.display());
        }
        // Nothing else than figures of the default list that are blank here, totals, and states.
        for path in points.keys().filter(|path| !path.starts_with("daemon.") && !path.starts_with("haproxystats.")) {
            let leaf = path.rsplit('.').next().unwrap();
            let default = Kind::ALL.iter().any(|kind| columns::is_default(*kind, leaf));
            let ours = leaf == "TotalServers" || leaf.starts_with("servers_") || leaf.contains("status");
            assert!(expected.contains_key(path) || default || ours, "{}: {path}", release.display());
        }
    }
}

#[test]
fn all_sends_every_figure_of_the_daemon() {
    for release in releases() {
        let (points, _) = sent(ALL, &release);
        let text = fs::read_to_string(release.join("show_info")).unwrap();
        let mut figures = BTreeSet::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
            if info::find(name).is_some_and(info::InfoField::is_numeric) {
                let path = format!("daemon.{}", name.replace(' ', "_"));
                assert_eq!(points.get(&path), Some(&value.parse::<f64>().unwrap()), "{}: {path}", release.display());
                figures.insert(path);
            }
        }
        assert!(figures.len() > 25, "{}: {}", release.display(), figures.len());
    }
}

#[test]
fn the_default_selection_is_the_same_on_every_release() {
    let leaves = |release: &Path| -> BTreeSet<String> {
        sent("", release).0.keys().map(|path| path.rsplit('.').next().unwrap().to_owned()).collect()
    };
    let first = leaves(&releases()[0]);
    for release in releases() {
        assert_eq!(leaves(&release), first, "{}", release.display());
    }
}

#[test]
fn states_are_numbers_of_the_table() {
    for release in releases() {
        let (points, _) = sent(ALL, &release);
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for row in rows(&release) {
            let Some((kind, path)) = path(&row) else { continue };
            if kind == Kind::Frontend {
                continue;
            }
            let state = status::status(row["status"].as_bytes());
            assert_eq!(points[&format!("{path}.status_up")], f64::from(u8::from(status::is_up(state))), "{path}");
            if kind == Kind::Server {
                assert_eq!(points[&format!("{path}.status")], state.code as f64, "{path}");
                let check = status::check_status(row["check_status"].as_bytes()).map(|state| state.code as f64);
                assert_eq!(points.get(&format!("{path}.check_status")).copied(), check, "{path}");
                *counts.entry(path.split(".server.").next().unwrap().to_owned()).or_default() += 1.0;
            }
        }
        for (backend, servers) in counts {
            let states = ["up", "down", "maint", "drain", "no_check"];
            let sum: f64 = states.iter().map(|state| points[&format!("{backend}.servers_{state}")]).sum();
            assert_eq!((sum, points[&format!("{backend}.TotalServers")]), (servers, servers), "{backend}");
        }
    }
}

#[test]
fn an_exact_selection_sends_what_is_listed_and_nothing_else() {
    let release = releases().pop().unwrap();
    let options = "[process]\nexact-selection = true\nfrontend-metrics = scur\nbackend-metrics = h2_goaway_rcvd rtime_max\n\
                   server-metrics = used_conn_cur weight\ndaemon-metrics = Jobs\n";
    let (points, _) = sent(options, &release);
    let leaves: BTreeSet<_> =
        points.keys().filter(|p| !p.starts_with("haproxystats.")).map(|p| p.rsplit('.').next().unwrap()).collect();
    let wanted = ["Jobs", "h2_goaway_rcvd", "rtime_max", "scur", "used_conn_cur", "weight"];
    assert_eq!(leaves, BTreeSet::from(wanted));
}
