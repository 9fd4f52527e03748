//! One haproxystats with all that it needs, the faults that are injected into it, and the invariant: what arrived is
//! what the published directories imply.

use crate::data::{self, own};
use crate::harness::graphite::{Behaviour, Recorder};
#[cfg(feature = "kafka")]
use crate::harness::kafka::{Brokers, Reader};
use crate::harness::receiver::Receiver;
use crate::harness::{free_port, names, process, with_config, write};
use crate::mounts::{Mounts, can_mount};
use crate::proxy::Proxy;
use crate::report::Report;
use crate::unit::Unit;
use fastrand::Rng;
use haproxystats::dispatch::bounds;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// First timestamp.
const FIRST: u64 = 1_700_000_000;
/// `[process] workers`
pub const WORKERS: usize = 2;
/// `[graphite] queue-size`
pub const QUEUE_SIZE: u64 = 3_000;
/// `[process] worker-timeout`
pub const WORKER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that are a piece already, where snapshots are handed over in pieces.
const PIECE: usize = 150;
/// Once all is well again, something is delivered within this time, until nothing is left.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// Time for everything to be delivered, on a machine that is very busy.
const MOST: Duration = Duration::from_secs(300);
/// Snapshots to be set aside as traps: the first of so many, for each way to fail.
const TRAPS: u64 = 900_000;
/// What those traps do.
const WAYS: [&str; 4] = ["abort", "panic", "hang", "exit"];

/// What a world is to be like.
#[derive(Default, Clone)]
pub struct Setting {
    /// More lines for `[process]`.
    pub process: String,
    /// More sections.
    pub sections: String,
    /// Something that starts the process daemon with changed circumstances: program and arguments before its own.
    pub wrapper: Vec<String>,
    /// Environment of the process daemon.
    pub environment: Vec<(String, String)>,
    /// Port of another Graphite than the recorder.
    pub port: Option<u16>,
    /// First timestamp, where it matters.
    pub first: Option<u64>,
    /// A cluster of Kafka beside Graphite.
    #[cfg(feature = "kafka")]
    pub kafka: bool,
    /// Receivers of OTLP and remote write beside Graphite.
    pub remote: bool,
    /// Another user who runs the process daemon; snapshots are his.
    pub user: Option<u32>,
    /// A HAProxy between process and the recorder.
    pub proxy: Option<crate::proxy::Kind>,
    /// `[graphite] settle` in seconds, where a tenth is not enough.
    pub settle: Option<f64>,
    /// `[process] worker-timeout` in seconds, where two are not enough.
    pub worker_timeout: Option<u64>,
    /// Whether there is a local store beside Graphite.
    pub store: bool,
    /// Whether the queue lies on a file system that uses inode numbers again, as a tmpfs does not.
    pub on_disk: bool,
    /// Whether small snapshots are handed over in pieces, and what was sent is rendered again when it is lost, as it is with
    /// large ones. Every other sequence does so as well.
    pub pieces: bool,
}

/// See the module.
pub struct World {
    // Fields are dropped in this order: daemons before mounts, mounts before directories.
    pub process: Unit,
    pub proxy: Option<Proxy>,
    pub recorder: Recorder,
    #[cfg(feature = "kafka")]
    pub kafka: Option<(Brokers, Reader)>,
    pub remotes: Vec<Receiver>,
    pub mounts: Mounts,
    pub base: TempDir,
    /// Copies of everything that was published.
    pub kept: TempDir,
    pub config: PathBuf,
    /// Port of the page of metrics.
    pub page: u16,
    pub report: Report,
    pub rng: Rng,
    pub published: BTreeMap<u64, &'static str>,
    /// Published, and to be found in failed/ at the end instead.
    pub poisoned: BTreeSet<u64>,
    /// See [`Setting::user`].
    user: Option<u32>,
    label: &'static str,
    next: u64,
    next_trap: u64,
    /// So many workers run when all is well.
    pub workers: usize,
    /// Most lines that may arrive again.
    pub allowance: u64,
    pub largest: u64,
}

impl World {
    pub fn new(seed: u64, setting: &Setting) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let kept = tempfile::tempdir().expect("a directory");
        let mut mounts = Mounts::default();
        if can_mount().is_ok() && !setting.on_disk {
            mounts.tmpfs("size=128m", base.path()).expect("a tmpfs");
        }
        for folder in ["incoming", "incoming.tmp", "store"] {
            fs::create_dir(base.path().join(folder)).expect("a directory");
        }
        let store = if setting.store { "[local-store]\ndir = {base}/store\n" } else { "" };
        let page = free_port();
        let recorder = Recorder::start();
        let proxy = setting.proxy.map(|kind| Proxy::start(kind, recorder.port()));
        #[cfg(feature = "kafka")]
        let (kafka, kafka_section) = match setting.kafka.then(crate::kafka::cluster).flatten() {
            Some((brokers, reader)) => {
                let section = crate::kafka::section(&brokers);
                (Some((brokers, reader)), section)
            }
            None => (None, String::new()),
        };
        #[cfg(not(feature = "kafka"))]
        let kafka_section = "";
        let (remotes, remote_sections) = setting.remote.then(crate::remote::start).unwrap_or_default();
        let settle = setting.proxy.map_or(Some(setting.settle.unwrap_or(0.1)), |kind| kind.settle);
        // With the default of one of them all are left at theirs: they go together.
        let haste = settle.map(|seconds| {
            format!("interval = 0.1\ndelay = 0.3\nconnect-timeout = 0.5\nwrite-timeout = 0.5\nsettle = {seconds}")
        });
        let at = base.path().display();
        let text = format!(
            "[pull]\npull-interval = 1\ndst-dir = {at}/incoming\ntmp-dst-dir = {at}/incoming.tmp\n\
             [process]\nsrc-dir = {at}/incoming\nworkers = {WORKERS}\nliveness-check-interval = 0.3\n\
             worker-timeout = {timeout}\n{process}\n\
             [graphite]\nserver = 127.0.0.1\nport = {port}\nnamespace = lb\n{haste}\n\
             queue-size = {QUEUE_SIZE}\n{sections}\n{store}{kafka_section}{remote_sections}\n[exporter]\nlisten = 127.0.0.1:{page}\n",
            timeout = setting.worker_timeout.unwrap_or(WORKER_TIMEOUT.as_secs()),
            store = store.replace("{base}", &at.to_string()),
            process = setting.process,
            haste = haste.unwrap_or_default(),
            port = setting.port.unwrap_or(proxy.as_ref().map_or(recorder.port(), |proxy| proxy.port)),
            sections = setting.sections.replace("{base}", &at.to_string()),
        );
        let config = write(kept.path(), "haproxystats.conf", text);
        if let Some(user) = setting.user {
            fs::set_permissions(kept.path(), Permissions::from_mode(0o755)).expect("the configuration can be read");
            own(base.path(), user).expect("the directories can be given away");
        }
        let first = setting.first.unwrap_or(FIRST);
        let traps: Vec<String> =
            (0..400).map(|trap| format!("{}:{}", WAYS[trap % WAYS.len()], first + TRAPS + trap as u64)).collect();
        let (file, mut set) = (config.clone(), setting.clone());
        if setting.pieces || seed % 2 == 1 {
            for variable in [bounds::VARIABLE, "HAPROXYSTATS_TEST_BATCH"] {
                set.environment.push((variable.to_owned(), PIECE.to_string()));
            }
        }
        let mut process = Unit::start("haproxystats-process", move || {
            let plain = with_config(process(), &file);
            let mut command = match set.wrapper.split_first() {
                None => plain,
                Some((program, arguments)) => {
                    let mut command = Command::new(program);
                    command.args(arguments).arg(plain.get_program()).args(plain.get_args());
                    command
                }
            };
            command.env("HAPROXYSTATS_TEST_TRAP", traps.join(","));
            command.envs(set.environment.iter().cloned());
            command
        });
        process.wait_until_up();
        Self {
            process,
            proxy,
            recorder,
            #[cfg(feature = "kafka")]
            kafka,
            remotes,
            mounts,
            base,
            kept,
            config,
            page,
            report: Report::default(),
            rng: Rng::with_seed(seed),
            published: BTreeMap::new(),
            poisoned: BTreeSet::new(),
            user: setting.user,
            label: "none",
            next: first,
            next_trap: first + TRAPS,
            workers: WORKERS,
            allowance: 0,
            largest: 0,
        }
    }

    pub fn incoming(&self) -> PathBuf {
        self.base.path().join("incoming")
    }

    pub fn store(&self) -> PathBuf {
        self.base.path().join("store")
    }

    pub fn failed(&self) -> PathBuf {
        self.base.path().join("failed")
    }

    pub fn staging(&self) -> PathBuf {
        self.base.path().join("incoming.tmp")
    }

    /// From now on everything is put down to this fault.
    pub fn begin(&mut self, fault: &'static str) {
        self.label = fault;
        self.report.row(fault).injected += 1;
        // A worker that is lost repeats what it held.
        self.allow(1);
    }

    /// So many losses of a connection or of a worker more may each repeat what a worker holds.
    pub fn allow(&mut self, losses: u64) {
        self.allowance += losses * WORKERS as u64;
    }

    /// The name of the snapshot that is published next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Makes a snapshot, and a copy that is kept, but does not publish it.
    pub fn stage(&mut self) -> Option<u64> {
        let epoch = self.next;
        self.next += 1;
        self.stage_as(epoch, |directory| data::fill(directory, epoch)).then_some(epoch)
    }

    /// The same with this name and other files. False when there is no room for it.
    pub fn stage_as(&mut self, epoch: u64, fill: impl Fn(&Path) -> std::io::Result<()>) -> bool {
        let kept = self.kept.path().join(epoch.to_string());
        fs::create_dir(&kept).expect("a directory for the copy");
        fill(&kept).expect("a copy");
        let staged = self.staging().join(epoch.to_string());
        let owned = || self.user.map_or(Ok(()), |user| own(&staged, user));
        let copied = fs::create_dir(&staged).and_then(|()| fill(&staged)).and_then(|()| owned()).is_ok();
        if !copied {
            let _ = fs::remove_dir_all(&staged);
            let _ = fs::remove_dir_all(&kept);
        }
        copied
    }

    /// Publishes what was staged, as haproxystats-pull does: by a rename.
    pub fn publish(&mut self, epoch: u64) -> bool {
        let staged = self.staging().join(epoch.to_string());
        let published = fs::rename(&staged, self.incoming().join(epoch.to_string())).is_ok();
        if published {
            self.note_published(epoch);
        } else {
            let _ = fs::remove_dir_all(&staged);
            let _ = fs::remove_dir_all(self.kept.path().join(epoch.to_string()));
        }
        published
    }

    /// Stages inside of the queue and publishes from there: what haproxystats-pull does when its own staging directory
    /// lies on another file system.
    pub fn stage_inside(&mut self) -> Option<u64> {
        let epoch = self.stage()?;
        let (staged, hidden) = (self.staging().join(epoch.to_string()), self.incoming().join(".inside"));
        let moved = fs::create_dir(&hidden)
            .and_then(|()| data::fill(&hidden, epoch))
            .and_then(|()| fs::rename(&hidden, self.incoming().join(epoch.to_string())));
        let _ = fs::remove_dir_all(staged);
        if moved.is_err() {
            let _ = fs::remove_dir_all(hidden);
            let _ = fs::remove_dir_all(self.kept.path().join(epoch.to_string()));
            return None;
        }
        self.note_published(epoch);
        Some(epoch)
    }

    /// A snapshot of which there is a copy is in the queue.
    pub fn note_published(&mut self, epoch: u64) {
        self.published.insert(epoch, self.label);
        self.report.row(self.label).snapshots += 1;
    }

    /// Publishes one more snapshot.
    pub fn feed_one(&mut self) {
        if let Some(epoch) = self.stage() {
            self.publish(epoch);
        }
    }

    /// Publishes a snapshot with these files. A poison is one that cannot be processed and must end up in failed/.
    pub fn feed_odd(&mut self, poison: bool, fill: impl Fn(&Path) -> std::io::Result<()>) {
        let epoch = self.next;
        self.next += 1;
        if self.stage_as(epoch, fill) && self.publish(epoch) && poison {
            self.poisoned.insert(epoch);
        }
    }

    /// Publishes a snapshot on which workers fail, in one of four ways after the other.
    pub fn feed_trap(&mut self) {
        let epoch = self.next_trap;
        self.next_trap += 1;
        if self.stage_as(epoch, |directory| data::fill(directory, epoch)) && self.publish(epoch) {
            self.poisoned.insert(epoch);
        }
    }

    /// Lets the world go on for this time, with so many snapshots a second.
    pub fn go_on(&mut self, time: Duration, rate: f64) {
        let start = Instant::now();
        let mut fed = 0.0;
        loop {
            self.process.tick();
            let elapsed = start.elapsed();
            if elapsed >= time {
                return;
            }
            if elapsed.as_secs_f64() * rate >= fed {
                self.feed_one();
                fed += 1.0;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a condition holds, with the daemon under supervision. False after the limit.
    pub fn wait_for(&mut self, limit: Duration, mut condition: impl FnMut(&mut Self) -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            self.process.tick();
            if condition(self) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything in order again: Graphite reads, and so does Kafka.
    pub fn heal(&mut self) {
        self.recorder.behave(Behaviour::Read);
        #[cfg(feature = "kafka")]
        if let Some((brokers, _)) = &self.kafka {
            crate::kafka::heal(brokers);
        }
        self.remotes.iter().for_each(crate::remote::heal);
    }

    /// Waits until the queue is empty, as long as it gets shorter.
    pub fn recover(&mut self) -> bool {
        let end = Instant::now() + MOST;
        let mut least = usize::MAX;
        loop {
            let limit = RECOVERY.min(end.saturating_duration_since(Instant::now()));
            let mut left = least;
            let changed = self.wait_for(limit, |world| {
                left = names(&world.incoming()).len();
                left < least
            });
            if left == 0 {
                return self.wait_for(RECOVERY, |world| world.process.workers().len() >= world.workers);
            }
            if !changed {
                return false;
            }
            least = left;
        }
    }
}
