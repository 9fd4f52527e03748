//! HAProxy that runs on this host: its command line, and the environment in which it was started.

use super::files::Found;
use std::fs;
use std::path::{Path, PathBuf};

/// A HAProxy, or its master.
#[derive(Debug, Default)]
pub(super) struct Running {
    words: Vec<String>,
    /// The directory in which it was started.
    place: PathBuf,
    /// Only root and its own user may read it; empty for others.
    environment: Vec<(String, String)>,
}

impl Running {
    /// What follows its `-f`, as it is found from here.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let files = Found::default().command_line(&words);
        files.into_iter().map(|file| self.place.join(file)).collect()
    }

    /// Whether one of these files or directories is among its own.
    pub(super) fn reads(&self, paths: &[PathBuf]) -> bool {
        let is_same = |one: &Path, other: &Path| {
            fs::canonicalize(one).ok().zip(fs::canonicalize(other).ok()).is_some_and(|(one, other)| one == other)
        };
        self.files().iter().any(|file| paths.iter().any(|path| is_same(file, path)))
    }
}

impl Found {
    /// Takes the command line and the environment of a process; returns its files.
    pub(super) fn process(&mut self, process: &Running) -> Vec<PathBuf> {
        self.command_line(&process.words.iter().map(String::as_str).collect::<Vec<_>>());
        self.environment.values.extend(process.environment.iter().cloned());
        process.files()
    }
}

/// What `proc` has of HAProxy, the oldest process first; workers are left out.
pub(super) fn running(proc: &Path) -> Vec<Running> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let mut found: Vec<(u32, u32, Running)> = entries.filter_map(|entry| process(&entry.ok()?.path())).collect();
    found.sort_by_key(|(pid, ..)| *pid);
    let pids: Vec<u32> = found.iter().map(|(pid, ..)| *pid).collect();
    found.into_iter().filter(|(_, parent, _)| !pids.contains(parent)).map(|(.., process)| process).collect()
}

/// A HAProxy, its process ID and that of its parent.
fn process(path: &Path) -> Option<(u32, u32, Running)> {
    let pid = path.file_name()?.to_str()?.parse().ok()?;
    fs::read_to_string(path.join("comm")).ok().filter(|name| name.trim() == "haproxy")?;
    let status = fs::read_to_string(path.join("status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())?;
    let environment = strings(&path.join("environ")).unwrap_or_default();
    let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let running = Running {
        words: strings(&path.join("cmdline"))?,
        place: fs::read_link(path.join("cwd")).unwrap_or_default(),
        environment: environment.iter().filter_map(pair).collect(),
    };
    Some((pid, parent, running))
}

/// The strings of a file in which each ends with a zero byte.
fn strings(path: &Path) -> Option<Vec<String>> {
    let bytes = fs::read(path).ok()?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    Some(bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_and_single_processes_are_found_and_workers_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("a.cfg"), "").unwrap();
        for (pid, parent, name, line) in [
            (30, 1, "haproxy", "haproxy\0-f\0b.cfg\0"),
            (10, 1, "haproxy", "haproxy\0-W\0-S\0/run/m\0-f\0a.cfg\0"),
            (11, 10, "haproxy", "haproxy\0-W\0-S\0/run/m\0-f\0a.cfg\0"),
            (12, 1, "nginx", "nginx\0"),
        ] {
            let process = path.join(pid.to_string());
            fs::create_dir(&process).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            fs::write(process.join("status"), format!("Name:\t{name}\nPPid:\t{parent}\n")).unwrap();
            fs::write(process.join("cmdline"), line).unwrap();
            fs::write(process.join("environ"), "A=b=c\0none\0").unwrap();
            std::os::unix::fs::symlink(path, process.join("cwd")).unwrap();
        }
        let found = running(path);
        let files: Vec<Vec<PathBuf>> = found.iter().map(Running::files).collect();
        assert_eq!(files, [vec![path.join("a.cfg")], vec![path.join("b.cfg")]]);
        let reads = |name: &str| found.iter().map(|process| process.reads(&[path.join(name)])).collect::<Vec<_>>();
        assert_eq!((reads("./a.cfg"), reads("b.cfg")), (vec![true, false], vec![false, false]));
        let mut of = Found::default();
        assert_eq!(of.process(found.first().unwrap()), [path.join("a.cfg")]);
        assert_eq!(of.master.map(|master| master.address).as_deref(), Some("/run/m"));
        assert_eq!(of.environment.values.get("A").map(String::as_str), Some("b=c"));
    }
}
