//! The process daemon from outside: the real program, directories as pull publishes them, a recording Graphite. What
//! happens to snapshots; what happens to workers is in `supervision`.

use crate::harness::graphite::{Behaviour, Recorder};
use crate::harness::incoming::{FIRST, Incoming, epochs, order, workers};
use crate::harness::prometheus::wait_for_sample;
use crate::harness::{self, Daemon, SOON, lives, names, wait_until};
use nix::sys::signal::{Signal, kill};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WATCHING: &str = "watching for snapshots";

#[test]
fn what_arrives_is_delivered_and_removed() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let mut daemon = setup.daemon();
    daemon.wait_for_output(WATCHING, SOON);
    let mut published = setup.publish(0..3);
    setup.wait_until_empty();
    published.extend(setup.publish(3..6));
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    assert_eq!(workers(&daemon, 2).len(), 2);
    daemon.stop(SOON);
    assert!(!setup.failed().exists());
}

#[test]
fn a_backlog_is_worked_off_oldest_first() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let mut published = setup.publish((0..20).rev());
    published.sort();
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    assert_eq!(order(&graphite), epochs(&published));
}

#[test]
fn what_settles_stays_on_disk_and_holds_nothing_up() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let short = fs::read_to_string(setup.config()).unwrap();
    // The default: half a minute.
    let default = short.replace("settle = 0.5\n", "");
    assert_ne!(default, short);
    fs::write(setup.config(), default).unwrap();
    let mut daemon = setup.daemon();
    let published = setup.publish(0..20);
    setup.assert_arrived(&graphite, &published);
    assert_eq!(setup.waiting(), published, "all have arrived, and none is certain");
    let start = Instant::now();
    daemon.stop(SOON);
    // Neither for half a minute, nor for the grace period of ten seconds.
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    // The last of them may have arrived a moment before.
    assert!(daemon.output().contains(" settling="), "{}", daemon.output());
    assert_eq!(setup.waiting(), published);
    fs::write(setup.config(), short).unwrap();
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    assert!(graphite.record().duplicates() > 0, "it was sent once more");
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn without_graphite_the_snapshots_stay() {
    let mut graphite = Recorder::away();
    let setup = Incoming::new(graphite.port(), "workers = 2\nliveness-check-interval = 0.2\nworker-timeout = 0.5");
    let published = setup.publish(0..8);
    let mut daemon = setup.daemon();
    let before = workers(&daemon, 2);
    daemon.wait_for_output(" started worker=1", SOON);
    // Time enough for mistakes: several attempts to connect, several liveness checks of a nervous parent.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(setup.waiting(), published);
    assert_eq!(workers(&daemon, 2), before, "to wait for Graphite is no failure");
    daemon.stop(SOON);
    assert_eq!(setup.waiting(), published);

    let mut daemon = setup.daemon();
    daemon.wait_for_output(WATCHING, SOON);
    graphite.come_back();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    daemon.stop(SOON);
}

#[test]
fn an_outage_costs_disk_and_no_memory() {
    let mut graphite = Recorder::away();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let mut daemon = setup.daemon();
    daemon.wait_for_output(WATCHING, SOON);
    let workers = workers(&daemon, 2);
    let rss = |daemon: &Daemon| {
        let workers: u64 = workers.iter().filter_map(|worker| harness::rss_kib(*worker)).sum();
        daemon.rss_kib().unwrap_or_default() + workers
    };
    let mut published = setup.publish(0..10);
    wait_until(SOON, "a snapshot in each worker's hands", || {
        daemon.output().matches("snapshots wait on disk").count() == 2
    });
    std::thread::sleep(Duration::from_secs(1));
    let before = rss(&daemon);
    published.extend(setup.publish(10..1000));
    // Two looks at the whole directory.
    std::thread::sleep(Duration::from_secs(12));
    let after = rss(&daemon);
    assert!(after < before + 4096, "{before} KiB before, {after} KiB after a thousand snapshots");
    assert_eq!(setup.waiting().len(), 1000);
    graphite.come_back();
    wait_until(SOON * 3, "an empty source directory", || setup.waiting().is_empty());
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn the_first_signal_drains() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let graphite = Recorder::start();
        let setup = Incoming::new(graphite.port(), "workers = 2");
        let published = setup.publish(0..50);
        let mut daemon = setup.daemon();
        wait_until(SOON, "the first lines", || graphite.distinct() > 0);
        let workers = workers(&daemon, 2);
        daemon.signal(signal);
        assert!(daemon.wait(SOON).success(), "{signal}");
        assert!(!workers.iter().any(|worker| lives(*worker)), "{signal}");
        // What was begun is delivered and removed; what was not begun is still there.
        let left = setup.waiting();
        let delivered: Vec<String> = published.into_iter().filter(|name| !left.contains(name)).collect();
        assert!(!delivered.is_empty(), "{signal}");
        setup.assert_arrived(&graphite, &delivered);
    }
}

#[test]
fn the_whole_group_may_get_the_signal() {
    // systemd and terminals send it to the parent and to the workers alike.
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let published = setup.publish(0..30);
    let mut daemon = setup.daemon();
    wait_until(SOON, "the first lines", || graphite.distinct() > 0);
    nix::sys::signal::killpg(daemon.pid(), Signal::SIGTERM).unwrap();
    assert!(daemon.wait(SOON).success());
    let left = setup.waiting();
    let delivered: Vec<String> = published.into_iter().filter(|name| !left.contains(name)).collect();
    setup.assert_arrived(&graphite, &delivered);
}

#[test]
fn a_second_signal_leaves_at_once() {
    let graphite = Recorder::start();
    graphite.behave(Behaviour::Stall);
    let setup = Incoming::new(graphite.port(), "workers = 2");
    setup.publish(0..4);
    let mut daemon = setup.daemon();
    let workers = workers(&daemon, 2);
    daemon.wait_for_output(" started worker=1", SOON);
    for worker in &workers {
        // A stopped worker cannot leave by itself; without a second signal the grace period would pass.
        kill(*worker, Signal::SIGSTOP).unwrap();
    }
    let start = Instant::now();
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for_output("exiting when", SOON);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait(SOON).success());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(!workers.iter().any(|worker| lives(*worker)));
    assert_eq!(setup.waiting().len(), 4);
}

#[test]
fn the_grace_period_ends() {
    let graphite = Recorder::start();
    graphite.behave(Behaviour::Stall);
    let setup = Incoming::new(graphite.port(), "workers = 1");
    setup.publish(0..3);
    let mut daemon = setup.daemon();
    wait_until(SOON, "a connection", || graphite.connections() > 0);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait(SOON).success());
    assert_eq!(setup.waiting().len(), 3);
}

#[test]
fn the_source_directory_may_go_and_come_back() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 2");
    let mut daemon = setup.daemon();
    let mut published = setup.publish(0..3);
    setup.wait_until_empty();

    let start = Instant::now();
    fs::remove_dir_all(setup.path()).unwrap();
    daemon.wait_for_output("waiting for the directory", SOON);
    assert!(start.elapsed() < Duration::from_secs(5), "noticed by an event, not by a timer");
    fs::create_dir(setup.path()).unwrap();
    published.extend(setup.publish(3..6));
    setup.wait_until_empty();

    // Replaced in one moment, with a snapshot in it.
    let new = setup.beside("new");
    fs::create_dir(&new).unwrap();
    published.push(setup.publish_in(&new, FIRST + 6));
    fs::rename(setup.path(), setup.beside("old")).unwrap();
    fs::rename(&new, setup.path()).unwrap();
    setup.wait_until_empty();
    published.extend(setup.publish(7..9));
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    daemon.stop(SOON);
}

#[test]
fn foreign_entries_are_left_alone() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let incoming = setup.path();
    let outside = setup.beside("outside");
    fs::create_dir(&outside).unwrap();
    setup.fill(&outside, FIRST);
    symlink(&outside, incoming.join("1600000000")).unwrap();
    symlink("/nowhere", incoming.join("1600000001")).unwrap();
    fs::write(incoming.join("1600000002"), "a file").unwrap();
    fs::create_dir(incoming.join("0123")).unwrap();
    fs::create_dir(incoming.join("1600000003.bak")).unwrap();
    let mut daemon = setup.daemon();
    let published = setup.publish(0..2);
    wait_until(SOON, "the snapshots to go", || published.iter().all(|name| !incoming.join(name).exists()));
    setup.assert_arrived(&graphite, &published);
    assert_eq!(setup.waiting(), ["0123", "1600000000", "1600000001", "1600000002", "1600000003.bak"]);
    assert_eq!(names(&outside).len(), 2);
    assert!(incoming.join("1600000000").is_symlink());
    daemon.stop(SOON);
    assert_eq!(daemon.output().matches("ignoring entries that are not snapshots").count(), 1);
}

#[test]
fn lost_events_are_made_up_for() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let mut daemon = setup.daemon();
    let mut published = setup.publish([0]);
    setup.wait_until_empty();
    daemon.signal(Signal::SIGSTOP);
    // The kernel keeps so many events and then drops; a file costs one.
    let events = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let events: usize = events.trim().parse().unwrap();
    for number in 0..=events {
        let file = setup.path().join(format!("noise{number}"));
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
    }
    published.extend(setup.publish(1..4));
    daemon.signal(Signal::SIGCONT);
    daemon.wait_for_output("events were lost", SOON);
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn thousands_of_snapshots_at_once_are_no_trouble() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 4");
    let mut daemon = setup.daemon();
    daemon.wait_for_output(WATCHING, SOON);
    for second in 0..3000 {
        let staged = setup.beside("incoming.tmp/staged");
        fs::create_dir(&staged).unwrap();
        fs::rename(staged, setup.path().join((FIRST + second).to_string())).unwrap();
    }
    wait_until(SOON * 6, "an empty source directory", || setup.waiting().is_empty());
    wait_until(SOON, "the last lines", || order(&graphite).len() == 3000);
    let parent = daemon.rss_kib().unwrap();
    assert!(parent < 64 * 1024, "{parent} KiB");
}

#[test]
fn an_empty_snapshot_is_processed_like_any_other() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let staged = setup.beside("incoming.tmp/staged");
    fs::create_dir(&staged).unwrap();
    fs::rename(staged, setup.path().join(FIRST.to_string())).unwrap();
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    wait_until(SOON, "its lines", || order(&graphite) == [FIRST]);
    assert!(!setup.failed().exists());
}

#[test]
fn a_snapshot_written_in_place_is_taken_when_it_is_complete() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let mut daemon = setup.daemon();
    daemon.wait_for_output(WATCHING, SOON);
    let mut published = setup.publish([0]);
    let slow = setup.path().join((FIRST + 1).to_string());
    fs::create_dir(&slow).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    setup.fill(&slow, FIRST + 1);
    published.push((FIRST + 1).to_string());
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn remains_of_a_crash_in_the_middle_of_a_removal_are_cleaned_and_not_processed() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let remains = setup.path().join(format!(".done-{}", FIRST + 5));
    fs::create_dir(&remains).unwrap();
    setup.fill(&remains, FIRST + 5);
    let published = setup.publish([0]);
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
    assert!(!remains.exists());
}

#[test]
fn what_was_being_removed_at_a_crash_is_put_back() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let published = setup.publish(0..3);
    // Nobody knows whether it was delivered.
    fs::rename(setup.path().join(&published[1]), setup.path().join(format!(".removing-{}", published[1]))).unwrap();
    let mut daemon = setup.daemon();
    daemon.wait_for_output("the removal of a snapshot was interrupted", SOON);
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn a_replacement_with_the_same_inode_number_is_processed_too() {
    let mut graphite = Recorder::start();
    let page = harness::free_port();
    let setup = Incoming::new(graphite.port(), &format!("workers = 1\n[exporter]\nlisten = 127.0.0.1:{page}"));
    graphite.vanish();
    let mut daemon = setup.daemon();
    daemon.wait_for_output(WATCHING, SOON);
    let published = setup.publish(0..1);
    let place = setup.path().join(&published[0]);
    // The worker has read it, and holds its lines for Graphite.
    wait_for_sample(page, "haproxystats_process_lines_rendered_total", |lines| lines > 0.0);
    let inode = |path: &std::path::Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let number = inode(&place);
    fs::remove_dir_all(&place).unwrap();
    // Most file systems use the number again at once; others never.
    let (staged, mut others) = (setup.beside("incoming.tmp").join("staged"), Vec::new());
    loop {
        fs::create_dir(&staged).unwrap();
        if inode(&staged) == number || others.len() > 2_000 {
            break;
        }
        others.push(setup.beside("incoming.tmp").join(format!("other-{}", others.len())));
        fs::rename(&staged, others.last().unwrap()).unwrap();
    }
    if inode(&staged) != number {
        eprintln!("this file system does not use inode numbers again");
    }
    // The same second, and more in it.
    setup.fill(&staged, FIRST);
    let stat = fs::read_to_string(staged.join("sock1_stat")).unwrap();
    let more = format!("{}\nmore,FRONTEND,,3,1,100,200,,,,,0,\n", stat.trim_end());
    fs::write(staged.join("sock1_stat"), more).unwrap();
    fs::rename(&staged, &place).unwrap();
    graphite.come_back();
    setup.wait_until_empty();
    wait_until(SOON, "the new one", || graphite.record().lines.keys().any(|line| line.contains("frontend.more.")));
    assert!(daemon.output().contains("was replaced while it was being processed"), "{}", daemon.output());
}

#[test]
fn without_any_umask_nobody_else_may_write_what_is_made() {
    let graphite = Recorder::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let store = elsewhere.path().join("deep/store");
    let options = format!("workers = 1\n[local-store]\ndir = {}", store.display());
    let setup = Incoming::new(graphite.port(), &options);
    let published = setup.publish(0..2);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]);
    command.arg(harness::process().get_program()).arg("-f").arg(setup.config());
    command.env("HAPROXYSTATS_TEST_TRAP", format!("abort:{}", published[1]));
    let _daemon = Daemon::spawn(command);
    setup.wait_until_empty();
    let snapshot = store.join(&published[0]);
    for path in [store.parent().unwrap(), &store, &snapshot, &snapshot.join("stats"), &setup.failed()] {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path).unwrap()) & 0o7777;
        assert_eq!(mode & 0o022, 0, "{}: {mode:o}", path.display());
    }
}

#[test]
fn names_of_files_begin_no_lines_in_the_log() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let staged = setup.stage(FIRST);
    fs::write(staged.join("a\n2026-01-01T00:00:00Z ERROR evil\u{1b}[2J_info"), "no statistics").unwrap();
    fs::write(staged.join("b\r\u{9b}31m_stat"), "no statistics").unwrap();
    fs::rename(&staged, setup.path().join(FIRST.to_string())).unwrap();
    fs::write(setup.path().join("foreign\nname\u{1b}]0;title\u{7}"), "").unwrap();
    let mut daemon = setup.daemon();
    daemon.wait_for_output("ignoring entries that are not snapshots", SOON);
    setup.wait_until_empty_but_for(1);
    daemon.wait_for_output("evil", SOON);
    daemon.stop(SOON);
    let log = daemon.output();
    assert!(log.contains("a\\n2026-01-01T00:00:00Z ERROR evil\\u{1b}[2J_info"), "{log}");
    let raw = |letter: char| letter.is_control() && letter != '\n';
    assert!(!log.contains(raw), "{:?}", log.lines().find(|line| line.contains(raw)));
    assert!(log.lines().all(|line| line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z")), "{log}");
}

#[test]
fn what_cannot_be_removed_is_delivered_once_and_removed_later() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    // A file where the directory is to be renamed to.
    let obstacle = setup.path().join(format!(".done-{FIRST}"));
    fs::write(&obstacle, "").unwrap();
    let published = setup.publish(0..3);
    let mut daemon = setup.daemon();
    daemon.wait_for_output("delivered, but cannot be removed", SOON);
    wait_until(SOON, "the others to go", || setup.waiting().len() == 2);
    // Longer than the time between two looks.
    std::thread::sleep(Duration::from_secs(12));
    setup.assert_arrived(&graphite, &published);
    assert_eq!(graphite.record().duplicates(), 0);
    assert_eq!(daemon.output().matches("cannot be removed").count(), 1);
    fs::remove_file(&obstacle).unwrap();
    setup.wait_until_empty();
}

#[test]
fn a_second_daemon_on_the_same_directory_is_refused() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let mut first = setup.daemon();
    first.wait_for_output(WATCHING, SOON);
    let mut second = setup.daemon();
    assert_eq!(second.wait(SOON).code(), Some(1));
    assert!(second.output().contains("another haproxystats-process is already processing"), "{}", second.output());
    first.stop(SOON);
    let mut third = setup.daemon();
    third.wait_for_output(WATCHING, SOON);
}

#[test]
fn what_the_daemon_says_about_itself_arrives() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let staged = setup.stage(FIRST);
    let figures = "PullTicks 17\nQueueDepth 99\nPullNonsense 1\nPullSockets nan\nPullDuration 0.25\nPullBytes 1 2\n";
    fs::write(staged.join(".pull"), figures).unwrap();
    fs::rename(staged, setup.path().join(FIRST.to_string())).unwrap();
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    wait_until(SOON, "the last line", || graphite.record().lines.keys().any(|line| line.contains("TotalWallClock")));
    let own: BTreeMap<String, (f64, u64)> = graphite
        .record()
        .lines
        .keys()
        .filter_map(|line| {
            let (_, rest) = line.split_once(".haproxystats.")?;
            let words: Vec<&str> = rest.split(' ').collect();
            Some((words.first()?.to_string(), (words.get(1)?.parse().ok()?, words.get(2)?.parse().ok()?)))
        })
        .collect();
    let value = |name: &str| own.get(name).map(|(value, _)| *value);
    assert_eq!(value("PullTicks"), Some(17.0));
    assert_eq!(value("PullDuration"), Some(0.25));
    for refused in ["PullNonsense", "PullSockets", "PullBytes"] {
        assert_eq!(value(refused), None, "{refused}");
    }
    assert_eq!(value("QueueDepth"), Some(0.0));
    assert_eq!(value("SnapshotsInFlight"), Some(1.0));
    assert_eq!(value("Workers"), Some(1.0));
    // Figures of the snapshot have its timestamp; those about now do not go to the past.
    assert_eq!(own["PullTicks"].1, FIRST);
    assert_eq!(own["TotalWallClockTime"].1, FIRST);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(own["QueueDepth"].1.abs_diff(now) < 60, "{:?}", own["QueueDepth"]);
}

#[test]
fn without_self_metrics_only_the_originals_are_sent() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1\nself-metrics = false");
    let staged = setup.stage(FIRST);
    fs::write(staged.join(".pull"), "PullTicks 17\n").unwrap();
    fs::rename(staged, setup.path().join(FIRST.to_string())).unwrap();
    let _daemon = setup.daemon();
    setup.wait_until_empty();
    wait_until(SOON, "the last line", || graphite.record().lines.keys().any(|line| line.contains("TotalWallClock")));
    let record = graphite.record();
    let own = record.lines.keys().filter_map(|line| line.split_once(".haproxystats.")?.1.split(' ').next());
    let own: BTreeSet<&str> = own.collect();
    assert!(own.iter().all(|name| name.contains("WallClockTime") || name.starts_with("Metrics")), "{own:?}");
}

#[test]
fn systemd_is_told() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let path = setup.beside("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut command = harness::with_config(harness::process(), &setup.beside("haproxystats.conf"));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000").env_remove("WATCHDOG_PID");
    let mut daemon = Daemon::spawn(command);
    let mut told = Vec::new();
    let until = |wanted: &str, told: &mut Vec<String>| {
        let mut buffer = [0; 4096];
        while !told.iter().any(|message| message.contains(wanted)) {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}: {told:?}"));
            told.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
    };
    until("READY=1", &mut told);
    setup.publish([0]);
    until("STATUS=0 waiting, 0 in flight, 0 settling, oldest 0 s; 1 workers; 1 delivered, 0 quarantined", &mut told);
    // More than once a second; a busy machine may need several attempts.
    let is_fed = (0..10).any(|_| {
        let start = Instant::now();
        for _ in 0..4 {
            told.retain(|message| !message.contains("WATCHDOG=1"));
            until("WATCHDOG=1", &mut told);
        }
        start.elapsed() < Duration::from_secs(4)
    });
    assert!(is_fed, "four notifications never came within four seconds");
    // A parent that does not come round does not feed the watchdog, whatever its other threads do.
    daemon.signal(Signal::SIGSTOP);
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut buffer = [0; 4096];
    while socket.recv(&mut buffer).is_ok() {}
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    assert!(socket.recv(&mut buffer).is_err());
    daemon.signal(Signal::SIGCONT);
    socket.set_read_timeout(Some(SOON)).unwrap();
    told.clear();
    daemon.signal(Signal::SIGTERM);
    until("STOPPING=1", &mut told);
    assert!(daemon.wait(SOON).success());
}

/// A shell script that runs as root of a world of its own, with the daemon's command line as `"$@"`. `None` where the
/// system does not let users have that.
fn in_namespace(setup: &Incoming, script: &str) -> Option<Daemon> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
        command
    };
    let possible = harness::output(unshare().arg("true")).is_ok_and(|output| output.status.success());
    if !possible {
        harness::leave_out("a system without inotify", "users may not have namespaces");
        return None;
    }
    let mut command = unshare();
    command.arg(script).arg("sh").arg(env!("CARGO_BIN_EXE_haproxystats-process"));
    command.arg("-f").arg(setup.beside("haproxystats.conf")).current_dir(setup.beside(""));
    Some(Daemon::spawn(command))
}

#[test]
fn without_inotify_the_directory_is_polled() {
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let graphite = Recorder::start();
        let setup = Incoming::new(graphite.port(), "workers = 1");
        let script = format!("echo 0 > /proc/sys/user/{limit}; exec \"$@\"");
        let Some(mut daemon) = in_namespace(&setup, &script) else { return };
        daemon.wait_for_output("cannot watch the directory; scanning it every second instead", SOON);
        let published = setup.publish(0..3);
        setup.wait_until_empty();
        setup.assert_arrived(&graphite, &published);
        daemon.stop(SOON);
        assert_eq!(daemon.output().matches("cannot watch").count(), 1);
    }
}

#[test]
fn an_unmounted_source_directory_is_noticed() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    // Under the mount, so out of the daemon's sight.
    let published = setup.publish(0..3);
    let script =
        "mount -t tmpfs tmpfs incoming; \"$@\" & while [ ! -e go ]; do sleep 0.1; done; umount -l incoming; wait";
    let Some(mut daemon) = in_namespace(&setup, script) else { return };
    daemon.wait_for_output(WATCHING, SOON);
    fs::write(setup.beside("go"), "").unwrap();
    setup.wait_until_empty();
    setup.assert_arrived(&graphite, &published);
}

#[test]
fn a_source_directory_that_becomes_read_only_delays_removals_and_nothing_else() {
    let graphite = Recorder::start();
    let setup = Incoming::new(graphite.port(), "workers = 1");
    let script = "mount --bind incoming incoming; \"$@\" & while [ ! -e go ]; do sleep 0.1; done; \
                  mount -o remount,ro,bind incoming; touch done; while [ -e go ]; do sleep 0.1; done; \
                  mount -o remount,rw,bind incoming; wait";
    let Some(mut daemon) = in_namespace(&setup, script) else { return };
    daemon.wait_for_output(WATCHING, SOON);
    fs::write(setup.beside("go"), "").unwrap();
    wait_until(SOON, "the directory to be read-only", || setup.beside("done").exists());
    let published = setup.publish(0..3);
    setup.assert_arrived(&graphite, &published);
    daemon.wait_for_output("delivered, but cannot be removed", SOON);
    assert_eq!(setup.waiting(), published);
    fs::remove_file(setup.beside("go")).unwrap();
    setup.wait_until_empty();
    assert_eq!(graphite.record().duplicates(), 0);
}

/// A peer that ends its side of every connection as soon as it has accepted it, and reads what comes.
fn half_closing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.shutdown(Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
        }
    });
    port
}

#[test]
fn a_peer_that_accepts_connections_and_confirms_nothing_is_told_after_a_while() {
    const WORDS: &str = "accepts connections but has confirmed nothing for a while";
    let cutting = Recorder::start();
    cutting.behave(Behaviour::CloseAfter(1000));
    let ports = [cutting.port(), half_closing()];
    let setups = ports.map(|port| Incoming::new(port, "workers = 1\nliveness-check-interval = 1"));
    let published = setups.each_ref().map(|setup| setup.publish(0..3));
    let mut daemons = setups.each_ref().map(Incoming::daemon);
    for (daemon, (setup, published)) in daemons.iter_mut().zip(setups.iter().zip(&published)) {
        daemon.wait_for_output(WORDS, SOON * 3);
        assert_eq!(&setup.waiting(), published, "nothing is lost");
    }
    cutting.behave(Behaviour::Read);
    setups[0].wait_until_empty();
    daemons[0].wait_for_output("confirms data again", SOON);
    daemons.iter_mut().for_each(|daemon| daemon.stop(SOON));
    let said = daemons.each_ref().map(|daemon| daemon.output().matches(WORDS).count());
    assert_eq!(said, [1, 1], "once each:\n{}", daemons[0].output());
}
