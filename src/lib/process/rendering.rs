//! What a worker makes of one snapshot.

use super::message::{Failure, Figures};
use super::pieces::Taker;
use super::pipeline::{Pipeline, PipelineError, Report, SnapshotFigure};
use crate::config::Config;
use crate::dispatch::Batch;
use crate::render::line::Skipped;
use crate::snapshot::{Epoch, PULL_COUNTERS};
use crate::telemetry::pull;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

/// Longest `.pull` file that is read; a real one has some twenty lines.
const MAX_PULL_COUNTERS: u64 = 16 * 1024;

/// What a snapshot became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The last piece: often the only one.
    pub last: Batch,
    /// Lines of all pieces.
    pub lines: usize,
    /// Rows that were left out.
    pub refused_rows: u64,
    /// Files that were left out.
    pub refused_files: u64,
    /// Objects that were left out since a part of theirs could not be read.
    pub unknown_objects: u64,
    /// What was left out because less is to be sent.
    pub skipped: Skipped,
}

/// Renders a snapshot: its own lines, those about its processing, those that pull left in it, and those of the parent.
/// All pieces but the last go to `taker`. `buffer` is to be empty.
///
/// # Errors
/// When the snapshot cannot be processed; see [`kind`].
pub fn render(
    config: &Config,
    pipeline: &mut Pipeline,
    dir: &Path,
    epoch: Epoch,
    figures: Option<&Figures>,
    mut buffer: Vec<u8>,
    taker: &mut Taker<'_>,
) -> Result<Rendered, PipelineError> {
    let start = Instant::now();
    let out = &mut buffer;
    let report = pipeline.run_in_pieces(dir, epoch, out, Some(taker))?;
    let mut lines = report.lines;
    if config.process.self_metrics {
        for (name, value) in pull_counters(dir)? {
            lines += pipeline.own_metric(name, value, epoch, out);
        }
    }
    for (name, value) in figures.iter().flat_map(|figures| figures.values.iter()) {
        lines += pipeline.own_metric(name, *value, figures.map_or(epoch, |figures| figures.stamp), out);
    }
    let seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    lines += pipeline.own_metric(SnapshotFigure::TotalWallClockTime.definition().name, seconds, epoch, out);
    let messages = pipeline.messages(out);
    let last = Batch {
        epoch,
        piece: report.pieces,
        more: false,
        on_disk: true,
        text: buffer,
        lines: lines - report.handed_over,
        messages,
    };
    let Report { refused_rows, refused_files, unknown_objects, skipped, .. } = report;
    Ok(Rendered { last, lines, refused_rows, refused_files, unknown_objects, skipped })
}

/// Whose fault an error is. One of input or output is the system's, whichever it is: a disk, a mount, a server, or rights
/// that are about to be changed. What was read says nothing about that; what was not read says nothing at all.
#[must_use]
pub fn kind(error: &PipelineError) -> Failure {
    match error {
        PipelineError::Directory { .. } | PipelineError::File { .. } => Failure::System,
        PipelineError::Aggregate { .. } | PipelineError::Stopped(_) => Failure::Snapshot,
    }
}

/// The figures that pull has left in a snapshot: those of its table that can be read, others are left out.
fn pull_counters(dir: &Path) -> Result<Vec<(&'static str, f64)>, PipelineError> {
    let (path, mut text) = (dir.join(PULL_COUNTERS), String::new());
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

    #[test]
    fn every_error_of_input_and_output_is_the_systems() {
        for code in [libc::EMFILE, libc::ESTALE, libc::EACCES, libc::EIO, libc::ENODEV, libc::ENOTCONN, libc::EREMOTEIO]
        {
            let source = || io::Error::from_raw_os_error(code);
            assert_eq!(kind(&PipelineError::Directory { path: "x".into(), source: source() }), Failure::System);
            assert_eq!(kind(&PipelineError::File { path: "x".into(), source: source() }), Failure::System);
        }
        let source = polars::error::PolarsError::NoData("x".into());
        assert_eq!(kind(&PipelineError::Aggregate { kind: "server", source }), Failure::Snapshot);
    }
}
