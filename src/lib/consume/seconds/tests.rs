//! Tests of [`Seconds`], without a disk and without Kafka.

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

    /// All files of a host arrive and are written to disk.
    fn host(&mut self, partition: i32, host: (&str, &str), second: u64) {
        if let Some(whole) = self.part(partition, host, second, "a_stat", 1) {
            assert!(self.seconds.serial(whole.second).is_some() && self.seconds.stored(&whole));
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

#[test]
fn a_second_goes_out_when_all_known_hosts_are_there() {
    let mut bench = Bench::new(2);
    bench.host(0, ONE, 100);
    bench.host(0, TWO, 100);
    bench.host(1, FAR, 100);
    assert_eq!(bench.out(), [], "who there is is not known yet");
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far", "one", "two"]))]);
    bench.host(0, TWO, 110);
    bench.host(1, FAR, 110);
    assert_eq!(bench.out(), []);
    bench.host(0, ONE, 110);
    assert_eq!(bench.hosts_out(), [(110, names(&["far", "one", "two"]))], "at once");
}

#[test]
fn one_that_does_not_come_is_waited_for_and_counted_and_no_longer_after_a_while() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    for second in [110, 120, 130] {
        bench.host(0, ONE, second);
        assert_eq!(bench.out(), [], "{second}");
        bench.wait(5);
        let out = bench.out();
        assert_eq!(out, [(second, names(&["one"]), vec![], vec![("ams".to_owned(), 1)])]);
    }
    bench.host(0, ONE, 140);
    assert_eq!(bench.out(), [(140, names(&["one"]), vec![], vec![("ams".to_owned(), 0)])]);
}

#[test]
fn a_partition_that_lags_does_not_hold_up_others_and_keeps_its_order() {
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (1, FAR)], &[100, 110]);
    for second in [120, 130, 140, 150, 160] {
        bench.host(0, ONE, second);
        bench.wait(5);
        bench.out();
    }
    bench.host(0, ONE, 170);
    assert_eq!(bench.hosts_out(), [(170, names(&["one"]))]);
    bench.src_dir.clear();
    bench.seconds.delivered(|_| false);
    bench.host(1, FAR, 120);
    bench.host(1, FAR, 130);
    let out: Vec<u64> = bench.out().into_iter().map(|(second, ..)| second).collect();
    assert_eq!(out, [120, 130]);
}

#[test]
fn an_earlier_second_of_the_same_partition_goes_first() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    bench.host(0, ONE, 120);
    bench.host(0, TWO, 120);
    assert_eq!(bench.hosts_out(), [(110, names(&["one"])), (120, names(&["one", "two"]))], "110 is left out by two");
}

#[test]
fn a_late_host_makes_its_cluster_again_and_no_other() {
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (0, TWO), (1, FAR)], &[100]);
    bench.host(0, ONE, 110);
    bench.host(1, FAR, 110);
    bench.wait(5);
    let missing = vec![("ams".to_owned(), 1), ("fra".to_owned(), 0)];
    assert_eq!(bench.out(), [(110, names(&["far", "one"]), vec![], missing)]);
    bench.host(0, TWO, 110);
    assert_eq!(bench.out(), [], "the first is not delivered");
    bench.deliver(110);
    let whole = vec![("ams".to_owned(), 0)];
    assert_eq!(bench.out(), [(110, names(&["two"]), names(&["one"]), whole)]);
    bench.deliver(110);
    bench.begin(&[(0, ONE), (0, TWO)], &[200]);
    assert_eq!(bench.seconds.forget(), [], "the other partition is behind");
    bench.host(0, ("ams", "three"), 110);
    assert_eq!(bench.out(), [(110, names(&["three"]), vec![], vec![])], "too late for a roll-up, not for itself");
    bench.begin(&[(1, FAR)], &[200]);
    assert_eq!(bench.seconds.forget(), [Epoch(100), Epoch(110)]);
}

#[test]
fn offsets_follow_what_is_delivered() {
    let mut bench = Bench::new(1);
    bench.seconds.limits.late = 0;
    bench.host(0, ONE, 100);
    bench.host(0, TWO, 100);
    bench.host(0, ONE, 110);
    assert_eq!(bench.committed(), [(0, 0)]);
    bench.wait(5);
    assert_eq!(bench.hosts_out().len(), 2);
    assert_eq!(bench.committed(), [(0, 0)], "nothing is delivered");
    bench.deliver(110);
    assert_eq!(bench.committed(), [(0, 0)]);
    bench.deliver(100);
    assert_eq!(bench.committed(), [(0, 3)]);
    bench.seconds.pass(0, 3);
    assert_eq!(bench.committed(), [(0, 4)]);
}

#[test]
fn a_new_owner_makes_no_roll_up_of_a_rest() {
    let mut bench = Bench::new(0);
    bench.seconds.assigned(0, Some(Epoch(100)));
    bench.host(0, TWO, 100);
    bench.host(0, ONE, 110);
    assert_eq!(bench.out(), [(100, names(&["two"]), vec![], vec![])]);
    bench.wait(5);
    assert_eq!(bench.out(), [(110, names(&["one"]), vec![], vec![("ams".to_owned(), 1)])]);
}

#[test]
fn what_is_given_up_with_a_partition_counts_no_more() {
    let mut bench = Bench::new(2);
    bench.host(0, ONE, 100);
    bench.host(1, FAR, 100);
    let before = bench.part(0, TWO, 100, "a_stat", 2);
    assert!(before.is_none());
    let half = bench.seconds.bytes();
    assert!(half > 0);
    let void = bench.seconds.revoked(0);
    assert_eq!(void.iter().map(|(_, host)| host.name.as_str()).collect::<Vec<_>>(), ["one"]);
    assert_eq!(bench.seconds.bytes(), 0);
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far"]))]);
    // What was published during the previous assignment does not count in the new one.
    bench.seconds.revoked(1);
    bench.seconds.assigned(1, None);
    bench.offset = 0;
    bench.host(1, FAR, 100);
    bench.deliver(100);
    assert_eq!(bench.committed(), [(1, 0)]);
}

#[test]
fn what_stays_incomplete_is_processed_as_far_as_it_is_whole() {
    let mut bench = Bench::new(1);
    assert!(bench.part(0, ONE, 100, "a_stat", 2).is_none());
    let label = |offset| Label {
        host: "two".to_owned(),
        cluster: None,
        time: Epoch(100),
        interval: 10,
        file: "a_stat".to_owned(),
        files: 1,
        offset,
        size: 9,
    };
    assert!(matches!(bench.seconds.take((0, 1), &label(3), b"abc", bench.now, Duration::from_secs(100)), Ok(None)));
    bench.wait(59);
    assert!(bench.seconds.overdue(bench.now).0.is_empty());
    bench.wait(1);
    let (rest, given_up) = bench.seconds.overdue(bench.now);
    assert_eq!((rest.len(), given_up), (1, 1));
    assert!(rest.iter().all(|whole| whole.incomplete && whole.files.len() == 1 && bench.seconds.stored(whole)));
    assert_eq!((bench.hosts_out(), bench.seconds.bytes()), (vec![(100, names(&["one"]))], 0));
    bench.deliver(100);
    bench.seconds.limits.late = 0;
    assert_eq!(bench.committed(), [(0, 2)]);
}

#[test]
fn memory_is_bounded_and_the_far_future_is_refused() {
    let mut bench = Bench::new(1);
    let take = |bench: &mut Bench, host: usize, second: u64, payload: &[u8]| {
        let label = Label {
            host: format!("h{host}"),
            cluster: None,
            time: Epoch(second),
            interval: 10,
            file: "a_stat".to_owned(),
            files: 1,
            offset: 0,
            size: 1 << 40,
        };
        bench.seconds.take((0, 0), &label, payload, bench.now, Duration::from_secs(100)).map(|whole| whole.is_some())
    };
    for host in 0..100 {
        assert_eq!(take(&mut bench, host, 100, &[0; 100_000]), Ok(false));
        bench.seconds.overdue(bench.now);
        assert!(bench.seconds.bytes() <= LIMITS.buffer, "{}", bench.seconds.bytes());
    }
    assert_eq!(take(&mut bench, 0, 100, &vec![0; LIMITS.buffer + 1]), Err(Poison::TooLarge));
    assert_eq!(take(&mut bench, 0, 101 + FUTURE, b"x"), Err(Poison::Future));
    assert_eq!(take(&mut bench, 0, u64::MAX, b"x"), Err(Poison::Future));
}

#[test]
fn a_message_of_a_later_version_stops_its_partition() {
    let mut bench = Bench::new(2);
    assert!(bench.seconds.hold(0) && !bench.seconds.hold(0));
    bench.host(0, ONE, 100);
    bench.host(1, FAR, 100);
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far"]))]);
    bench.deliver(100);
    bench.seconds.limits.late = 0;
    assert_eq!(bench.committed(), [(1, 2)], "nothing of it is committed");
    assert_eq!(bench.seconds.full(), BTreeSet::from([0]));
}

#[test]
fn what_is_not_read_is_not_missing() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    let all = BTreeSet::from([0]);
    bench.seconds.pause(&all, bench.now);
    bench.wait(60);
    assert_eq!(bench.out(), [], "two may be the next message");
    bench.seconds.pause(&BTreeSet::new(), bench.now);
    bench.wait(4);
    assert_eq!(bench.out(), []);
    bench.host(0, TWO, 110);
    assert_eq!(bench.hosts_out(), [(110, names(&["one", "two"]))]);
}

#[test]
fn one_partition_is_not_read_far_ahead() {
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (1, FAR)], &[100]);
    for second in 1..=AHEAD as u64 {
        assert!(bench.seconds.full().is_empty());
        bench.host(0, ONE, 100 + second);
    }
    assert_eq!(bench.seconds.full(), BTreeSet::from([0]));
}

#[test]
fn a_partition_that_is_behind_another_rolls_up_again_all_the_same() {
    let mut bench = Bench::new(2);
    bench.host(0, ("ahead", "a"), 1000);
    bench.host(1, ("behind", "b"), 10);
    bench.wait(5);
    assert_eq!(bench.hosts_out().len(), 2);
    assert!(bench.seconds.forget().is_empty());
    bench.deliver(10);
    bench.host(1, ("behind", "c"), 10);
    let all = vec![(10, vec!["c".to_owned()], vec!["b".to_owned()], vec![("behind".to_owned(), 0)])];
    assert_eq!(bench.out(), all);
    bench.host(1, ("behind", "b"), 71);
    assert_eq!(bench.seconds.forget(), [Epoch(10)]);
}

#[test]
fn hosts_that_never_become_complete_do_not_keep_a_partition_paused() {
    let mut bench = Bench::new(1);
    for second in 1..=20 {
        assert!(bench.part(0, ONE, 10 * second, "a_stat", 2).is_none());
    }
    for _ in 0..3 {
        let full = bench.seconds.full();
        assert_eq!(full, BTreeSet::from([0]));
        bench.seconds.pause(&full, bench.now);
        bench.wait(60);
        let over = bench.seconds.overdue(bench.now).0;
        assert!(!over.is_empty(), "nothing else can make room");
        over.iter().for_each(|whole| assert!(bench.seconds.stored(whole)));
        bench.out();
        bench.src_dir.clone().iter().for_each(|second| bench.deliver(second.0));
        let full = bench.seconds.full();
        bench.seconds.pause(&full, bench.now);
        while bench.seconds.full().is_empty() {
            let second = 10 * (1 + u64::try_from(bench.offset).unwrap());
            bench.part(0, ONE, second, "a_stat", 2);
        }
    }
}
