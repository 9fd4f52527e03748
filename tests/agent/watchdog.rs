//! systemd's watchdog is fed by an agent that works, slow or idle as it may be, and by no other.

use crate::harness::agent::{Endpoint, Reply, ask};
use crate::harness::systemd::Systemd;
use crate::harness::{Daemon, SOON, agent, free_port, wait_until, with_config, write};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_millis(600);

struct Watched {
    systemd: Systemd,
    daemon: Daemon,
    port: u16,
    _directory: TempDir,
}

impl Watched {
    /// With these options; `fault` as the variable for tests has it, with `PORT` for the port.
    #[track_caller]
    fn start(options: &str, fault: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let text = format!("[agent]\nbind = 127.0.0.1\nport = {port}\nstop-timeout = 0\n{options}");
        let mut command = with_config(agent(), &write(directory.path(), "agent.conf", text));
        command.env("HAPROXYSTATS_TEST_FAULT", fault.replace("PORT", &port.to_string()));
        let systemd = Systemd::new(directory.path());
        systemd.watch(&mut command, LIMIT);
        let daemon = Daemon::spawn(command);
        systemd.wait_for("READY=1");
        Self { systemd, daemon, port, _directory: directory }
    }

    /// The log has it, and systemd hears nothing any more.
    #[track_caller]
    fn starves(&mut self, task: &str) {
        let task = task.replace("PORT", &self.port.to_string());
        let line = format!("a task has died or hangs: no longer notifying systemd's watchdog task=\"{task}\"");
        self.daemon.wait_for_output(&line, SOON);
        assert_eq!(self.systemd.feeds(LIMIT * 2), 0);
        assert!(self.daemon.is_running());
    }
}

/// Each third of the limit brings a feed; a machine that is busy may let some of them go.
#[track_caller]
fn is_fed(watched: &Watched) {
    let feeds = watched.systemd.feeds(LIMIT * 3);
    assert!(feeds >= 3, "{feeds} feeds\n{}", watched.daemon.output());
    assert!(!watched.daemon.output().contains("no longer notifying"), "{}", watched.daemon.output());
}

#[test]
fn an_agent_that_waits_is_fed() {
    // For a slow endpoint, for longer than systemd does for the agent.
    let endpoint = Endpoint::start(Reply::Hang);
    let slow = format!("checks = http\ncheck-url = http://127.0.0.1:{}/\ncheck-timeout = 30\n", endpoint.port);
    let mut slow = Watched::start(&slow, "");
    is_fed(&slow);
    // For the next of its rounds, and for questions.
    let idle = Watched::start("checks = load\ninterval = 3600\n", "");
    is_fed(&idle);
    // For somebody to ask.
    let asked = Watched::start("checks = load\ninterval = 0\n", "");
    is_fed(&asked);
    assert!(!ask(asked.port, "").is_empty());
    slow.daemon.stop(SOON);
}

#[test]
fn one_whose_checks_have_died_is_not() {
    for (options, task) in [("interval = 0.05\n", "checks of agent"), ("interval = 0\n", "checks of agent")] {
        let mut dead = Watched::start(&format!("checks = load\n{options}"), &format!("panic:{task}"));
        let port = dead.port;
        ask(port, "");
        dead.starves(task);
    }
}

#[test]
fn one_whose_checks_hang_is_not() {
    let mut stuck = Watched::start("checks = load\ninterval = 0.05\n", "hang:checks of agent");
    is_fed(&stuck);
    stuck.starves("checks of agent");
}

#[test]
fn one_that_takes_no_connections_is_not() {
    let mut deaf = Watched::start("checks = load\ninterval = 0.05\n", "panic:port 127.0.0.1:PORT");
    deaf.starves("port 127.0.0.1:PORT");
}

/// What a reload ends was told to.
#[test]
fn a_reload_is_no_death() {
    let mut watched = Watched::start("checks = load\ninterval = 0.05\n", "");
    for _ in 0..3 {
        watched.daemon.signal(nix::sys::signal::Signal::SIGHUP);
    }
    watched.daemon.wait_for_output("the new configuration is in use", SOON);
    wait_until(SOON, "an answer", || !ask(watched.port, "").is_empty());
    is_fed(&watched);
}
