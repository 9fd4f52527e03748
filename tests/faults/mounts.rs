//! File systems and directories for tests. None is left behind: a run that is interrupted removes its own, and one that
//! could not (it was killed) is cleaned up after by the next.

use crate::harness::{children, lives, output};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// The directory of a run is called so, with its process id behind it. Everything that the run makes is in there.
const PREFIX: &str = "haproxystats-faults-";

/// Time for a write to end.
const BUSY: Duration = Duration::from_secs(10);

/// From now on temporary directories are made in one of this run. To be called once, before there are any.
pub fn begin() {
    clean(|run| !lives(Pid::from_raw(run)));
    let directory = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    tempfile::env::override_temp_dir(&directory).expect("nobody has asked for a temporary directory before");
    clean_up_on_signals();
}

/// Removes everything that this run has made.
pub fn end() {
    let this = Pid::this().as_raw();
    clean(|run| run == this);
}

/// File systems to unmount at the end.
#[derive(Default)]
pub struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// Mounts a tmpfs with these options.
    pub fn tmpfs(&mut self, options: &str, directory: &Path) -> Result<(), String> {
        self.mount(&["-t", "tmpfs", "-o", options, "haproxystats-faults"], directory)
    }

    /// Runs mount(8) with these arguments; the last is the directory. What is being written to at the moment is busy, and
    /// cannot be made read-only: then again, for some seconds.
    pub fn mount(&mut self, arguments: &[&str], directory: &Path) -> Result<(), String> {
        let end = Instant::now() + BUSY;
        loop {
            let mount = &mut Command::new("mount");
            let output = output(mount.args(arguments).arg(directory)).map_err(|error| error.to_string())?;
            if output.status.success() {
                break;
            }
            let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if !error.contains("busy") || Instant::now() > end {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if !self.0.iter().any(|path| path == directory) {
            self.0.push(directory.to_owned());
        }
        Ok(())
    }

    pub fn unmount(&mut self, directory: &Path) {
        unmount(directory);
        if let Some(at) = self.0.iter().rposition(|path| path == directory) {
            self.0.remove(at);
        }
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        while let Some(directory) = self.0.pop() {
            unmount(&directory);
        }
    }
}

/// Whether file systems can be mounted here; else the reason.
pub fn can_mount() -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    Mounts::default().tmpfs("size=64k", directory.path())
}

fn unmount(directory: &Path) {
    let _ = output(Command::new("umount").arg("-l").arg(directory));
}

/// Unmounts what is mounted in the directories of the runs that `which` picks by their process ids, the innermost first,
/// and removes these directories.
fn clean(which: impl Fn(i32) -> bool) {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted: Vec<&Path> = table.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new).collect();
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let run = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|run| run.parse().ok());
        if run.is_some_and(&which) {
            mounted.iter().rev().filter(|at| at.starts_with(entry.path())).for_each(|at| unmount(at));
            if let Err(error) = std::fs::remove_dir_all(entry.path()) {
                eprintln!("{}: {error}", entry.path().display());
            }
        }
    }
}

/// SIGINT and SIGTERM end this run with everything that it has started and made.
fn clean_up_on_signals() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        (signal(SignalKind::interrupt()).expect("a handler"), signal(SignalKind::terminate()).expect("a handler"))
    });
    std::thread::spawn(move || {
        let code = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        });
        for child in children(Pid::this()) {
            let _ = kill(child, Signal::SIGKILL);
        }
        end();
        eprintln!("interrupted; what was started and made is gone");
        std::process::exit(code);
    });
}
