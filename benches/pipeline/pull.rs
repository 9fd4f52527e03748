//! The real pull program, alone and with process behind it.

use super::counting::Double;
use super::haproxy::HaProxies;
use super::os::{self, Spread};
use super::sink::Sink;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(60);

/// A running program of ours.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn configure(base: &Path, sockets: &Path, port: u16, interval: u32) -> PathBuf {
    let _ = fs::remove_dir_all(base);
    fs::create_dir_all(base.join("incoming")).unwrap();
    let file = base.join("haproxystats.conf");
    let text = format!(
        "[DEFAULT]\nloglevel = warning\n\
         [pull]\nsocket-dir = {sockets}\npull-interval = {interval}\npull-timeout = {interval}\ndst-dir = {base}/incoming\n\
         tmp-dst-dir = {base}/incoming.tmp\nqueue-size = 100000\n\
         [process]\nworkers = 1\nsrc-dir = {base}/incoming\n\
         [graphite]\nserver = 127.0.0.1\nport = {port}\n",
        sockets = sockets.display(),
        base = base.display(),
    );
    fs::write(&file, text).unwrap();
    file
}

fn spawn(program: &str, file: &Path) -> Running {
    let mut command = Command::new(program);
    Running(command.arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
}

fn snapshots(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base.join("incoming")).unwrap().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

/// What pull takes for one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Pulled {
    /// Milliseconds: wall as pull says, CPU of pull, CPU of HAProxy.
    pub(crate) wall: Spread,
    pub(crate) cpu: f64,
    pub(crate) haproxy: f64,
    /// MiB
    pub(crate) peak: f64,
    pub(crate) threads: f64,
    pub(crate) bytes: f64,
}

/// Pulls this many snapshots, one every two seconds.
pub(crate) fn pull(base: &Path, haproxy: &HaProxies, options: &str, count: usize) -> Pulled {
    let file = configure(base, haproxy.directory(), 1, 2);
    // Each socket for a process of its own, since those of one process are one: with a host each.
    let sockets = fs::read_dir(haproxy.directory()).unwrap().flatten();
    let hosts = sockets.map(|socket| socket.file_name().to_string_lossy().into_owned());
    let hosts: String = hosts.map(|name| format!("{name} = host-{name}\n")).collect();
    let text = fs::read_to_string(&file).unwrap().replace("[pull]\n", &format!("[pull]\n{options}"));
    fs::write(&file, format!("{text}[hosts]\n{hosts}")).unwrap();
    let running = spawn(env!("CARGO_BIN_EXE_haproxystats-pull"), &file);
    let pid = running.0.id();
    os::wait("a snapshot", LIMIT, || !snapshots(base).is_empty());
    let (before, first) = ((os::cpu(pid), haproxy.cpu()), snapshots(base).len());
    os::wait("snapshots", LIMIT + Duration::from_secs(2) * count as u32, || snapshots(base).len() >= first + count);
    let found = snapshots(base);
    // Pull tells in each snapshot how long the one before it took.
    let wall = found.iter().skip(first).filter_map(|path| {
        let text = fs::read_to_string(path.join(".pull")).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix("PullDuration "))?;
        value.parse::<f64>().ok().map(|seconds| seconds * 1000.0)
    });
    let each = |time: Duration| time.as_secs_f64() * 1000.0 / (found.len() - first) as f64;
    Pulled {
        wall: Spread(wall.collect()),
        cpu: each(os::cpu(pid) - before.0),
        haproxy: each(haproxy.cpu() - before.1),
        peak: os::peak(pid),
        threads: os::status(pid, "Threads"),
        bytes: fs::read_dir(found.last().unwrap()).unwrap().map(|e| e.unwrap().metadata().unwrap().len() as f64).sum(),
    }
}

/// Pulls a double whose counters are all in use, and is measured for so many snapshots; `reloads` are made first, a snapshot or two
/// apart. CPU milliseconds of a snapshot, and the most memory in MiB.
pub(crate) fn count(base: &Path, double: &Double, options: &str, reloads: usize, count: usize) -> [f64; 2] {
    let file = configure(base, &double.directory(), 1, 1);
    let text = fs::read_to_string(&file).unwrap().replace("[pull]\n", &format!("[pull]\n{options}"));
    fs::write(&file, text).unwrap();
    let running = spawn(env!("CARGO_BIN_EXE_haproxystats-pull"), &file);
    let more = |number| {
        let first = snapshots(base).len();
        os::wait("snapshots", LIMIT, || snapshots(base).len() >= first + number);
    };
    more(2);
    for _ in 0..reloads {
        double.reload();
        more(2);
    }
    let (pid, first) = (running.0.id(), snapshots(base).len());
    let before = os::cpu(pid);
    more(count);
    let snapshots = snapshots(base).len() - first;
    [(os::cpu(pid) - before).as_secs_f64() * 1000.0 / snapshots as f64, os::peak(pid)]
}

/// Both programs together.
#[derive(Debug)]
pub(crate) struct Steady {
    /// Percent of a core.
    pub(crate) pull: f64,
    pub(crate) worker: f64,
    pub(crate) parent: f64,
    pub(crate) haproxy: f64,
    /// MiB of pull and of the worker, after a tenth of the time and at the end.
    pub(crate) resident: [[f64; 2]; 2],
    /// Milliseconds from the second at which HAProxy is asked until the last byte of it is read by Graphite.
    pub(crate) latency: Spread,
    /// The same, in the first and in the last tenth.
    pub(crate) drift: [f64; 2],
    pub(crate) ticks: usize,
    pub(crate) seconds: f64,
}

/// Pulls and processes once a second for this long.
pub(crate) fn steady(base: &Path, haproxy: &HaProxies, time: Duration) -> Steady {
    let sink = Sink::start();
    let file = configure(base, haproxy.directory(), sink.port(), 1);
    let process = spawn(env!("CARGO_BIN_EXE_haproxystats-process"), &file);
    let pull = spawn(env!("CARGO_BIN_EXE_haproxystats-pull"), &file);
    os::wait("lines", LIMIT, || sink.bytes() > 0);
    std::thread::sleep(Duration::from_secs(3));
    let (pull, parent) = (pull.0.id(), process.0.id());
    let worker = *os::children(parent).first().expect("a worker lives");
    let cpus = || [os::cpu(pull), os::cpu(worker), os::cpu(parent), haproxy.cpu()];
    let resident = || [os::resident(pull), os::resident(worker)];
    let (before, start, mut early) = (cpus(), Instant::now(), None);
    let (mut latency, mut seen) = (Vec::new(), sink.bytes());
    while start.elapsed() < time {
        // Halfway between two bursts.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let next =
            Duration::from_secs(now.as_secs() + u64::from(now.subsec_millis() >= 900)) + Duration::from_millis(900);
        std::thread::sleep(next - now);
        if sink.bytes() > seen {
            seen = sink.bytes();
            let since = sink.last().elapsed();
            let arrived = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - since;
            latency.push(f64::from(arrived.subsec_micros()) / 1000.0);
        }
        if early.is_none() && start.elapsed() > time / 10 {
            early = Some(resident());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let shares: Vec<f64> =
        cpus().iter().zip(before).map(|(after, before)| (*after - before).as_secs_f64() / seconds * 100.0).collect();
    let tenth = (latency.len() / 10).max(1);
    let drift = [&latency[..tenth], &latency[latency.len() - tenth..]].map(|part| Spread(part.to_vec()).median());
    Steady {
        pull: shares[0],
        worker: shares[1],
        parent: shares[2],
        haproxy: shares[3],
        resident: [early.unwrap_or_else(resident), resident()],
        drift,
        ticks: latency.len(),
        latency: Spread(latency),
        seconds,
    }
}
