//! What the log says and how, and what is seen of sockets that fail.

use super::Place;
use crate::harness::haproxy::Script;
use crate::harness::prometheus::wait_for_sample;
use crate::harness::systemd::Systemd;
use crate::harness::{self, Daemon, SOON, free_port, pull, wait_until, with_config};
use std::process::Command;
use std::time::Duration;

/// A command, with the journal as its output: what systemd sets says so.
fn into_journal(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    let script = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/$$/fd/1); export JOURNAL_STREAM; exec \"$@\"";
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    shell
}

#[test]
fn the_journal_gets_priorities_and_no_second_time() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let options = [("on-socket-failure", "keep-rest"), ("servers", "unix:///nonexistent/bad.sock")];
    let mut pull = Daemon::spawn(into_journal(&place.command(&options)));
    place.next(&pull, 1);
    pull.wait_for_output("<3>socket failed socket=\"bad.sock\"", SOON);
    pull.stop(SOON);
    let output = pull.output();
    assert!(output.lines().all(|line| line.starts_with('<')), "{output}");
    assert!(output.contains("<6>haproxystats-pull is running"), "{output}");
    // Another output is no journal, whatever stands in the environment.
    let mut command = place.command(&[]);
    command.env("JOURNAL_STREAM", "1:2");
    let mut pull = Daemon::spawn(command);
    pull.wait_for_output("Z  INFO haproxystats-pull is running", SOON);
    pull.stop(SOON);
}

#[test]
fn json_is_an_object_a_line() {
    let place = Place::with("[DEFAULT]\nlog-format = json\n");
    let _bad = place.fake("bad.sock", Script::Close);
    let mut pull = place.start(&[]);
    pull.wait_for_output("socket failed", SOON);
    pull.stop(SOON);
    let objects: Vec<serde_json::Value> = pull
        .output()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let failed = objects.iter().find(|object| object["message"] == "socket failed").unwrap();
    assert_eq!((&failed["level"], &failed["socket"]), (&"ERROR".into(), &"bad.sock".into()));
    assert!(failed["time"].as_str().unwrap().ends_with('Z') && failed["error"].is_string());
}

#[test]
fn pulls_are_summed_up_and_only_the_first_has_a_line() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let mut command = place.command(&[("loglevel", "info")]);
    command.env("HAPROXYSTATS_TEST_SUMS", "3");
    let mut pull = Daemon::spawn(command);
    pull.wait_for_output("pull summary pulls=", SOON);
    pull.stop(SOON);
    let output = pull.output();
    assert_eq!(output.matches(" pulled snapshot=").count(), 1, "{output}");
    let sums = output.lines().find(|line| line.contains("pull summary")).unwrap();
    assert!(sums.contains(" failed_sockets=0 ") && !sums.contains(" published=0 "), "{sums}");
}

#[test]
fn a_socket_that_fails_is_seen_on_the_page_in_the_status_line_and_from_outside() {
    let port = free_port();
    let place = Place::with(format!("[exporter]\nlisten = 127.0.0.1:{port}\n"));
    let _good = place.fake("good.sock", Script::good());
    // A socket that nobody listens on any more, as HAProxy leaves it.
    drop(std::os::unix::net::UnixListener::bind(place.sockets().join("left.sock")).unwrap());
    let systemd = Systemd::new(place.root.path());
    let mut command = place.command(&[("on-socket-failure", "keep-rest")]);
    systemd.watch(&mut command, Duration::from_secs(30));
    let mut pull = Daemon::spawn(command);
    place.next(&pull, 0);
    wait_for_sample(port, "haproxystats_pull_socket_up{socket=\"good.sock\"}", |value| value > 0.0);
    wait_for_sample(port, "haproxystats_pull_socket_up{socket=\"left.sock\"}", |value| value < 1.0);
    systemd.wait_for("; failing: left.sock");
    let status = |words: &str| {
        let mut command = with_config(super::pull(), &place.root.path().join("haproxystats.conf"));
        command.args(words.split(' '));
        harness::run(command, SOON).1
    };
    let text = status("--status");
    assert!(text.contains("1 of 2 accept connections"), "{text}");
    assert!(text.contains("left.sock is unavailable: Connection refused"), "{text}");
    let object: serde_json::Value = serde_json::from_str(&status("--status --json")).unwrap();
    let up = |index: usize| object["reach"][index]["up"].as_bool();
    assert_eq!([up(0), up(1)], [Some(true), Some(false)], "{object}");
    // It comes back.
    std::fs::remove_file(place.sockets().join("left.sock")).unwrap();
    let _left = place.fake("left.sock", Script::good());
    wait_for_sample(port, "haproxystats_pull_socket_up{socket=\"left.sock\"}", |value| value > 0.0);
    pull.stop(SOON);
}

#[test]
fn a_word_that_is_not_understood_is_named() {
    for (words, reason) in [
        (&["--chekc"][..], "unknown option --chekc; did you mean \"--check\"?"),
        (&["--once", "x"], "unknown option --once; did you mean"),
        (&["start"], "unexpected argument \"start\""),
        (&["-p", "-P"], "--print, --print-conf cannot be used together"),
    ] {
        let mut command = pull();
        command.args(words);
        let (status, output) = harness::run(command, SOON);
        assert_eq!(status.code(), Some(1), "{output}");
        assert!(
            output.starts_with(reason) || words[0] == "--once" && output.starts_with("unknown option --once"),
            "{output}"
        );
        wait_until(SOON, "usage", || output.contains("Usage:"));
    }
}
