//! Load balancers with host names of their own, each a real HAProxy with haproxystats-pull and haproxystats-process.

use crate::harness::carbon::Carbon;
use crate::harness::newer::{newer_haproxy, own_haproxy};
use crate::harness::site::Site;
use crate::harness::{Daemon, process, pull, write};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// One host.
pub struct LoadBalancer {
    pub host: &'static str,
    pub site: Site,
    directory: TempDir,
    daemons: Vec<Daemon>,
}

impl LoadBalancer {
    /// Starts it with a pull every second. `options` go to `[process]`.
    pub fn start(host: &'static str, port: u16, options: &str) -> Self {
        // Percentiles need a newer one.
        let haproxy = newer_haproxy("3.2").unwrap_or_else(own_haproxy);
        let site = Site::start_with(haproxy, 1, 0);
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().display();
        std::fs::create_dir(directory.path().join("incoming")).unwrap();
        let text = format!(
            "[pull]\nsocket-dir = {}\npull-interval = 1\npull-timeout = 0.9\nlatency-table = latency\ndst-dir = {base}/incoming\n\
             tmp-dst-dir = {base}/staging\n[process]\nsrc-dir = {base}/incoming\nworkers = 1\n{options}\n\
             [graphite]\nserver = 127.0.0.1\nport = {port}\nsettle = 0.1\n",
            site.socket_dir().display()
        );
        let config = write(directory.path(), "haproxystats.conf", text);
        let daemons = [process(), pull()].map(|program| Daemon::spawn(on_host(host, &program, &config))).into();
        Self { host, site, directory, daemons }
    }

    /// A round of requests: `busy` good ones, and one that fails.
    pub fn traffic(&self, busy: usize) {
        for _ in 0..busy {
            self.site.request(0, "www", "/");
        }
        self.site.request(0, "api.v1", "/");
        self.site.request(0, "www", "/fail");
    }

    /// Whether its programs run and nothing went wrong.
    pub fn check(&mut self) {
        for daemon in &mut self.daemons {
            assert!(daemon.is_running(), "{}:\n{}", self.directory.path().display(), daemon.output());
        }
    }
}

/// The command with `-f config`, in a UTS namespace of its own, where the host has this name.
fn on_host(host: &str, program: &Command, config: &Path) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--uts", "sh", "-c", "hostname \"$0\" && exec \"$@\"", host]);
    command.arg(program.get_program()).arg("-f").arg(config);
    command
}

/// Points of a series that carbon has in its file.
pub fn has(carbon: &Carbon, series: &str, points: usize) -> bool {
    carbon.points(series).len() >= points
}
