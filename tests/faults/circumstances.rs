//! Faults for which the world has to be a special one from its beginning.

use crate::data;
use crate::faults::time_goes_by;
use crate::harness::clients::sample;
use crate::harness::{names, output};
use crate::mounts::can_mount;
use crate::report::Report;
use crate::scenes::forbid_in_ci;
use crate::world::{Setting, World};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An hour.
const JUMP: i64 = 3600;

/// The library that deceives a program about the time; `None` where it is not installed.
fn faketime() -> Option<String> {
    let places = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    let files = places.iter().map(|place| format!("{place}/libfaketime.so.1"));
    files.into_iter().find(|file| Path::new(file).exists())
}

/// A wall clock for one program, which can be set.
pub struct Clock {
    file: std::path::PathBuf,
    library: String,
}

impl Clock {
    /// Shows the right time at first. `None` where there is no libfaketime.
    pub fn new(directory: &Path) -> Option<Self> {
        let clock = Self { file: directory.join("clock"), library: faketime()? };
        clock.set(0);
        Some(clock)
    }

    /// From now on it is so many seconds fast.
    pub fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("a file");
        fs::rename(&new, &self.file).expect("a file");
    }

    /// What makes a program look at this clock. The monotonic clock stays, as it does when a real one is set.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", &self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// What is said where it is missing.
pub fn without_faketime(name: &str) -> Report {
    let mut report = Report::default();
    report.note(format!("not tried: {name}: libfaketime is not installed (Debian: faketime)"));
    forbid_in_ci(&mut report, name);
    report
}

/// The clock of the process daemon is set an hour forth and back.
pub fn clock() -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(clock) = Clock::new(directory.path()) else { return without_faketime("process and the clock") };
    let setting = Setting { environment: clock.environment(), ..Setting::default() };
    let mut world = World::new(0, &setting);
    for (name, seconds) in [
        ("clock of process: an hour forth", JUMP),
        ("clock of process: an hour back", 0),
        ("clock of process: another hour back", -JUMP),
        ("clock of process: an hour forth", 0),
    ] {
        world.begin(name);
        for _ in 0..3 {
            world.feed_one();
        }
        clock.set(seconds);
        time_goes_by(&mut world);
        world.go_on(Duration::from_secs(1), 8.0);
        let limit = Duration::from_secs(10);
        if !world.wait_for(limit, |world| names(&world.incoming()).is_empty()) {
            world.report.fail(format!("{name}: nothing is delivered for {limit:?}"));
        }
    }
    world.finish()
}

/// The disk of the local store is full; Graphite must not notice, and nothing is given up: there is far more than any worker
/// would hold in memory for a disk that may be back soon.
pub fn full_store() -> Report {
    const SNAPSHOTS: usize = 40;
    const SERVERS: usize = 400;
    let name = "disk of the local store full";
    if let Err(reason) = can_mount() {
        let mut report = Report::default();
        report.note(format!("not tried: {name}: cannot mount here: {reason}"));
        forbid_in_ci(&mut report, name);
        return report;
    }
    let sections = "[local-store]\ndir = {base}/store".to_owned();
    let mut world = World::new(0, &Setting { sections, ..Setting::default() });
    let store = world.base.path().join("store");
    world.mounts.tmpfs("size=200k", &store).expect("a tmpfs");
    world.begin(name);
    world.feed_one();
    for _ in 0..SNAPSHOTS {
        world.feed_odd(false, |directory| data::fill_with(directory, SERVERS));
    }
    let expected = world.expected();
    let all = |world: &mut World| {
        let record = world.recorder.record();
        expected.keys().all(|line| record.lines.contains_key(line))
    };
    if !world.wait_for(Duration::from_secs(180), all) {
        world.report.fail(format!("{name}: Graphite does not get everything meanwhile"));
    }
    // The first may have had room.
    let waiting = names(&world.incoming()).len();
    if waiting < SNAPSHOTS {
        world
            .report
            .fail(format!("{name}: {waiting} of {SNAPSHOTS} snapshots are left, the others were removed unstored"));
    }
    if let Err(error) = world.mounts.mount(&["-o", "remount,size=256m"], &store) {
        world.report.fail(error);
    }
    world.recover();
    // On a busy machine Graphite may have been too slow now and then.
    let losses = sample(world.page, "haproxystats_process_dispatcher_reconnects_total{dispatcher=\"graphite\"}");
    world.allow(losses.map_or(0, |losses| losses as u64));
    let mut stored = HashMap::new();
    let stored: usize = expected
        .iter()
        .filter(|(line, (_, epoch))| {
            let texts = stored.entry(*epoch).or_insert_with(|| lines_of(&store.join(format!("{epoch}/stats"))));
            texts.contains(line.as_str())
        })
        .count();
    if stored != expected.len() {
        world.report.fail(format!("{name}: {stored} of {} lines are stored in the end", expected.len()));
    }
    let leftovers: Vec<_> = names(&store).into_iter().filter(|name| names(&store.join(name)) != ["stats"]).collect();
    if !leftovers.is_empty() {
        world.report.fail(format!("{name}: leftovers in the store: {leftovers:?}"));
    }
    world.finish()
}

fn lines_of(file: &Path) -> HashSet<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The system has no inotify watches, or instances, left.
pub fn no_inotify(limit: &'static str) -> Report {
    let name = match limit {
        "max_inotify_watches" => "no inotify watches left",
        _ => "no inotify instances left",
    };
    // A user namespace of its own has limits of its own.
    let script = format!("echo 0 >/proc/sys/user/{limit} && exec \"$0\" \"$@\"");
    let possible = output(Command::new("unshare").args(["-Ur", "sh", "-c", &script, "true"]));
    if !possible.is_ok_and(|output| output.status.success()) {
        let mut report = Report::default();
        report.note(format!("not tried: {name}: user namespaces are not allowed here"));
        forbid_in_ci(&mut report, name);
        return report;
    }
    let wrapper = ["unshare", "-Ur", "sh", "-c", &script].map(str::to_owned).to_vec();
    let mut world = World::new(0, &Setting { wrapper, ..Setting::default() });
    world.begin(name);
    world.go_on(Duration::from_secs(3), 5.0);
    world.process.end_by(nix::sys::signal::Signal::SIGTERM);
    world.go_on(Duration::from_secs(2), 5.0);
    world.recover();
    if !world.process.log().contains("cannot watch the directory; scanning it every second instead") {
        world.report.fail(format!("{name}: was not brought about"));
    }
    world.finish()
}

/// Memory while Graphite is away and snapshots pile up, and while they are delivered afterwards.
pub fn memory(snapshots: usize) -> Report {
    let name = "Graphite away for an hour";
    // Of the parent and of each worker, in KiB. Measured are 5 and 8 MiB.
    let most = [8 * 1024, 32 * 1024];
    let mut world = World::new(0, &Setting::default());
    world.begin(name);
    world.go_on(Duration::from_secs(1), 5.0);
    world.recover();
    let before = memory_now(&world);
    world.recorder.vanish();
    for _ in 0..snapshots {
        world.feed_one();
        world.process.tick();
    }
    let mut peak = before;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        peak = highest(peak, memory_now(&world));
        world.go_on(Duration::from_millis(100), 10.0);
    }
    let waiting = names(&world.incoming()).len();
    let outage = peak;
    world.recorder.come_back();
    world.wait_for(crate::world::RECOVERY * 10, |world| {
        peak = highest(peak, memory_now(world));
        names(&world.incoming()).is_empty()
    });
    let after = memory_now(&world);
    world.report.note(format!(
        "KiB of their own, of the parent and of the largest worker: before {before:?}, with {waiting} snapshots waiting {outage:?}, highest \
         until all were delivered {peak:?}, after {after:?}; allowed {most:?}"
    ));
    if peak[0] > most[0] || peak[1] > most[1] {
        world.report.fail(format!("memory: {peak:?} KiB, more than {most:?}"));
    }
    world.finish()
}

fn memory_now(world: &World) -> [u64; 2] {
    let of = |pid| crate::harness::own_memory_kib(pid).unwrap_or_default();
    let workers = world.process.workers().into_iter().map(of).max();
    [world.process.pid().map(of).unwrap_or_default(), workers.unwrap_or_default()]
}

fn highest(one: [u64; 2], other: [u64; 2]) -> [u64; 2] {
    [one[0].max(other[0]), one[1].max(other[1])]
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}
