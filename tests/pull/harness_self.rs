//! The harness itself: a test tool that cannot fail proves nothing.

use crate::harness::carbon::Carbon;
use crate::harness::newer::{NEWER, newer_haproxy, own_haproxy};
use crate::harness::{Daemon, SOON, free_port, listens, lives, poll, run, wait_until};
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_wait_ends_at_its_limit() {
    assert_eq!(poll(Duration::from_millis(30), || None::<()>), None);
    assert!(std::panic::catch_unwind(|| wait_until(Duration::ZERO, "never", || false)).is_err());
}

#[test]
fn output_and_status_of_a_program_are_kept() {
    let (status, output) = run(shell("echo out; echo err >&2; exit 7"), SOON);
    assert_eq!(status.code(), Some(7));
    assert!(output.contains("out\n") && output.contains("err\n"), "{output}");
}

#[test]
fn a_program_that_ends_without_the_words_fails_the_test_at_once() {
    let mut daemon = Daemon::spawn(shell("echo something else"));
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        daemon.wait_for_output("the words", Duration::from_secs(600));
    }));
    assert!(waited.is_err());
}

#[test]
fn nothing_outlives_the_test() {
    let mut daemon = Daemon::spawn(shell("sleep 600 & echo started; wait"));
    daemon.wait_for_output("started", SOON);
    let (parent, children) = (daemon.pid(), daemon.children());
    assert!(lives(parent) && children.len() == 1, "{children:?}");
    drop(daemon);
    wait_until(SOON, "both processes are gone", || !lives(parent) && !children.iter().any(|pid| lives(*pid)));
}

#[test]
fn a_free_port_has_no_listener() {
    let port = free_port();
    // A program that another test starts at this moment holds a copy of the listener until it is executed.
    wait_until(SOON, "the port is free", || !listens(port));
    assert_ne!(port, free_port());
}

#[test]
fn points_sent_to_carbon_are_read_back() {
    let mut carbon = Carbon::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let send = |text: String| {
        TcpStream::connect(("127.0.0.1", carbon.port())).unwrap().write_all(text.as_bytes()).unwrap();
    };
    send(format!("a.b 1.5 {}\na.b 2.25 {now}\nc 18446744073709551615 {now}\n", now - 1));
    wait_until(SOON, "three points", || carbon.points("a.b").len() + carbon.points("c").len() == 3);
    assert_eq!(carbon.points("a.b").into_iter().collect::<Vec<_>>(), [(now - 1, 1.5), (now, 2.25)]);
    assert_eq!(carbon.points("c")[&now], 18_446_744_073_709_551_615.0);
    assert_eq!(carbon.series().into_iter().collect::<Vec<_>>(), ["a.b", "c"]);
    carbon.stop();
    carbon.launch();
    assert_eq!(carbon.points("a.b").len(), 2);
}

#[test]
fn newer_versions_of_haproxy_are_at_least_what_they_are_called() {
    let mut last = own_haproxy().version;
    for name in NEWER {
        let Some(haproxy) = newer_haproxy(name) else { continue };
        let (major, minor) = name.split_once('.').expect("a version");
        assert!(haproxy.version >= (major.parse().unwrap(), minor.parse().unwrap()), "{name}: {haproxy:?}");
        assert!(haproxy.version >= last, "{name}: {haproxy:?} after {last:?}");
        last = haproxy.version;
    }
}
