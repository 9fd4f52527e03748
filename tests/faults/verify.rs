//! The invariant, and what must not be left behind.

use crate::harness::{SOON, lives, names, output, process, with_config};
use crate::report::Report;
use crate::unit::{forged, tail};
use crate::world::{QUEUE_SIZE, World};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// The process daemon's figures about itself differ from run to run; all else must not.
const OWN: &str = ".haproxy.haproxystats.";

/// A snapshot, the fault it is put down to, and its lines.
type Implied = (u64, &'static str, Result<String, String>);

impl World {
    /// Checks that no process of this world is left that the parent does not know.
    pub fn check_orphans(&mut self) {
        let config = self.config.display().to_string();
        let strangers = |world: &World| -> Vec<i32> {
            let mut known: BTreeSet<i32> = world.process.workers().iter().map(|pid| pid.as_raw()).collect();
            known.extend(world.process.pid().map(|pid| pid.as_raw()));
            processes_with(&config).into_iter().filter(|pid| !known.contains(pid)).collect()
        };
        // At once, on a machine that is not busy.
        if !self.wait_for(SOON, |world| strangers(world).is_empty()) {
            let left = strangers(self);
            self.report.fail(format!("orphans: {left:?}"));
        }
    }

    /// Ends the daemon and checks everything.
    pub fn finish(mut self) -> Report {
        self.wind_down();
        let (expected, record) = (self.expected(), self.recorder.record());
        self.compare(&expected, &record.lines);
        #[cfg(feature = "kafka")]
        self.compare_kafka(&expected);
        self.compare_remotes();
        if !record.malformed.is_empty() {
            self.report.fail(format!("{} malformed lines: {:?}", record.malformed.len(), record.malformed.first()));
        }
        if !self.report.failures.is_empty() {
            self.report.fail(format!("the log ends with\n{}", tail(&self.process.log(), 60)));
        }
        std::mem::take(&mut self.report)
    }

    /// Waits until all is delivered, ends the daemon, and checks that nothing is left behind.
    pub fn wind_down(&mut self) {
        self.heal();
        if !self.recover() {
            let (left, log) = (names(&self.incoming()), tail(&self.process.log(), 30));
            let (count, first) = (left.len(), &left[..left.len().min(5)]);
            self.report.fail(format!("{count} entries stay in the queue: {first:?}; the log ends with\n{log}"));
        }
        self.check_orphans();
        self.process.stop();
        let config = self.config.display().to_string();
        let left = processes_with(&config);
        if !left.is_empty() {
            self.report.fail(format!("processes live on: {left:?}"));
        }
        self.check_leftovers();
        let violations = std::mem::take(&mut self.process.violations);
        violations.into_iter().for_each(|what| self.report.fail(what));
        let log = self.process.log();
        if let Some(line) = forged(&log) {
            self.report.fail(format!("a name reaches the log raw: {line:?}"));
        }
        let panics = log.lines().filter(|line| line.contains("panicked at"));
        let set = panics.clone().filter(|line| line.contains("trap.rs")).count();
        if panics.clone().count() > set {
            let first = panics.filter(|line| !line.contains("trap.rs")).take(3).collect::<Vec<_>>().join("\n");
            self.report.fail(format!("a panic: {first}"));
        }
    }

    fn check_leftovers(&mut self) {
        let (incoming, staging) = (names(&self.incoming()), names(&self.staging()));
        if !incoming.is_empty() || !staging.is_empty() {
            self.report.fail(format!("leftovers: {incoming:?} in the queue, {staging:?} in staging"));
        }
        // Samples that a receiver refuses are looked at elsewhere.
        let of_snapshots = |name: &String| !crate::remote::PLACES.contains(&name.as_str());
        let failed: BTreeSet<String> = names(&self.failed()).into_iter().filter(of_snapshots).collect();
        let poisoned: BTreeSet<String> = self.poisoned.iter().map(u64::to_string).collect();
        if failed != poisoned {
            let wrongly: Vec<_> = failed.difference(&poisoned).collect();
            let missing: Vec<_> = poisoned.difference(&failed).collect();
            let log = self.process.log();
            let words: Vec<_> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
            let log = tail(&words.join("\n"), 30);
            self.report
                .fail(format!("in failed/ without reason: {wrongly:?}; not there: {missing:?}; of the log\n{log}"));
        }
    }

    /// The invariant. Each line of `arrived` arrived so many times.
    pub fn compare(&mut self, expected: &HashMap<String, (&'static str, u64)>, arrived: &HashMap<String, u32>) {
        let mut samples = (Vec::new(), Vec::new());
        for (line, (fault, _)) in expected {
            let row = self.report.row(fault);
            row.expected += 1;
            match arrived.get(line) {
                Some(times) => {
                    row.arrived += 1;
                    row.duplicated += u64::from(*times) - 1;
                }
                None => {
                    row.lost += 1;
                    samples.0.push(line.clone());
                }
            }
        }
        let mut duplicated = 0;
        for (line, times) in arrived {
            if line.contains(OWN) {
                continue;
            }
            match expected.get(line) {
                Some(_) => duplicated += u64::from(*times) - 1,
                None => samples.1.push(line.clone()),
            }
        }
        let (lost, foreign) = samples;
        if !lost.is_empty() {
            let epochs: BTreeSet<_> = lost.iter().filter_map(|line| line.rsplit(' ').next()).collect();
            self.report.fail(format!(
                "{} points lost, of {} snapshots {:?}; {}",
                lost.len(),
                epochs.len(),
                epochs.iter().take(5).collect::<Vec<_>>(),
                lost[..lost.len().min(3)].join("; ")
            ));
        }
        if !foreign.is_empty() {
            self.report.fail(format!(
                "{} lines that no snapshot implies: {}",
                foreign.len(),
                foreign[..foreign.len().min(3)].join("; ")
            ));
        }
        let bound = self.allowance * (QUEUE_SIZE + 2 * self.largest);
        if duplicated > bound {
            self.report.fail(format!("{duplicated} duplicates, more than {bound}"));
        }
    }

    /// Every line that the published snapshots imply, with the fault it is put down to.
    pub fn expected(&mut self) -> HashMap<String, (&'static str, u64)> {
        let epochs: Vec<(u64, &'static str)> = self
            .published
            .iter()
            .filter(|(epoch, _)| !self.poisoned.contains(epoch))
            .map(|(epoch, fault)| (*epoch, *fault))
            .collect();
        let half = epochs.len().div_ceil(2).max(1);
        let (config, kept) = (&self.config, self.kept.path());
        let texts: Vec<Vec<Implied>> = std::thread::scope(|scope| {
            let threads: Vec<_> = epochs
                .chunks(half)
                .map(|part| {
                    let once = move |(epoch, fault): &(u64, &'static str)| (*epoch, *fault, once(config, kept, *epoch));
                    scope.spawn(move || part.iter().map(once).collect())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("--once")).collect()
        });
        let mut lines = HashMap::new();
        for (epoch, fault, text) in texts.into_iter().flatten() {
            match text {
                Ok(text) => {
                    let before = lines.len();
                    for line in text.lines().filter(|line| !line.contains(OWN)) {
                        lines.insert(line.to_owned(), (fault, epoch));
                    }
                    self.largest = self.largest.max((lines.len() - before) as u64);
                }
                Err(error) => self.report.fail(format!("--once {epoch}: {error}")),
            }
        }
        lines
    }
}

/// What a snapshot implies, by the program itself.
fn once(config: &Path, kept: &Path, epoch: u64) -> Result<String, String> {
    let mut command = with_config(process(), config);
    command.arg("--once").arg(kept.join(epoch.to_string())).env("POLARS_MAX_THREADS", "1");
    let output = output(&mut command).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

/// Processes that live and have this in their command line.
fn processes_with(text: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text) && lives(nix::unistd::Pid::from_raw(*pid))
    })
    .collect()
}
