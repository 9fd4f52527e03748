//! The figures about its processing that go with every snapshot.

use crate::encode::object::{Object, ObjectKind};
use crate::encode::prefix::Prefixes;
use crate::encode::sink::Sink;
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
    pub(super) fn name(self) -> &'static [u8] {
        self.definition().name.as_bytes()
    }
}

const OWN: Object<'static> = Object::unnamed(ObjectKind::Own);

/// A figure about the processing itself.
pub(super) fn own(prefixes: &Prefixes, name: &[u8], value: Value, sink: &mut Sink) {
    sink.object(OWN, prefixes).metric(name, value);
}

/// A time that the processing took.
pub(super) fn own_seconds(prefixes: &Prefixes, figure: SnapshotFigure, time: Duration, sink: &mut Sink) {
    sink.object(OWN, prefixes).seconds(figure.name(), time);
}
