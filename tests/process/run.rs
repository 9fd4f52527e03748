//! haproxystats-run: both programs under one supervisor, as in a container.

use crate::harness::graphite::Recorder;
use crate::harness::haproxy::{Fake, Script};
use crate::harness::{self, Daemon, SOON, both, lives, wait_for, wait_until, with_config, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The two programs.
#[track_caller]
fn children(daemon: &Daemon) -> Vec<Pid> {
    wait_for(SOON, "both programs", || Some(daemon.children()).filter(|found| found.len() == 2))
}

#[test]
fn both_programs_run_are_replaced_reloaded_and_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for name in ["s", "in"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    let _good = Fake::start(&path.join("s"), "good.sock", Script::good());
    let graphite = Recorder::start();
    let text = format!(
        "[pull]\nsocket-dir = {d}/s\npull-interval = 1\ndst-dir = {d}/in\ntmp-dst-dir = {d}/tmp\n[process]\nworkers = 1\n\
         src-dir = {d}/in\n[graphite]\nport = {}\nsettle = 0.1\n",
        graphite.port(),
        d = path.display()
    );
    let file = write(path, "haproxystats.conf", &text);
    let mut daemon = Daemon::spawn(with_config(both(), &file));
    wait_until(SOON, "lines", || graphite.distinct() > 0);
    let before = children(&daemon);
    for victim in &before {
        kill(*victim, Signal::SIGKILL).unwrap();
    }
    wait_until(SOON, "others", || {
        daemon.children().len() == 2 && !daemon.children().iter().any(|pid| before.contains(pid))
    });
    let seen = graphite.distinct();
    wait_until(SOON, "further lines", || graphite.distinct() > seen);
    daemon.signal(Signal::SIGHUP);
    wait_until(SOON, "a reload of both", || daemon.output().matches("the new configuration is in use").count() == 2);
    let last = children(&daemon);
    daemon.stop(SOON);
    assert!(!last.iter().any(|pid| lives(*pid)), "{}", daemon.output());
}

#[test]
fn a_configuration_that_is_refused_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "[process]\nworkers = none\n[pull]\ndst-dir = {d}/in\ntmp-dst-dir = {d}/tmp\n",
        d = directory.path().display()
    );
    let (status, output) = harness::run(with_config(both(), &write(directory.path(), "x.conf", text)), SOON);
    assert_eq!(status.code(), Some(78), "{output}");
    assert!(output.contains("[process] workers = \"none\"") && output.contains("is refused"), "{output}");
}

#[test]
fn what_starts_no_daemon_is_executed_by_both_once() {
    let directory = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut command = with_config(both(), &write(directory.path(), "x.conf", "[process]\nworkers = none\n"));
        command.args(more);
        let (status, output) = harness::run(command, SOON);
        (status.code(), output)
    };
    let (code, output) = run(&["--help"]);
    assert_eq!((code, output.matches("Usage:").count()), (Some(0), 2), "{output}");
    let (code, output) = run(&["--version"]);
    assert_eq!((code, output.lines().count()), (Some(0), 2), "{output}");
    let (code, output) = run(&["--check"]);
    assert_eq!((code, output.matches("workers = \"none\"").count()), (Some(78), 2), "{output}");
    let (code, output) = run(&["--chek"]);
    assert_eq!((code, output.matches("--chek").count()), (Some(1), 2), "{output}");
}
