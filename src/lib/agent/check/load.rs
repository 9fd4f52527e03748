//! The host's own load: runnable tasks per CPU, pressure, memory, swap. Each takes its part off the weight.

use super::interface::{Check, Checking, weight};
use crate::agent::finding::{Failure, Finding, because};
use crate::config::agent::{self, Overload};
use crate::haproxy::answer::Answer;
use std::cell::Cell;
use std::time::Instant;

/// The factors of CPU, pressure, memory and swap, and when they are too much.
pub(super) struct Load {
    factors: [f64; 4],
    overload: Option<Overload>,
    condition: Cell<Condition>,
}

/// Whether the host is overloaded, and since when the contrary holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Condition {
    overloaded: bool,
    contrary: Option<Instant>,
}

impl Condition {
    /// What it is after `reduction` was measured.
    fn step(self, overload: &Overload, reduction: f64, now: Instant) -> Self {
        let (crossed, delay) = match self.overloaded {
            false => (reduction >= overload.enter, overload.enter_delay),
            true => (reduction <= overload.leave && reduction < overload.enter, overload.leave_delay),
        };
        if !crossed {
            return Self { contrary: None, ..self };
        }
        let since = self.contrary.unwrap_or(now);
        if now.saturating_duration_since(since) >= delay {
            Self { overloaded: !self.overloaded, contrary: None }
        } else {
            Self { contrary: Some(since), ..self }
        }
    }
}

/// What was measured, each from 0 (idle) to 1 (full).
type Measures = [(&'static str, f64); 4];

impl Load {
    pub(super) fn new(config: agent::Load) -> Self {
        Self { factors: config.factors, overload: config.overload, condition: Cell::default() }
    }

    fn find(&self) -> Result<Finding, String> {
        let measures = self.measure()?;
        let reduction = measures.iter().zip(self.factors).map(|((_, measure), factor)| measure * factor).sum();
        let words = measures.iter().zip(self.factors).filter(|(_, factor)| *factor > 0.0);
        let words = words.map(|((name, measure), _)| format!("{name} {measure:.2}")).collect::<Vec<_>>().join(" ");
        if let Some(overload) = &self.overload {
            self.condition.set(self.condition.get().step(overload, reduction, Instant::now()));
            if self.condition.get().overloaded
                && let Some(answer) = because(&overload.response, format!("overloaded: {words}"))
            {
                return Ok(Finding::Answer(answer));
            }
        }
        Ok(Finding::Answer(Answer { weight: weight(reduction), reason: words, ..Answer::up() }))
    }

    fn measure(&self) -> Result<Measures, String> {
        let read = |path: &str, wanted: bool| match std::fs::read_to_string(path) {
            Ok(text) => Ok(text),
            // What does not count need not exist: kernels may have no PSI.
            Err(_) if !wanted => Ok(String::new()),
            Err(error) => Err(format!("{path}: {error}")),
        };
        let [cpu, pressure, memory, swap] = self.factors.map(|factor| factor > 0.0);
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let loadavg = read("/proc/loadavg", cpu)?;
        let psi = read("/proc/pressure/cpu", pressure)?;
        let meminfo = read("/proc/meminfo", memory || swap)?;
        let known = |wanted: bool, what: &str, measure: Option<f64>| match measure {
            Some(measure) => Ok(measure.clamp(0.0, 1.0)),
            None if !wanted => Ok(0.0),
            None => Err(format!("{what} cannot be read")),
        };
        Ok([
            ("cpu", known(cpu, "load", per_cpu(&loadavg, cpus))?),
            ("pressure", known(pressure, "pressure", waiting(&psi))?),
            ("memory", known(memory, "memory", used(&meminfo, "MemTotal", "MemAvailable"))?),
            ("swap", known(swap, "swap", used(&meminfo, "SwapTotal", "SwapFree"))?),
        ])
    }
}

/// Load of the last minute for each CPU.
fn per_cpu(loadavg: &str, cpus: usize) -> Option<f64> {
    let load: f64 = loadavg.split_whitespace().next()?.parse().ok()?;
    let cpus = u32::try_from(cpus).ok()?;
    Some(load / f64::from(cpus.max(1)))
}

/// Part of the last 10 seconds in which some task waited for a CPU.
fn waiting(psi: &str) -> Option<f64> {
    let line = psi.lines().find(|line| line.starts_with("some "))?;
    let percent: f64 = line.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()?;
    Some(percent / 100.0)
}

/// Part of `total` that is not `free`; a host without it (swap) uses none.
fn used(meminfo: &str, total: &str, free: &str) -> Option<f64> {
    let value = |name: &str| -> Option<f64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (total, free) = (value(total)?, value(free)?);
    Some(if total > 0.0 { 1.0 - free / total } else { 0.0 })
}

impl Check for Load {
    fn name(&self) -> &'static str {
        "load"
    }

    fn check(&self) -> Checking<'_> {
        let found = self.find();
        Box::pin(std::future::ready(found.unwrap_or_else(|reason| Finding::Failure(Failure::Error, reason))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_kernel() {
        assert_eq!(per_cpu("3.20 2.00 1.00 2/300 99\n", 4), Some(0.8));
        assert_eq!(per_cpu("", 4), None);
        let psi = "some avg10=25.00 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(waiting(psi), Some(0.25));
        let meminfo = "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:   250 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        assert_eq!(used(meminfo, "MemTotal", "MemAvailable"), Some(0.75));
        assert_eq!(used(meminfo, "SwapTotal", "SwapFree"), Some(0.0));
        assert_eq!(used(meminfo, "SwapTotal", "Nothing"), None);
    }

    #[test]
    fn overload_has_thresholds_and_delays_of_its_own() {
        let seconds = std::time::Duration::from_secs;
        let overload =
            Overload { enter: 0.8, enter_delay: seconds(5), leave: 0.5, leave_delay: seconds(10), response: None };
        let start = Instant::now();
        let mut condition = Condition::default();
        let mut at = |reduction, second| {
            condition = condition.step(&overload, reduction, start + seconds(second));
            condition.overloaded
        };
        assert!(!at(0.9, 0) && !at(0.9, 4));
        // Interrupted: the delay starts over.
        assert!(!at(0.7, 5) && !at(0.9, 6) && !at(0.9, 10) && at(0.9, 11));
        // Between the thresholds nothing changes.
        assert!(at(0.6, 12) && at(0.5, 13) && at(0.6, 20) && at(0.4, 21) && at(0.4, 30) && !at(0.4, 31));
        let mut one = Condition::default();
        let same = Overload { leave: 0.8, enter_delay: seconds(0), leave_delay: seconds(0), ..overload };
        one = one.step(&same, 0.8, start);
        assert!(one.overloaded && one.step(&same, 0.8, start).overloaded && !one.step(&same, 0.7, start).overloaded);
    }

    #[test]
    fn an_overloaded_host_answers_what_is_configured() {
        let overload = |response| Overload {
            enter: 0.0,
            enter_delay: std::time::Duration::ZERO,
            leave: 0.0,
            leave_delay: std::time::Duration::ZERO,
            response,
        };
        let found = |response| {
            let load = Load::new(agent::Load { factors: [0.0; 4], overload: Some(overload(response)) });
            match load.find() {
                Ok(Finding::Answer(answer)) => (answer.weight, answer.reason),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(found(Some(Answer { weight: 1, ..Answer::up() })), (1, "overloaded: ".to_owned()));
        assert_eq!(found(None), (100, String::new()));
    }

    #[test]
    fn this_host_has_a_load() {
        let config = agent::Load { factors: [1.0, 0.0, 1.0, 1.0], overload: None };
        let measures = Load::new(config).measure().unwrap();
        assert!(measures.iter().all(|(_, measure)| (0.0..=1.0).contains(measure)), "{measures:?}");
        assert!(measures[2].1 > 0.0);
    }
}
