//! A worker's way from a snapshot to what the destinations get of it, whatever happens on it: what fails, or panics, costs
//! that snapshot only.

use super::panics;
use super::pull_counters::{pull_counters, pull_counters_of};
use super::trap::Trap;
use crate::batch::Piece;
use crate::config::Config;
use crate::encode::sink::Skipped;
use crate::logging::Chain;
use crate::process::pipeline::{Pipeline, PipelineError, Report, SnapshotFigure};
use crate::process::wire::message::{Failure, Figures};
use crate::render::pieces::Outlet;
use crate::snapshot::Epoch;
use crate::snapshot::origin::Origin;
use std::io;
use std::path::Path;
use std::time::Instant;

/// What became of a snapshot.
pub(super) enum Outcome {
    Rendered(Rendered),
    Gone,
    Failed { failure: Failure, reason: String },
}

/// What a snapshot became.
pub(super) struct Rendered {
    /// The last piece: often the only one.
    pub(super) last: Piece,
    /// Lines of all pieces.
    pub(super) lines: usize,
    /// What of it was left out, since it could not be read.
    pub(super) report: Report,
    /// What was left out because less is to be sent.
    pub(super) skipped: Skipped,
}

/// What a snapshot can be compared with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Follows {
    /// The newest that any worker was given before it.
    Any(Option<Epoch>),
    /// Nothing: a destination that gets it once more may not have had the one before.
    Nothing,
}

/// Renders snapshots.
pub(super) struct Renderer<'a> {
    config: &'a Config,
    hostname: String,
    pipeline: Pipeline,
    /// The host whose snapshots the pipeline renders.
    host: String,
    trap: Trap,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(config: &'a Config, hostname: String) -> Self {
        let (pipeline, host) = (Pipeline::new(config, &hostname), hostname.clone());
        Self { config, pipeline, host, hostname, trap: Trap::from_environment() }
    }

    /// The next snapshot is rendered in full.
    pub(super) fn forget(&mut self) {
        self.pipeline.forget();
    }

    /// Renders a snapshot: all pieces but the last go to `outlet`. `buffer` is to be empty.
    pub(super) async fn render(
        &mut self,
        epoch: Epoch,
        figures: Option<&Figures>,
        follows: Follows,
        buffer: Vec<u8>,
        outlet: &Outlet,
    ) -> Outcome {
        self.trap.spring(epoch);
        let dir = self.config.process.src_dir.join(epoch.to_string());
        let origin = match Origin::read(&dir) {
            Ok(origin) => origin,
            Err(error) => return Outcome::Failed { failure: Failure::System, reason: error.to_string() },
        };
        // What was archived keeps its name, and the figures of this daemon are not those of that host.
        let figures = figures.filter(|_| origin.is_none());
        self.of(origin);
        let (trap, pipeline, config) = (&mut self.trap, &mut self.pipeline, self.config);
        let rendered = panics::caught(async {
            trap.panic(epoch);
            pipeline.begin(epoch, buffer);
            if let Follows::Any(before) = follows {
                pipeline.compare(before);
            }
            render(config, pipeline, &dir, epoch, figures, outlet).await
        });
        match rendered.await {
            Ok(Ok(rendered)) => Outcome::Rendered(rendered),
            Ok(Err(PipelineError::Directory { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
                Outcome::Gone
            }
            Ok(Err(error)) => Outcome::Failed { failure: kind(&error), reason: Chain(&error).to_string() },
            Err(panic) => {
                panics::seen();
                // Whatever it was in the middle of, its state is not to be trusted.
                self.pipeline = Pipeline::new(self.config, &self.host);
                Outcome::Failed { failure: Failure::Panic, reason: format!("panic: {}", panics::words(&*panic)) }
            }
        }
    }
}

impl Renderer<'_> {
    /// Renders what comes from there; `None` is here and now.
    fn of(&mut self, origin: Option<Origin>) {
        let again = origin.is_some();
        let host = origin.map_or_else(|| self.hostname.clone(), |origin| origin.host);
        if host != self.host {
            self.pipeline = Pipeline::new(self.config, &host);
            self.host = host;
        }
        self.pipeline.again(again);
    }
}

/// The snapshot's own metrics, those about its processing, those that pull left in it, and those of the parent.
async fn render(
    config: &Config,
    pipeline: &mut Pipeline,
    dir: &Path,
    epoch: Epoch,
    figures: Option<&Figures>,
    outlet: &Outlet,
) -> Result<Rendered, PipelineError> {
    let start = Instant::now();
    let report = pipeline.render(dir, outlet).await?;
    if config.process.self_metrics {
        for (name, value) in pull_counters(dir)? {
            pipeline.own_metric(name, value, epoch);
        }
        for (mark, member) in pipeline.members() {
            for (name, value) in pull_counters_of(dir, &mark)? {
                pipeline.metric_of(&member, name, value);
            }
        }
    }
    for (name, value) in figures.iter().flat_map(|figures| figures.values.iter()) {
        pipeline.own_metric(name, *value, figures.map_or(epoch, |figures| figures.stamp));
    }
    pipeline.own_time(SnapshotFigure::TotalWallClockTime, start.elapsed(), epoch);
    let lines = pipeline.lines();
    let (last, skipped) = pipeline.end();
    Ok(Rendered { last, lines, report, skipped })
}

/// Whose fault an error is. One of input or output is the system's, whichever it is: a disk, a mount, a server, or rights
/// that are about to be changed. What was read says nothing about that; what was not read says nothing at all.
fn kind(error: &PipelineError) -> Failure {
    match error {
        PipelineError::Directory { .. } | PipelineError::File { .. } => Failure::System,
        PipelineError::Aggregate { .. } => Failure::Snapshot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
