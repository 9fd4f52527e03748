//! Minutes of traffic of every kind through real HAProxy processes, which are reloaded and told to change meanwhile, a pull each
//! second: every point that arrives is held against `independent.py`, which works the points out from the recorded replies and
//! from the documents.
//!
//! `HAPROXYSTATS_LONG_RUN` is how many seconds that takes, 20 if unset; `HAPROXYSTATS_HAPROXY` another HAProxy than Debian's.

mod peers;
mod world;

use crate::harness::incoming::snapshots;
use crate::harness::{self, Daemon, names, process, pull, wait_until, with_config, write};
use peers::Sink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use world::World;

/// A configuration of haproxystats-process: a name, lines of `[process]`, further sections, and the same for the script.
struct Variant {
    name: &'static str,
    process: &'static str,
    sections: &'static str,
    script: &'static str,
}

const VARIANTS: [Variant; 3] = [
    Variant { name: "plain", process: "", sections: "", script: "{}" },
    Variant {
        name: "all",
        process: "time-averages = weighted\nfrontend-metrics = all\nbackend-metrics = all\nserver-metrics = all\n\
                  daemon-metrics = all\naggr-server-metrics = true\ncalculate-percentages = true\n\
                  per-process-metrics = true\nstatus-metrics = true\n",
        sections: "",
        script: "{\"times\": \"weighted\", \"selection\": \"all\", \"totals\": true, \"percentages\": true, \
                 \"per_process\": true, \"status\": true}",
    },
    Variant {
        name: "clusters",
        process: "aggr-server-metrics = true\ncluster-metrics = true\n",
        sections: "[hosts]\nlb0.sock = a.example edge\nlb1.sock = b.example edge\nlb2.sock = b.example edge\n",
        script: "{\"totals\": true, \"hosts\": {\"lb0.sock\": [\"a.example\", \"edge\"], \
                 \"lb1.sock\": [\"b.example\", \"edge\"], \"lb2.sock\": [\"b.example\", \"edge\"]}}",
    },
];

/// One haproxystats-process with what it sends to.
struct Running {
    variant: &'static Variant,
    incoming: PathBuf,
    // Ends before what it is connected to.
    daemon: Daemon,
    sink: Sink,
}

impl Running {
    fn start(place: &Path, variant: &'static Variant) -> Self {
        let folder = place.join(variant.name);
        let incoming = folder.join("incoming");
        std::fs::create_dir_all(&incoming).unwrap();
        let sink = Sink::start(folder.join("lines"));
        let config = format!(
            "[process]\nsrc-dir = {}\nworkers = 2\n{}[graphite]\nserver = 127.0.0.1\nport = {}\nnamespace = lb\n{}",
            incoming.display(),
            variant.process,
            sink.port(),
            variant.sections,
        );
        let daemon = Daemon::spawn(with_config(process(), &write(&folder, "haproxystats.conf", config)));
        Self { variant, incoming, daemon, sink }
    }

    /// Ends it, and returns what the script says of what it sent.
    fn verdict(mut self, kept: &Path, limit: Duration) -> (bool, String) {
        wait_until(limit, "all snapshots are processed", || snapshots(&self.incoming).is_empty());
        self.daemon.stop(limit);
        let lines = self.sink.stop();
        let host = nix::unistd::gethostname().unwrap().into_string().unwrap().replace('.', "_");
        let own = format!("{{\"namespace\": \"lb\", \"host\": \"{host}\", ");
        let options = match self.variant.script {
            "{}" => format!("{}}}", own.trim_end_matches(", ")),
            script => script.replacen('{', &own, 1),
        };
        let mut command = Command::new(harness::debian("python3"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/long_run/independent.py"));
        let output = harness::output(command.arg(kept).arg(lines).arg(options)).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), format!("{}: {text}", self.variant.name))
    }
}

/// A copy by links of a snapshot, complete when its name is there.
fn copy(snapshot: &Path, into: &Path) {
    let name = snapshot.file_name().unwrap().to_str().unwrap();
    let staged = into.parent().unwrap().join(format!("staged-{name}"));
    std::fs::create_dir(&staged).unwrap();
    for file in names(snapshot) {
        std::fs::hard_link(snapshot.join(&file), staged.join(&file)).unwrap();
    }
    std::fs::rename(staged, into.join(name)).unwrap();
}

#[test]
fn every_point_of_a_long_run_is_that_of_an_independent_computation() {
    let seconds = std::env::var("HAPROXYSTATS_LONG_RUN").map_or(20, |text| text.parse().unwrap());
    let limit = Duration::from_secs(60 + seconds);
    let place = tempfile::tempdir().unwrap();
    let [pulled, kept] = ["pulled", "kept"].map(|name| {
        let path = place.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    });
    std::fs::create_dir(place.path().join("tmp")).unwrap();
    let mut world = World::start();
    let running: Vec<Running> = VARIANTS.iter().map(|variant| Running::start(place.path(), variant)).collect();
    let config = format!(
        "[pull]\nsocket-dir = {}\npull-interval = 1\nqueue-size = 100000\ndst-dir = {}\ntmp-dst-dir = {}\n",
        world.socket_dir().display(),
        pulled.display(),
        place.path().join("tmp").display(),
    );
    let mut daemon = Daemon::spawn(with_config(pull(), &write(place.path(), "pull.conf", config)));
    let pass_on = || {
        for name in snapshots(&pulled) {
            let snapshot = pulled.join(&name);
            running.iter().for_each(|running| copy(&snapshot, &running.incoming));
            std::fs::rename(&snapshot, kept.join(&name)).unwrap();
        }
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        world.change();
        pass_on();
        std::thread::sleep(Duration::from_millis(300));
    }
    daemon.stop(limit);
    pass_on();
    let requests = world.stop();
    let count = snapshots(&kept).len() as u64;
    assert!(count >= seconds / 3, "only {count} snapshots in {seconds} s");
    let verdicts: Vec<_> = running.into_iter().map(|running| running.verdict(&kept, limit)).collect();
    let text: String = verdicts.iter().map(|(_, text)| text.as_str()).collect();
    println!("{}\n{requests} requests in {seconds} s\n{text}", world.version());
    assert!(verdicts.iter().all(|(good, _)| *good), "{text}");
}
