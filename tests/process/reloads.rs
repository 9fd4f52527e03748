//! SIGHUP to haproxystats-process: workers are replaced, one after the other, and no snapshot is lost by it.

use crate::harness::carbon::Carbon;
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, workers};
use crate::harness::prometheus::wait_for_sample;
use crate::harness::{Daemon, SOON, free_port, listens, lives, names, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::time::{Duration, Instant};

const USED: &str = "the new configuration is in use";
const RENEWED: &str = "all workers have the new configuration";
const REFUSED: &str = "haproxystats-process continues with the old one";

/// Sends SIGHUP and waits until the log has what became of it.
#[track_caller]
fn reload(daemon: &Daemon, outcome: &str) {
    let count = || daemon.output().matches(outcome).count();
    let before = count();
    daemon.signal(Signal::SIGHUP);
    wait_until(SOON, outcome, || count() > before);
}

/// Replaces a part of the configuration.
#[track_caller]
fn edit(setup: &Incoming, from: &str, to: &str) {
    let text = fs::read_to_string(setup.config()).unwrap();
    let edited = text.replace(from, to);
    assert_ne!(edited, text);
    fs::write(setup.config(), edited).unwrap();
}

#[test]
fn a_stream_of_snapshots_goes_on_through_reloads() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let mut daemon = setup.daemon();
    let mut before = workers(&daemon, 2);
    let (mut published, mut number) = (Vec::new(), 2);
    for round in 0..4 {
        published.extend(setup.publish(round * 40..round * 40 + 20));
        // One more worker, and fewer.
        let next = [3, 1, 2, 2][usize::try_from(round).unwrap()];
        if next != number {
            edit(&setup, &format!("workers = {number}"), &format!("workers = {next}"));
        }
        number = next;
        daemon.signal(Signal::SIGHUP);
        published.extend(setup.publish(round * 40 + 20..round * 40 + 40));
        let done = usize::try_from(round).unwrap() + 1;
        wait_until(SOON, RENEWED, || daemon.output().matches(RENEWED).count() == done);
        let after = workers(&daemon, number);
        assert!(!after.iter().any(|worker| before.contains(worker)), "all are others: {before:?} {after:?}");
        before = after;
    }
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    assert!(daemon.is_running());
    let output = daemon.output();
    assert!(!["crashed", "exited with", "killed"].iter().any(|words| output.contains(words)), "{output}");
    assert!(output.matches("exited as requested").count() >= 7, "{output}");
    daemon.stop(SOON);
}

#[test]
fn carbon_has_every_point_and_from_the_reload_on_under_the_new_namespace() {
    let carbon = Carbon::start();
    let setup = Incoming::new(carbon.port(), "workers = 2");
    let daemon = setup.daemon();
    setup.publish(0..3);
    setup.wait_until_empty();
    edit(&setup, "namespace = lb", "namespace = other");
    reload(&daemon, RENEWED);
    setup.publish(3..6);
    setup.wait_until_empty();
    let points = |namespace: &str| {
        let series = carbon
            .series()
            .into_iter()
            .find(|series| series.starts_with(&format!("{namespace}.")) && series.ends_with(".frontend.www.scur"));
        series.map(|series| carbon.points(&series).len())
    };
    wait_until(SOON, "both namespaces", || points("lb").is_some() && points("other").is_some());
}

#[test]
fn another_source_directory_is_another_queue_and_neither_is_lost() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let next = setup.beside("next");
    fs::create_dir(&next).unwrap();
    let mut daemon = setup.daemon();
    let mut published = setup.publish(0..30);
    let text = format!("src-dir = {}\n", next.display());
    edit(&setup, &format!("src-dir = {}\n", setup.path().display()), &text);
    published.extend((100..110).map(|second| setup.publish_in(&next, FIRST + second)));
    reload(&daemon, "now processing the new src-dir");
    wait_until(SOON, "an empty new directory", || names(&next).is_empty());
    daemon.wait_for_output(RENEWED, SOON);
    // What was not delivered before the change is still there.
    let left = setup.waiting();
    let delivered: Vec<String> = published.iter().filter(|name| !left.contains(name)).cloned().collect();
    setup.assert_arrived(&graphite, &delivered);
    edit(&setup, &text, &format!("src-dir = {}\n", setup.path().display()));
    reload(&daemon, RENEWED);
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    daemon.stop(SOON);
}

#[test]
fn what_is_refused_changes_nothing_and_every_error_is_logged() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let good = fs::read_to_string(setup.config()).unwrap();
    let mut daemon = setup.daemon();
    let before = workers(&daemon, 2);
    let mut published = setup.publish(0..3);
    for (from, to, words) in [
        ("workers = 2", "workers = none\nworker-timeout = x", &["[process] workers", "[process] worker-timeout"][..]),
        ("workers = 2\n", "workers = 2\nsrc-dir = /nonexistent\n", &["is set twice"]),
        ("settle = 0.5", "settle = 0.5\ntls = true\ntls-ca-file = /nonexistent", &["tls-ca-file"]),
    ] {
        fs::write(setup.config(), good.replace(from, to)).unwrap();
        reload(&daemon, REFUSED);
        let output = daemon.output();
        assert!(words.iter().all(|words| output.contains(words)), "{words:?}: {output}");
    }
    published.extend(setup.publish(3..6));
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    assert_eq!(workers(&daemon, 2), before, "nobody was replaced");
    daemon.stop(SOON);
}

#[test]
fn without_graphite_a_reload_takes_its_time_and_loses_nothing() {
    let mut graphite = Recorder::away();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let published = setup.publish(0..8);
    let mut daemon = setup.daemon();
    let before = workers(&daemon, 2);
    wait_until(SOON, "a snapshot in each worker's hands", || {
        daemon.output().matches("snapshots wait on disk").count() == 2
    });
    let start = Instant::now();
    reload(&daemon, RENEWED);
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    assert!(!before.iter().any(|worker| lives(*worker)));
    assert_eq!(setup.waiting(), published);
    graphite.come_back();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    daemon.stop(SOON);
}

#[test]
fn a_signal_to_stop_ends_a_reload() {
    let graphite = Recorder::away();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let published = setup.publish(0..4);
    let mut daemon = setup.daemon();
    workers(&daemon, 2);
    reload(&daemon, USED);
    daemon.stop(SOON);
    assert_eq!(setup.waiting(), published);
}

#[test]
fn the_page_of_metrics_moves_and_its_figures_go_on() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let [one, two] = [free_port(), free_port()];
    let text = fs::read_to_string(setup.config()).unwrap();
    fs::write(setup.config(), format!("{text}[exporter]\nlisten = 127.0.0.1:{one}\n")).unwrap();
    let mut daemon = setup.daemon();
    setup.publish(0..3);
    setup.wait_until_empty();
    wait_for_sample(one, "haproxystats_process_snapshots_delivered_total", |value| value >= 3.0);
    edit(&setup, &format!(":{one}\n"), &format!(":{two}\n"));
    reload(&daemon, RENEWED);
    wait_for_sample(two, "haproxystats_process_snapshots_delivered_total", |value| value >= 3.0);
    wait_until(SOON, "the old address is closed", || !listens(one));
    daemon.stop(SOON);
}
