//! `--once DIR`: one snapshot to standard output, for debugging and for tests. Nothing is removed, no Graphite is needed.

use super::pieces::Stopped;
use super::pipeline::Pipeline;
use crate::config::Config;
use crate::exit;
use crate::snapshot::Epoch;
use std::io::{self, Write};
use std::path::Path;

/// Processes the snapshot in `dir`, whose name is the timestamp, and prints its lines. Returns the exit code: 0 even
/// where rows or files had to be left out, since those are logged; 66 when there is no such snapshot.
#[must_use]
pub fn run(config: &Config, hostname: &str, dir: &Path) -> u8 {
    let epoch = std::fs::canonicalize(dir)
        .map(|path| path.file_name().and_then(|name| name.to_str()).and_then(Epoch::from_name));
    let epoch = match epoch {
        Ok(Some(epoch)) => epoch,
        Ok(None) => {
            tracing::error!(snapshot = %dir.display(), "the name of the directory must be seconds since the epoch");
            return exit::NO_INPUT;
        }
        Err(error) => {
            tracing::error!(snapshot = %dir.display(), %error, "no such snapshot");
            return exit::NO_INPUT;
        }
    };
    let mut text = Vec::new();
    let mut printed = Ok(());
    let report = Pipeline::new(config, hostname).run_in_pieces(
        dir,
        epoch,
        &mut text,
        Some(&mut |piece| {
            printed = print(&piece.text);
            if printed.is_ok() { Ok(Vec::new()) } else { Err(Stopped) }
        }),
    );
    match (report, printed) {
        (Ok(report), _) => {
            tracing::info!(
                lines = report.lines,
                refused_rows = report.refused_rows,
                refused_files = report.refused_files,
                unknown_objects = report.unknown_objects,
                counted_once = report.counted_once,
                "done"
            );
            code(print(&text))
        }
        (Err(_), Err(error)) => code(Err(error)),
        (Err(error), Ok(())) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, source, "not everything was processed");
            exit::NO_INPUT
        }
    }
}

fn print(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush())
}

fn code(printed: io::Result<()>) -> u8 {
    match printed {
        Ok(()) => exit::OK,
        // The reader has seen enough: `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            tracing::error!(%error, "cannot write to standard output");
            exit::FAILURE
        }
    }
}
