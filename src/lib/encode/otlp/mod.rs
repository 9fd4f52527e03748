//! OTLP metrics: requests in which the points of a metric stand together, and the metrics of a host.
//!
//! The message is `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`; field numbers stand where bytes are
//! written. tests/process/otlp.rs reads it with the structs of the crate opentelemetry-proto.

use super::catalogue::Catalogue;
use super::encoder::Encoder;
use super::families::{Families, Family};
use super::object::{Host, Object};
use super::requests::Requests;
use crate::batch::{Batch, Output};
use crate::config::Naming;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::{Metric, Scale};
use crate::prometheus::wire::{Fields, Wire, begin_bytes, bytes, bytes_len, fixed64, number};
use crate::snapshot::Epoch;
use crate::telemetry::{Definition, Kind, as_f64};
use crate::value::Value;
use std::num::NonZeroUsize;

/// Fields of `NumberDataPoint`.
const START: u8 = 2;
const TIME: u8 = 3;
const AS_DOUBLE: u8 = 4;
const ATTRIBUTES: u8 = 7;
const FLAGS: u8 = 8;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`
const NO_VALUE: u64 = 1;
/// Fields of `Metric`.
const GAUGE: u8 = 5;
const SUM: u8 = 7;
const HISTOGRAM: u8 = 9;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`, and for sums that they only grow.
const CUMULATIVE: &[u8] = &[2 << 3, 2];
const MONOTONIC: &[u8] = &[2 << 3, 2, 3 << 3, 1];
/// Fields of `HistogramDataPoint`; START and TIME are the same.
const COUNT: u8 = 4;
const BUCKET_SUM: u8 = 5;
const BUCKET_COUNTS: u8 = 6;
const BOUNDS: u8 = 7;
const HISTOGRAM_ATTRIBUTES: u8 = 9;
const HISTOGRAM_FLAGS: u8 = 10;
/// Nanoseconds of a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// The encoder.
#[derive(Debug)]
pub struct Otlp {
    catalogue: Catalogue<Known>,
    families: Families,
    /// What each of them is.
    data: Vec<Data>,
    /// Attributes that every resource has.
    fixed: Vec<(String, String)>,
    host: Host,
    /// The attributes of the present object, as they are written.
    attributes: Vec<u8>,
    /// The time of points, as it is written.
    time: Vec<u8>,
    /// When counters began to count, the same.
    start: Vec<u8>,
    /// Points of this resource, and their bytes.
    points: usize,
    bytes: usize,
    max_samples: usize,
    ended: bool,
    requests: Requests,
}

/// What the points of a metric are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Data {
    #[default]
    Gauge,
    Sum,
    Histogram,
}

impl Data {
    /// The field that holds the points, and what stands behind them.
    fn around(self) -> (u8, &'static [u8]) {
        match self {
            Self::Gauge => (GAUGE, &[]),
            Self::Sum => (SUM, MONOTONIC),
            Self::Histogram => (HISTOGRAM, CUMULATIVE),
        }
    }
}

/// Notes what a metric is.
fn note(data: &mut Vec<Data>, known: &Known) {
    if data.len() <= known.family {
        data.resize(known.family + 1, Data::default());
    }
    if let Some(data) = data.get_mut(known.family) {
        *data = known.data;
    }
}

/// A metric, as it is written.
#[derive(Debug)]
struct Known {
    family: usize,
    /// The attribute beside those of the object.
    attribute: Box<[u8]>,
    data: Data,
    /// Whether it is known since when it counts.
    counts: bool,
    scale: Scale,
}

impl Known {
    fn new(metric: &Metric, families: &mut Families) -> Self {
        let family = families.of(&metric.name, || {
            let mut head = Vec::new();
            bytes(1, metric.name.as_bytes(), &mut head);
            bytes(2, metric.about.as_bytes(), &mut head);
            // No unit: receivers would make it a part of the name.
            Family::new(head)
        });
        let mut attribute = Vec::new();
        if let Some((name, value)) = &metric.label {
            pair(ATTRIBUTES, name, value, &mut attribute);
        }
        let (data, counts) = match metric.kind {
            Kind::Counter => (Data::Sum, true),
            Kind::Gauge => (Data::Gauge, false),
        };
        Self { family, attribute: attribute.into_boxed_slice(), data, counts, scale: metric.scale }
    }
}

/// Appends an attribute: a key and a text.
fn pair(field: u8, key: &str, value: &str, out: &mut Vec<u8>) {
    let text = bytes_len(value.len());
    begin_bytes(field, bytes_len(key.len()) + bytes_len(text), out);
    bytes(1, key.as_bytes(), out);
    begin_bytes(2, text, out);
    bytes(1, value.as_bytes(), out);
}

impl Otlp {
    /// Named like this, in requests of at most so many points.
    #[must_use]
    pub fn new(naming: &Naming, max_samples: NonZeroUsize) -> Self {
        Self {
            catalogue: Catalogue::new(naming.style),
            families: Families::default(),
            data: Vec::new(),
            fixed: naming.labels.clone(),
            host: Host::default(),
            attributes: Vec::new(),
            time: Vec::new(),
            start: Vec::new(),
            points: 0,
            bytes: 0,
            max_samples: max_samples.get(),
            ended: false,
            requests: Requests::new(max_samples),
        }
    }

    /// Appends the points of this host so far to the request.
    fn end_resource(&mut self) {
        if self.points == 0 {
            return;
        }
        let (scope, resource) = (scope(), self.resource());
        let Self { families, data, requests, .. } = self;
        let around = |place: usize| data.get(place).copied().unwrap_or_default().around();
        let points = |family: &Family, tail: &[u8]| family.content.len() + tail.len();
        let metric = |family: &Family, tail: &[u8]| family.head.len() + bytes_len(points(family, tail));
        let metrics = families.filled().map(|(place, family)| bytes_len(metric(family, around(place).1)));
        let length = scope.len() + metrics.sum::<usize>();
        let body = requests.body();
        begin_bytes(1, bytes_len(resource.len()) + bytes_len(length), body);
        bytes(1, &resource, body);
        begin_bytes(2, length, body);
        body.extend_from_slice(&scope);
        for (place, family) in families.filled() {
            let (field, tail) = around(place);
            begin_bytes(2, metric(family, tail), body);
            body.extend_from_slice(&family.head);
            begin_bytes(field, points(family, tail), body);
            body.extend_from_slice(&family.content);
            body.extend_from_slice(tail);
            family.content.clear();
        }
        self.requests.count(self.points);
        (self.points, self.bytes) = (0, 0);
    }

    /// The host as a resource. What the operator says of it comes first.
    fn resource(&self) -> Vec<u8> {
        let (name, cluster) = (self.host.name.as_str(), self.host.cluster.as_deref().unwrap_or_default());
        let known = [
            ("service.name", "haproxy"),
            // Receivers of Prometheus' kind make this the label `instance`; others keep attributes as they are.
            ("service.instance.id", name),
            ("host.name", name),
            ("instance", name),
            ("cluster", cluster),
        ];
        let mut out = Vec::new();
        for (key, value) in &self.fixed {
            pair(1, key, value, &mut out);
        }
        for (key, value) in known {
            if !value.is_empty() && !self.fixed.iter().any(|(fixed, _)| fixed == key) {
                pair(1, key, value, &mut out);
            }
        }
        out
    }

    fn point(
        &mut self,
        find: impl for<'a> FnOnce(&'a mut Catalogue<Known>, &mut Families) -> Option<&'a Known>,
        value: f64,
    ) {
        let Some(known) = find(&mut self.catalogue, &mut self.families) else { return };
        let value = known.scale.of(value);
        let Some(family) = self.families.get(known.family) else { return };
        note(&mut self.data, known);
        if !value.is_finite() {
            return;
        }
        let start = if known.counts { self.start.as_slice() } else { b"" };
        let told = if self.ended { 2 } else { 9 };
        let length = start.len() + self.time.len() + told + self.attributes.len() + known.attribute.len();
        let out = &mut family.content;
        begin_bytes(1, length, out);
        out.extend_from_slice(start);
        out.extend_from_slice(&self.time);
        if !self.ended {
            fixed64(AS_DOUBLE, value.to_bits(), out);
        }
        out.extend_from_slice(&self.attributes);
        out.extend_from_slice(&known.attribute);
        if self.ended {
            number(FLAGS, NO_VALUE, out);
        }
        self.count(bytes_len(length));
    }

    /// One more point, of so many bytes.
    fn count(&mut self, bytes: usize) {
        self.points += 1;
        self.bytes += bytes;
        if self.requests.samples() + self.points >= self.max_samples {
            self.end_resource();
        }
    }
}

/// Appends what a histogram says: OTLP has in each bucket what is in no other.
fn buckets(histogram: &Histogram, scale: Scale, out: &mut Vec<u8>) {
    fixed64(COUNT, histogram.count(), out);
    fixed64(BUCKET_SUM, scale.of(as_f64(histogram.sum())).to_bits(), out);
    let mut before = 0;
    let cumulative = histogram.counts().iter().copied().chain([histogram.count()]);
    let counts: Vec<u8> = cumulative
        .flat_map(|count| {
            let own = count.saturating_sub(before);
            before = count;
            own.to_le_bytes()
        })
        .collect();
    bytes(BUCKET_COUNTS, &counts, out);
    let bounds = histogram.bounds().iter().flat_map(|bound| scale.of(f64::from(*bound)).to_le_bytes());
    bytes(BOUNDS, &bounds.collect::<Vec<u8>>(), out);
}

/// The scope, which says who tells.
fn scope() -> Vec<u8> {
    let mut scope = Vec::new();
    bytes(1, b"haproxystats", &mut scope);
    bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
    let mut out = Vec::new();
    bytes(1, &scope, &mut out);
    out
}

impl Encoder for Otlp {
    fn begin(&mut self) {
        self.requests.clear();
        self.families.clear();
        (self.points, self.bytes, self.ended) = (0, 0, false);
        self.start.clear();
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        if self.host != *host {
            self.end_resource();
            self.host.clone_from(host);
        }
        self.time.clear();
        fixed64(TIME, stamp.0.saturating_mul(NANOSECONDS), &mut self.time);
        self.requests.stamp(stamp);
        let (proxy, name) = self.catalogue.object(object.kind, host.name.is_empty());
        self.attributes.clear();
        for (key, value) in [(proxy, object.proxy), (name, object.name)] {
            if !key.is_empty() && !value.is_empty() {
                pair(ATTRIBUTES, key, value, &mut self.attributes);
            }
        }
    }

    fn field(&mut self, name: &[u8], value: Value) {
        self.point(|catalogue, families| catalogue.field(name, |metric| Known::new(metric, families)), value.as_f64());
    }

    fn states(&mut self, field: &str, states: &[(&'static str, i64)]) {
        for (state, value) in states {
            self.point(
                |catalogue, families| catalogue.state(field, state, |metric| Known::new(metric, families)),
                Value::Int(*value).as_f64(),
            );
        }
    }

    fn histogram(&mut self, name: &[u8], histogram: &Histogram, since: Epoch) {
        let timer = String::from_utf8_lossy(name);
        let Self { catalogue, families, .. } = self;
        let found = catalogue.histogram(&timer, "", None, |metric| {
            let seconds = if metric.name.ends_with("_seconds") { Scale::Thousandths } else { Scale::Same };
            Known { data: Data::Histogram, scale: seconds, ..Known::new(metric, families) }
        });
        let Some(known) = found else { return };
        note(&mut self.data, known);
        let mut point = Vec::new();
        fixed64(START, since.0.saturating_mul(NANOSECONDS), &mut point);
        point.extend_from_slice(&self.time);
        // They stand in another field than those of a number.
        for field in Fields::new(&self.attributes).flatten() {
            if let (_, Wire::Bytes(pair)) = field {
                bytes(HISTOGRAM_ATTRIBUTES, pair, &mut point);
            }
        }
        if self.ended {
            number(HISTOGRAM_FLAGS, NO_VALUE, &mut point);
        } else {
            buckets(histogram, known.scale, &mut point);
        }
        let Some(family) = self.families.get(known.family) else { return };
        bytes(1, &point, &mut family.content);
        self.count(bytes_len(point.len()));
    }

    fn figure(&mut self, figure: &'static Definition, destination: Option<&str>, value: f64) {
        self.point(
            |catalogue, families| {
                catalogue.figure(figure, destination, |metric| {
                    // Since when it counts, its program knows.
                    Known { counts: false, ..Known::new(metric, families) }
                })
            },
            value,
        );
    }

    fn since(&mut self, start: Option<Epoch>) {
        self.start.clear();
        if let Some(start) = start {
            fixed64(START, start.0.saturating_mul(NANOSECONDS), &mut self.start);
        }
    }

    fn ended(&mut self, ended: bool) {
        self.ended = ended;
    }

    fn tells_ended(&self) -> bool {
        true
    }

    fn takes_clusters(&self) -> bool {
        true
    }

    fn takes_lines(&self) -> bool {
        false
    }

    fn divides_anywhere(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        self.requests.size() + self.bytes
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        self.end_resource();
        vec![(Output::Otlp, self.requests.take(batch))]
    }
}

#[cfg(test)]
mod tests;
