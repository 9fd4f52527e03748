//! Reloads, restarts and cleared counters of a real HAProxy, with old workers asked and counters continued: what is published
//! equals what a client has really got.

mod instances;
mod picture;
mod restarts;
mod servers;
mod shared;
mod successors;

use crate::harness::lasting::{Sessions, server};
use crate::harness::newer::{Haproxy, haproxies, own_haproxy};
use crate::harness::reload::reload_haproxy;
use crate::harness::{Daemon, SOON, free_port, names, poll, process, pull, wait_until, with_config, write};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// HAProxy with a master, haproxystats-pull before it, and a client that counts.
struct World {
    place: TempDir,
    haproxy: Haproxy,
    master: Option<Daemon>,
    pull: Daemon,
    port: u16,
    client: Sessions,
    /// The last value of each metric, and how many snapshots there were.
    values: BTreeMap<String, f64>,
    snapshots: usize,
}

const COUNTERS: [&str; 7] = ["stot", "bin", "bout", "econ", "lbtot", "CumConns", "TotalBytesOut"];

impl World {
    fn start(haproxy: Haproxy, global: &str, guid: [&str; 3]) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("sockets")).unwrap();
        let port = free_port();
        let [of_frontend, of_backend, of_server] = guid;
        let text = format!(
            "global\n  stats socket {place}/sockets/lb.sock level admin\n  nbthread 1\n{global}\
             defaults\n  mode tcp\n  option contstats\n  timeout client 1h\n  timeout server 1h\n  timeout connect 5s\n\
             frontend f\n  bind 127.0.0.1:{port}\n  {of_frontend}\n  default_backend b\n\
             backend b\n  {of_backend}\n  server s1 127.0.0.1:{server} {of_server}\n",
            place = place.path().display(),
            server = server(),
        );
        write(place.path(), "haproxy.cfg", text);
        let options = format!(
            "[pull]\nsocket-dir = {place}/sockets\nmaster-sockets = unix://{place}/master.sock\npull-interval = 1\n\
             pull-timeout = 0.8\ncontinuous-counters = true\non-socket-failure = keep-rest\n\
             dst-dir = {place}/incoming\ntmp-dst-dir = {place}/incoming.tmp\n\
             [process]\nsrc-dir = {place}/incoming\n[graphite]\nnamespace = lb\nprefix-hostname = false\n",
            place = place.path().display(),
        );
        let file = write(place.path(), "haproxystats.conf", options);
        let master = Some(launch(&haproxy, &place));
        let pull = Daemon::spawn(with_config(pull(), &file));
        let (values, client) = (BTreeMap::new(), Sessions::default());
        Self { place, haproxy, master, pull, port, client, values, snapshots: 0 }
    }

    /// Waits for the first snapshot.
    fn begin(&self) {
        wait_until(SOON, "the first snapshot", || !names(&self.incoming()).is_empty());
    }

    /// haproxystats-pull is killed, and started again with this environment.
    fn restart_pull(&mut self, environment: &[(&str, &str)]) {
        if self.pull.is_running() {
            self.pull.signal(Signal::SIGKILL);
            self.pull.wait(SOON);
        }
        let mut command = with_config(pull(), &self.place.path().join("haproxystats.conf"));
        command.envs(environment.iter().copied());
        self.pull = Daemon::spawn(command);
    }

    fn open(&mut self, count: usize) {
        (0..count).for_each(|_| self.client.open(self.port));
    }

    /// Each session that stands gets so many bytes.
    fn transfer(&mut self, bytes: usize) {
        let lost = self.client.transfer(bytes);
        assert_eq!(lost, 0, "sessions ended");
    }

    fn close(&mut self) {
        self.client.close();
    }

    fn pid(&self) -> Option<String> {
        let mut stream = UnixStream::connect(self.place.path().join("sockets/lb.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        stream.write_all(b"show info\n").ok()?;
        stream.shutdown(Shutdown::Write).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        reply.lines().find_map(|line| line.strip_prefix("Pid: ").map(str::to_owned))
    }

    fn admin(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.place.path().join("sockets/lb.sock")).unwrap();
        stream.write_all(format!("{command}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn reload(&mut self) {
        let old = self.pid().expect("HAProxy answers");
        let master = self.master.as_ref().unwrap();
        reload_haproxy(master, || self.pid().is_some_and(|pid| pid != old));
    }

    /// HAProxy as a whole; its sessions end.
    fn restart(&mut self) {
        self.close();
        if let Some(mut master) = self.master.take() {
            master.signal(Signal::SIGTERM);
            master.wait(SOON);
        }
        self.master = Some(launch(&self.haproxy, &self.place));
    }

    /// The same of the first of two instances: so many sessions, from the third on, are the other one's and go on.
    fn restart_all_but(&mut self, others: usize) {
        let kept = self.client.take(2..2 + others);
        self.restart();
        self.client.give_back(kept);
    }

    /// Waits for two more snapshots without HAProxy: there are none, and nothing is published.
    fn settle_without_haproxy(&mut self) {
        self.read();
        wait_until(SOON, "nothing is published", || self.pull.output().contains("nothing is published"));
        self.read();
    }

    fn incoming(&self) -> PathBuf {
        self.place.path().join("incoming")
    }

    /// What `haproxystats-process --once` says of a snapshot.
    fn once(&self, directory: &Path) -> Vec<(String, f64)> {
        let mut command = with_config(process(), &self.place.path().join("haproxystats.conf"));
        let output = command.arg("--once").arg(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let value = |line: &str| {
            let [path, value, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            (path.to_owned(), value.parse().unwrap())
        };
        text.lines().map(value).collect()
    }

    /// What `haproxystats-process --once` says of the snapshots that there are.
    fn read(&mut self) {
        let all = names(&self.incoming());
        let mut epochs: Vec<&String> = all.iter().filter(|name| name.parse::<u64>().is_ok()).collect();
        epochs.sort();
        for epoch in epochs {
            let directory = self.incoming().join(epoch);
            for (path, value) in self.once(&directory) {
                let counter = COUNTERS.iter().any(|counter| path.ends_with(&format!(".{counter}")));
                let before = self.values.insert(path.clone(), value);
                if let Some(before) = before.filter(|_| counter) {
                    assert!(value >= before, "{path} steps back from {before} to {value} in {epoch}");
                }
            }
            for line in fs::read_to_string(directory.join(".pull")).unwrap().lines() {
                let (name, value) = line.split_once(' ').unwrap();
                self.values.insert(format!("lb.haproxy.haproxystats.{name}"), value.parse().unwrap());
            }
            fs::remove_dir_all(&directory).unwrap();
            self.snapshots += 1;
        }
    }

    /// Waits until two snapshots were begun after now: whatever has happened is in the second.
    fn settle(&mut self) {
        self.read();
        let seen = self.snapshots;
        wait_until(SOON, "two more snapshots", || {
            self.read();
            self.snapshots >= seen + 2
        });
    }

    #[track_caller]
    fn value(&self, path: &str) -> u64 {
        let path = format!("lb.haproxy.{path}");
        let value = self.values.get(&path).unwrap_or_else(|| panic!("no {path}:\n{}", self.pull.output()));
        *value as u64
    }

    /// Waits until each of these objects has had so many sessions and bytes in both directions, and has so many sessions.
    #[track_caller]
    fn assert_counts_of(&mut self, objects: &[(&str, [u64; 4])], when: &str) {
        let counts = |world: &Self| -> Vec<[u64; 4]> {
            let figures = |object| ["stot", "bout", "bin", "scur"].map(|name| world.value(&format!("{object}.{name}")));
            objects.iter().map(|(object, _)| figures(object)).collect()
        };
        let expected: Vec<[u64; 4]> = objects.iter().map(|(_, figures)| *figures).collect();
        // HAProxy counts the bytes of sessions that go on every five seconds, and takes its time to see that one is closed.
        // What is too much stays so.
        poll(3 * SOON, || {
            self.settle();
            let counts = counts(self);
            let is_over = |(found, right): (&[u64; 4], &[u64; 4])| (0..3).any(|place| found[place] > right[place]);
            (counts == expected || counts.iter().zip(&expected).any(is_over)).then_some(())
        });
        let names: Vec<&str> = objects.iter().map(|(object, _)| *object).collect();
        assert_eq!(counts(self), expected, "{names:?} {when}:\n{}", self.pull.output());
    }

    #[track_caller]
    fn assert_counts(&mut self, when: &str) {
        let all = self.client.counts();
        let objects = ["frontend.f", "backend.b", "backend.b.server.s1"].map(|object| (object, all));
        self.assert_counts_of(&objects, when);
    }
}

fn launch(haproxy: &Haproxy, place: &TempDir) -> Daemon {
    let mut command = haproxy.command();
    command.arg("-W").arg("-S").arg(place.path().join("master.sock")).arg("-f").arg(place.path().join("haproxy.cfg"));
    Daemon::spawn(command)
}

fn counts_continue(haproxy: Haproxy) {
    let version = haproxy.version;
    let mut world = World::start(haproxy, "", ["", "", ""]);
    world.begin();
    world.open(3);
    world.transfer(1_000);
    world.assert_counts("at the start");
    for round in 0..3 {
        world.reload();
        // Old sessions go on in the old worker, new ones begin in the new one.
        world.transfer(500);
        world.open(2);
        world.transfer(2_000);
        world.assert_counts(&format!("after reload {round}, HAProxy {version:?}"));
    }
    // One of them may have been too slow for a pull.
    wait_until(SOON, "all old workers in one pull", || {
        world.settle();
        world.value("haproxystats.PullOldWorkers") >= 3
    });
    // The old workers end with their last sessions, and what they had counted stays.
    world.close();
    world.assert_counts("when the old workers are gone");
    wait_until(SOON, "they are gone", || {
        world.settle();
        world.value("haproxystats.PullOldWorkers") == 0
    });
    world.assert_counts("and a moment later");
    world.open(1);
    world.transfer(10);
    world.assert_counts("before counters are cleared");
    world.admin("clear counters all");
    // What is counted before the next look counts.
    world.transfer(3);
    world.assert_counts("after clear counters all");
    assert!(world.value("haproxystats.PullResets") > 0);
    world.pull.signal(Signal::SIGKILL);
    world.pull.wait(SOON);
    world.transfer(70);
    world.reload();
    world.transfer(5);
    world.pull = Daemon::spawn(with_config(pull(), &world.place.path().join("haproxystats.conf")));
    world.assert_counts("after a kill of haproxystats-pull, and a reload meanwhile");
    world.restart();
    world.open(2);
    world.transfer(40);
    world.assert_counts("after a restart of HAProxy");
    world.pull.stop(SOON);
}

#[test]
fn counters_equal_what_a_client_has_got_over_reloads_restarts_and_clearing() {
    counts_continue(own_haproxy());
}

/// No look at the counters between them: all old workers stand at the same time.
#[test]
fn ten_reloads_in_a_row_lose_nothing() {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    world.begin();
    for _ in 0..10 {
        world.open(2);
        world.transfer(300);
        world.reload();
        world.transfer(70);
    }
    world.open(1);
    world.transfer(1_000);
    world.assert_counts("after ten reloads");
    wait_until(SOON, "all old workers in one pull", || {
        world.settle();
        world.value("haproxystats.PullOldWorkers") == 10
    });
    world.close();
    wait_until(SOON, "the old workers are gone", || {
        world.settle();
        world.value("haproxystats.PullOldWorkers") == 0
    });
    world.assert_counts("when all old workers are gone");
    world.pull.stop(SOON);
}

#[test]
fn newer_releases_are_no_different() {
    // All at once: each waits for most of its time.
    let run = |haproxy| std::thread::spawn(move || counts_continue(haproxy));
    let runs: Vec<_> = haproxies().into_iter().skip(1).map(run).collect();
    for run in runs {
        run.join().expect("said above");
    }
}

#[test]
fn a_worker_that_is_killed_costs_what_it_had_counted_since_the_last_look() {
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    world.begin();
    world.open(3);
    world.transfer(500);
    world.assert_counts("at the start");
    let worker: i32 = world.pid().unwrap().parse().unwrap();
    world.close();
    world.settle();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    // The master ends as well, and its supervisor starts it again.
    let mut master = world.master.take().unwrap();
    master.wait(SOON);
    world.settle_without_haproxy();
    world.master = Some(launch(&world.haproxy, &world.place));
    world.open(1);
    world.transfer(20);
    world.assert_counts("after the worker was killed");
    world.pull.stop(SOON);
}

/// A reload with the options off: what was, and nothing else.
#[test]
fn unasked_nothing_is_asked_of_masters_and_nothing_is_kept() {
    let world = World::start(own_haproxy(), "", ["", "", ""]);
    let file = world.place.path().join("haproxystats.conf");
    let text = fs::read_to_string(&file).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("master-") && !line.starts_with("continuous-"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut world = world;
    world.pull.wait_for_output("is running", SOON);
    world.pull.stop(SOON);
    fs::remove_dir_all(world.incoming()).unwrap();
    fs::write(&file, without).unwrap();
    world.pull = Daemon::spawn(with_config(pull(), &file));
    wait_until(SOON, "a snapshot", || names(&world.incoming()).iter().any(|name| name.parse::<u64>().is_ok()));
    world.open(2);
    world.reload();
    world.settle();
    assert_eq!(world.value("frontend.f.stot"), 0, "counters begin at 0 in the new worker");
    assert_eq!(world.value("haproxystats.PullOldWorkers"), 0);
    assert!(!world.incoming().join(".continuity").exists());
    world.pull.stop(SOON);
}
