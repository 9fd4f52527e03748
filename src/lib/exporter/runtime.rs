//! What the kernel says about this process, under the names that every client library of Prometheus gives them.

use super::page::Page;
use crate::telemetry::{Kind, as_f64};
use nix::unistd::{SysconfVar, sysconf};
use std::path::Path;

/// Adds the families that could be read.
pub(super) fn append(page: &mut Page) {
    let figures = [
        ("process_cpu_seconds_total", Kind::Counter, "User and system CPU time spent in seconds.", 0),
        ("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes.", 1),
        ("process_start_time_seconds", Kind::Gauge, "Start of the process since the epoch in seconds.", 2),
        ("process_open_fds", Kind::Gauge, "Number of open file descriptors.", 3),
    ];
    let values = read(Path::new("/proc"));
    for (name, kind, about, index) in figures {
        if let Some(value) = values.get(index).copied().flatten() {
            page.family(name, kind, about).sample(&[], value);
        }
    }
}

fn read(proc: &Path) -> [Option<f64>; 4] {
    let limit = |variable| sysconf(variable).ok().flatten().and_then(|value| u32::try_from(value).ok()).map(f64::from);
    let stat = std::fs::read_to_string(proc.join("self/stat")).unwrap_or_default();
    let system = std::fs::read_to_string(proc.join("stat")).unwrap_or_default();
    let booted: Option<f64> =
        system.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|seconds| seconds.trim().parse().ok());
    let (ticks, page) = (limit(SysconfVar::CLK_TCK), limit(SysconfVar::PAGE_SIZE));
    let [cpu, started, pages] = fields(&stat);
    let files = std::fs::read_dir(proc.join("self/fd")).ok().map(|files| files.count());
    [
        cpu.zip(ticks).map(|(cpu, ticks)| cpu / ticks),
        pages.zip(page).map(|(pages, size)| pages * size),
        started.zip(ticks).zip(booted).map(|((started, ticks), booted)| booted + started / ticks),
        // Reading the directory takes one more.
        files.map(|files| as_f64(u64::try_from(files.saturating_sub(1)).unwrap_or(u64::MAX))),
    ]
}

/// CPU time and start in ticks, and resident pages, of `/proc/PID/stat`. The name of the program, which may hold
/// anything, ends with the last bracket.
fn fields(stat: &str) -> [Option<f64>; 3] {
    let words: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    // Field 3 of proc(5) is the first of these words.
    let field = |number: usize| words.get(number - 3).and_then(|word| word.parse::<f64>().ok());
    [field(14).zip(field(15)).map(|(user, system)| user + system), field(22), field(24)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4 1 0 0 0 30 12 0 0 20 0 1 0 5000 9000 250 1 1";
        assert_eq!(fields(stat), [Some(42.0), Some(5000.0), Some(250.0)]);
        assert_eq!(fields("nothing"), [None; 3]);
    }

    #[test]
    fn this_process_is_known() {
        let [cpu, memory, started, files] = read(Path::new("/proc")).map(Option::unwrap);
        assert!(cpu >= 0.0 && memory > 1e6 && started > 1e9 && files >= 3.0, "{cpu} {memory} {started} {files}");
    }
}
