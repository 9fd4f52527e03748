//! The figures about itself that haproxystats-pull leaves in a snapshot.

use crate::process::pipeline::PipelineError;
use crate::snapshot::PULL_COUNTERS;
use crate::snapshot::members::marked;
use crate::telemetry::pull;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest `.pull` file that is read; a real one has some twenty lines.
const MAX_PULL_COUNTERS: u64 = 16 * 1024;

/// The figures that pull has left in a snapshot: those of its table that can be read, others are left out.
pub(in crate::process) fn pull_counters(dir: &Path) -> Result<Vec<(&'static str, f64)>, PipelineError> {
    figures(dir.join(PULL_COUNTERS))
}

/// The same of a host whose files have this mark.
pub(in crate::process) fn pull_counters_of(dir: &Path, mark: &str) -> Result<Vec<(&'static str, f64)>, PipelineError> {
    figures(dir.join(marked(mark, PULL_COUNTERS)))
}

fn figures(path: PathBuf) -> Result<Vec<(&'static str, f64)>, PipelineError> {
    let mut text = String::new();
    match open(&path).and_then(|file| file.take(MAX_PULL_COUNTERS).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(source) if !is_none_of_pulls(&source) => return Err(PipelineError::File { path, source }),
        Err(_) => return Ok(Vec::new()),
    }
    let figures = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let known = pull::TABLE.iter().find(|definition| definition.name == name)?;
        let value: f64 = value.parse().ok()?;
        value.is_finite().then_some((known.name, value))
    });
    Ok(figures.collect())
}

/// No such file, a link or a pipe in its place, not UTF-8: a snapshot of another program, or damaged; neither is worth a
/// word. Any other error is the system's.
fn is_none_of_pulls(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        || matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO | libc::EISDIR))
}

/// Opens a regular file: no link is followed, no pipe waited for.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn pulls_figures_are_those_of_its_table_that_are_numbers() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(pull_counters(dir.path()).unwrap(), vec![]);
        let text = "PullTicks 17\nQueueDepth 99\nPullNonsense 1\nPullSockets nan\nPullDuration 0.25\nPullBytes 1 2\nx";
        fs::write(dir.path().join(".pull"), text).unwrap();
        assert_eq!(pull_counters(dir.path()).unwrap(), vec![("PullTicks", 17.0), ("PullDuration", 0.25)]);
    }

    #[test]
    fn what_only_looks_like_pulls_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".pull");
        fs::write(dir.path().join("elsewhere"), "PullTicks 17\n").unwrap();
        symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert_eq!(pull_counters(dir.path()).unwrap(), vec![]);
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert_eq!(pull_counters(dir.path()).unwrap(), vec![]);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(pull_counters(dir.path()).unwrap(), vec![]);
    }
}
