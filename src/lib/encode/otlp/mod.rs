//! OTLP metrics: requests that group points by metric, and metrics by host.
//!
//! The message is `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`; field numbers appear where bytes are
//! written. In tests/process/remote/peers.rs, VictoriaMetrics and Rotel, a collector, read the requests.

use super::catalogue::Catalogue;
use super::families::{Families, Family};
use super::object::{Host, Object};
use super::requests::Requests;
use super::series::{Format, Series};
use crate::batch::{Batch, Output};
use crate::config::Naming;
use crate::latency::histogram::Histogram;
use crate::prometheus::compression::Compression;
use crate::prometheus::names::{Metric, Scale};
use crate::prometheus::request::Protocol;
use crate::prometheus::wire::{Fields, Wire, begin_bytes, bytes, bytes_len, fixed64, number};
use crate::snapshot::Epoch;
use crate::telemetry::{Kind, as_f64};
use crate::value::Value;
use std::num::NonZeroUsize;

/// Fields of `NumberDataPoint`.
const START: u8 = 2;
const TIME: u8 = 3;
const AS_DOUBLE: u8 = 4;
const ATTRIBUTES: u8 = 7;
const FLAGS: u8 = 8;
/// Bytes of a value, including its key.
const VALUE: usize = 9;
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`
const NO_VALUE: u64 = 1;
/// Fields of `Metric`.
const GAUGE: u8 = 5;
const SUM: u8 = 7;
const HISTOGRAM: u8 = 9;
/// What follows the points of sums and of histograms: `AGGREGATION_TEMPORALITY_CUMULATIVE`, and for sums that they are monotonic.
const MONOTONIC: &[u8] = &[2 << 3, 2, 3 << 3, 1];
const CUMULATIVE: &[u8] = &[2 << 3, 2];
/// Fields of `HistogramDataPoint`; START and TIME are the same.
const COUNT: u8 = 4;
const BUCKET_SUM: u8 = 5;
const BUCKET_COUNTS: u8 = 6;
const BOUNDS: u8 = 7;
const HISTOGRAM_ATTRIBUTES: u8 = 9;
const HISTOGRAM_FLAGS: u8 = 10;
/// Nanoseconds per second.
const NANOSECONDS: u64 = 1_000_000_000;

/// The format.
#[derive(Debug)]
pub(super) struct Otlp {
    families: Families,
    /// Attributes of every resource.
    fixed: Vec<(String, String)>,
    host: Host,
    /// The attributes of the present object, encoded.
    attributes: Vec<u8>,
    /// The time of points, encoded.
    time: Vec<u8>,
    /// When counters started to count, followed by the time of points, both encoded.
    since: Vec<u8>,
    start: Option<Epoch>,
    /// Everything in front of the value of a point whose metric has no label: for gauges, and for counters.
    heads: [Vec<u8>; 2],
    /// Number of points of the present resource, and their bytes.
    points: usize,
    bytes: usize,
    ended: bool,
    compression: Compression,
    requests: Requests,
}

/// A metric, encoded.
#[derive(Debug)]
pub(super) struct Known {
    family: usize,
    /// The attribute in addition to those of the object.
    attribute: Box<[u8]>,
    /// Whether its start time is known.
    counts: bool,
    scale: Scale,
}

/// Appends an attribute: a key and a string.
fn pair(field: u8, key: &str, value: &str, out: &mut Vec<u8>) {
    let text = bytes_len(value.len());
    begin_bytes(field, bytes_len(key.len()) + bytes_len(text), out);
    bytes(1, key.as_bytes(), out);
    begin_bytes(2, text, out);
    bytes(1, value.as_bytes(), out);
}

impl Otlp {
    /// The encoder, for this naming of metrics, with at most `max_samples` points in each request.
    pub(super) fn encoder(naming: &Naming, max_samples: NonZeroUsize, compress: bool) -> Series<Self> {
        let format = Self {
            families: Families::default(),
            fixed: naming.labels.clone(),
            host: Host::default(),
            attributes: Vec::new(),
            time: Vec::new(),
            since: Vec::new(),
            start: None,
            heads: Default::default(),
            points: 0,
            bytes: 0,
            ended: false,
            compression: Compression::of(Protocol::Otlp, compress),
            requests: Requests::new(max_samples),
        };
        Series::of(naming.style, format)
    }

    /// Appends the collected points of this host to the request.
    fn end_resource(&mut self) {
        if self.points == 0 {
            return;
        }
        let (scope, resource) = (scope(), self.resource());
        let Self { families, requests, .. } = self;
        let points = |family: &Family| family.content.len() + family.around.1.len();
        let metric = |family: &Family| family.head.len() + bytes_len(points(family));
        let length = scope.len() + families.filled().map(|family| bytes_len(metric(family))).sum::<usize>();
        let whole = bytes_len(resource.len()) + bytes_len(length);
        let body = requests.body();
        begin_bytes(1, whole, body);
        bytes(1, &resource, body);
        begin_bytes(2, length, body);
        body.extend_from_slice(&scope);
        for family in families.filled() {
            let (field, behind) = family.around;
            begin_bytes(2, metric(family), body);
            body.extend_from_slice(&family.head);
            begin_bytes(field, points(family), body);
            body.extend_from_slice(&family.content);
            body.extend_from_slice(behind);
            family.content.clear();
        }
        requests.count(self.points, bytes_len(whole));
        (self.points, self.bytes) = (0, 0);
        if self.requests.is_full() {
            self.end();
        }
    }

    /// Ends the request, because it is full or the last one.
    fn end(&mut self) {
        if self.compression != Compression::None {
            self.requests.compress(self.compression);
        }
        self.requests.end(&[]);
    }

    /// The host as a resource. Configured attributes take precedence.
    fn resource(&self) -> Vec<u8> {
        let (name, cluster) = (self.host.name.as_str(), self.host.cluster.as_deref().unwrap_or_default());
        let known = [
            ("service.name", "haproxy"),
            // Prometheus and similar receivers turn this into the label `instance`; others keep attributes as they are.
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

    /// Prepares a metric. `around` is the field for its points, and what follows them.
    fn known(&mut self, metric: &Metric, around: (u8, &'static [u8]), counts: bool) -> Known {
        let family = self.families.of(&metric.name, || {
            let mut head = Vec::new();
            bytes(1, metric.name.as_bytes(), &mut head);
            bytes(2, metric.about.as_bytes(), &mut head);
            // No unit, since receivers would add it to the name.
            Family { around, ..Family::new(head) }
        });
        let mut attribute = Vec::new();
        if let Some((name, value)) = &metric.label {
            pair(ATTRIBUTES, name, value, &mut attribute);
        }
        Known { family, attribute: attribute.into_boxed_slice(), counts, scale: metric.scale }
    }

    /// Prepares the beginning of points of the present object.
    fn begin_points(&mut self) {
        self.since.clear();
        if let Some(start) = self.start {
            fixed64(START, start.0.saturating_mul(NANOSECONDS), &mut self.since);
        }
        self.since.extend_from_slice(&self.time);
        for (head, time) in self.heads.iter_mut().zip([&self.time, &self.since]) {
            head.clear();
            begin_bytes(1, time.len() + VALUE + self.attributes.len(), head);
            head.extend_from_slice(time);
            head.push(AS_DOUBLE << 3 | 1);
        }
    }

    /// Counts another point of this many bytes.
    fn count(&mut self, bytes: usize) {
        self.points += 1;
        self.bytes += bytes;
        if self.points >= self.requests.room() {
            self.end_resource();
        }
    }
}

/// Appends the counts of a histogram. In OTLP, buckets are not cumulative.
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

/// The instrumentation scope: this program.
fn scope() -> Vec<u8> {
    let mut scope = Vec::new();
    bytes(1, b"haproxystats", &mut scope);
    bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
    let mut out = Vec::new();
    bytes(1, &scope, &mut out);
    out
}

impl Format for Otlp {
    type Metric = Known;
    const ENDS: bool = true;

    fn begin(&mut self) {
        self.requests.clear();
        self.families.clear();
        (self.points, self.bytes, self.ended, self.start) = (0, 0, false, None);
    }

    fn object(&mut self, _: &Object<'_>, labels: &[(&str, &str)], host: &Host, stamp: Epoch) {
        if self.host != *host {
            self.end_resource();
            self.host.clone_from(host);
        }
        self.time.clear();
        fixed64(TIME, stamp.0.saturating_mul(NANOSECONDS), &mut self.time);
        self.requests.stamp(stamp);
        self.attributes.clear();
        for (key, value) in labels {
            pair(ATTRIBUTES, key, value, &mut self.attributes);
        }
        self.begin_points();
    }

    fn metric(&mut self, metric: &Metric) -> Known {
        match metric.kind {
            Kind::Counter => self.known(metric, (SUM, MONOTONIC), true),
            Kind::Gauge => self.known(metric, (GAUGE, &[]), false),
        }
    }

    fn figure(&mut self, metric: &Metric) -> Known {
        // Only the program that counts knows its start time.
        Known { counts: false, ..self.metric(metric) }
    }

    #[inline]
    fn sample(&mut self, metric: &Known, value: Value) {
        let value = metric.scale.of(value.as_f64());
        let Some(family) = self.families.get(metric.family).filter(|_| value.is_finite()) else { return };
        let out = &mut family.content;
        if metric.attribute.is_empty() && !self.ended {
            let [of_gauge, of_counter] = &self.heads;
            let head = if metric.counts { of_counter } else { of_gauge };
            out.extend_from_slice(head);
            out.extend_from_slice(&value.to_le_bytes());
            out.extend_from_slice(&self.attributes);
            return self.count(head.len() + 8 + self.attributes.len());
        }
        let time = if metric.counts { self.since.as_slice() } else { &self.time };
        let told = if self.ended { 2 } else { VALUE };
        let length = time.len() + told + self.attributes.len() + metric.attribute.len();
        begin_bytes(1, length, out);
        out.extend_from_slice(time);
        if !self.ended {
            fixed64(AS_DOUBLE, value.to_bits(), out);
        }
        out.extend_from_slice(&self.attributes);
        out.extend_from_slice(&metric.attribute);
        if self.ended {
            number(FLAGS, NO_VALUE, out);
        }
        self.count(bytes_len(length));
    }

    fn histogram(&mut self, catalogue: &mut Catalogue<Known>, timer: &str, histogram: &Histogram, since: Epoch) {
        let found = catalogue.histogram(timer, "", None, |metric| {
            let seconds = if metric.name.ends_with("_seconds") { Scale::Thousandths } else { Scale::Same };
            Known { scale: seconds, ..self.known(metric, (HISTOGRAM, CUMULATIVE), false) }
        });
        let Some(known) = found else { return };
        let mut point = Vec::new();
        fixed64(START, since.0.saturating_mul(NANOSECONDS), &mut point);
        point.extend_from_slice(&self.time);
        // Attributes of histograms have another field number than those of numbers.
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

    fn since(&mut self, start: Option<Epoch>) {
        self.start = start;
        self.begin_points();
    }

    fn ended(&mut self, ended: bool) {
        self.ended = ended;
    }

    fn size(&self) -> usize {
        self.requests.size() + self.bytes
    }

    fn take(&mut self, batch: &Batch) -> (Output, Batch) {
        self.end_resource();
        self.end();
        (Output::Otlp, self.requests.take(batch))
    }
}

#[cfg(test)]
mod tests;
