//! What the operating system says about processes.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// CPU time of this process so far, user and system.
pub(crate) fn own_cpu() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    Duration::from_micros((used.user_time() + used.system_time()).num_microseconds().try_into().unwrap())
}

/// CPU time of all threads of a process that live, to the nanosecond.
pub(crate) fn cpu(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// CPU time of a process and of all that it started, ended ones included, to a hundredth of a second.
pub(crate) fn family_cpu(pid: u32) -> Duration {
    let own = fs::read_to_string(format!("/proc/{pid}/stat")).map_or(0, |text| {
        // Behind the name, which may hold anything: utime, stime, cutime, cstime are fields 14 to 17.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        (11..15).filter_map(|field| fields.get(field)?.parse::<u64>().ok()).sum()
    });
    children(pid).into_iter().map(family_cpu).sum::<Duration>() + Duration::from_millis(own * 10)
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let texts = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

/// A figure of /proc/PID/status, in the unit that stands there.
pub(crate) fn status(pid: u32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Most memory that the process has had, in MiB.
pub(crate) fn peak(pid: u32) -> f64 {
    status(pid, "VmHWM") / 1024.0
}

/// Memory that it has now, in MiB.
pub(crate) fn resident(pid: u32) -> f64 {
    status(pid, "VmRSS") / 1024.0
}

/// Waits until `condition` holds; the benchmark ends when it does not within `limit`.
pub(crate) fn wait(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where a program lies, by PATH and the directories of daemons.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin"]);
    directories.map(|directory| Path::new(directory).join(program)).find(|path| path.is_file())
}

/// Several measurements of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread(pub(crate) Vec<f64>);

impl Spread {
    pub(crate) fn median(&self) -> f64 {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn bound(&self, which: fn(f64, f64) -> f64) -> f64 {
        self.0.iter().copied().fold(f64::NAN, which)
    }
}

/// The median, and in brackets the smallest and the largest.
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median() < 10.0 {
            2
        } else if self.median() < 100.0 {
            1
        } else {
            0
        };
        let (least, most) = (self.bound(f64::min), self.bound(f64::max));
        write!(f, "{:.digits$} ({least:.digits$}-{most:.digits$})", self.median())
    }
}
