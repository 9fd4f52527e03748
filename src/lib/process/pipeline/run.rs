//! What every part of processing a snapshot needs, and what it reports about itself.

use super::bounds::Bounds;
use super::exclude::Excluded;
use super::families::Unknowns;
use super::own::{self, SnapshotFigure};
use super::stranger;
use crate::aggregate::latency::Latencies;
use crate::encode::prefix::Prefixes;
use crate::encode::sink::Sink;
use crate::haproxy::columns::Kind;
use crate::haproxy::family::Families;
use crate::haproxy::per_kind::PerKind;
use crate::plan::{DaemonPlan, KindPlan};
use crate::render::pieces::Outlet;
use crate::snapshot::Epoch;
use crate::value::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a snapshot could not be processed at all. A bad row or a bad file is not among the reasons: those are counted
/// in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The directory cannot be listed.
    #[error("cannot read directory {}", path.display())]
    Directory {
        /// The snapshot.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be opened or read. What the rest of the snapshot says would be sent as if it were all, and the
    /// snapshot removed; so it is kept instead.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// polars refused columns that were made for it.
    #[error("cannot aggregate {kind}s")]
    Aggregate {
        /// Which.
        kind: &'static str,
        /// Why.
        source: polars::error::PolarsError,
    },
}

/// What a run found, beside its metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows that were left out because they could not be read.
    pub refused_rows: u64,
    /// Files that were left out because nothing in them could be read.
    pub refused_files: u64,
    /// Frontends, backends and servers that were left out, though some processes tell of them: the part of another process
    /// could not be read.
    pub unknown_objects: u64,
    /// Sockets that were left out because another one leads to the same process.
    pub counted_once: u64,
    /// Lines and columns of replies about families that were not understood.
    pub unknown_lines: u64,
}

/// How many metrics there were, and how long they took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) metrics: i64,
    pub(super) time: Duration,
}

/// What is said about the processing of all hosts together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) daemon: Share,
    /// By kind of object.
    pub(super) kinds: PerKind<Share>,
    pub(super) families: Share,
    /// Whether no host follows.
    pub(super) last: bool,
}

/// What every part of a run needs.
pub(super) struct Run<'a> {
    pub(super) dir: &'a Path,
    pub(super) plans: &'a PerKind<KindPlan>,
    pub(super) daemon: &'a DaemonPlan,
    /// What metrics about haproxystats itself are called.
    pub(super) own: &'a Prefixes,
    /// Frontends and backends that are left out.
    pub(super) excluded: (&'a mut Excluded, &'a mut Excluded),
    /// Families that come with `show stat` and `show info`, as far as they are switched on.
    pub(super) families: Families,
    pub(super) state_series: bool,
    pub(super) told: &'a mut Unknowns,
    /// The second of the snapshot.
    pub(super) epoch: Epoch,
    pub(super) bounds: Bounds,
    /// Whether times that the processing takes are sent.
    pub(super) times: bool,
    pub(super) sink: &'a mut Sink,
    pub(super) outlet: &'a Outlet,
    /// Response times that were counted on the present host, and whether each bucket is sent.
    pub(super) latencies: Latencies,
    pub(super) buckets: bool,
    pub(super) report: Report,
    pub(super) tally: Tally,
}

impl Run<'_> {
    /// How many metrics of a kind of object there were, and how long they took, once no host follows.
    pub(super) fn say(&mut self, kind: Kind) {
        let (metrics, time) = match kind {
            Kind::Frontend => (SnapshotFigure::MetricsFrontend, SnapshotFigure::WallClockTimeFrontends),
            Kind::Backend => (SnapshotFigure::MetricsBackend, SnapshotFigure::WallClockTimeBackends),
            Kind::Server => (SnapshotFigure::MetricsServer, SnapshotFigure::WallClockTimeServers),
        };
        if self.tally.last {
            let share = self.tally.kinds[kind];
            // The count of metrics counts itself.
            self.own_count(metrics, share.metrics + 1);
            self.own_seconds(time, share.time);
        }
    }

    pub(super) fn own_count(&mut self, figure: SnapshotFigure, count: i64) {
        own::own(self.own, figure, Value::Int(count), self.sink);
    }

    pub(super) fn own_seconds(&mut self, figure: SnapshotFigure, time: Duration) {
        if self.times {
            own::own_seconds(self.own, figure, time, self.sink);
        }
    }

    /// Counts and reports a file of which nothing could be used. Returns whether figures of a process are missing without
    /// it.
    pub(super) fn refuse_file(&mut self, file: &str, suffix: &str, error: &dyn std::error::Error) -> bool {
        self.report.refused_files += 1;
        let path = self.dir.join(file);
        match error.source() {
            Some(source) => tracing::error!(file = %path.display(), %error, %source, "file left out"),
            None => tracing::error!(file = %path.display(), %error, "file left out"),
        }
        !stranger::is_stranger(self.dir, file.strip_suffix(suffix).unwrap_or(file))
    }
}
