//! Load balancers with host names of their own, each a real HAProxy with haproxystats-pull and haproxystats-process.

use crate::harness::carbon::Carbon;
use crate::harness::newer::{newer_haproxy, own_haproxy};
use crate::harness::site::Site;
use crate::harness::{Daemon, debian, output, process, pull, write};
use std::path::{Path, PathBuf};
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
    /// Starts it with a pull every second and what all panels need. `options` go to `[process]`, and whole sections may follow.
    pub fn start(host: &'static str, options: &str) -> Self {
        // Percentiles need a newer one.
        let haproxy = newer_haproxy("3.2").unwrap_or_else(own_haproxy);
        let directory = tempfile::tempdir().unwrap();
        let certificates =
            [("shop", "12"), ("api", "80")].map(|(name, days)| certificate(directory.path(), name, days));
        let site = Site::start_complete(haproxy, certificates.into());
        let base = directory.path().display();
        std::fs::create_dir(directory.path().join("incoming")).unwrap();
        let text = format!(
            "[pull]\nsocket-dir = {}\nmaster-sockets = {}\npull-interval = 1\npull-timeout = 0.9\nlatency-table = latency\n\
             families = certificates tables\nfamilies-interval = 1\ncontinuous-counters = true\n\
             dst-dir = {base}/incoming\ntmp-dst-dir = {base}/staging\n\
             [process]\nsrc-dir = {base}/incoming\nworkers = 1\nstatus-metrics = true\n{options}\n",
            site.socket_dir().display(),
            site.masters(),
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

/// A file with a certificate that expires in so many days, and its key.
fn certificate(directory: &Path, name: &str, days: &str) -> PathBuf {
    let files = ["pem", "key"].map(|kind| directory.join(format!("{name}.{kind}")));
    let mut command = Command::new(debian("openssl"));
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days]);
    command.arg("-subj").arg(format!("/CN={name}.example.com"));
    let made = output(command.arg("-out").arg(&files[0]).arg("-keyout").arg(&files[1])).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let both = files.map(|file| std::fs::read(file).unwrap()).concat();
    write(directory, &format!("{name}.example.com"), both)
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
