//! A worker's way from a snapshot to its lines, whatever happens on it: what fails, or panics, costs that snapshot only.

use super::message::{Failure, Figures};
use super::panics;
use super::pieces::Taker;
use super::pipeline::{Pipeline, PipelineError};
use super::rendering::{Rendered, kind, render};
use super::trap::Trap;
use super::unchanged::Unchanged;
use crate::config::Config;
use crate::dispatch::Batch;
use crate::logging::Chain;
use crate::snapshot::Epoch;
use std::io;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What became of a snapshot.
pub(super) enum Outcome {
    Rendered(Rendered),
    Gone,
    Failed { failure: Failure, reason: String },
}

/// What a snapshot can be compared with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Follows {
    /// The newest that any worker was given before it.
    Any(Option<Epoch>),
    /// Nothing: whoever gets it, once more, may not have had the one before.
    Nothing,
}

/// Makes lines of snapshots.
pub(super) struct Renderer<'a> {
    config: &'a Config,
    hostname: String,
    pipeline: Pipeline,
    /// Where values that stay the same are not always sent.
    unchanged: Option<Unchanged>,
    trap: Trap,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(config: &'a Config, hostname: String) -> Self {
        let every = NonZeroU64::try_from(config.process.send_unchanged_every).ok().filter(|every| every.get() > 1);
        Self {
            config,
            pipeline: Pipeline::new(config, &hostname),
            unchanged: every.map(Unchanged::new),
            hostname,
            trap: Trap::from_environment(),
        }
    }

    /// The next snapshot is rendered in full.
    pub(super) fn forget(&mut self) {
        if let Some(unchanged) = &mut self.unchanged {
            unchanged.forget();
        }
    }

    pub(super) fn render(
        &mut self,
        epoch: Epoch,
        figures: Option<&Figures>,
        follows: Follows,
        buffer: Vec<u8>,
        taker: &mut Taker<'_>,
    ) -> Outcome {
        let Follows::Any(before) = follows else { return self.render_all(epoch, figures, buffer, taker) };
        let Some(mut unchanged) = self.unchanged.take() else {
            return self.render_all(epoch, figures, buffer, taker);
        };
        let own = self.pipeline.own().as_bytes().to_vec();
        let mut left_out = 0;
        let mut leave_out = |unchanged: &mut Unchanged, piece: &mut Batch| {
            let lines = unchanged.filter(&own, &mut piece.text);
            piece.lines -= lines;
            left_out += lines;
        };
        unchanged.begin(epoch, before);
        let mut outcome = self.render_all(epoch, figures, buffer, &mut |mut piece| {
            leave_out(&mut unchanged, &mut piece);
            taker(piece)
        });
        if let Outcome::Rendered(Rendered { last, lines, skipped, .. }) = &mut outcome {
            leave_out(&mut unchanged, last);
            unchanged.end();
            *lines -= left_out;
            skipped.unchanged = u64::try_from(left_out).unwrap_or(u64::MAX);
        }
        self.unchanged = Some(unchanged);
        outcome
    }

    fn render_all(
        &mut self,
        epoch: Epoch,
        figures: Option<&Figures>,
        buffer: Vec<u8>,
        taker: &mut Taker<'_>,
    ) -> Outcome {
        self.trap.spring(epoch);
        let dir = self.config.process.src_dir.join(epoch.to_string());
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.trap.panic(epoch);
            render(self.config, &mut self.pipeline, &dir, epoch, figures, buffer, taker)
        }));
        match result {
            Ok(Ok(rendered)) => Outcome::Rendered(rendered),
            Ok(Err(PipelineError::Directory { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
                Outcome::Gone
            }
            Ok(Err(error)) => Outcome::Failed { failure: kind(&error), reason: Chain(&error).to_string() },
            Err(panic) => {
                panics::seen();
                // Whatever it was in the middle of, its state is not to be trusted.
                self.pipeline = Pipeline::new(self.config, &self.hostname);
                Outcome::Failed { failure: Failure::Panic, reason: format!("panic: {}", panics::words(&*panic)) }
            }
        }
    }
}
