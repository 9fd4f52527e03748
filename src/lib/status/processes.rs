//! The processes of a program, by their command lines.
//!
//! The kernel's own name of a process ends after 15 characters, which all of ours begin with alike; the command line is
//! whole. A worker has its parent's command line and `--worker` at the end. What runs in another PID namespace (a
//! container) has a configuration of its own and does not count.

use crate::cli;
use crate::config::Program;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The argument that makes a worker, as the parent of the workers writes it.
const WORKER: &str = "--worker";

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scan {
    /// Those that run with the configuration in question, the oldest first.
    pub instances: Vec<Instance>,
    /// Configuration files of the others.
    pub others: Vec<PathBuf>,
    /// /proc hides the processes of other users (`hidepid`): that nothing was found means nothing.
    pub hidden: bool,
}

/// One daemon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Instance {
    /// The process itself; the parent where there are workers.
    pub process: Process,
    /// Its workers that live.
    pub workers: Vec<Process>,
}

/// One process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Process {
    pub pid: u32,
    /// Since its start.
    pub age: Duration,
    /// Resident memory, bytes.
    pub resident: u64,
    /// It is stopped (SIGSTOP, a debugger).
    pub stopped: bool,
}

impl Instance {
    /// Resident memory of all its processes, bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.workers.iter().map(|worker| worker.resident).sum::<u64>() + self.process.resident
    }
}

/// Looks for `program` with the configuration `file` below `proc` (which is /proc).
///
/// # Errors
/// `proc` cannot be read.
pub(crate) fn scan(proc: &Path, program: Program, file: &Path) -> io::Result<Scan> {
    let uptime = uptime(proc);
    let namespaces = status_field(proc, "self", "NSpid:").map_or(1, |ids| ids.split_whitespace().count());
    let (mut parents, mut workers) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(proc)? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ends meanwhile is simply not there.
        let Some(words) = command_line(proc, pid) else { continue };
        let Some(found) = classify(program, words) else { continue };
        let name = pid.to_string();
        let depth = status_field(proc, &name, "NSpid:").map_or(1, |ids| ids.split_whitespace().count());
        if depth != namespaces {
            continue;
        }
        let Some((process, parent)) = process(proc, pid, uptime) else { continue };
        match found {
            Found::Daemon(config) => parents.push((process, config)),
            Found::Worker => workers.push((process, parent)),
        }
    }
    let mut scan = Scan { hidden: is_hidden(proc), ..Scan::default() };
    for (process, config) in parents {
        if same_file(&config, file) {
            let own = workers.iter().filter(|(_, parent)| *parent == process.pid).map(|(worker, _)| worker.clone());
            scan.instances.push(Instance { workers: own.collect(), process });
        } else {
            scan.others.push(config);
        }
    }
    scan.instances.sort_by_key(|instance| std::cmp::Reverse(instance.process.age));
    scan.others.sort();
    Ok(scan)
}

enum Found {
    Daemon(PathBuf),
    Worker,
}

fn classify(program: Program, mut words: Vec<OsString>) -> Option<Found> {
    let name = words.first().map(Path::new).and_then(Path::file_name)?;
    if name != program.name() {
        return None;
    }
    if words.len() > 2 && words.get(words.len() - 2).is_some_and(|word| word == WORKER) {
        return Some(Found::Worker);
    }
    cli::daemon_configuration(program, words.drain(1..)).map(Found::Daemon)
}

fn command_line(proc: &Path, pid: u32) -> Option<Vec<OsString>> {
    let bytes = fs::read(proc.join(pid.to_string()).join("cmdline")).ok()?;
    let bytes = bytes.strip_suffix(b"\0")?;
    Some(bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect())
}

/// The process and its parent; `None` for one that has ended.
fn process(proc: &Path, pid: u32, uptime: Option<Duration>) -> Option<(Process, u32)> {
    let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
    // The name in parentheses may hold anything. After it: state, parent, and as the 20th the time of the start.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let state = fields.first()?;
    if matches!(*state, "Z" | "X") {
        return None;
    }
    let started = fields.get(19)?.parse::<u64>().ok()?;
    let age = uptime.unwrap_or_default().saturating_sub(Duration::from_millis(started * 1000 / ticks_per_second()));
    let resident = status_field(proc, &pid.to_string(), "VmRSS:")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024);
    let stopped = matches!(*state, "T" | "t");
    Some((Process { pid, age, resident, stopped }, fields.get(1)?.parse().ok()?))
}

/// Time since the start of the machine.
fn uptime(proc: &Path) -> Option<Duration> {
    let text = fs::read_to_string(proc.join("uptime")).ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
}

fn status_field(proc: &Path, pid: &str, name: &str) -> Option<String> {
    let status = fs::read_to_string(proc.join(pid).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

/// Whether processes of other users are hidden from this one.
fn is_hidden(proc: &Path) -> bool {
    if nix::unistd::geteuid().is_root() {
        return false;
    }
    let mounts = fs::read_to_string(proc.join("self/mountinfo")).unwrap_or_default();
    mounts.lines().filter(|line| line.split(' ').nth(4) == Some("/proc")).any(|line| {
        let options = line.rsplit(' ').next().unwrap_or_default();
        options
            .split(',')
            .any(|option| option.strip_prefix("hidepid=").is_some_and(|value| !matches!(value, "0" | "off")))
    })
}

/// A daemon may have been given another spelling of the path.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A /proc with these processes: id, parent, state, ids in the namespaces, command line.
    fn proc(processes: &[(u32, u32, char, &str, &str)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        fs::write(proc.path().join("uptime"), "1000.00 0.00\n").unwrap();
        fs::create_dir(proc.path().join("self")).unwrap();
        fs::write(proc.path().join("self/status"), "NSpid:\t4242\n").unwrap();
        for (pid, parent, state, ids, line) in processes {
            let directory = proc.path().join(pid.to_string());
            fs::create_dir(&directory).unwrap();
            let words: String = line.split(' ').map(|word| format!("{word}\0")).collect();
            fs::write(directory.join("cmdline"), words).unwrap();
            let started = 900 * ticks_per_second();
            let zeros = "0 ".repeat(17);
            fs::write(directory.join("stat"), format!("{pid} (hap) x) {state} {parent} {zeros}{started} 0")).unwrap();
            fs::write(directory.join("status"), format!("NSpid:\t{ids}\nVmRSS:\t    2048 kB\n")).unwrap();
        }
        proc
    }

    fn find(proc: &tempfile::TempDir, program: Program) -> Scan {
        scan(proc.path(), program, Path::new("/etc/haproxystats.conf")).unwrap()
    }

    #[test]
    fn a_parent_and_its_workers_by_their_whole_names() {
        let proc = proc(&[
            (10, 1, 'S', "10", "/usr/bin/haproxystats-process -f /etc/haproxystats.conf"),
            (11, 10, 'S', "11", "/usr/bin/haproxystats-process -f /etc/haproxystats.conf --worker 7"),
            (12, 10, 'T', "12", "/usr/bin/haproxystats-process -f /etc/haproxystats.conf --worker 7"),
            (13, 10, 'Z', "13", "/usr/bin/haproxystats-process -f /etc/haproxystats.conf --worker 7"),
            (14, 99, 'S', "14", "haproxystats-process --worker 7"),
            (20, 1, 'S', "20", "/usr/bin/haproxystats-pull"),
            (21, 1, 'S', "21", "vi haproxystats-process"),
        ]);
        let found = find(&proc, Program::Process);
        assert_eq!((found.instances.len(), found.others.len()), (1, 0));
        let instance = found.instances.first().unwrap();
        assert_eq!(instance.workers.iter().map(|worker| worker.pid).collect::<Vec<_>>().len(), 2);
        assert_eq!(instance.process.age, Duration::from_secs(100));
        assert_eq!(instance.resident(), 3 * 2048 * 1024);
        assert!(instance.workers.iter().any(|worker| worker.stopped));
        assert_eq!(find(&proc, Program::Pull).instances.len(), 1, "the default file");
        assert_eq!(find(&proc, Program::Agent), Scan::default());
    }

    #[test]
    fn what_is_no_daemon_of_this_configuration() {
        let proc = proc(&[
            (10, 1, 'S', "10", "haproxystats-pull -f /etc/other.conf"),
            (11, 1, 'S', "11 5", "haproxystats-pull -f /etc/haproxystats.conf"),
            (12, 1, 'S', "12", "haproxystats-pull --check"),
            (13, 1, 'S', "13", "haproxystats-pull --status"),
            (14, 1, 'S', "14", "haproxystats-pull --nagios pull"),
            (15, 1, 'Z', "15", "haproxystats-pull"),
        ]);
        let found = find(&proc, Program::Pull);
        assert_eq!(found.instances, []);
        assert_eq!(found.others, [PathBuf::from("/etc/other.conf")]);
    }
}
