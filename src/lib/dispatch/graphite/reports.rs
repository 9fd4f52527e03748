//! Reports, of which a server may miss some: for programs that send nothing else.

use super::dispatcher::{Graphite, start, sum};
use super::error::TlsError;
use super::name::NAME;
use crate::batch::Piece;
use crate::config;
use crate::dispatch::{Counters, Dispatcher, Notices};
use std::sync::Arc;
use tokio::time::Instant;

/// The dispatchers of [`start`] as one: each that has room gets a report.
#[derive(Debug)]
pub struct Reports(Vec<Graphite>);

impl Reports {
    /// See [`start`].
    ///
    /// # Errors
    /// See [`super::check`].
    pub fn start(graphite: &config::Graphite, notices: &Notices) -> Result<Self, TlsError> {
        start(graphite, notices).map(Self)
    }

    /// What they are called together.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// Sends a report to all that have room.
    pub fn submit(&self, report: &Piece) {
        for graphite in self.0.iter().filter(|graphite| graphite.has_room()) {
            if let Some(batch) = report.of(graphite.output()) {
                graphite.submit(Arc::clone(batch));
            }
        }
    }

    /// Whether any of them has room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.iter().any(Dispatcher::has_room)
    }

    /// Sums over all.
    #[must_use]
    pub fn counters(&self) -> Counters {
        sum(self.0.iter().map(Dispatcher::counters))
    }

    /// Delivers what is on its way, until then.
    pub async fn drain(&self, deadline: Instant) {
        for graphite in &self.0 {
            graphite.drain(deadline).await;
        }
    }
}
