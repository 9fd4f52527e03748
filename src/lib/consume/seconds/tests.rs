//! Tests of [`Seconds`], without a disk and without Kafka.

mod bounds;
mod complete;
mod late;
mod offsets;
mod unread;

use super::*;

const LIMITS: Limits = Limits {
    deadline: Duration::from_secs(5),
    assemble: Duration::from_secs(60),
    late: 60,
    buffer: 1_000_000,
    roll_ups: true,
};

/// A second, its hosts, those that are included again, and how many are missing from which cluster.
type Out = (u64, Vec<String>, Vec<String>, Vec<(String, u64)>);

/// Seconds with assigned partitions, and the time.
struct Bench {
    seconds: Seconds,
    now: Instant,
    offset: i64,
    /// What is in `src-dir`.
    src_dir: BTreeSet<Epoch>,
}

impl Bench {
    fn new(partitions: i32) -> Self {
        let mut seconds = Seconds::new(LIMITS);
        (0..partitions).for_each(|partition| seconds.assigned(partition, None));
        Self { seconds, now: Instant::now(), offset: 0, src_dir: BTreeSet::new() }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn part(&mut self, partition: i32, host: (&str, &str), second: u64, file: &str, files: usize) -> Option<Whole> {
        let (host, cluster) = (host.1.to_owned(), Some(host.0.to_owned()));
        let (time, file) = (Epoch(second), file.to_owned());
        let label = Label { host, cluster, time, interval: 10, file, files, offset: 0, size: 1 };
        self.offset += 1;
        let at = (partition, self.offset - 1);
        self.seconds.take(at, &label, b"x", self.now, Duration::from_secs(second)).unwrap()
    }

    /// The files of a host are written to disk.
    fn store(&mut self, whole: &Whole) {
        assert!(self.seconds.wants(whole));
        self.seconds.stored(whole);
    }

    /// All files of a host arrive and are written to disk.
    fn host(&mut self, partition: i32, host: (&str, &str), second: u64) {
        if let Some(whole) = self.part(partition, host, second, "a_stat", 1) {
            assert!(self.seconds.serial(whole.second).is_some());
            self.store(&whole);
        }
    }

    /// Publishes what can be published now.
    fn out(&mut self) -> Vec<Out> {
        let src_dir = self.src_dir.clone();
        let ready = self.seconds.ready(self.now, |second| !src_dir.contains(&second));
        let names = |hosts: &BTreeSet<HostName>| hosts.iter().map(|host| host.name.clone()).collect();
        ready
            .into_iter()
            .map(|going| {
                self.seconds.went(&going, true);
                self.src_dir.insert(going.second);
                let clusters = going.clusters.clone().into_iter().collect();
                (going.second.0, names(&going.hosts), names(&going.again), clusters)
            })
            .collect()
    }

    /// Like [`Bench::out`], but only the seconds and their hosts.
    fn hosts_out(&mut self) -> Vec<(u64, Vec<String>)> {
        self.out().into_iter().map(|(second, hosts, ..)| (second, hosts)).collect()
    }

    fn deliver(&mut self, second: u64) {
        self.src_dir.remove(&Epoch(second));
        let src_dir = self.src_dir.clone();
        self.seconds.delivered(|second| src_dir.contains(&second));
    }

    fn committed(&mut self) -> Vec<(i32, i64)> {
        self.seconds.positions().into_iter().map(|position| (position.partition, position.offset)).collect()
    }

    /// Publishes these seconds with these hosts, so that the hosts are known.
    fn begin(&mut self, hosts: &[(i32, (&str, &str))], seconds: &[u64]) {
        for second in seconds {
            hosts.iter().for_each(|(partition, host)| self.host(*partition, *host, *second));
            self.wait(10);
            assert_eq!(self.out().len(), 1);
            self.deliver(*second);
        }
    }
}

fn names(hosts: &[&str]) -> Vec<String> {
    hosts.iter().copied().map(ToOwned::to_owned).collect()
}

const ONE: (&str, &str) = ("ams", "one");
const TWO: (&str, &str) = ("ams", "two");
const FAR: (&str, &str) = ("fra", "far");
