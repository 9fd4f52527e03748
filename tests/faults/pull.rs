//! haproxystats-pull before real HAProxy processes and a scripted one, its snapshots handed on to haproxystats-process.
//!
//! It publishes into a directory of its own. From there the harness takes each snapshot, checks that it is complete,
//! copies it, and publishes it again by a rename.

use crate::circumstances::{Clock, without_faketime};
use crate::harness::haproxy::{Fake, Script};
use crate::harness::site::Site;
use crate::harness::{names, pull, with_config, write};
use crate::mounts::can_mount;
use crate::report::Report;
use crate::unit::Unit;
use crate::world::{Setting, World};
use nix::sys::signal::Signal;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// `[pull] queue-size`
const QUEUE: usize = 4;
/// After a fault there is a new snapshot within this time.
const BACK: Duration = Duration::from_secs(12);

struct Chain {
    world: World,
    pull: Unit,
    site: Site,
    fake: Fake,
    place: TempDir,
    /// Snapshots taken over so far.
    taken: usize,
    /// Whether they are taken over.
    taking: bool,
}

impl Chain {
    fn new(environment: Vec<(String, String)>) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let mut world = World::new(0, &Setting::default());
        if can_mount().is_ok() {
            world.mounts.mount(&["-t", "tmpfs", "-o", "size=4m", "faults"], place.path()).expect("a tmpfs");
        }
        for folder in ["published", "staging"] {
            fs::create_dir(place.path().join(folder)).expect("a directory");
        }
        let site = Site::start(2, 0);
        let fake = Fake::start(&site.socket_dir(), "fake.sock", Script::good());
        let text = format!(
            "[pull]\npull-interval = 1\npull-timeout = 0.6\nretries = 1\ninterval = 0.1\nsocket-dir = {sockets}\n\
             dst-dir = {at}/published\ntmp-dst-dir = {at}/staging\nqueue-size = {QUEUE}\n\
             on-socket-failure = keep-rest\nbuffer-limit = 1000000\n",
            sockets = site.socket_dir().display(),
            at = place.path().display(),
        );
        let file = write(world.kept.path(), "pull.conf", text);
        let pull = Unit::start("haproxystats-pull", move || {
            let mut command = with_config(pull(), &file);
            command.envs(environment.iter().cloned());
            command
        });
        Self { world, pull, site, fake, place, taken: 0, taking: true }
    }

    fn published(&self) -> PathBuf {
        self.place.path().join("published")
    }

    fn tick(&mut self) {
        self.pull.tick();
        self.world.process.tick();
        if !self.taking {
            return;
        }
        for name in names(&self.published()) {
            let Ok(epoch) = name.parse::<u64>() else { continue };
            let from = self.published().join(&name);
            self.check(&from);
            if self.world.kept.path().join(&name).exists() {
                // A second that there has been before, since the clock was set back: two values for one point, of which
                // Graphite keeps the later one. Here only the first is handed on.
                let _ = fs::remove_dir_all(&from);
                self.taken += 1;
                continue;
            }
            let copied = self.world.stage_as(epoch, |to| {
                for name in names(&from) {
                    fs::copy(from.join(&name), to.join(&name))?;
                }
                Ok(())
            });
            if copied && self.world.publish(epoch) && fs::remove_dir_all(&from).is_ok() {
                self.taken += 1;
            }
        }
    }

    /// A published snapshot is complete.
    fn check(&mut self, snapshot: &Path) {
        let files = names(snapshot);
        let ends_well = |name: &String| {
            let text = fs::read_to_string(snapshot.join(name)).unwrap_or_default();
            name == ".pull" || (text.ends_with("\n\n") && (text.starts_with("Name: ") || text.starts_with("# pxname")))
        };
        let paired = files.iter().filter(|name| name.ends_with("_info")).count()
            == files.iter().filter(|name| name.ends_with("_stat")).count();
        if files.len() < 3 || !paired || !files.iter().all(ends_well) {
            self.world.report.fail(format!("{} is not complete: {files:?}", snapshot.display()));
        }
    }

    fn go_on(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.tick();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// After a fault: there are new snapshots again.
    fn recover(&mut self, name: &str) {
        self.taking = true;
        self.tick();
        let (before, end) = (self.taken, Instant::now() + BACK);
        while self.taken == before {
            self.tick();
            if Instant::now() > end {
                let log = crate::unit::tail(&self.pull.log(), 20);
                return self.world.report.fail(format!("{name}: no snapshot for {BACK:?}\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn fault(&mut self, name: &'static str, inject: impl FnOnce(&mut Self)) {
        self.world.begin(name);
        inject(self);
        self.recover(name);
    }

    fn end(mut self) -> Report {
        self.pull.stop();
        self.tick();
        let staging = names(&self.place.path().join("staging"));
        let left = names(&self.published());
        if !staging.is_empty() || left.iter().any(|name| name.parse::<u64>().is_ok() || name.starts_with(".done")) {
            self.world.report.fail(format!("pull leaves {staging:?} in staging, {left:?} published"));
        }
        let log = self.pull.log();
        if log.contains("panicked at") {
            self.world.report.fail("haproxystats-pull has panicked");
        }
        let violations = std::mem::take(&mut self.pull.violations);
        violations.into_iter().for_each(|what| self.world.report.fail(what));
        let Self { world, .. } = self;
        let mut report = world.finish();
        if !report.failures.is_empty() {
            report.fail(format!("the log of pull ends with\n{}", crate::unit::tail(&log, 30)));
        }
        report
    }
}

/// Faults of pull and of what it pulls from.
pub fn faults() -> Report {
    let mut chain = Chain::new(Vec::new());
    chain.recover("start");
    let random = |chain: &mut Chain| Duration::from_millis(chain.world.rng.u64(0..1_100));
    for (name, signal) in [
        ("kill -9 of pull", Signal::SIGKILL),
        ("SIGTERM to pull", Signal::SIGTERM),
        ("SIGHUP to pull", Signal::SIGHUP),
        ("kill -9 of pull", Signal::SIGKILL),
        ("kill -9 of pull", Signal::SIGKILL),
    ] {
        chain.fault(name, |chain| {
            let pause = random(chain);
            chain.go_on(pause);
            chain.pull.end_by(signal);
            chain.go_on(Duration::from_millis(300));
        });
    }
    // While a socket keeps it waiting, so that it is in the middle of a snapshot.
    for (name, signal) in
        [("kill -9 of pull in a pull", Signal::SIGKILL), ("SIGTERM to pull in a pull", Signal::SIGTERM)]
    {
        chain.fault(name, |chain| {
            chain.fake.set(Script::Hang);
            let staging = chain.place.path().join("staging");
            let end = Instant::now() + BACK;
            while names(&staging).is_empty() && Instant::now() < end {
                chain.tick();
                std::thread::sleep(Duration::from_millis(2));
            }
            chain.pull.end_by(signal);
            chain.go_on(Duration::from_millis(300));
            chain.fake.set(Script::good());
        });
    }
    chain.fault("SIGSTOP of pull", |chain| {
        chain.pull.signal(Signal::SIGSTOP);
        chain.go_on(Duration::from_secs(3));
        chain.pull.signal(Signal::SIGCONT);
    });
    chain.fault("queue of pull full", |chain| {
        chain.taking = false;
        chain.go_on(Duration::from_secs(QUEUE as u64 + 2));
        let waiting = names(&chain.published()).iter().filter(|name| name.parse::<u64>().is_ok()).count();
        if waiting != QUEUE {
            chain.world.report.fail(format!("pull keeps {waiting} snapshots, not {QUEUE}"));
        }
    });
    for (name, script) in [
        ("HAProxy hangs after accepting", Script::Hang),
        ("HAProxy closes without an answer", Script::Close),
        ("HAProxy closes in the middle", Script::Cut(120)),
        ("HAProxy answers slowly", Script::Slow(Duration::from_millis(400))),
        ("HAProxy answers too slowly", Script::Slow(Duration::from_secs(2))),
        ("HAProxy answers byte by byte", Script::Trickle(Duration::from_millis(5))),
        ("HAProxy answers garbage", Script::Text("\u{1}\u{2}garbage, nothing that\nanybody: would want\n\n")),
        ("HAProxy answers without end", Script::Endless),
        ("HAProxy answers one command", Script::FirstCommandOnly),
        ("HAProxy keeps the connection open", Script::KeepOpen),
    ] {
        chain.fault(name, |chain| {
            chain.fake.set(script);
            chain.go_on(Duration::from_millis(1_500));
            chain.fake.set(Script::good());
        });
    }
    chain.fault("HAProxy reloaded", |chain| {
        for _ in 0..3 {
            chain.site.reload(0);
            chain.go_on(Duration::from_millis(400));
        }
    });
    chain.fault("HAProxy stopped and started", |chain| {
        chain.site.stop(0);
        chain.go_on(Duration::from_millis(1_500));
        chain.site.launch(0);
    });
    chain.fault("SIGSTOP of HAProxy", |chain| {
        let workers = crate::harness::children(chain.site.daemon(1).pid());
        let all = |signal| {
            for pid in &workers {
                let _ = nix::sys::signal::kill(*pid, signal);
            }
        };
        all(Signal::SIGSTOP);
        chain.go_on(Duration::from_millis(2_500));
        all(Signal::SIGCONT);
    });
    directories(&mut chain);
    chain.end()
}

fn directories(chain: &mut Chain) {
    let (published, staging) = (chain.published(), chain.place.path().join("staging"));
    chain.fault("dst-dir of pull deleted", |chain| {
        let _ = fs::remove_dir_all(&published);
        chain.go_on(Duration::from_millis(500));
    });
    chain.fault("tmp-dst-dir of pull deleted", |chain| {
        let _ = fs::remove_dir_all(&staging);
        chain.go_on(Duration::from_millis(1_500));
    });
    if let Err(reason) = can_mount() {
        chain.world.report.note(format!("not tried: disk of pull full, read-only: cannot mount here: {reason}"));
        return crate::scenes::forbid_in_ci(&mut chain.world.report, "disk of pull full");
    }
    chain.fault("disk of pull full", |chain| {
        let ballast = chain.place.path().join("ballast");
        let mut file = fs::File::create(&ballast).expect("a file");
        while file.write_all(&[7; 4096]).is_ok() {}
        chain.go_on(Duration::from_secs(3));
        let _ = fs::remove_file(ballast);
    });
    chain.fault("disk of pull full, pull killed and started", |chain| {
        let ballast = chain.place.path().join("ballast");
        let mut file = fs::File::create(&ballast).expect("a file");
        while file.write_all(&[7; 4096]).is_ok() {}
        chain.pull.end_by(Signal::SIGKILL);
        chain.go_on(Duration::from_secs(2));
        let _ = fs::remove_file(ballast);
    });
    for (name, path) in [("tmp-dst-dir of pull read-only", &staging), ("dst-dir of pull read-only", &published)] {
        chain.fault(name, |chain| {
            let text = path.display().to_string();
            let mounts = &mut chain.world.mounts;
            let mounted =
                mounts.mount(&["--bind", &text], path).and_then(|()| mounts.mount(&["-o", "remount,bind,ro"], path));
            if let Err(error) = mounted {
                return chain.world.report.fail(format!("{name}: {error}"));
            }
            chain.go_on(Duration::from_millis(2_500));
            chain.world.mounts.unmount(path);
        });
    }
}

/// The clock of pull is set an hour forth and back.
pub fn clock() -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(clock) = Clock::new(directory.path()) else { return without_faketime("pull and the clock") };
    let mut chain = Chain::new(clock.environment());
    chain.recover("start");
    for (name, seconds) in [
        ("clock of pull: an hour forth", 3600),
        ("clock of pull: an hour back", 0),
        ("clock of pull: another hour back", -3600),
        ("clock of pull: some seconds back", -3603),
        ("clock of pull: an hour forth", 0),
    ] {
        chain.fault(name, |chain| {
            chain.go_on(Duration::from_millis(1_300));
            clock.set(seconds);
            chain.go_on(Duration::from_millis(1_500));
        });
    }
    chain.end()
}
