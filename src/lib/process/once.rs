//! `--once DIR`: one snapshot to standard output, for debugging and for tests. Nothing is removed, no Graphite is needed.

use super::pipeline::Pipeline;
use crate::batch::{Output, Piece};
use crate::config::Config;
use crate::dispatch::bounds::Bounds;
use crate::exit;
use crate::render::pieces::{Outlet, Pieces};
use crate::snapshot::Epoch;
use std::io::{self, Write};
use std::path::Path;
use std::pin::pin;

/// Processes the snapshot in `dir`, whose name is the timestamp, and prints its lines. Returns the exit code: 0 even
/// where rows or files had to be left out, since those are logged; 66 when there is no such snapshot.
#[must_use]
pub(crate) fn run(config: &Config, hostname: &str, dir: &Path) -> u8 {
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
    let mut pipeline = Pipeline::plaintext(config, hostname);
    let outlet = Outlet::new(Bounds::get().piece);
    pipeline.begin(epoch, Vec::new());
    let report = {
        let rendering = pin!(pipeline.render(dir, &outlet));
        let mut pieces = Pieces::new(&outlet, rendering);
        while let Some(piece) = pieces.next_piece() {
            if let Err(error) = print(piece) {
                return code(Err(error));
            }
        }
        pieces.end()
    };
    match report {
        Ok(report) => {
            tracing::info!(
                lines = pipeline.lines(),
                refused_rows = report.refused_rows,
                refused_files = report.refused_files,
                unknown_objects = report.unknown_objects,
                counted_once = report.counted_once,
                "done"
            );
            code(print(pipeline.end().0))
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, source, "not everything was processed");
            exit::NO_INPUT
        }
    }
}

fn print(mut piece: Piece) -> io::Result<()> {
    let text = piece.take(Output::Plaintext).map(|batch| batch.text).unwrap_or_default();
    let mut stdout = io::stdout().lock();
    stdout.write_all(&text).and_then(|()| stdout.flush())
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
