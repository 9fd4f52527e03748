//! haproxystats-pull before real HAProxy processes and a scripted one, its snapshots handed on to haproxystats-process.
//!
//! It publishes into a directory of its own. From there the harness takes each snapshot, checks that it is complete,
//! copies it, and publishes it again by a rename.

use crate::circumstances::{Clock, without_faketime};
use crate::harness::clients::sample;
use crate::harness::haproxy::{Fake, Script};
use crate::harness::lasting::Sessions;
use crate::harness::site::Site;
use crate::harness::{SOON, config, free_port, names, pull, with_config, write};
use crate::mounts::can_mount;
use crate::pull_faults::FAULTS;
use crate::report::Report;
use crate::unit::{Unit, forged};
use crate::world::{Setting, World};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::snapshot::Epoch;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// `[pull] queue-size`
pub const QUEUE: usize = 4;
/// After a fault there is a new snapshot within this time: two seconds, on a machine that is not busy.
pub const BACK: Duration = SOON;
/// Ends of the names of metrics that never step back.
const COUNTERS: [&str; 4] = [".stot", ".bin", ".bout", ".CumConns"];
/// Faults in one sequence.
const LENGTH: usize = 8;

/// The two programs with HAProxy before them.
pub struct Chain {
    pub world: World,
    pub pull: Unit,
    pub site: Site,
    /// Connections through HAProxy that last.
    pub client: Sessions,
    pub fake: Fake,
    place: TempDir,
    /// Port of the page of metrics of pull.
    pub page: u16,
    /// Snapshots taken over so far.
    taken: usize,
    /// Whether they are taken over.
    pub taking: bool,
    /// What the counters of a published snapshot are, and what they were in the one before.
    pipeline: Pipeline,
    pub counters: BTreeMap<String, f64>,
}

impl Chain {
    fn new(seed: u64, environment: Vec<(String, String)>) -> Self {
        Self::with("0.6", seed, environment)
    }

    /// With this `pull-timeout`.
    fn with(pull_timeout: &str, seed: u64, environment: Vec<(String, String)>) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let mut world = World::new(seed, &Setting::default());
        if can_mount().is_ok() {
            world.mounts.tmpfs("size=4m", place.path()).expect("a tmpfs");
        }
        for folder in ["published", "staging"] {
            fs::create_dir(place.path().join(folder)).expect("a directory");
        }
        let page = free_port();
        let site = Site::start_lasting(2);
        let fake = Fake::start(&site.socket_dir(), "fake.sock", Script::good());
        let text = format!(
            "[pull]\npull-interval = 1\npull-timeout = {pull_timeout}\nretries = 1\ninterval = 0.1\nsocket-dir = {sockets}\n\
             dst-dir = {at}/published\ntmp-dst-dir = {at}/staging\nqueue-size = {QUEUE}\n\
             on-socket-failure = keep-rest\nmax-reply-size = 1000000\n\
             master-sockets = {masters}\ncontinuous-counters = true\n[exporter]\nlisten = 127.0.0.1:{page}\n",
            sockets = site.socket_dir().display(),
            masters = site.masters(),
            at = place.path().display(),
        );
        let file = write(world.kept.path(), "pull.conf", text);
        let mut pull = Unit::start("haproxystats-pull", move || {
            let mut command = with_config(pull(), &file);
            command.envs(environment.iter().cloned());
            command
        });
        pull.wait_until_up();
        let pipeline = Pipeline::plaintext(&config("[graphite]\nprefix-hostname = false\n"), "lb");
        let counters = BTreeMap::new();
        let client = Sessions::default();
        Self { world, pull, site, client, fake, place, page, taken: 0, taking: true, pipeline, counters }
    }

    pub fn published(&self) -> PathBuf {
        self.place.path().join("published")
    }

    pub fn staging(&self) -> PathBuf {
        self.place.path().join("staging")
    }

    /// A file that takes all the space there is.
    pub fn fill_disk(&self) -> PathBuf {
        let ballast = self.place.path().join("ballast");
        let mut file = fs::File::create(&ballast).expect("a file");
        while file.write_all(&[7; 4096]).is_ok() {}
        ballast
    }

    /// Every connection that stands gets so many bytes. Those of a HAProxy that has ended are none any more.
    pub fn transfer(&mut self, bytes: usize) {
        self.client.transfer(bytes);
    }

    /// Snapshots that are published and not taken over.
    pub fn waiting(&self) -> usize {
        names(&self.published()).iter().filter(|name| name.parse::<u64>().is_ok()).count()
    }

    pub fn tick(&mut self) {
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
            name == ".pull"
                || name.contains("_carried")
                || (text.ends_with("\n\n") && (text.starts_with("Name: ") || text.starts_with("# pxname")))
        };
        let paired = files.iter().filter(|name| name.ends_with("_info")).count()
            == files.iter().filter(|name| name.ends_with("_stat")).count();
        if files.len() < 3 || !paired || !files.iter().all(ends_well) {
            self.world.report.fail(format!("{} is not complete: {files:?}", snapshot.display()));
        }
        self.check_counters(snapshot);
    }

    /// Whatever became of HAProxy, its counters do not step back.
    fn check_counters(&mut self, snapshot: &Path) {
        let mut text = Vec::new();
        if self.pipeline.run(snapshot, Epoch(1), &mut text).is_err() {
            return;
        }
        for line in String::from_utf8_lossy(&text).lines() {
            let [path, value, _] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            if !COUNTERS.iter().any(|counter| path.ends_with(counter)) {
                continue;
            }
            let value: f64 = value.parse().unwrap_or_default();
            if let Some(before) = self.counters.insert(path.to_owned(), value).filter(|before| value < *before) {
                let snapshot = snapshot.display();
                self.world.report.fail(format!("{path} steps back from {before} to {value} in {snapshot}"));
            }
        }
    }

    pub fn go_on(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.tick();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// After a fault: there are new snapshots again.
    pub fn recover(&mut self, name: &str) {
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
        let staging = names(&self.staging());
        let left = names(&self.published());
        if !staging.is_empty() || left.iter().any(|name| name.parse::<u64>().is_ok() || name.starts_with(".done")) {
            self.world.report.fail(format!("pull leaves {staging:?} in staging, {left:?} published"));
        }
        let log = self.pull.log();
        if let Some(line) = forged(&log) {
            self.world.report.fail(format!("a name reaches the log of pull raw: {line:?}"));
        }
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

/// Each fault by itself.
pub fn singly() -> Report {
    let mut chain = Chain::new(0, Vec::new());
    chain.recover("start");
    let mounts = can_mount();
    for fault in FAULTS {
        match &mounts {
            Err(reason) if fault.mounts => {
                chain.world.report.note(format!("not tried: {}: cannot mount here: {reason}", fault.name));
                crate::scenes::forbid_in_ci(&mut chain.world.report, fault.name);
            }
            _ => chain.fault(fault.name, fault.inject),
        }
    }
    chain.end()
}

/// Reloads under connections that last, haproxystats-pull killed between them: what is published is what the client has got.
pub fn reloads() -> Report {
    const OBJECTS: [&str; 3] = [".frontend.lasting.", ".backend.lasting.", ".backend.lasting.server.source."];
    let mut chain = Chain::new(0, Vec::new());
    chain.recover("start");
    let name = "HAProxy reloaded under connections that last";
    chain.fault(name, |chain| {
        for round in 0..6 {
            for number in 0..2 {
                chain.client.open(chain.site.lasting(number));
            }
            chain.transfer(2_000);
            chain.site.reload(round % 2);
            chain.transfer(300);
            chain.go_on(Duration::from_millis(700));
            if round % 3 == 1 {
                chain.pull.end_by(Signal::SIGKILL);
                chain.transfer(40);
                chain.go_on(Duration::from_millis(300));
            }
        }
        for (when, close) in [("at the end", false), ("when the old workers are gone", true)] {
            if close {
                chain.client.close();
            }
            let Sessions { opened, received, sent, .. } = chain.client;
            let expected = [("stot", opened), ("bout", received), ("bin", sent)];
            let expected: Vec<(String, f64)> = OBJECTS
                .iter()
                .flat_map(|object| expected.map(|(name, value)| (format!("{object}{name}"), value as f64)))
                .collect();
            let found = |chain: &Chain, end: &str| {
                chain.counters.iter().find(|(path, _)| path.ends_with(end)).map(|(_, value)| *value)
            };
            let end = Instant::now() + 2 * SOON;
            while !expected.iter().all(|(path, value)| found(chain, path) == Some(*value)) && Instant::now() < end {
                chain.go_on(Duration::from_millis(100));
            }
            for (path, value) in &expected {
                let found = found(chain, path);
                if found != Some(*value) {
                    chain.world.report.fail(format!("{name}: {path} is {found:?} {when}, and the client has {value}"));
                }
            }
            // Whatever ends now may take nothing with it.
            chain.go_on(Duration::from_millis(2_500));
        }
    });
    chain.end()
}

/// Without `pull-timeout` nothing is published while a socket sends a byte a second. That is told after a while, and counted.
pub fn unlimited() -> Report {
    const WORDS: &str = "the pull is still waiting for this socket";
    let mut chain = Chain::with("0", 0, Vec::new());
    chain.recover("start");
    let name = "HAProxy answers a byte a second, without pull-timeout";
    chain.fault(name, |chain| {
        chain.fake.set(Script::Trickle(Duration::from_secs(1)));
        let end = Instant::now() + SOON;
        while !chain.pull.log().contains(WORDS) && Instant::now() < end {
            chain.go_on(Duration::from_millis(100));
        }
        let log = chain.pull.log();
        let line = log.lines().find(|line| line.contains(WORDS)).unwrap_or_default();
        if !line.contains("fake.sock") {
            chain.world.report.fail(format!("{name}: nothing is said about it: {line}"));
        }
        let slow = sample(chain.page, "haproxystats_pull_slow_sockets_total");
        if slow.is_none_or(|count| count < 1.0) {
            chain.world.report.fail(format!("{name}: the sockets that are waited for are {slow:?}"));
        }
        chain.fake.set(Script::good());
    });
    chain.end()
}

/// Some of them in an order that the seed decides, often before the last one is got over.
pub fn sequence(seed: u64) -> Report {
    let mut chain = Chain::new(seed, Vec::new());
    let mounts = can_mount().is_ok();
    let possible: Vec<_> = FAULTS.iter().filter(|fault| mounts || !fault.mounts).collect();
    for _ in 0..LENGTH {
        let fault = possible[chain.world.rng.usize(..possible.len())];
        chain.world.begin(fault.name);
        (fault.inject)(&mut chain);
        chain.taking = true;
        let pause = chain.world.rng.u64(0..1_500);
        chain.go_on(Duration::from_millis(pause));
    }
    chain.recover("a sequence of faults");
    let mut report = chain.end();
    if !report.failures.is_empty() {
        report.fail(format!("the sequence has the seed {seed}; {}={seed} injects it again", crate::options::SEED));
    }
    report
}

/// The clock of pull is set an hour forth and back.
pub fn clock() -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(clock) = Clock::new(directory.path()) else { return without_faketime("pull and the clock") };
    let mut chain = Chain::new(0, clock.environment());
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
