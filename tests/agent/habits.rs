//! What agents that went before got wrong: each test says what should happen, and looks from outside. Weights, words and
//! roles are tested where they are computed; hanging endpoints, staleness, SIGTERM and shared requests in `daemon`.

use crate::harness::agent::{Agent, Endpoint, HaProxy, Reply, ask, datawave};
use crate::harness::{self, Daemon, SOON, agent, free_port, listens, peer, wait_until, with_config, write};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Closes with a reset.
fn reset(port: u16, request: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _ = stream.write_all(request);
    setsockopt(&stream, Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
}

#[test]
fn a_check_is_one_request_however_it_ends() {
    for reply in [Reply::Hang, Reply::Bytes(b""), Reply::Http(500, String::new()), Reply::Http(200, "{".to_owned())] {
        let endpoint = Endpoint::start(reply.clone());
        let agent = Agent::start(&format!(
            "interval = 600\nstaleness-interval = 0\ncheck-timeout = 0.3\ncheck-url = http://127.0.0.1:{}/\n",
            endpoint.port
        ));
        let begun = Instant::now();
        wait_until(SOON, "the end of the check", || agent.ask("").starts_with("down 100% #"));
        // One attempt and its time-out: a second attempt would show within the time of a third.
        wait_until(SOON, "the time of further attempts", || begun.elapsed() > Duration::from_millis(900));
        assert_eq!(endpoint.requests(), 1);
    }
}

#[test]
fn whoever_asks_on_demand_gets_an_answer_for_broken_json_too() {
    for (body, wanted) in [
        ("{", "down 100% #"),
        ("[]", "down 100% #"),
        ("", "down 100% #"),
        (r#"{"Status":null,"ConnectionUsagePercent":0}"#, "down 100% #"),
        // The state is there: a server that says that it is well is not taken out for a number.
        (r#"{"Status":"ready"}"#, "up 1% #ConnectionUsagePercent=? SystemLoad=? SwapBytesUsed=?"),
    ] {
        let endpoint = Endpoint::start(Reply::Http(200, body.to_owned()));
        let agent = Agent::start(&format!("interval = 0\ncheck-url = http://127.0.0.1:{}/\n", endpoint.port));
        let answer = agent.ask("");
        assert!(answer.starts_with(wanted), "{body:?}: {answer:?}");
    }
}

#[test]
fn a_server_that_was_down_is_drained_by_503() {
    let endpoint = Endpoint::start(Reply::Http(500, String::new()));
    let agent = Agent::start(&format!("own-admin-state = true\ncheck-url = http://127.0.0.1:{}/\n", endpoint.port));
    let haproxy = HaProxy::start(agent.port, "");
    haproxy.wait_for("DOWN (agent)", None);
    endpoint.set(Reply::Http(503, String::new()));
    haproxy.wait_for("DRAIN (agent)", Some("0"));
    endpoint.set(datawave("READY", 0));
    haproxy.wait_for("UP", Some("100"));
}

#[test]
fn whole_numbers_are_good_for_every_time_and_an_empty_file_for_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let times = "interval = 1\ncheck_timeout = 10\nstaleness_interval = 30\nstop_timeout = 10\n";
    for text in ["", "\n# nothing\n", "[agent]\n", &format!("[agent]\n{times}")] {
        let mut command = with_config(agent(), &write(directory.path(), "agent.conf", text));
        command.arg("--check");
        let (status, output) = harness::run(command, SOON);
        assert!(status.success(), "{text:?}: {output}");
    }
}

#[test]
fn a_client_that_resets_ends_nothing() {
    let endpoint = Endpoint::start(datawave("ready", 0));
    let mut agent = Agent::start(&format!(
        "[agent:a]\nrequest = a\nrequest-timeout = 5\ncheck-url = http://127.0.0.1:{}/\n",
        endpoint.port
    ));
    for request in [&b""[..], b"a", b"a\n", b"a\nmore", &[0xff; 4096]] {
        for _ in 0..20 {
            reset(agent.port, request);
        }
    }
    wait_until(SOON, "an answer after resets", || agent.ask("a\n").starts_with("up 100%"));
    assert!(agent.daemon.is_running());
}

#[test]
fn a_patroni_that_answers_nonsense_or_nothing_ends_nothing_and_is_not_written_to() {
    let good = || Reply::Http(200, r#"{"state":"running","role":"primary"}"#.to_owned());
    let endpoint = Endpoint::start(good());
    let mut agent = Agent::start(&format!(
        "checks = patroni\ncheck-url = http://127.0.0.1:{}\ncheck-timeout = 0.3\ngrace = 0\n",
        endpoint.port
    ));
    for reply in [
        Reply::Http(200, "<html>".to_owned()),
        Reply::Http(200, r#"{"state":"running"}"#.to_owned()),
        Reply::Http(200, r#"{"state":"running","role":{}}"#.to_owned()),
        Reply::Http(301, String::new()),
        Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
        Reply::Hang,
    ] {
        endpoint.set(good());
        wait_until(SOON, "the leader is up", || agent.ask("").starts_with("up 100%"));
        endpoint.set(reply.clone());
        wait_until(SOON, "the leader is down", || agent.ask("").starts_with("down "));
    }
    assert!(agent.daemon.is_running());
}

#[test]
fn a_restart_takes_the_port_at_once() {
    let port = free_port();
    for _ in 0..3 {
        let agent = Agent::on(port, "checks = load\n");
        // The side that closes first keeps the connection in TIME_WAIT: here it is the agent.
        for _ in 0..50 {
            ask(port, "");
        }
        drop(agent);
        wait_until(SOON, "the port is free", || !listens(port));
    }
}

/// Where Debian has the library that changes what programs take for the time.
fn libfaketime() -> Option<PathBuf> {
    peer("faketime")?;
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.exists())
}

#[test]
fn no_answer_depends_on_the_wall_clock() {
    let Some(library) = libfaketime() else { return };
    let endpoint = Endpoint::start(datawave("ready", 0));
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let clock = write(directory.path(), "clock", "+0\n");
    let over = write(directory.path(), "override", "40% for 3600\n");
    let text = format!(
        "[agent]\nbind = 127.0.0.1\nport = {port}\ninterval = 0.1\nstaleness-interval = 5\nchecks = datawave file\n\
         check-url = http://127.0.0.1:{}/\noverride-file = {}\n",
        endpoint.port,
        over.display()
    );
    let mut command = with_config(agent(), &write(directory.path(), "agent.conf", text));
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let daemon = Daemon::spawn(command);
    let up = || listens(port) && ask(port, "").starts_with("up 40% #");
    wait_until(SOON, "an answer", up);
    for offset in ["+400d", "-400d", "+0"] {
        set(&clock, offset);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(700) {
            assert!(up(), "{offset}: {:?}\n{}", ask(port, ""), daemon.output());
        }
    }
    // That the clock was set at all shows in the log.
    set(&clock, "+4000d");
    endpoint.set(datawave("drain", 0));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let later = 1970 + (now + 4000 * 86_400) / 31_557_600;
    wait_until(SOON, "a line of the log in that year", || {
        ask(port, "");
        daemon.output().contains(&format!("{later}-"))
    });
}

fn set(clock: &Path, offset: &str) {
    let new = clock.with_extension("new");
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    std::fs::rename(new, clock).unwrap();
}
