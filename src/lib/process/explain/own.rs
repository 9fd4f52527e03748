//! Metrics about haproxystats itself: what they mean stands where they are counted.

use crate::config::Config;
use crate::dispatch::Counters;
use crate::process::parent::figures::Figure;
use crate::process::pipeline::SnapshotFigure;
use crate::telemetry::{Definition, pull};

/// What a metric means, and why it is not in the snapshot where it is not.
pub(super) fn explain(config: &Config, metric: &str) -> (Option<&'static Definition>, &'static str) {
    let of_snapshot = SnapshotFigure::ALL.iter().map(|figure| figure.definition()).find(|known| known.name == metric);
    if of_snapshot.is_some() {
        return (of_snapshot, "it is sent when a snapshot is processed for the first time");
    }
    let unasked = || !config.process.self_metrics;
    let why = |sent: &'static str| if unasked() { "[process] self-metrics = false" } else { sent };
    if let Some(known) = pull::TABLE.iter().find(|known| known.name == metric) {
        return (Some(known), why("haproxystats-pull did not record it in this snapshot"));
    }
    let of_daemon = Figure::ALL.iter().map(|figure| figure.definition()).find(|known| known.name == metric);
    if of_daemon.is_some() {
        return (of_daemon, why("the running daemon sends it; it is not part of a snapshot"));
    }
    let of_destination = Counters::definitions().find(|known| metric.ends_with(known.name));
    match of_destination {
        Some(known) => (Some(known), why("the running daemon sends it; it is not part of a snapshot")),
        None => (None, "haproxystats has no metric of this name; docs/metrics.md lists them"),
    }
}
