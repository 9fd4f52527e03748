//! What can be said of a request afterwards, for who sends it: how many samples are in it, what it says, and two requests
//! that say the same, should a receiver refuse it. A request is the protobuf message before compression.

use super::wire::{self, Fields, Wire};
use std::fmt::Write;

/// Whose requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `prometheus.WriteRequest`, of remote write 1.0.
    RemoteWrite,
    /// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`.
    Otlp,
}

/// The field of every message here that holds what it is a list of: time series of a request, metrics of a scope, points
/// of a metric.
const LIST: u64 = 1;
const METRICS: u64 = 2;
const SCOPES: u64 = 2;

/// How many samples are in a request that was made here, where each series has one; those in front of what is not whole.
/// Nothing is looked at that does not have to be.
#[must_use]
pub fn samples(protocol: Protocol, body: &[u8]) -> usize {
    match protocol {
        Protocol::RemoteWrite => messages(body, LIST).flatten().count(),
        Protocol::Otlp => otlp::samples(body),
    }
}

/// A request in words, one line for each sample: `name{label="value"} value timestamp`.
#[must_use]
pub fn text(protocol: Protocol, body: &[u8]) -> String {
    let mut text = String::new();
    let _ = walk(protocol, body, &mut |sample| sample.write(&mut text));
    text
}

/// Two requests that have the samples of this one; `None` where there are not two to divide, or it is not whole.
#[must_use]
pub fn halves(protocol: Protocol, body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    match protocol {
        Protocol::RemoteWrite => split(body, |field| matches!(field, LIST | METADATA)),
        Protocol::Otlp => otlp::halves(body),
    }
}

/// The field of a request of remote write that says what metrics are.
const METADATA: u64 = 3;

/// One sample of a request.
struct Sample<'a> {
    name: &'a [u8],
    labels: &'a [(&'a [u8], &'a [u8])],
    value: f64,
    /// In milliseconds.
    time: i64,
    stale: bool,
}

impl Sample<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(&String::from_utf8_lossy(self.name));
        out.push('{');
        for (place, (label, value)) in self.labels.iter().enumerate() {
            // Writing to a String cannot fail.
            let comma = if place > 0 { "," } else { "" };
            let value = String::from_utf8_lossy(value);
            let _ = write!(out, "{comma}{}={value:?}", String::from_utf8_lossy(label));
        }
        let stale = if self.stale { " stale" } else { "" };
        let _ = writeln!(out, "}} {} {}{stale}", self.value, self.time);
    }
}

/// Divides the fields of a message that are those of its list; the others go to both halves.
fn split(message: &[u8], is_listed: impl Fn(u64) -> bool) -> Option<(Vec<u8>, Vec<u8>)> {
    let fields: Vec<(u64, Wire<'_>)> = Fields::new(message).collect::<Option<_>>()?;
    let count = fields.iter().filter(|(field, _)| is_listed(*field)).count();
    if count < 2 {
        return None;
    }
    let (mut halves, mut seen) = ((Vec::new(), Vec::new()), 0);
    for (field, content) in &fields {
        if is_listed(*field) {
            put(*field, content, if seen < count / 2 { &mut halves.0 } else { &mut halves.1 });
            seen += 1;
        } else {
            put(*field, content, &mut halves.0);
            put(*field, content, &mut halves.1);
        }
    }
    Some(halves)
}

/// Appends a field as it was.
fn put(field: u64, content: &Wire<'_>, out: &mut Vec<u8>) {
    let wire_type = match content {
        Wire::Varint(_) => 0,
        Wire::Fixed64(_) => 1,
        Wire::Bytes(_) => 2,
        Wire::Fixed32(_) => 5,
    };
    wire::varint(field << 3 | wire_type, out);
    match content {
        Wire::Varint(number) => wire::varint(*number, out),
        Wire::Fixed64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Wire::Fixed32(number) => out.extend_from_slice(&number.to_le_bytes()),
        Wire::Bytes(bytes) => {
            wire::varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
    }
}

/// Tells of each sample; `None` when the request is not whole.
fn walk(protocol: Protocol, body: &[u8], each: &mut impl FnMut(Sample<'_>)) -> Option<()> {
    match protocol {
        Protocol::RemoteWrite => remote_write::walk(body, each),
        Protocol::Otlp => otlp::walk(body, each),
    }
}

/// The messages in this field.
fn messages(message: &[u8], field: u64) -> impl Iterator<Item = Option<&[u8]>> {
    Fields::new(message).filter_map(move |found| match found {
        Some((number, Wire::Bytes(bytes))) if number == field => Some(Some(bytes)),
        Some(_) => None,
        None => Some(None),
    })
}

/// The text in this field; empty where there is none.
fn text_of(message: &[u8], field: u64) -> &[u8] {
    messages(message, field).flatten().last().unwrap_or_default()
}

mod remote_write {
    use super::{Fields, LIST, Sample, Wire, messages, text_of};

    pub(super) fn walk(body: &[u8], each: &mut impl FnMut(Sample<'_>)) -> Option<()> {
        for series in messages(body, LIST) {
            let series = series?;
            let labels: Vec<&[u8]> = messages(series, 1).collect::<Option<_>>()?;
            let labels = labels.into_iter().map(|label| (text_of(label, 1), text_of(label, 2)));
            let (name, labels): (Vec<_>, Vec<_>) = labels.partition(|(name, _)| *name == b"__name__");
            let name = name.first().map(|(_, name)| *name).unwrap_or_default();
            for sample in messages(series, 2) {
                let (mut value, mut time) = (0, 0);
                for field in Fields::new(sample?) {
                    match field? {
                        (1, Wire::Fixed64(bits)) => value = bits,
                        (2, Wire::Varint(milliseconds)) => time = milliseconds.cast_signed(),
                        _ => {}
                    }
                }
                let stale = value == crate::prometheus::STALE;
                each(Sample { name, labels: &labels, value: f64::from_bits(value), time, stale });
            }
        }
        Some(())
    }
}

mod otlp {
    use super::{Fields, LIST, METRICS, SCOPES, Sample, Wire, messages, put, split, text_of};
    use crate::prometheus::wire;

    /// The kinds of data that a metric has.
    const DATA: [u64; 5] = [5, 7, 9, 10, 11];
    /// The one of them that is a histogram.
    const HISTOGRAM: u64 = 9;

    pub(super) fn walk(body: &[u8], each: &mut impl FnMut(Sample<'_>)) -> Option<()> {
        for resource in messages(body, LIST) {
            let resource = resource?;
            let shared: Vec<_> = messages(text_of(resource, 1), 1).flatten().map(attribute).collect();
            for scope in messages(resource, SCOPES) {
                for metric in messages(scope?, METRICS) {
                    points(metric?, &shared, each)?;
                }
            }
        }
        Some(())
    }

    pub(super) fn samples(body: &[u8]) -> usize {
        let scopes = messages(body, LIST).flatten().flat_map(|resource| messages(resource, SCOPES)).flatten();
        let metrics = scopes.flat_map(|scope| messages(scope, METRICS)).flatten();
        let data =
            metrics.flat_map(|metric| Fields::new(metric).flatten()).filter_map(|(field, content)| match content {
                Wire::Bytes(data) if DATA.contains(&field) => Some(data),
                _ => None,
            });
        data.map(|data| messages(data, LIST).flatten().count()).sum()
    }

    fn points<'a>(metric: &'a [u8], shared: &[(&'a [u8], &'a [u8])], each: &mut impl FnMut(Sample<'_>)) -> Option<()> {
        let name = text_of(metric, 1);
        for field in Fields::new(metric) {
            let (kind, data) = match field? {
                (kind, Wire::Bytes(data)) if DATA.contains(&kind) => (kind, data),
                _ => continue,
            };
            for point in messages(data, LIST) {
                let (mut value, mut time, mut flags) = (f64::NAN, 0, 0);
                let mut labels = shared.to_vec();
                for field in Fields::new(point?) {
                    match field? {
                        (7, Wire::Bytes(pair)) if kind != HISTOGRAM => labels.push(attribute(pair)),
                        (9, Wire::Bytes(pair)) if kind == HISTOGRAM => labels.push(attribute(pair)),
                        (3, Wire::Fixed64(nanoseconds)) => time = nanoseconds / 1_000_000,
                        (4, Wire::Fixed64(bits)) if kind != HISTOGRAM => value = f64::from_bits(bits),
                        (5, Wire::Fixed64(bits)) if kind == HISTOGRAM => value = f64::from_bits(bits),
                        (6, Wire::Fixed64(whole)) if kind != HISTOGRAM => value = signed(whole),
                        (8, Wire::Varint(bits)) if kind != HISTOGRAM => flags = bits,
                        (10, Wire::Varint(bits)) if kind == HISTOGRAM => flags = bits,
                        _ => {}
                    }
                }
                let time = i64::try_from(time).unwrap_or(i64::MAX);
                each(Sample { name, labels: &labels, value, time, stale: flags & 1 == 1 });
            }
        }
        Some(())
    }

    #[expect(clippy::cast_precision_loss, reason = "for the eyes of a reader")]
    fn signed(whole: u64) -> f64 {
        whole.cast_signed() as f64
    }

    /// The key, and the value where it is a text.
    fn attribute(pair: &[u8]) -> (&[u8], &[u8]) {
        (text_of(pair, 1), text_of(text_of(pair, 2), 1))
    }

    /// Divides at the outermost list that has more than one of something.
    pub(super) fn halves(body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        within(body, &[LIST, SCOPES, METRICS])
    }

    fn within(message: &[u8], path: &[u64]) -> Option<(Vec<u8>, Vec<u8>)> {
        let Some((list, path)) = path.split_first() else { return of_metric(message) };
        if let Some(halves) = split(message, |field| field == *list) {
            return Some(halves);
        }
        replaced(message, |field| field == *list, |inner| within(inner, path))
    }

    fn of_metric(metric: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        replaced(metric, |field| DATA.contains(&field), |data| split(data, |field| field == LIST))
    }

    /// Two copies of a message, in which the halves of the one field stand in its place.
    fn replaced(
        message: &[u8],
        is_it: impl Fn(u64) -> bool,
        halves: impl Fn(&[u8]) -> Option<(Vec<u8>, Vec<u8>)>,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut one, mut other, mut divided) = (Vec::new(), Vec::new(), false);
        for field in Fields::new(message) {
            let (field, content) = field?;
            match content {
                Wire::Bytes(inner) if is_it(field) => {
                    let (first, second) = halves(inner)?;
                    for (half, out) in [(first, &mut one), (second, &mut other)] {
                        wire::varint(field << 3 | 2, out);
                        wire::varint(half.len() as u64, out);
                        out.extend_from_slice(&half);
                    }
                    divided = true;
                }
                content => {
                    put(field, &content, &mut one);
                    put(field, &content, &mut other);
                }
            }
        }
        divided.then_some((one, other))
    }
}
