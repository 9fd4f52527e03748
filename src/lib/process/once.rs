//! `--once DIR`: one snapshot to standard output, as it would be sent, for debugging and for tests; `--count` the number of
//! series instead. Nothing is removed, no Graphite is needed.

mod count;
mod printer;
mod source;

pub(super) use source::Source;

use super::pipeline::{Pipeline, Report};
use super::worker::pull_counters;
use crate::batch::Piece;
use crate::config::Config;
use crate::dispatch::bounds::Bounds;
use crate::exit;
use crate::render::pieces::{Outlet, Pieces};
use printer::Printer;
use std::io;
use std::path::Path;
use std::pin::pin;

/// Processes the snapshot in `dir`, whose name is the timestamp, and prints its lines. Returns the exit code: 0 even
/// where rows or files had to be left out, since those are logged; 66 when there is no such snapshot.
#[must_use]
pub(crate) fn run(config: &Config, hostname: &str, dir: &Path, count: bool) -> u8 {
    let source = match Source::open(dir, hostname) {
        Ok(source) => source,
        Err(code) => return code,
    };
    if count {
        return count::run(config, &source);
    }
    let printer = Printer::new(config);
    let mut pipeline = printer.pipeline(config, source.hostname());
    match render(config, &mut pipeline, &source, |piece| printer.print(piece)) {
        Ok(report) => {
            tracing::info!(
                lines = pipeline.lines(),
                refused_rows = report.refused_rows,
                refused_files = report.refused_files,
                unknown_objects = report.unknown_objects,
                unknown_lines = report.unknown_lines,
                counted_once = report.counted_once,
                "done"
            );
            code(printer.print(pipeline.end().0))
        }
        Err(code) => code,
    }
}

/// Renders a snapshot. All pieces but the last go to `piece`; what goes wrong is said, and is the exit code.
pub(super) fn render(
    config: &Config,
    pipeline: &mut Pipeline,
    source: &Source,
    mut piece: impl FnMut(Piece) -> io::Result<()>,
) -> Result<Report, u8> {
    let outlet = Outlet::new(Bounds::get().piece);
    let dir = source.dir();
    pipeline.again(source.is_archived());
    pipeline.begin(source.epoch(), Vec::new());
    let report = {
        let rendering = pin!(pipeline.render(dir, &outlet));
        let mut pieces = Pieces::new(&outlet, rendering);
        while let Some(next) = pieces.next_piece() {
            if let Err(error) = piece(next) {
                return Err(code(Err(error)));
            }
        }
        pieces.end()
    };
    let all = report.and_then(|report| {
        if config.process.self_metrics {
            for (name, value) in pull_counters(dir)? {
                pipeline.own_metric(name, value, source.epoch());
            }
        }
        Ok(report)
    });
    all.map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, source, "not everything could be processed");
        exit::NO_INPUT
    })
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
