//! The figures about its processing that go with every snapshot.

use crate::render::line::Lines;
use crate::render::record::{Object, ObjectKind};
use crate::telemetry::figures;
use crate::value::Value;
use std::time::Duration;

figures! {
    /// A figure that is sent with every snapshot, as by the original.
    pub enum SnapshotFigure {
        WallClockTimeHAProxy "seconds" Gauge
            "Time to process the statistics of the HAProxy daemon.";
        WallClockTimeFrontends "seconds" Gauge
            "Time to process the frontends.";
        WallClockTimeBackends "seconds" Gauge
            "Time to process the backends.";
        WallClockTimeServers "seconds" Gauge
            "Time to process the servers.";
        WallClockTimeAllStats "seconds" Gauge
            "Time to process all files of the snapshot.";
        TotalWallClockTime "seconds" Gauge
            "Time from taking up the snapshot until all its lines were ready to be sent. For the way to the \
             destination see DeliveryLatency.";
        MetricsHAProxy "metrics" Gauge
            "Metrics of the HAProxy daemon in this snapshot, this one included.";
        MetricsFrontend "metrics" Gauge
            "Metrics of frontends in this snapshot, this one included.";
        MetricsBackend "metrics" Gauge
            "Metrics of backends in this snapshot, this one included.";
        MetricsServer "metrics" Gauge
            "Metrics of servers in this snapshot, this one included.";
    }
}

impl SnapshotFigure {
    fn name(self) -> &'static [u8] {
        self.definition().name.as_bytes()
    }
}

/// Sends a count of metrics.
pub(super) fn own_count(prefix: &[u8], figure: SnapshotFigure, count: i64, lines: &mut Lines<'_>) {
    own(prefix, figure.name(), Value::Int(count), lines);
}

/// Sends a figure about the processing itself.
pub(super) fn own(prefix: &[u8], name: &[u8], value: Value, lines: &mut Lines<'_>) {
    lines.begin(|| Object::unnamed(ObjectKind::Own));
    lines.record(|recorder| recorder.field(name, value));
    lines.push(prefix, name, value);
}

/// Sends a time that the processing took.
pub(super) fn own_seconds(prefix: &[u8], figure: SnapshotFigure, time: Duration, lines: &mut Lines<'_>) {
    lines.begin(|| Object::unnamed(ObjectKind::Own));
    // With the three decimals of the line.
    lines
        .record(|recorder| recorder.field(figure.name(), Value::Float((time.as_secs_f64() * 1000.0).round() / 1000.0)));
    lines.push_seconds(prefix, figure.name(), time);
}
