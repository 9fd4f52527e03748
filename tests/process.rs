//! The process daemon from outside: the real program, directories as pull publishes them, a TCP sink for Graphite.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken machine may fail the test")]

mod harness;

use harness::{Daemon, SOON, lives, names, poll, process, wait_for, wait_until, with_config, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Seconds since the epoch of the first snapshot of a test.
const FIRST: u64 = 1_700_000_000;

/// A TCP server that keeps every line that it gets.
struct Sink {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    fn new() -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    fn on(listener: TcpListener) -> Self {
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&lines);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let to = Arc::clone(&to);
                std::thread::spawn(move || record(stream, &to));
            }
        });
        Self { port, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Timestamps in the order in which the last line of their batch arrived.
    fn order(&self) -> Vec<u64> {
        let last = |line: &String| line.contains(".haproxystats.TotalWallClockTime ");
        self.lines().iter().filter(|line| last(line)).map(|line| timestamp(line)).collect()
    }

    /// The snapshots that have arrived, each with its lines but for those about haproxystats itself.
    fn snapshots(&self) -> BTreeMap<u64, BTreeSet<String>> {
        let mut snapshots: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for line in self.lines() {
            if !line.contains(".haproxystats.") {
                snapshots.entry(timestamp(&line)).or_default().insert(line);
            }
        }
        snapshots
    }
}

fn record(mut stream: TcpStream, lines: &Mutex<Vec<String>>) {
    let mut rest = Vec::new();
    let mut chunk = [0; 65536];
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        rest.extend_from_slice(&chunk[..length]);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            lines.lock().unwrap().push(String::from_utf8(line).unwrap().trim_end().to_owned());
        }
    }
}

fn timestamp(line: &str) -> u64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Directories and a configuration file.
struct Setup {
    base: TempDir,
    config: PathBuf,
}

impl Setup {
    fn new(port: u16, process: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("incoming")).unwrap();
        fs::create_dir(base.path().join("incoming.tmp")).unwrap();
        let text = format!(
            "[pull]\npull-interval = 10\ndst-dir = {base}/incoming\ntmp-dst-dir = {base}/incoming.tmp\n\
             [process]\nloglevel = debug\nsrc-dir = {base}/incoming\n{process}\n\
             [graphite]\nserver = 127.0.0.1\nport = {port}\nnamespace = lb\ninterval = 0.1\ndelay = 0.5\n",
            base = base.path().display(),
        );
        let config = write(base.path(), "haproxystats.conf", text);
        Self { base, config }
    }

    fn incoming(&self) -> PathBuf {
        self.base.path().join("incoming")
    }

    fn failed(&self) -> PathBuf {
        self.base.path().join("failed")
    }

    /// Publishes snapshots as pull does, one second apart, and returns their names.
    fn publish(&self, seconds: impl IntoIterator<Item = u64>) -> Vec<String> {
        seconds.into_iter().map(|second| publish(self.base.path(), &self.incoming(), FIRST + second)).collect()
    }

    fn start(&self) -> Daemon {
        Daemon::spawn(with_config(process(), &self.config))
    }

    fn start_with(&self, key: &str, value: &str) -> Daemon {
        let mut command = with_config(process(), &self.config);
        command.env(key, value);
        Daemon::spawn(command)
    }

    fn waiting(&self) -> Vec<String> {
        names(&self.incoming())
    }

    #[track_caller]
    fn wait_until_empty(&self) {
        wait_until(SOON, "an empty incoming directory", || self.waiting().is_empty());
    }
}

fn publish(base: &Path, to: &Path, epoch: u64) -> String {
    let staged = base.join("incoming.tmp").join(epoch.to_string());
    fs::create_dir(&staged).unwrap();
    fill(&staged, epoch);
    fs::rename(&staged, to.join(epoch.to_string())).unwrap();
    epoch.to_string()
}

/// The files of a small HAProxy, with numbers that depend on the epoch.
fn fill(directory: &Path, epoch: u64) {
    let number = epoch % 1000;
    let info = format!("Name: HAProxy\nProcess_num: 1\nUptime_sec: {number}\nIdle_pct: 98\nCurrConns: {number}\n\n");
    fs::write(directory.join("sock1_info"), info).unwrap();
    let stat = format!(
        "# pxname,svname,qcur,scur,stot,bin,bout,lbtot,weight,act,bck,type,\n\
         www,FRONTEND,,3,{number},100,200,,,,,0,\n\
         app,s1,0,1,{number},50,60,{number},1,1,0,2,\n\
         app,BACKEND,0,1,{number},50,60,{number},1,1,0,1,\n\n"
    );
    fs::write(directory.join("sock1_stat"), stat).unwrap();
}

fn epochs(names: &[String]) -> Vec<u64> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// All lines of all these snapshots have arrived, and no others: each has the same number of lines, and there are
/// some. What the kernel has acknowledged may still be on its way through the sink.
#[track_caller]
fn assert_complete(sink: &Sink, names: &[String]) {
    let expected: BTreeSet<u64> = epochs(names).into_iter().collect();
    poll(SOON, || {
        let last: BTreeSet<u64> = sink.order().into_iter().collect();
        expected.is_subset(&last).then_some(())
    });
    let arrived = sink.snapshots();
    assert_eq!(arrived.keys().copied().collect::<BTreeSet<_>>(), expected);
    let sizes: BTreeSet<usize> = arrived.values().map(BTreeSet::len).collect();
    assert_eq!(sizes.len(), 1, "{sizes:?}");
    assert!(sizes.first() > Some(&10), "{sizes:?}");
}

/// Worker processes, once there are so many.
#[track_caller]
fn workers(daemon: &Daemon, count: usize) -> Vec<Pid> {
    wait_for(SOON, "all workers", || {
        // One that was killed stays in the list until the parent has taken note.
        let workers: Vec<Pid> = daemon.children().into_iter().filter(|worker| lives(*worker)).collect();
        (workers.len() == count).then_some(workers)
    })
}

#[test]
fn what_arrives_is_delivered_and_removed() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2");
    let mut daemon = setup.start();
    daemon.wait_for_output("watching for snapshots", SOON);
    let mut published = setup.publish(0..3);
    setup.wait_until_empty();
    published.extend(setup.publish(3..6));
    setup.wait_until_empty();
    assert_complete(&sink, &published);
    assert_eq!(workers(&daemon, 2).len(), 2);
    daemon.stop(SOON);
    assert!(!setup.failed().exists());
}

#[test]
fn a_backlog_is_worked_off_oldest_first() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let mut published = setup.publish((0..20).rev());
    published.sort();
    let _daemon = setup.start();
    setup.wait_until_empty();
    assert_complete(&sink, &published);
    assert_eq!(sink.order(), epochs(&published));
}

#[test]
fn a_killed_worker_is_replaced_and_nothing_is_lost() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2");
    let daemon = setup.start();
    let mut published = Vec::new();
    for round in 0..5 {
        published.extend(setup.publish(round * 20..(round + 1) * 20));
        let victims = workers(&daemon, 2);
        kill(victims[round as usize % 2], Signal::SIGKILL).unwrap();
        wait_until(SOON, "a replacement", || {
            let now = daemon.children();
            now.len() == 2 && now != victims
        });
    }
    setup.wait_until_empty();
    assert_complete(&sink, &published);
}

#[test]
fn all_workers_may_die_at_once() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 4");
    let daemon = setup.start();
    let mut published = Vec::new();
    for round in 0..3 {
        published.extend(setup.publish(round * 20..(round + 1) * 20));
        for worker in workers(&daemon, 4) {
            kill(worker, Signal::SIGKILL).unwrap();
        }
    }
    setup.wait_until_empty();
    assert_complete(&sink, &published);
    workers(&daemon, 4);
}

#[test]
fn the_death_of_the_parent_leaves_no_orphan_and_loses_nothing() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 3");
    let mut published = setup.publish(0..60);
    for round in 0..3 {
        let mut daemon = setup.start();
        let orphans = workers(&daemon, 3);
        daemon.wait_for_output(" started worker=2", SOON);
        // One of them cannot even notice by itself.
        kill(orphans[0], Signal::SIGSTOP).unwrap();
        daemon.signal(Signal::SIGKILL);
        daemon.wait(SOON);
        wait_until(SOON, "the end of all workers", || !orphans.iter().any(|worker| lives(*worker)));
        published.extend(setup.publish(60 + round * 10..70 + round * 10));
    }
    let _daemon = setup.start();
    setup.wait_until_empty();
    assert_complete(&sink, &published);
}

#[test]
fn a_stopped_worker_is_replaced_and_its_snapshot_is_not_blamed() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1\nliveness-check-interval = 0.2\nworker-timeout = 1");
    let daemon = setup.start();
    let mut published = Vec::new();
    for round in 0..3 {
        // Not before the parent is done with starting it: it could not go on.
        let started = usize::try_from(round).unwrap() + 1;
        wait_until(SOON, "a worker", || daemon.output().matches(" started ").count() == started);
        let stopped = workers(&daemon, 1);
        kill(stopped[0], Signal::SIGSTOP).unwrap();
        published.extend(setup.publish([round]));
        wait_until(SOON, "a replacement", || !lives(stopped[0]));
    }
    setup.wait_until_empty();
    assert!(!setup.failed().exists());
    assert_complete(&sink, &published);
}

#[test]
fn a_stopped_parent_goes_on_where_it_was() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2\nliveness-check-interval = 0.2\nworker-timeout = 1");
    let daemon = setup.start();
    let before = workers(&daemon, 2);
    let first = setup.publish([0]);
    setup.wait_until_empty();
    daemon.signal(Signal::SIGSTOP);
    let published = setup.publish(1..5);
    // Longer than the time after which silence is punished.
    std::thread::sleep(Duration::from_secs(3));
    daemon.signal(Signal::SIGCONT);
    setup.wait_until_empty();
    assert_complete(&sink, &[first, published].concat());
    assert_eq!(daemon.children(), before, "no worker was to blame");
}

#[test]
fn the_first_signal_drains() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let sink = Sink::new();
        let setup = Setup::new(sink.port, "workers = 2");
        let published = setup.publish(0..50);
        let mut daemon = setup.start();
        wait_until(SOON, "the first lines", || !sink.lines().is_empty());
        let workers = workers(&daemon, 2);
        daemon.signal(signal);
        assert!(daemon.wait(SOON).success(), "{signal}");
        assert!(!workers.iter().any(|worker| lives(*worker)), "{signal}");
        // What was begun is complete; what was not begun is still there; nothing is in between.
        let left = setup.waiting();
        let delivered: Vec<String> = published.into_iter().filter(|name| !left.contains(name)).collect();
        assert!(!delivered.is_empty(), "{signal}");
        assert_complete(&sink, &delivered);
    }
}

#[test]
fn the_group_may_get_the_signal_too() {
    // systemd and terminals send it to the parent and to the workers alike.
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2");
    let published = setup.publish(0..30);
    let mut daemon = setup.start();
    wait_until(SOON, "the first lines", || !sink.lines().is_empty());
    nix::sys::signal::killpg(daemon.pid(), Signal::SIGTERM).unwrap();
    assert!(daemon.wait(SOON).success());
    let left = setup.waiting();
    let delivered: Vec<String> = published.into_iter().filter(|name| !left.contains(name)).collect();
    assert_complete(&sink, &delivered);
}

/// A listener that never accepts: connections succeed, and nothing that is sent is ever read.
fn deaf() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

#[test]
fn a_second_signal_leaves_at_once() {
    let port = harness::free_port();
    let setup = Setup::new(port, "workers = 2");
    setup.publish(0..4);
    let mut daemon = setup.start();
    let workers = workers(&daemon, 2);
    daemon.wait_for_output(" started worker=1", SOON);
    for worker in &workers {
        // A stopped worker cannot leave by itself; without a second signal the grace period would pass.
        kill(*worker, Signal::SIGSTOP).unwrap();
    }
    let start = Instant::now();
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for_output("leaving when", SOON);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait(SOON).success());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(!workers.iter().any(|worker| lives(*worker)));
    assert_eq!(setup.waiting().len(), 4);
}

#[test]
fn without_graphite_the_snapshots_stay() {
    let port = harness::free_port();
    let setup = Setup::new(port, "workers = 2");
    let published = setup.publish(0..8);
    let mut daemon = setup.start();
    let before = workers(&daemon, 2);
    daemon.wait_for_output("started", SOON);
    // Time enough for mistakes: several attempts to connect, several liveness checks of a nervous parent.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(setup.waiting(), published);
    assert_eq!(daemon.children(), before, "to wait for Graphite is no failure");
    daemon.stop(SOON);
    assert_eq!(setup.waiting(), published);

    let mut daemon = setup.start();
    let sink = Sink::on(TcpListener::bind(("127.0.0.1", port)).unwrap());
    setup.wait_until_empty();
    assert_complete(&sink, &published);
    daemon.stop(SOON);
}

#[test]
fn the_source_directory_may_go_and_come_back() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2");
    let mut daemon = setup.start();
    let mut published = setup.publish(0..3);
    setup.wait_until_empty();

    fs::remove_dir_all(setup.incoming()).unwrap();
    daemon.wait_for_output("waiting for the directory", SOON);
    fs::create_dir(setup.incoming()).unwrap();
    published.extend(setup.publish(3..6));
    setup.wait_until_empty();

    // Replaced in one moment, with snapshots in it.
    let new = setup.base.path().join("new");
    fs::create_dir(&new).unwrap();
    published.push(publish(setup.base.path(), &new, FIRST + 6));
    fs::rename(setup.incoming(), setup.base.path().join("old")).unwrap();
    fs::rename(&new, setup.incoming()).unwrap();
    setup.wait_until_empty();
    published.extend(setup.publish(7..9));
    setup.wait_until_empty();
    assert_complete(&sink, &published);
    daemon.stop(SOON);
}

#[test]
fn foreign_entries_are_left_alone() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let incoming = setup.incoming();
    let outside = setup.base.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fill(&outside, FIRST);
    std::os::unix::fs::symlink(&outside, incoming.join("1600000000")).unwrap();
    std::os::unix::fs::symlink("/nowhere", incoming.join("1600000001")).unwrap();
    fs::write(incoming.join("1600000002"), "a file").unwrap();
    fs::create_dir(incoming.join("0123")).unwrap();
    fs::create_dir(incoming.join("1600000003.bak")).unwrap();
    let mut daemon = setup.start();
    let published = setup.publish(0..2);
    wait_until(SOON, "the snapshots to go", || published.iter().all(|name| !incoming.join(name).exists()));
    assert_complete(&sink, &published);
    assert_eq!(setup.waiting(), ["0123", "1600000000", "1600000001", "1600000002", "1600000003.bak"]);
    assert_eq!(names(&outside).len(), 2);
    assert!(incoming.join("1600000000").is_symlink());
    daemon.stop(SOON);
    assert_eq!(daemon.output().matches("left alone").count(), 1);
}

#[test]
fn a_snapshot_that_fells_workers_is_quarantined_and_the_rest_goes_on() {
    for how in ["abort", "exit", "panic"] {
        let sink = Sink::new();
        let setup = Setup::new(sink.port, "workers = 2");
        let published = setup.publish(0..10);
        let poisoned = &published[3];
        let mut daemon = setup.start_with("HAPROXYSTATS_TEST_TRAP", &format!("{how}:{poisoned}"));
        setup.wait_until_empty();
        assert_eq!(names(&setup.failed()), std::slice::from_ref(poisoned), "{how}");
        assert_eq!(names(&setup.failed().join(poisoned)), ["sock1_info", "sock1_stat"]);
        let good: Vec<String> = published.iter().filter(|name| *name != poisoned).cloned().collect();
        assert_complete(&sink, &good);
        workers(&daemon, 2);
        daemon.stop(SOON);
    }
}

#[test]
fn a_snapshot_that_hangs_workers_is_quarantined() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2\nliveness-check-interval = 0.2\nworker-timeout = 0.5");
    let published = setup.publish(0..5);
    let poisoned = &published[0];
    let _daemon = setup.start_with("HAPROXYSTATS_TEST_TRAP", &format!("hang:{poisoned}"));
    setup.wait_until_empty();
    assert_eq!(names(&setup.failed()), std::slice::from_ref(poisoned));
    assert_complete(&sink, &published[1..]);
}

#[test]
fn many_poisoned_snapshots_do_not_end_the_daemon() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 2");
    let published = setup.publish(0..30);
    let traps: Vec<String> = published.iter().skip(1).step_by(2).map(|name| format!("abort:{name}")).collect();
    let mut daemon = setup.start_with("HAPROXYSTATS_TEST_TRAP", &traps.join(","));
    wait_until(SOON * 3, "an empty incoming directory", || setup.waiting().is_empty());
    assert_eq!(names(&setup.failed()).len(), 15);
    assert!(daemon.is_running());
}

#[test]
fn workers_that_only_die_end_the_daemon_with_a_code() {
    // Workers cannot even start without a /proc through which they read their configuration: simulated by killing
    // each as it appears, which is what a crash at the start looks like from outside.
    let setup = Setup::new(harness::free_port(), "workers = 1");
    let mut daemon = setup.start();
    let end = Instant::now() + Duration::from_secs(90);
    while daemon.is_running() {
        for worker in daemon.children() {
            let _ = kill(worker, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
        assert!(Instant::now() < end, "it never gave up");
    }
    assert_eq!(daemon.wait(SOON).code(), Some(70), "{}", daemon.output());
}

#[test]
fn lost_events_are_made_up_for() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let mut daemon = setup.start();
    let mut published = setup.publish([0]);
    setup.wait_until_empty();
    daemon.signal(Signal::SIGSTOP);
    // The kernel keeps 16384 events (fs.inotify.max_queued_events) and then drops; a file costs several.
    let events: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for number in 0..events / 2 {
        let file = setup.incoming().join(format!("noise{number}"));
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
    }
    published.extend(setup.publish(1..4));
    daemon.signal(Signal::SIGCONT);
    daemon.wait_for_output("events were lost", SOON);
    setup.wait_until_empty();
    assert_complete(&sink, &published);
}

#[test]
fn thousands_of_snapshots_at_once_are_no_trouble() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 4");
    let mut daemon = setup.start();
    daemon.wait_for_output("watching for snapshots", SOON);
    for second in 0..3000 {
        let staged = setup.base.path().join("incoming.tmp/staged");
        fs::create_dir(&staged).unwrap();
        fs::rename(staged, setup.incoming().join((FIRST + second).to_string())).unwrap();
    }
    wait_until(SOON * 6, "an empty incoming directory", || setup.waiting().is_empty());
    wait_until(SOON, "the last lines", || sink.order().into_iter().collect::<BTreeSet<_>>().len() == 3000);
    let parent = daemon.rss_kib().unwrap();
    assert!(parent < 64 * 1024, "{parent} KiB");
}

#[test]
fn an_empty_snapshot_is_processed_like_any_other() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    fs::create_dir(setup.base.path().join("staged")).unwrap();
    fs::rename(setup.base.path().join("staged"), setup.incoming().join(FIRST.to_string())).unwrap();
    let _daemon = setup.start();
    setup.wait_until_empty();
    wait_until(SOON, "its last line", || sink.order() == [FIRST]);
    assert!(!setup.failed().exists());
}

#[test]
fn a_snapshot_written_in_place_is_taken_when_it_is_complete() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let published = setup.publish([0]);
    let mut daemon = setup.start();
    daemon.wait_for_output("watching for snapshots", SOON);
    let slow = setup.incoming().join((FIRST + 1).to_string());
    fs::create_dir(&slow).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    fill(&slow, FIRST + 1);
    setup.wait_until_empty();
    assert_complete(&sink, &[published, vec![(FIRST + 1).to_string()]].concat());
}

#[test]
fn remains_of_a_crash_in_the_middle_of_a_removal_are_cleaned_and_not_processed() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let remains = setup.incoming().join(format!(".done-{}", FIRST + 5));
    fs::create_dir(&remains).unwrap();
    fs::write(remains.join("sock1_info"), "half").unwrap();
    let published = setup.publish([0]);
    let _daemon = setup.start();
    setup.wait_until_empty();
    assert_complete(&sink, &published);
    assert!(!remains.exists());
}

#[test]
fn a_second_daemon_on_the_same_directory_is_refused() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let mut first = setup.start();
    first.wait_for_output("watching for snapshots", SOON);
    let mut second = setup.start();
    let status = second.wait(SOON);
    assert_eq!(status.code(), Some(1));
    assert!(second.output().contains("being processed by another haproxystats-process"), "{}", second.output());
    first.stop(SOON);
    let mut third = setup.start();
    third.wait_for_output("watching for snapshots", SOON);
}

#[test]
fn workers_look_like_the_daemon_from_outside() {
    let setup = Setup::new(harness::free_port(), "workers = 2");
    let daemon = setup.start();
    let read = |pid: Pid, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let command_line = read(daemon.pid(), "cmdline");
    for worker in workers(&daemon, 2) {
        wait_until(SOON, "its name", || read(worker, "comm") == read(daemon.pid(), "comm"));
        // Whoever counts by arguments finds the parent's in those of a worker.
        assert!(read(worker, "cmdline").starts_with(&command_line));
        let threads = poll(SOON, || Some(fs::read_dir(format!("/proc/{worker}/task")).ok()?.count())).unwrap();
        assert_eq!(threads, 1);
    }
}

#[test]
fn a_worker_by_hand_says_what_it_is_for() {
    let mut command = process();
    command.args(["--worker", "0"]);
    let (status, output) = harness::run(command, SOON);
    assert_eq!(status.code(), Some(1));
    assert!(output.contains("--worker is for haproxystats-process itself"), "{output}");
}

#[test]
fn what_the_daemon_says_about_itself_arrives() {
    let sink = Sink::new();
    let setup = Setup::new(sink.port, "workers = 1");
    let staged = setup.base.path().join("incoming.tmp/staged");
    fs::create_dir(&staged).unwrap();
    fill(&staged, FIRST);
    fs::write(
        staged.join(".pull"),
        "PullTicks 17\nQueueDepth 99\nPullNonsense 1\nPullSockets nan\nPullDuration 0.25\n",
    )
    .unwrap();
    fs::rename(staged, setup.incoming().join(FIRST.to_string())).unwrap();
    let _daemon = setup.start();
    setup.wait_until_empty();
    wait_until(SOON, "its last line", || sink.order() == [FIRST]);
    let own: BTreeMap<String, (String, u64)> = sink
        .lines()
        .iter()
        .filter_map(|line| {
            let (_, rest) = line.split_once(".haproxystats.")?;
            let mut words = rest.split(' ');
            Some((words.next()?.to_owned(), (words.next()?.to_owned(), words.next()?.parse().ok()?)))
        })
        .collect();
    let value = |name: &str| own.get(name).map(|(value, _)| value.parse::<f64>().unwrap());
    assert_eq!(value("PullTicks"), Some(17.0));
    assert_eq!(value("PullDuration"), Some(0.25));
    assert_eq!(value("PullNonsense"), None);
    assert_eq!(value("PullSockets"), None);
    assert_eq!(value("SnapshotsInFlight"), Some(1.0));
    assert_eq!(value("Workers"), Some(1.0));
    assert!(value("TotalWallClockTime").is_some());
    // Figures of the snapshot have its timestamp; those about now do not go to the past.
    assert_eq!(own["PullTicks"].1, FIRST);
    assert_eq!(own["TotalWallClockTime"].1, FIRST);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(own["QueueDepth"].1.abs_diff(now) < 60, "{:?}", own["QueueDepth"]);
}

#[test]
fn a_peer_that_reads_nothing_holds_nothing_up_but_itself() {
    let listener = deaf();
    let setup = Setup::new(listener.local_addr().unwrap().port(), "workers = 1");
    setup.publish(0..3);
    let mut daemon = setup.start();
    daemon.wait_for_output("watching for snapshots", SOON);
    let worker = workers(&daemon, 1);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(daemon.children(), worker);
    let start = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait(SOON).success());
    assert!(start.elapsed() < Duration::from_secs(15));
}
