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
use crate::prometheus::names::{Metric, Scale};
use crate::prometheus::wire::{begin_bytes, bytes, bytes_len, fixed64, number};
use crate::snapshot::Epoch;
use crate::telemetry::{Definition, Kind};
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
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`, and that a sum only grows.
const CUMULATIVE: &[u8] = &[2 << 3, 2, 3 << 3, 1];
/// Nanoseconds of a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// The encoder.
#[derive(Debug)]
pub struct Otlp {
    catalogue: Catalogue<Known>,
    families: Families,
    /// Which of them only grow.
    growing: Vec<bool>,
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

/// A metric, as it is written.
#[derive(Debug)]
struct Known {
    family: usize,
    /// The attribute beside those of the object.
    attribute: Box<[u8]>,
    grows: bool,
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
        let grows = metric.kind == Kind::Counter;
        Self { family, attribute: attribute.into_boxed_slice(), grows, counts: grows, scale: metric.scale }
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
            growing: Vec::new(),
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
        let mut scope = scope();
        for (place, family) in self.families.filled() {
            let grows = self.growing.get(place).is_some_and(|grows| *grows);
            let (field, tail) = if grows { (SUM, CUMULATIVE) } else { (GAUGE, &b""[..]) };
            let data = family.content.len() + tail.len();
            begin_bytes(2, family.head.len() + bytes_len(data), &mut scope);
            scope.extend_from_slice(&family.head);
            begin_bytes(field, data, &mut scope);
            scope.extend_from_slice(&family.content);
            scope.extend_from_slice(tail);
            family.content.clear();
        }
        let resource = self.resource();
        let body = self.requests.body();
        begin_bytes(1, bytes_len(resource.len()) + bytes_len(scope.len()), body);
        bytes(1, &resource, body);
        bytes(2, &scope, body);
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
        if self.growing.len() <= known.family {
            self.growing.resize(known.family + 1, false);
        }
        if let Some(grows) = self.growing.get_mut(known.family) {
            *grows = known.grows;
        }
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
        self.points += 1;
        self.bytes += bytes_len(length);
        if self.requests.samples() + self.points >= self.max_samples {
            self.end_resource();
        }
    }
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
mod tests {
    use super::*;
    use crate::config::NameStyle;
    use crate::encode::object::ObjectKind;
    use crate::prometheus::request::{Protocol, halves, samples, text};
    use crate::prometheus::wire::{Fields, Wire};
    use proptest::prelude::*;

    const STAMP: Epoch = Epoch(1_457_298_067);

    fn encoder(attributes: &[(&str, &str)], max_samples: usize) -> Otlp {
        let labels = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let naming = Naming { style: NameStyle::Promex, labels };
        let mut encoder = Otlp::new(&naming, NonZeroUsize::new(max_samples).unwrap());
        encoder.begin();
        encoder
    }

    fn host(name: &str) -> Host {
        Host { name: name.to_owned(), cluster: None }
    }

    fn bodies(encoder: &mut Otlp) -> Vec<Vec<u8>> {
        let (_, batch) = encoder.take(&Batch::default()).pop().unwrap();
        let bodies: Vec<Vec<u8>> = batch.messages.iter().map(|message| message.payload.to_vec()).collect();
        assert_eq!(bodies.iter().map(|body| samples(Protocol::Otlp, body)).sum::<usize>(), batch.lines);
        bodies
    }

    fn lines(bodies: &[Vec<u8>]) -> Vec<String> {
        bodies
            .iter()
            .flat_map(|body| text(Protocol::Otlp, body).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    const SERVER: Object<'static> = Object { kind: ObjectKind::Server, proxy: "shop", name: "web-1" };

    #[test]
    fn points_of_a_metric_stand_together_and_the_metrics_of_a_host() {
        let mut encoder = encoder(&[("service.name", "edge")], 100);
        encoder.object(&SERVER, &host("a"), STAMP);
        encoder.field(b"hrsp_2xx", Value::Int(7));
        encoder.field(b"scur", Value::Int(3));
        encoder.field(b"hrsp_3xx", Value::Int(8));
        encoder.object(&SERVER, &host("b"), STAMP);
        encoder.field(b"rtime", Value::Float(1500.0));
        let bodies = bodies(&mut encoder);
        let of = |host: &str| {
            format!(
                r#"service.name="edge",service.instance.id="{host}",host.name="{host}",instance="{host}",proxy="shop",server="web-1""#
            )
        };
        let (a, b) = (of("a"), of("b"));
        let wanted = [
            format!("haproxy_server_http_responses_total{{{a},code=\"2xx\"}} 7 1457298067000"),
            format!("haproxy_server_http_responses_total{{{a},code=\"3xx\"}} 8 1457298067000"),
            format!("haproxy_server_current_sessions{{{a}}} 3 1457298067000"),
            format!("haproxy_server_response_time_average_seconds{{{b}}} 1.5 1457298067000"),
        ];
        assert_eq!((lines(&bodies), bodies.len()), (wanted.to_vec(), 1));
    }

    /// The numbers in the fields of a message at the end of this path, those of the outermost first.
    fn numbers(message: &[u8], path: &[u64]) -> Vec<u64> {
        let Some((field, rest)) = path.split_first() else { return Vec::new() };
        let each = Fields::new(message).flatten().filter(|(number, _)| number == field);
        each.flat_map(|(_, wire)| match wire {
            Wire::Bytes(inner) => numbers(inner, rest),
            Wire::Varint(number) | Wire::Fixed64(number) => vec![number],
            Wire::Fixed32(number) => vec![number.into()],
        })
        .collect()
    }

    #[test]
    fn counters_are_cumulative_sums_with_their_start_and_gauges_have_none() {
        let mut encoder = encoder(&[], 100);
        encoder.since(Some(Epoch(1_457_000_000)));
        encoder.object(&SERVER, &host("a"), STAMP);
        encoder.field(b"stot", Value::Int(7));
        encoder.field(b"scur", Value::Int(3));
        encoder.since(None);
        encoder.object(&SERVER, &host("a"), STAMP);
        encoder.field(b"stot", Value::Int(8));
        let body = bodies(&mut encoder).concat();
        let of_sum = |rest: &[u64]| numbers(&body, &[&[1, 2, 2, 7], rest].concat());
        assert_eq!((of_sum(&[2]), of_sum(&[3])), (vec![2], vec![1]), "cumulative, monotonic");
        assert_eq!(of_sum(&[1, 2]), [1_457_000_000_000_000_000], "where the start is known");
        assert_eq!(of_sum(&[1, 3]), [1_457_298_067_000_000_000; 2]);
        assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 2]), [0; 0]);
        assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 4]), [3.0_f64.to_bits()]);
    }

    #[test]
    fn what_has_ended_has_no_value_and_says_so() {
        let mut encoder = encoder(&[], 100);
        encoder.ended(true);
        encoder.object(&SERVER, &host("a"), STAMP);
        encoder.field(b"scur", Value::Int(3));
        encoder.field(b"rtime", Value::Float(f64::NAN));
        let body = bodies(&mut encoder).concat();
        assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 8]), [1]);
        assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 4]), [0; 0]);
        assert!(lines(&[body]).concat().ends_with("NaN 1457298067000 stale"));
    }

    proptest! {
        #[test]
        fn requests_are_bounded_and_their_halves_say_the_same(
            values in proptest::collection::vec((0..3_usize, 0..5_usize, any::<i32>()), 0..40), max_samples in 1_usize..12,
        ) {
            let mut encoder = encoder(&[], max_samples);
            let mut wanted = Vec::new();
            for (of, field, value) in &values {
                encoder.object(&SERVER, &host(["a", "b", "c"][*of]), STAMP);
                encoder.field([&b"scur"[..], b"hrsp_2xx", b"ssl_sess", b"stot", b"hrsp_3xx"][*field], Value::Int((*value).into()));
                wanted.push(value.to_string());
            }
            let bodies = bodies(&mut encoder);
            prop_assert_eq!(lines(&bodies).len(), values.len());
            for body in &bodies {
                let all = lines(std::slice::from_ref(body));
                prop_assert!(all.len() <= max_samples);
                match halves(Protocol::Otlp, body) {
                    Some((one, other)) => {
                        let (one, other) = (lines(&[one]), lines(&[other]));
                        prop_assert!(!one.is_empty() && !other.is_empty());
                        prop_assert_eq!([one, other].concat(), all);
                    }
                    None => prop_assert_eq!(all.len(), 1),
                }
            }
            let mut told: Vec<String> = lines(&bodies).iter().map(|line| line.rsplit(' ').nth(1).unwrap().to_owned()).collect();
            told.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(told, wanted);
        }
    }
}
