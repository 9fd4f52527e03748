//! The figures about its processing that go with every snapshot.

use crate::dispatch::Counters;
use crate::encode::object::{Object, ObjectKind};
use crate::encode::prefix::Prefixes;
use crate::encode::sink::Sink;
use crate::process::parent::figures::Figure;
use crate::telemetry::{Definition, figures, pull};
use crate::value::Value;
use std::collections::HashMap;
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
            "Time from starting on the snapshot until all its lines were ready to be sent. For the time to delivery, \
             see DeliveryLatency.";
        WallClockTimeFamilies "seconds" Gauge
            "Time to process families; absent without families.";
        MetricsHAProxy "metrics" Gauge
            "Metrics of the HAProxy daemon in this snapshot, this one included.";
        MetricsFrontend "metrics" Gauge
            "Metrics of frontends in this snapshot, this one included.";
        MetricsBackend "metrics" Gauge
            "Metrics of backends in this snapshot, this one included.";
        MetricsServer "metrics" Gauge
            "Metrics of servers in this snapshot, this one included.";
        MetricsFamilies "metrics" Gauge
            "Metrics of families in this snapshot, this one included; absent without families.";
        ClusterHosts "hosts" Gauge
            "Hosts that the roll-up of this cluster is made of; only with source = kafka, on the path of the cluster.";
        ClusterHostsMissing "hosts" Gauge
            "Hosts of this cluster that were seen in the seconds before, and are not in the roll-up; only with source = kafka.";
    }
}

impl SnapshotFigure {
    pub(super) fn name(self) -> &'static [u8] {
        self.definition().name.as_bytes()
    }
}

const OWN: Object<'static> = Object::unnamed(ObjectKind::Own);

/// A figure about the processing itself.
pub(super) fn own(prefixes: &Prefixes, figure: SnapshotFigure, value: Value, sink: &mut Sink) {
    let mut told = sink.object(OWN, prefixes);
    told.metric(figure.name(), value);
    told.figure(figure.definition(), None, value.as_f64());
}

/// A figure of this name, whichever program counts it.
pub(super) fn named(prefixes: &Prefixes, known: &mut Known, name: &str, value: f64, sink: &mut Sink) {
    let mut told = sink.object(OWN, prefixes);
    told.metric(name.as_bytes(), Value::Float(value));
    if told.has_encoders()
        && let Some((definition, destination)) = known.find(name)
    {
        told.figure(definition, destination.as_deref(), value);
    }
}

/// The definitions of figures, by the names under which they come.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<String, Option<(&'static Definition, Option<String>)>>);

impl Known {
    fn find(&mut self, name: &str) -> Option<&(&'static Definition, Option<String>)> {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), find(name));
        }
        self.0.get(name)?.as_ref()
    }
}

fn find(name: &str) -> Option<(&'static Definition, Option<String>)> {
    let of_daemon = Figure::ALL.iter().map(|figure| figure.definition());
    let of_snapshot = SnapshotFigure::ALL.iter().map(|figure| figure.definition());
    let one = of_daemon.chain(of_snapshot).chain(pull::TABLE).find(|definition| definition.name == name);
    one.map(|definition| (definition, None))
        .or_else(|| Counters::find(name).map(|(definition, destination)| (definition, Some(destination))))
}

/// A time that the processing took.
pub(super) fn own_seconds(prefixes: &Prefixes, figure: SnapshotFigure, time: Duration, sink: &mut Sink) {
    let mut told = sink.object(OWN, prefixes);
    told.seconds(figure.name(), time);
    told.figure(figure.definition(), None, time.as_secs_f64());
}
