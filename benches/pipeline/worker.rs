//! The real program over directories: one worker on one snapshot after the other, and several on a backlog.

use super::os;
use super::sink::Sink;
use haproxystats::queue::incoming::SETTLE;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);
const FIRST: u64 = 1_500_000_000;

/// A running haproxystats-process.
pub(crate) struct Process {
    child: Child,
    base: PathBuf,
    next: u64,
}

impl Process {
    /// Makes directories below `base`; [`Process::launch`] starts the program. What Graphite's kernel has counts as delivered:
    /// by default a worker waits for Graphite's program, and it is the work that is measured here.
    pub(crate) fn prepare(base: &Path, workers: usize, sink: &Sink) -> Command {
        let port = sink.port();
        let graphite = format!("server = 127.0.0.1\nport = {port}\nsettle = 0\nacknowledge = kernel\n");
        Self::prepare_with(base, workers, &format!("[graphite]\n{graphite}"))
    }

    /// The same with these sections for destinations.
    pub(crate) fn prepare_with(base: &Path, workers: usize, destinations: &str) -> Command {
        let _ = fs::remove_dir_all(base);
        for name in ["incoming", "incoming.tmp"] {
            fs::create_dir_all(base.join(name)).unwrap();
        }
        let file = base.join("haproxystats.conf");
        let text = format!(
            "[pull]\ndst-dir = {base}/incoming\ntmp-dst-dir = {base}/incoming.tmp\n\
             [process]\nloglevel = warning\nworkers = {workers}\nsrc-dir = {base}/incoming\nself-metrics = false\n\
             {destinations}",
            base = base.display(),
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_haproxystats-process"));
        command.arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    pub(crate) fn launch(mut command: Command, base: &Path, workers: usize) -> Self {
        let child = command.spawn().unwrap();
        os::wait("workers", LIMIT, || os::children(child.id()).len() == workers);
        Self { child, base: base.to_owned(), next: FIRST }
    }

    pub(crate) fn worker(&self) -> u32 {
        *os::children(self.child.id()).first().expect("a worker lives")
    }

    /// Publishes copies of a snapshot, and waits until they are removed.
    pub(crate) fn work_off(&mut self, snapshot: &Path, count: u64) {
        publish(&self.base, snapshot, self.next, count);
        self.next += count;
        let incoming = self.base.join("incoming");
        os::wait("an empty source directory", LIMIT, || fs::read_dir(&incoming).unwrap().next().is_none());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Publishes copies of a snapshot: names of the same files.
pub(crate) fn publish(base: &Path, snapshot: &Path, first: u64, count: u64) {
    for epoch in first..first + count {
        let staged = base.join("incoming.tmp").join(epoch.to_string());
        fs::create_dir(&staged).unwrap();
        for entry in fs::read_dir(snapshot).unwrap() {
            let path = entry.unwrap().path();
            fs::hard_link(&path, staged.join(path.file_name().unwrap())).unwrap();
        }
        fs::rename(&staged, base.join("incoming").join(epoch.to_string())).unwrap();
    }
}

/// What a worker takes for one snapshot.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Milliseconds of CPU time of the worker and of its parent, and of wall time.
    pub(crate) worker: f64,
    pub(crate) parent: f64,
    pub(crate) wall: f64,
    /// MiB
    pub(crate) peak: f64,
    pub(crate) threads: f64,
    pub(crate) bytes: u64,
}

/// One worker, `count` snapshots in a row after as many as warm it up.
pub(crate) fn steady(base: &Path, snapshot: &Path, count: u64, sink: &Sink) -> Cost {
    let mut process = Process::launch(Process::prepare(base, 1, sink), base, 1);
    process.work_off(snapshot, 2);
    let (worker, parent) = (process.worker(), process.child.id());
    let (cpu, of_parent, bytes, start) = (os::cpu(worker), os::cpu(parent), sink.bytes(), Instant::now());
    process.work_off(snapshot, count);
    let each = |time: Duration| time.as_secs_f64() * 1000.0 / count as f64;
    Cost {
        worker: each(os::cpu(worker) - cpu),
        parent: each(os::cpu(parent) - of_parent),
        wall: each(sink.last() - start),
        peak: os::peak(worker),
        threads: os::status(worker, "Threads"),
        bytes: (sink.bytes() - bytes) / count,
    }
}

/// Seconds from the first byte of a backlog until its last, CPU seconds of all workers, and MiB.
pub(crate) fn backlog(base: &Path, snapshot: &Path, count: u64, workers: usize, bytes: u64, sink: &Sink) -> [f64; 3] {
    let command = Process::prepare(base, workers, sink);
    publish(base, snapshot, FIRST, count);
    // What has changed in the last three seconds may be incomplete, and is looked at again a second later: wall time that is
    // no work, and the greater part of what four workers take.
    std::thread::sleep(SETTLE + Duration::from_secs(1));
    let before = sink.bytes();
    let process = Process::launch(command, base, workers);
    os::wait("the first byte", LIMIT, || sink.bytes() > before);
    let start = Instant::now();
    // Lines with times vary in length by some bytes.
    let wall = sink.wait(before + count * (bytes - 64), LIMIT) - start;
    os::wait("an empty source directory", LIMIT, || fs::read_dir(base.join("incoming")).unwrap().next().is_none());
    let workers = os::children(process.child.id());
    let cpu: Duration = workers.iter().map(|worker| os::cpu(*worker)).sum();
    let peak = workers.iter().map(|worker| os::peak(*worker)).fold(0.0, f64::max);
    [wall.as_secs_f64(), cpu.as_secs_f64(), peak]
}

/// Seconds from the first byte of a backlog until nothing of it is left on disk, with these destinations, and CPU seconds of all
/// workers. `bytes` says how many have arrived.
pub(crate) fn drained(
    base: &Path,
    snapshot: &Path,
    count: u64,
    workers: usize,
    destinations: &str,
    bytes: impl Fn() -> u64,
) -> [f64; 2] {
    let command = Process::prepare_with(base, workers, destinations);
    publish(base, snapshot, FIRST, count);
    std::thread::sleep(SETTLE + Duration::from_secs(1));
    let before = bytes();
    let process = Process::launch(command, base, workers);
    os::wait("the first byte", LIMIT, || bytes() > before);
    let start = Instant::now();
    os::wait("an empty source directory", LIMIT, || fs::read_dir(base.join("incoming")).unwrap().next().is_none());
    let wall = start.elapsed();
    let cpu: Duration = os::children(process.child.id()).iter().map(|worker| os::cpu(*worker)).sum();
    [wall.as_secs_f64(), cpu.as_secs_f64()]
}

/// Milliseconds from the start of the program until its worker asks for work, that is, until a line arrives there; and
/// MiB of an idle worker.
pub(crate) fn start(base: &Path, sink: &Sink) -> [f64; 2] {
    let process = Process::launch(Process::prepare(base, 1, sink), base, 1);
    let worker = process.worker();
    // The worker's own life until it waits for the first time: what it has run by then.
    os::wait("an idle worker", LIMIT, || {
        let before = os::cpu(worker);
        std::thread::sleep(Duration::from_millis(50));
        !before.is_zero() && os::cpu(worker) == before
    });
    let ready = os::cpu(worker).as_secs_f64() * 1000.0;
    std::thread::sleep(Duration::from_secs(7));
    [ready, os::resident(worker)]
}
