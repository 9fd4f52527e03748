//! The host's own load: runnable tasks per CPU, pressure, memory, swap. Each takes its part off the weight.

use super::{Check, Checking, Failure, Finding, weight};
use crate::haproxy::answer::Answer;

/// The factors of CPU, pressure, memory and swap.
pub(super) struct Load {
    factors: [f64; 4],
}

/// What was measured, each from 0 (idle) to 1 (full).
type Measures = [(&'static str, f64); 4];

impl Load {
    pub(super) fn new(factors: [f64; 4]) -> Self {
        Self { factors }
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
        let found = match self.measure() {
            Ok(measures) => {
                let reduction = measures.iter().zip(self.factors).map(|((_, measure), factor)| measure * factor).sum();
                let words = measures.iter().zip(self.factors).filter(|(_, factor)| *factor > 0.0);
                let words = words.map(|((name, measure), _)| format!("{name} {measure:.2}")).collect::<Vec<_>>();
                Finding::Answer(Answer { weight: weight(reduction), reason: words.join(" "), ..Answer::up() })
            }
            Err(reason) => Finding::Failure(Failure::Error, reason),
        };
        Box::pin(std::future::ready(found))
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
    fn this_host_has_a_load() {
        let measures = Load::new([1.0, 0.0, 1.0, 1.0]).measure().unwrap();
        assert!(measures.iter().all(|(_, measure)| (0.0..=1.0).contains(measure)), "{measures:?}");
        assert!(measures[2].1 > 0.0);
    }
}
