//! Prometheus' remote write 1.0: requests with a time series for each sample, its labels in the order of their names.
//!
//! The message is that of the specification (prometheus.io/docs/specs/prw/remote_write_spec, `prometheus.WriteRequest`); field
//! numbers stand where bytes are written. tests/process/remote_write.rs reads it with structs made from it.

use super::catalogue::{Catalogue, parts};
use super::encoder::Encoder;
use super::object::{Host, Object};
use super::requests::Requests;
use crate::batch::{Batch, Output};
use crate::config::Naming;
use crate::latency::histogram::Histogram;
use crate::prometheus::STALE;
use crate::prometheus::names::{LABELS, Metric, Scale};
use crate::prometheus::wire::{begin_bytes, bytes, bytes_len, number};
use crate::snapshot::Epoch;
use crate::telemetry::{Definition, as_f64};
use crate::value::Value;
use std::num::NonZeroUsize;

/// The label that holds the name, which stands among the others.
const NAME: &str = "__name__";
/// Fields of `WriteRequest`, `TimeSeries`, `Label` and `Sample`.
const TIMESERIES: u8 = 1;
const LABEL: u8 = 1;
const SAMPLES: u8 = 2;
/// Bytes of a sample without its time: two keys, a length, a double.
const SAMPLE: usize = 10;

/// The encoder.
#[derive(Debug)]
pub struct RemoteWrite {
    catalogue: Catalogue<Known>,
    /// Labels that every series has.
    fixed: Vec<(String, String)>,
    labels: Labels,
    /// The time of samples, as it is written.
    time: Vec<u8>,
    ended: bool,
    requests: Requests,
}

/// A metric, as it is written.
#[derive(Debug)]
struct Known {
    name: Box<[u8]>,
    /// The label beside those of the object: which it is of [`LABELS`], and all of it as it is written.
    label: Option<(usize, Box<[u8]>)>,
    scale: Scale,
}

impl Known {
    fn new(metric: &Metric) -> Self {
        let label = metric.label.as_ref().map(|(name, value)| {
            let place = LABELS.iter().position(|known| known == name).unwrap_or_default();
            (place, label(name, value).into_boxed_slice())
        });
        Self { name: label_of_name(&metric.name), label, scale: metric.scale }
    }
}

fn label_of_name(name: &str) -> Box<[u8]> {
    label(NAME, name).into_boxed_slice()
}

/// A label as it stands in a time series.
fn label(name: &str, value: &str) -> Vec<u8> {
    let mut inner = Vec::new();
    bytes(1, name.as_bytes(), &mut inner);
    bytes(2, value.as_bytes(), &mut inner);
    let mut out = Vec::with_capacity(inner.len() + 4);
    bytes(LABEL, &inner, &mut out);
    out
}

/// The labels of the present object, in the order of their names, as they are written.
#[derive(Debug, Default)]
struct Labels {
    bytes: Vec<u8>,
    /// Where that of the name goes.
    name: usize,
    /// Where each of [`LABELS`] goes.
    others: [usize; LABELS.len()],
}

impl Labels {
    fn set(&mut self, labels: &mut [(&str, &str)]) {
        labels.sort_unstable();
        self.bytes.clear();
        (self.name, self.others) = (0, [0; LABELS.len()]);
        for (name, value) in labels {
            let length = bytes_len(name.len()) + bytes_len(value.len());
            begin_bytes(LABEL, length, &mut self.bytes);
            bytes(1, name.as_bytes(), &mut self.bytes);
            bytes(2, value.as_bytes(), &mut self.bytes);
            let places = LABELS.iter().zip(&mut self.others).chain([(&NAME, &mut self.name)]);
            // Behind all that come before it.
            places.filter(|(known, _)| ***known > **name).for_each(|(_, place)| *place = self.bytes.len());
        }
    }
}

impl RemoteWrite {
    /// Named like this, in requests of at most so many samples.
    #[must_use]
    pub fn new(naming: &Naming, max_samples: NonZeroUsize) -> Self {
        let mut fixed = naming.labels.clone();
        fixed.retain(|(name, _)| !LABELS.contains(&name.as_str()));
        Self {
            catalogue: Catalogue::new(naming.style),
            fixed,
            labels: Labels::default(),
            time: Vec::new(),
            ended: false,
            requests: Requests::new(max_samples),
        }
    }
}

/// Appends a time series with one sample.
#[inline]
fn push(known: &Known, labels: &Labels, value: f64, time: &[u8], out: &mut Vec<u8>) {
    let (before, behind) = labels.bytes.split_at_checked(labels.name).unwrap_or_default();
    let (middle, extra, behind) = match &known.label {
        // Names of labels that metrics have are behind that of the name.
        Some((place, extra)) => {
            let at = labels.others.get(*place).map_or(0, |at| at - labels.name);
            let (middle, behind) = behind.split_at_checked(at).unwrap_or_default();
            (middle, &**extra, behind)
        }
        None => (behind, &b""[..], &b""[..]),
    };
    let sample = SAMPLE - 1 + time.len();
    let length = before.len() + known.name.len() + middle.len() + extra.len() + behind.len() + bytes_len(sample);
    begin_bytes(TIMESERIES, length, out);
    for part in [before, &known.name, middle, extra, behind] {
        out.extend_from_slice(part);
    }
    begin_bytes(SAMPLES, sample, out);
    out.push(1 << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
    out.extend_from_slice(time);
}

impl RemoteWrite {
    fn sample(&mut self, find: impl for<'a> FnOnce(&'a mut Catalogue<Known>) -> Option<&'a Known>, value: f64) {
        let Some(known) = find(&mut self.catalogue) else { return };
        if value.is_finite() {
            // What had no value has no series that could end.
            let value = if self.ended { f64::from_bits(STALE) } else { known.scale.of(value) };
            push(known, &self.labels, value, &self.time, self.requests.body());
            self.requests.count(1);
        }
    }
}

impl Encoder for RemoteWrite {
    fn begin(&mut self) {
        self.requests.clear();
        self.ended = false;
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        self.time.clear();
        number(2, stamp.0.saturating_mul(1000), &mut self.time);
        self.requests.stamp(stamp);
        let of_cluster = host.name.is_empty();
        let (proxy, name) = self.catalogue.object(object.kind, of_cluster);
        let own = [
            ("instance", host.name.as_str()),
            ("cluster", host.cluster.as_deref().unwrap_or_default()),
            (proxy, object.proxy),
            (name, object.name),
        ];
        let mut labels = Vec::with_capacity(own.len() + self.fixed.len());
        labels.extend(own.into_iter().filter(|(name, value)| !name.is_empty() && !value.is_empty()));
        for (name, value) in &self.fixed {
            if !labels.iter().any(|(known, _)| known == name) {
                labels.push((name, value));
            }
        }
        self.labels.set(&mut labels);
    }

    fn field(&mut self, name: &[u8], value: Value) {
        self.sample(|catalogue| catalogue.field(name, Known::new), value.as_f64());
    }

    fn states(&mut self, field: &str, states: &[(&'static str, i64)]) {
        for (state, value) in states {
            self.sample(|catalogue| catalogue.state(field, state, Known::new), Value::Int(*value).as_f64());
        }
    }

    fn histogram(&mut self, name: &[u8], histogram: &Histogram, _: Epoch) {
        let timer = String::from_utf8_lossy(name);
        parts(histogram, |part, bound, value| {
            self.sample(|catalogue| catalogue.histogram(&timer, part, bound, Known::new), as_f64(value));
        });
    }

    fn figure(&mut self, figure: &'static Definition, destination: Option<&str>, value: f64) {
        self.sample(|catalogue| catalogue.figure(figure, destination, Known::new), value);
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
        self.requests.size()
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        vec![(Output::RemoteWrite, self.requests.take(batch))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NameStyle;
    use crate::encode::object::ObjectKind;
    use crate::prometheus::request::{Protocol, halves, samples, text};
    use proptest::prelude::*;

    const STAMP: Epoch = Epoch(1_457_298_067);

    fn encoder(style: NameStyle, labels: &[(&str, &str)], max_samples: usize) -> RemoteWrite {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut encoder = RemoteWrite::new(&Naming { style, labels }, NonZeroUsize::new(max_samples).unwrap());
        encoder.begin();
        encoder
    }

    fn host(cluster: Option<&str>) -> Host {
        Host { name: "lb-01".to_owned(), cluster: cluster.map(str::to_owned) }
    }

    fn bodies(encoder: &mut RemoteWrite) -> (Vec<Vec<u8>>, usize) {
        let mut taken = encoder.take(&Batch::default());
        let (output, batch) = taken.pop().unwrap();
        assert_eq!((output, taken.len()), (Output::RemoteWrite, 0));
        (batch.messages.iter().map(|message| message.payload.to_vec()).collect(), batch.lines)
    }

    fn lines(encoder: &mut RemoteWrite) -> Vec<String> {
        let (bodies, count) = bodies(encoder);
        let text: String = bodies.iter().map(|body| text(Protocol::RemoteWrite, body)).collect();
        assert_eq!(text.lines().count(), count);
        text.lines().map(str::to_owned).collect()
    }

    const SERVER: Object<'static> = Object { kind: ObjectKind::Server, proxy: "shop", name: "web-1" };

    #[test]
    fn series_have_the_exporters_names_and_labels_in_order() {
        let mut encoder = encoder(NameStyle::Promex, &[("env", "prod"), ("instance", "mine"), ("Zone", "a")], 100);
        encoder.object(&SERVER, &host(Some("ams")), STAMP);
        encoder.field(b"hrsp_2xx", Value::Int(7));
        encoder.field(b"rtime", Value::Float(1500.0));
        encoder.field(b"qtime", Value::Float(f64::NAN));
        encoder.field(b"status", Value::Int(1));
        encoder.states("status", &[("UP", 1), ("DOWN", 0)]);
        let wanted = [
            r#"haproxy_server_http_responses_total{Zone="a",cluster="ams",code="2xx",env="prod",instance="lb-01",proxy="shop",server="web-1"} 7 1457298067000"#,
            r#"haproxy_server_response_time_average_seconds{Zone="a",cluster="ams",env="prod",instance="lb-01",proxy="shop",server="web-1"} 1.5 1457298067000"#,
            r#"haproxy_server_status{Zone="a",cluster="ams",env="prod",instance="lb-01",proxy="shop",server="web-1",state="UP"} 1 1457298067000"#,
            r#"haproxy_server_status{Zone="a",cluster="ams",env="prod",instance="lb-01",proxy="shop",server="web-1",state="DOWN"} 0 1457298067000"#,
        ];
        assert_eq!(lines(&mut encoder), wanted);
        assert_eq!(bodies(&mut encoder), (vec![], 0), "nothing is told twice");
    }

    #[test]
    fn our_own_names_are_haproxys_and_states_are_numbers() {
        let mut encoder = encoder(NameStyle::Haproxystats, &[], 100);
        encoder.object(&Object { kind: ObjectKind::Backend, proxy: "www", name: "" }, &host(None), STAMP);
        encoder.field(b"rtime", Value::Float(1500.0));
        encoder.field(b"status", Value::Int(3));
        encoder.states("status", &[("UP", 1)]);
        // A cluster as a whole.
        let cluster = Host { name: String::new(), cluster: Some("ams".to_owned()) };
        encoder.object(&Object::unnamed(ObjectKind::Daemon), &cluster, STAMP);
        encoder.field(b"CumReq", Value::Int(9));
        let wanted = [
            r#"haproxy_backend_rtime{backend="www",instance="lb-01"} 1500 1457298067000"#,
            r#"haproxy_backend_status{backend="www",instance="lb-01"} 3 1457298067000"#,
            r#"haproxy_cluster_daemon_CumReq{cluster="ams"} 9 1457298067000"#,
        ];
        assert_eq!(lines(&mut encoder), wanted);
    }

    #[test]
    fn what_has_ended_is_marked_where_it_had_a_value() {
        let mut encoder = encoder(NameStyle::Promex, &[], 100);
        encoder.ended(true);
        encoder.object(&SERVER, &host(None), STAMP);
        encoder.field(b"scur", Value::Int(3));
        encoder.field(b"rtime", Value::Float(f64::NAN));
        encoder.ended(false);
        encoder.field(b"scur", Value::Int(4));
        let lines = lines(&mut encoder);
        assert!(lines.len() == 2 && lines[0].ends_with(" NaN 1457298067000 stale"), "{lines:?}");
        assert!(lines[1].ends_with(" 4 1457298067000"), "{lines:?}");
    }

    #[test]
    fn a_histogram_is_classic_buckets_in_seconds() {
        let mut encoder = encoder(NameStyle::Promex, &[], 100);
        encoder.object(&Object { kind: ObjectKind::Backend, proxy: "www", name: "" }, &host(None), STAMP);
        encoder.histogram(b"response", &Histogram::new(&[5, 1000], &[3, 4, 6, 2500]), Epoch(1));
        let name = "haproxy_backend_response_time_seconds";
        let wanted = [
            format!("{name}_bucket{{instance=\"lb-01\",le=\"0.005\",proxy=\"www\"}} 3 1457298067000"),
            format!("{name}_bucket{{instance=\"lb-01\",le=\"1\",proxy=\"www\"}} 4 1457298067000"),
            format!("{name}_bucket{{instance=\"lb-01\",le=\"+Inf\",proxy=\"www\"}} 6 1457298067000"),
            format!("{name}_sum{{instance=\"lb-01\",proxy=\"www\"}} 2.5 1457298067000"),
            format!("{name}_count{{instance=\"lb-01\",proxy=\"www\"}} 6 1457298067000"),
        ];
        assert_eq!(lines(&mut encoder), wanted);
    }

    proptest! {
        #[test]
        fn requests_are_bounded_and_their_halves_say_the_same(
            labels in proptest::collection::btree_map("[A-Za-z_][a-z_]{0,6}", "[^,\"]{1,8}", 0..4),
            values in proptest::collection::vec((0..4_usize, any::<i32>()), 0..40), max_samples in 1_usize..12,
        ) {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            let mut encoder = encoder(NameStyle::Promex, &labels, max_samples);
            for (field, value) in &values {
                encoder.object(&SERVER, &host(None), STAMP);
                encoder.field([&b"scur"[..], b"hrsp_2xx", b"ssl_sess", b"stot"][*field], Value::Int((*value).into()));
            }
            let (bodies, count) = bodies(&mut encoder);
            prop_assert_eq!(count, values.len());
            prop_assert_eq!(bodies.len(), values.len().div_ceil(max_samples));
            let mut told = String::new();
            for body in &bodies {
                let all = text(Protocol::RemoteWrite, body);
                prop_assert_eq!(samples(Protocol::RemoteWrite, body), all.lines().count());
                match halves(Protocol::RemoteWrite, body) {
                    Some((one, other)) => {
                        let [one, other] = [one, other].map(|half| text(Protocol::RemoteWrite, &half));
                        prop_assert!(!one.is_empty() && !other.is_empty());
                        prop_assert_eq!(one + &other, all.clone());
                    }
                    None => prop_assert_eq!(all.lines().count(), 1),
                }
                told += &all;
            }
            for (line, (_, value)) in told.lines().zip(&values) {
                let end = format!("}} {value} 1457298067000");
                prop_assert!(line.ends_with(&end), "{}", line);
                let inner = line.split_once('{').unwrap().1;
                let names: Vec<&str> = inner.split("\",").map(|pair| pair.split('=').next().unwrap()).collect();
                let mut sorted = names.clone();
                sorted.sort_unstable();
                sorted.dedup();
                prop_assert_eq!(names, sorted);
            }
        }
    }
}
