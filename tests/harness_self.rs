//! The harness itself: a test tool that cannot fail proves nothing.

mod harness;

use harness::{Daemon, SOON, free_port, listens, lives, poll, run, wait_until};
use std::process::Command;
use std::time::Duration;

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
