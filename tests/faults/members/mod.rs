//! A consumer group that makes metrics of snapshots: balancers that send files as they are, brokers, members that come and go, and
//! Graphite. What is there in the end has to be what one process sends that has all snapshots.

mod cluster;
mod faults;

use crate::Scene;
use crate::harness::fleet::{Fleet, INTERVAL};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, snapshots};
use crate::harness::kafka::{Points, alone};
use crate::harness::{names, process, with_config};
use crate::options::SEED;
use crate::report::Report;
use crate::unit::{Unit, tail};
use cluster::Cluster;
use fastrand::Rng;
use faults::{AWAY, FAULTS, Fault};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

const TOPIC: &str = "members";
const PARTITIONS: usize = 6;
const HOSTS: usize = 12;
const CLUSTERS: usize = 3;
const MEMBERS: usize = 3;
/// Hosts of each balancer's haproxystats-process.
const EDGES: [std::ops::Range<usize>; 2] = [0..7, 7..HOSTS];
/// `[kafka-source] queue-size`
const QUEUE: u64 = 4;
/// `[kafka-source] late`, seconds: by so much may one sender be behind the other.
const LATE: u64 = 200;
/// Snapshots that a sender may have before it: the next ones come once it has caught up, so that on a busy machine, too, no host is
/// later than `late`.
const AHEAD: usize = (LATE / INTERVAL / 2) as usize;
/// `librdkafka.session.timeout.ms`
const SESSION: Duration = Duration::from_secs(2);
/// Once all is well again, something arrives within this time, until everything has.
const RECOVERY: Duration = Duration::from_secs(60);

/// The scene, with at least so many changes of the group, each of which is a rebalance or two.
pub fn scene(changes: u64) -> Scene {
    Scene { name: "members of a group".to_owned(), run: Box::new(move || by_itself(Cluster::mock, &FAULTS, changes)) }
}

/// The same while brokers are away, with a broker that copes with that.
pub fn away(changes: u64) -> Scene {
    let run = move || by_itself(Cluster::tansu, &AWAY, changes);
    Scene { name: "members of a group, brokers away".to_owned(), run: Box::new(run) }
}

/// On a thread of its own because of its network.
fn by_itself(cluster: fn() -> Option<Cluster>, faults: &'static [Fault], changes: u64) -> Report {
    let perform = move || {
        alone();
        cluster().map_or_else(Report::default, |cluster| perform(cluster, faults, changes))
    };
    std::thread::scope(|scope| scope.spawn(perform).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn perform(cluster: Cluster, all: &[Fault], changes: u64) -> Report {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let mut site = Site::new(seed.unwrap_or_else(|| fastrand::u64(..)), cluster);
    site.go_on(Duration::from_secs(2));
    // Each of them once, then at random.
    let mut faults = all.to_vec();
    site.rng.shuffle(&mut faults);
    for (name, inject) in faults {
        site.inject(name, inject);
    }
    while site.changes < changes {
        let (name, inject) = all[site.rng.usize(..all.len())];
        site.inject(name, inject);
    }
    site.finish()
}

struct Member {
    incoming: Incoming,
    unit: Unit,
    /// It is not started again for now.
    away: bool,
}

/// Everything that takes part.
struct Site {
    edges: Vec<(Incoming, Unit)>,
    members: Vec<Member>,
    graphite: Recorder,
    cluster: Cluster,
    fleet: Fleet,
    rng: Rng,
    report: Report,
    next: u64,
    feed_at: Instant,
    label: &'static str,
    /// What has to be there in the end, and the fault it is put down to.
    expected: Points,
    labels: BTreeMap<u64, &'static str>,
    /// Times that a member came or went, at least.
    changes: u64,
    seed: u64,
}

/// In haste.
const HASTE: &str = "librdkafka.reconnect.backoff.ms = 50\nlibrdkafka.reconnect.backoff.max.ms = 200\n\
                     librdkafka.topic.metadata.refresh.interval.ms = 300\n";

impl Site {
    fn new(seed: u64, cluster: Cluster) -> Self {
        let graphite = Recorder::start();
        graphite.note_last();
        cluster.create_topic(TOPIC, PARTITIONS as i32);
        let (fleet, address) = (Fleet::new(HOSTS, CLUSTERS), cluster.address());
        let start = |incoming: Incoming| {
            let config = incoming.config().to_owned();
            let unit = Unit::start("haproxystats-process", move || alone_with(with_config(process(), &config)));
            (incoming, unit)
        };
        let edge = || {
            Incoming::without_graphite(&format!(
                "workers = 1\n{}\n[kafka]\nformat = snapshot\nbrokers = {address}\ntopic = {TOPIC}\ndelay = 0.3\n\
                 stall-timeout = 1\n{HASTE}librdkafka.topic.metadata.propagation.max.ms = 500\n",
                fleet.hosts_section()
            ))
        };
        let member = || {
            Incoming::new(
                graphite.port(),
                &format!(
                    "source = kafka\nworkers = 1\ncluster-metrics = true\n[kafka-source]\nbrokers = {address}\n\
                     topic = {TOPIC}\nqueue-size = {QUEUE}\nlate = {LATE}\ncluster-deadline = 3\nassemble-timeout = 4\n\
                     librdkafka.session.timeout.ms = {}\nlibrdkafka.heartbeat.interval.ms = 300\n{HASTE}",
                    SESSION.as_millis()
                ),
            )
        };
        let edges = EDGES.iter().map(|_| start(edge())).collect();
        let members = (0..MEMBERS).map(|_| start(member()));
        let members = members.map(|(incoming, unit)| Member { incoming, unit, away: false }).collect();
        let mut site = Self {
            edges,
            members,
            graphite,
            cluster,
            fleet,
            rng: Rng::with_seed(seed),
            report: Report::default(),
            next: FIRST,
            feed_at: Instant::now(),
            label: "none",
            expected: Points::new(),
            labels: BTreeMap::new(),
            changes: 0,
            seed,
        };
        site.units().for_each(Unit::wait_until_up);
        site
    }

    fn units(&mut self) -> impl Iterator<Item = &mut Unit> {
        let members = self.members.iter_mut().map(|member| &mut member.unit);
        self.edges.iter_mut().map(|(_, unit)| unit).chain(members)
    }

    fn one(&mut self) -> usize {
        self.rng.usize(..MEMBERS)
    }

    fn inject(&mut self, name: &'static str, inject: fn(&mut Self)) {
        self.label = name;
        self.report.row(name).injected += 1;
        inject(self);
        let time = Duration::from_millis(self.rng.u64(200..1_500));
        self.go_on(time);
    }

    /// The balancers pull once more.
    fn feed(&mut self) {
        let second = self.next;
        self.next += INTERVAL;
        for ((incoming, _), hosts) in self.edges.iter().zip(EDGES) {
            let staged = incoming.beside("incoming.tmp").join(second.to_string());
            std::fs::create_dir(&staged).expect("a directory");
            self.fleet.fill(&staged, hosts, second);
            std::fs::rename(&staged, incoming.path().join(second.to_string())).expect("a snapshot is published");
        }
        self.expected.extend(self.fleet.expected(0..HOSTS, second));
        self.labels.insert(second, self.label);
        self.report.row(self.label).snapshots += 1;
    }

    fn senders_keep_up(&self) -> bool {
        self.edges.iter().all(|(incoming, _)| snapshots(&incoming.path()).len() < AHEAD)
    }

    fn tick(&mut self) {
        self.edges.iter_mut().for_each(|(_, unit)| unit.tick());
        self.members.iter_mut().filter(|member| !member.away).for_each(|member| member.unit.tick());
    }

    /// Time goes by, ten times as fast as for the balancers: who is behind by three seconds is not waited for.
    fn go_on(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.tick();
            if Instant::now() >= self.feed_at && self.senders_keep_up() {
                self.feed_at = Instant::now() + Duration::from_secs(1);
                self.feed();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until everything is there, as long as something arrives.
    fn recover(&mut self) {
        let (mut until, mut before) = (Instant::now() + RECOVERY, usize::MAX);
        while Instant::now() < until {
            self.tick();
            let left = self.lacking(&self.graphite.record().last).len();
            if left == 0 {
                return;
            }
            if left < before {
                (before, until) = (left, Instant::now() + RECOVERY);
            }
            for _ in 0..40 {
                self.tick();
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Points that are not there, or are not what they should be, in the end.
    fn lacking(&self, last: &HashMap<String, String>) -> Vec<&String> {
        let right = |point: &String, value: f64| {
            let found = last.get(point).and_then(|text| text.parse::<f64>().ok());
            found.is_some_and(|found| (found - value).abs() <= value.abs() * 1e-12)
        };
        let lacking = self.expected.iter().filter(|(point, (value, _))| !right(point, *value));
        lacking.map(|(point, _)| point).collect()
    }

    fn finish(mut self) -> Report {
        self.recover();
        self.units().for_each(Unit::stop);
        self.compare();
        let mut failures = Vec::new();
        for (incoming, what) in self.places() {
            let (left, failed) = (snapshots(&incoming.path()), names(&incoming.failed()));
            if !left.is_empty() || !failed.is_empty() {
                failures.push(format!("leftovers of {what}: {left:?}, in failed/ {failed:?}"));
            }
        }
        for unit in self.units() {
            failures.append(&mut unit.violations);
            let log = unit.log();
            failures
                .extend(log.lines().find(|line| line.contains("panicked at")).map(|line| format!("a panic: {line}")));
            if log.contains("incomplete files of snapshots dropped") {
                failures.push("parts of snapshots were given up".to_owned());
            }
        }
        failures.into_iter().for_each(|what| self.report.fail(what));
        if !self.report.failures.is_empty() {
            let logs: Vec<String> = self.members.iter().map(|member| tail(&warnings(&member.unit.log()), 15)).collect();
            self.report.fail(format!("seed {}; the logs of the members say\n{}", self.seed, logs.join("\n--\n")));
        }
        self.report
    }

    /// What the members say of the second of a point, and of whose it was.
    fn story(&self, point: &str) -> String {
        let second = point.rsplit(' ').next().unwrap_or_default();
        let tells = |line: &&str| line.contains(second) || line.contains("partitions assigned");
        let logs = self.members.iter().map(|member| member.unit.log());
        let logs = logs.map(|log| log.lines().filter(tells).collect::<Vec<&str>>().join("\n"));
        logs.collect::<Vec<String>>().join("\n--\n")
    }

    fn places(&self) -> impl Iterator<Item = (&Incoming, &'static str)> {
        let members = self.members.iter().map(|member| (&member.incoming, "a member"));
        self.edges.iter().map(|(incoming, _)| (incoming, "a sender")).chain(members)
    }

    fn compare(&mut self) {
        let record = self.graphite.record();
        let second = |line: &str| line.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok());
        let label = |line: &str| second(line).and_then(|second| self.labels.get(&second).copied()).unwrap_or("none");
        let lacking: Vec<String> = self.lacking(&record.last).into_iter().cloned().collect();
        let (mut lost, mut wrong) = (Vec::new(), Vec::new());
        for point in self.expected.keys() {
            self.report.row(label(point)).expected += 1;
        }
        for point in &lacking {
            if record.last.contains_key(point) {
                wrong.push(point);
            } else {
                self.report.row(label(point)).lost += 1;
                lost.push(point);
            }
        }
        let (mut again, mut superseded) = (0, 0);
        for (line, times) in record.lines.iter().filter(|(line, _)| !line.contains(".haproxystats.")) {
            let (path, rest) = line.split_once(' ').expect("a line");
            let point = format!("{path} {}", rest.split(' ').nth(1).expect("a line"));
            let Some((value, _)) = self.expected.get(&point) else {
                self.report.fail(format!("a point that no snapshot implies: {line}"));
                continue;
            };
            let is_it = rest.split(' ').next().and_then(|text| text.parse::<f64>().ok()) == Some(*value);
            let row = self.report.row(label(line));
            row.arrived += u64::from(is_it);
            row.duplicated += u64::from(*times) - 1;
            again += u64::from(*times) - 1;
            superseded += u64::from(!is_it);
        }
        let rebalances: usize = self.members.iter().map(|member| faults::assignments(&member.unit.log()).count()).sum();
        let count = self.expected.len();
        self.report.note(format!(
            "seed {}: {count} points of {} seconds, {} lost, {} wrong; {again} came again, {superseded} of roll-ups were made \
             again with more hosts; a member came or went {} times, partitions {rebalances} times",
            self.seed,
            self.labels.len(),
            lost.len(),
            wrong.len(),
            self.changes
        ));
        for (what, points) in [("lost", &lost), ("wrong", &wrong)] {
            if let Some(first) = points.first() {
                let (number, fault, story) = (points.len(), label(first), self.story(first));
                self.report.fail(format!("{number} points {what}, such as {first}, after {fault}:\n{story}"));
            }
        }
        // What is not committed: seconds that wait for their destination, that may be rolled up again, and that are read now. A
        // fault may make all members read them again.
        let seconds = MEMBERS as u64 * (QUEUE + LATE / INTERVAL + 8);
        let injected: u64 = self.report.rows.values().map(|row| row.injected).sum();
        let bound = (injected + self.changes) * seconds * (count / self.labels.len()) as u64;
        if again > bound {
            self.report.fail(format!("{again} duplicates, more than {bound}"));
        }
    }
}

/// The connections of the mock cluster are not closed when another program is started: it would hold them when brokers go away.
fn alone_with(mut command: Command) -> Command {
    let keep_nothing = || {
        // SAFETY: a system call about descriptors, which touches no memory. Where the kernel does not know it, nothing is lost.
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    // SAFETY: as said, nothing happens between fork and exec but that call.
    unsafe { command.pre_exec(keep_nothing) };
    command
}

fn warnings(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    lines.join("\n")
}
