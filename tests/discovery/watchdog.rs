//! systemd's watchdog is fed by a server and a client that work or wait, and not where one of their tasks hangs.

use crate::harness::systemd::Systemd;
use crate::harness::{Daemon, SOON, discovery, with_config, write};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_millis(600);

struct Watched {
    systemd: Systemd,
    daemon: Daemon,
    directory: TempDir,
}

impl Watched {
    /// A server and a client whose HAProxy is away.
    #[track_caller]
    fn start(interval: f64, fault: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        write(directory.path(), "servers", "127.0.9.1 id=i-1\n");
        let text = format!(
            "[discovery]\nstate-dir = {path}/state\ninterval = {interval}\nexporter-port = 0\n\
             [discovery-server]\nmode = file\nsource-file = {path}/servers\n\
             [discovery-client]\nhaproxy-socket-path = {path}/haproxy\nhaproxy-backend-server-port = 80\n\
             socket-timeout = 0.5\n[discovery-backend:web]\nbase-name = web\n"
        );
        let mut command = with_config(discovery(), &write(directory.path(), "discovery.conf", text));
        command.args(["--server", "--client"]).env("HAPROXYSTATS_TEST_FAULT", fault.replace('@', &path.to_string()));
        let systemd = Systemd::new(directory.path());
        systemd.watch(&mut command, LIMIT);
        let daemon = Daemon::spawn(command);
        systemd.wait_for("READY=1");
        Self { systemd, daemon, directory }
    }

    #[track_caller]
    fn is_fed(&self) {
        let feeds = self.systemd.feeds(LIMIT * 3);
        assert!(feeds >= 3, "{feeds} feeds\n{}", self.daemon.output());
        assert!(!self.daemon.output().contains("no longer notifying"), "{}", self.daemon.output());
    }

    /// The log has it, and systemd hears nothing any more.
    #[track_caller]
    fn starves(&mut self, task: &str) {
        let line = format!("a task has died or hangs: no longer notifying systemd's watchdog task=\"{task}\"");
        self.daemon.wait_for_output(&line, SOON);
        assert_eq!(self.systemd.feeds(LIMIT * 2), 0);
        assert!(self.daemon.is_running());
    }
}

#[test]
fn server_and_client_that_wait_are_fed() {
    let [mut idle, mut busy] = [3600.0, 0.05].map(|interval| Watched::start(interval, ""));
    idle.is_fed();
    busy.is_fed();
    idle.daemon.stop(SOON);
    busy.daemon.stop(SOON);
}

#[test]
fn a_server_that_hangs_is_not() {
    let mut stuck = Watched::start(0.05, "hang:server");
    stuck.starves("server");
}

#[test]
fn a_client_that_reads_no_list_is_not() {
    let mut stuck = Watched::start(0.05, "hang:list");
    stuck.starves("list");
}

#[test]
fn a_client_that_hangs_over_one_haproxy_is_not() {
    let mut stuck = Watched::start(0.05, "hang:HAProxy at @/haproxy");
    let task = format!("HAProxy at {}/haproxy", stuck.directory.path().display());
    stuck.starves(&task);
}

#[test]
fn a_client_that_panics_takes_the_program_with_it() {
    let mut dead = Watched::start(0.05, "panic:list");
    assert!(!dead.daemon.wait(SOON).success());
}
