//! The command line and the environment.

use std::time::Duration;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// All faults singly, fixed sequences and a fresh one: what `cargo test` does.
    Bounded,
    /// One sequence again.
    Replay(u64),
    /// The same as bounded, then sequences until there were so many faults and points, for at least this time.
    Soak { faults: u64, points: u64, time: Duration },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub mode: Mode,
    /// Scenes at the same time.
    pub threads: usize,
    /// Only scenes with one of these in their name, when there are any.
    pub only: Vec<String>,
}

/// Replays the sequence with this seed.
pub const SEED: &str = "HAPROXYSTATS_FAULTS_SEED";

impl Options {
    /// Whether a scene of this name is to be performed.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }

    /// `None` when there is nothing to do: tools that list tests ask every test program.
    pub fn read(
        arguments: impl Iterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self { mode: Mode::Bounded, threads: 4, only: Vec::new() };
        let (mut soak, mut faults, mut points, mut hours) = (false, 500, 5_000_000, 0.0);
        if let Some(seed) = variable(SEED) {
            options.mode = Mode::Replay(seed.parse().map_err(|_| format!("{SEED} is not a whole number"))?);
        }
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = |name: &str| arguments.next().ok_or(format!("{name} needs a value"));
            let wrong = |name: &str| format!("{name} needs a number");
            match argument.as_str() {
                "--list" => return Ok(None),
                "--soak" => soak = true,
                "--faults" => faults = value("--faults")?.parse().map_err(|_| wrong("--faults"))?,
                "--points" => points = value("--points")?.parse().map_err(|_| wrong("--points"))?,
                "--hours" => hours = value("--hours")?.parse().map_err(|_| wrong("--hours"))?,
                "--threads" => options.threads = value("--threads")?.parse().map_err(|_| wrong("--threads"))?,
                // Options of the standard harness that say how to print, which one gives to all test programs.
                name if name.starts_with('-') => {}
                name => options.only.push(name.to_owned()),
            }
        }
        if soak {
            options.mode = Mode::Soak { faults, points, time: Duration::from_secs_f64(hours * 3600.0) };
        }
        Ok(Some(options))
    }
}
