//! HAProxy with the rules of `--latency-rules`, and haproxystats-pull before it.

use super::load::{Client, Times, server};
use crate::harness::haproxy::ask;
use crate::harness::newer::Haproxy;
use crate::harness::reload::reload_haproxy;
use crate::harness::{Daemon, SOON, free_port, names, process, pull, wait_for, wait_until, with_config, write};
use haproxystats::latency::carried;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The bounds of the tests, far apart: what else runs on the machine delays answers as well.
pub const BOUNDS: &str = "50,200,800";

/// How a world differs from the ordinary one.
#[derive(Debug, Clone)]
pub struct Wish {
    pub instances: usize,
    pub threads: usize,
    /// Of the stats socket.
    pub level: &'static str,
    /// The bounds.
    pub buckets: &'static str,
    /// Changes of the rules: a text, and what stands in its place.
    pub rules: Vec<(&'static str, String)>,
    /// Servers of the backend `b`, and their ports; 0 is the ordinary one.
    pub servers: Vec<(&'static str, u16)>,
    /// Further lines of `[pull]`.
    pub options: &'static str,
    /// Whether masters are asked for workers that are leaving.
    pub masters: bool,
    /// Whether the tables are those of all workers of an instance.
    pub peers: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            instances: 1,
            threads: 1,
            level: "operator",
            buckets: BOUNDS,
            rules: Vec::new(),
            servers: vec![("s1", 0)],
            options: "",
            masters: false,
            peers: false,
        }
    }
}

/// A HAProxy of several instances.
pub struct World {
    pub place: TempDir,
    haproxy: Haproxy,
    masters: Vec<Option<Daemon>>,
    pub pull: Daemon,
    pub ports: Vec<u16>,
    /// How long the server, and the clients, say that requests have taken.
    pub served: Times,
    pub measured: Times,
    /// The last value of each metric.
    pub values: BTreeMap<String, f64>,
    pub snapshots: usize,
    /// The sum of all increments.
    pub increments: u64,
    /// Requests that HAProxy has forgotten.
    pub lost: u64,
}

impl World {
    /// Takes in what HAProxy had counted when it was reloaded under load: never more than there was, and `most` less.
    #[track_caller]
    pub fn assert_little_lost(&mut self, most: u64) {
        self.settle();
        let wanted = self.requests() - self.lost;
        let counted = self.value("backend.b.latency_response_count").unwrap() as u64;
        assert!(counted <= wanted && counted + most >= wanted, "{counted} of {wanted}:\n{}", self.pull.output());
        assert_eq!(self.increments, counted);
        self.lost += wanted - counted;
    }

    /// Starts it, and waits until the tables of all instances were read once.
    pub fn start(haproxy: &Haproxy, wish: &Wish) -> Self {
        let mut world = Self::start_unread(haproxy, wish);
        let count = wish.instances as f64;
        wait_until(SOON, "the tables of all instances", || {
            world.read();
            world.values.get("lb.haproxy.haproxystats.PullLatencyTables") == Some(&count)
        });
        world
    }

    pub fn start_unread(haproxy: &Haproxy, wish: &Wish) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("sockets")).unwrap();
        let (port, served) = server();
        let ports: Vec<u16> = (0..wish.instances).map(|_| free_port()).collect();
        for (number, own) in ports.iter().enumerate() {
            let text = configuration(place.path(), wish, (number, port), *own);
            write(place.path(), &format!("lb{number}.cfg"), text);
        }
        let masters: Vec<String> = (0..wish.instances)
            .map(|number| format!("unix://{}/master{number}.sock", place.path().display()))
            .collect();
        let masters = if wish.masters { format!("master-sockets = {}\n", masters.join(",")) } else { String::new() };
        let options = format!(
            "[pull]\nsocket-dir = {place}/sockets\n{masters}pull-interval = 1\npull-timeout = 0.8\n\
             on-socket-failure = keep-rest\nlatency-table = latency\n{}dst-dir = {place}/incoming\n\
             tmp-dst-dir = {place}/incoming.tmp\n[process]\nsrc-dir = {place}/incoming\nlatency-buckets = true\n\
             [graphite]\nnamespace = lb\nprefix-hostname = false\n",
            wish.options,
            place = place.path().display(),
        );
        let file = write(place.path(), "haproxystats.conf", options);
        let masters = (0..wish.instances).map(|number| Some(launch(haproxy, place.path(), number))).collect();
        let world = Self {
            haproxy: haproxy.clone(),
            masters,
            pull: Daemon::spawn(with_config(pull(), &file)),
            place,
            ports,
            served,
            measured: Times::default(),
            values: BTreeMap::new(),
            snapshots: 0,
            increments: 0,
            lost: 0,
        };
        for number in 0..wish.instances {
            wait_until(SOON, "HAProxy answers", || world.pid(number).is_some());
        }
        world
    }

    pub fn client(&self, number: usize) -> Client {
        Client::new(self.ports[number], &self.measured)
    }

    /// How many requests of all mixtures, or of one, have been answered.
    pub fn requests(&self) -> u64 {
        self.measured.lock().unwrap().values().map(|times| times.len() as u64).sum()
    }

    pub fn socket(&self, number: usize) -> PathBuf {
        self.place.path().join(format!("sockets/lb{number}.sock"))
    }

    pub fn pid(&self, number: usize) -> Option<String> {
        let reply = ask(&self.socket(number), "show info")?;
        reply.lines().find_map(|line| line.strip_prefix("Pid: ").map(str::to_owned))
    }

    pub fn reload(&self, number: usize) {
        let old = self.pid(number).expect("HAProxy answers");
        let master = self.masters[number].as_ref().unwrap();
        reload_haproxy(master, || self.pid(number).is_some_and(|pid| pid != old));
    }

    /// HAProxy as a whole.
    pub fn restart(&mut self, number: usize) {
        if let Some(mut master) = self.masters[number].take() {
            master.signal(Signal::SIGTERM);
            master.wait(SOON);
        }
        self.masters[number] = Some(launch(&self.haproxy, self.place.path(), number));
        wait_until(SOON, "HAProxy answers", || self.pid(number).is_some());
    }

    /// haproxystats-pull, killed.
    pub fn restart_pull(&mut self, meanwhile: impl FnOnce(&mut Self)) {
        self.pull.signal(Signal::SIGKILL);
        self.pull.wait(SOON);
        meanwhile(self);
        self.pull = Daemon::spawn(with_config(pull(), &self.place.path().join("haproxystats.conf")));
    }

    fn incoming(&self) -> PathBuf {
        self.place.path().join("incoming")
    }

    fn epochs(&self) -> Vec<String> {
        let mut epochs = names(&self.incoming());
        epochs.retain(|name| name.parse::<u64>().is_ok());
        epochs.sort();
        epochs
    }

    /// Takes in the snapshots that there are, and removes them.
    pub fn read(&mut self) {
        for epoch in self.epochs() {
            let directory = self.incoming().join(&epoch);
            self.values = self.once(&directory);
            for file in names(&directory).iter().filter(|name| name.ends_with("_carriedlatency")) {
                let text = fs::read(directory.join(file)).unwrap();
                let add = |object: carried::Object<'_>| {
                    self.increments += object.timers().map(|counted| counted.recent.count()).sum::<u64>();
                };
                carried::read(&text, add).unwrap();
            }
            fs::remove_dir_all(&directory).unwrap();
            self.snapshots += 1;
        }
    }

    /// With `queue-size = 1`, nothing is pulled while a snapshot is there: what `act` does is in the next one, all of it. That one
    /// is read.
    pub fn between_two_pulls(&mut self, act: impl FnOnce(&mut Self)) {
        let first = wait_for(SOON, "a snapshot", || self.epochs().pop());
        act(self);
        fs::remove_dir_all(self.incoming().join(first)).unwrap();
        wait_until(SOON, "the next snapshot", || !self.epochs().is_empty());
        self.values = self.once(&self.incoming().join(&self.epochs()[0]));
    }

    /// Metrics of a snapshot, and the figures of the pull.
    fn once(&self, directory: &Path) -> BTreeMap<String, f64> {
        let mut command = with_config(process(), &self.place.path().join("haproxystats.conf"));
        let output = command.arg("--once").arg(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut values = BTreeMap::new();
        for line in text.lines() {
            let [path, value, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            values.insert(path.to_owned(), value.parse().unwrap());
        }
        for line in fs::read_to_string(directory.join(".pull")).unwrap().lines() {
            let (name, value) = line.split_once(' ').unwrap();
            values.insert(format!("lb.haproxy.haproxystats.{name}"), value.parse().unwrap());
        }
        values
    }

    /// Waits until two snapshots were begun after now: whatever has happened is in the second.
    pub fn settle(&mut self) {
        self.read();
        let seen = self.snapshots;
        wait_until(SOON, "two more snapshots", || {
            self.read();
            self.snapshots >= seen + 2
        });
    }

    pub fn value(&self, path: &str) -> Option<f64> {
        self.values.get(&format!("lb.haproxy.{path}")).copied()
    }

    /// The figures equal what clients have got.
    #[track_caller]
    pub fn assert_counts(&mut self, when: &str) {
        self.settle();
        let wanted = (self.requests() - self.lost) as f64;
        for object in ["backend.b", "backend.b.server.s1"] {
            for metric in ["latency_response_count", "latency_response_le_inf"] {
                let value = self.value(&format!("{object}.{metric}"));
                assert_eq!(value, Some(wanted), "{object} {metric} {when}:\n{}", self.pull.output());
            }
        }
        assert_eq!(self.increments as f64, wanted, "increments {when}");
    }
}

fn launch(haproxy: &Haproxy, place: &Path, number: usize) -> Daemon {
    let mut command = haproxy.command();
    command.arg("-W").arg("-S").arg(place.join(format!("master{number}.sock")));
    command.arg("-f").arg(place.join(format!("lb{number}.cfg")));
    Daemon::spawn(command)
}

/// What `--latency-rules` prints.
pub fn rules(arguments: &[&str]) -> String {
    let output = pull().arg("--latency-rules").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Each mixture of requests has a backend of its own, called after the first part of the path.
fn configuration(place: &Path, wish: &Wish, (number, server): (usize, u16), port: u16) -> String {
    let peers = format!("unix@{}/peers{number}.sock", place.display());
    let mut arguments = vec!["--buckets", wish.buckets];
    if wish.peers {
        arguments.extend(["--peers", &peers]);
    }
    let mut rules = rules(&arguments);
    for (from, to) in &wish.rules {
        assert!(rules.contains(from), "{from}");
        rules = rules.replace(from, to);
    }
    let mut text = format!(
        "global\n  stats socket {place}/sockets/lb{number}.sock level {level}\n  nbthread {threads}\n\
         defaults base\n  mode http\n  timeout client 1h\n  timeout server 1h\n  timeout connect 5s\n{rules}\
         frontend f from base\n  bind 127.0.0.1:{port}\n  use_backend %[path,field(2,/)]\n",
        place = place.display(),
        level = wish.level,
        threads = wish.threads,
    );
    let mut backend = |name: &str, servers: &[(&str, u16)]| {
        text.push_str(&format!("backend {name} from latency-rules\n"));
        for (name, port) in servers {
            text.push_str(&format!("  server {name} 127.0.0.1:{}\n", if *port == 0 { server } else { *port }));
        }
    };
    backend("b", &wish.servers);
    (0..super::MIXTURES).for_each(|mixture| backend(&format!("m{mixture}"), &[("s1", 0), ("s2", 0)]));
    text
}
