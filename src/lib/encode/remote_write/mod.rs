//! Prometheus' remote write 1.0: requests with one time series for each sample, with labels sorted by name.
//!
//! The message is `prometheus.WriteRequest` of the specification (prometheus.io/docs/specs/prw/remote_write_spec); field numbers
//! appear where bytes are written. In tests/process/remote/peers.rs, Prometheus and VictoriaMetrics read the requests.

mod labels;
mod stream;

use super::object::{Host, Object};
use super::requests::Requests;
use super::series::{Format, Series, of_host};
use crate::batch::{Batch, Output};
use crate::config::Naming;
use crate::prometheus::STALE;
use crate::prometheus::names::{LABELS, Metric, Scale};
use crate::prometheus::wire::{number, varint};
use crate::snapshot::Epoch;
use crate::value::Value;
use labels::Labels;
use std::cell::Cell;
use std::num::NonZeroUsize;
use stream::{Seen, Stream};

/// The format.
#[derive(Debug)]
pub(super) struct RemoteWrite {
    /// Labels of every series.
    fixed: Vec<(String, String)>,
    labels: Labels,
    /// The time of samples, encoded; kept to reuse its memory.
    time: Vec<u8>,
    ended: bool,
    stream: Stream,
    requests: Requests,
}

/// A metric, encoded.
#[derive(Debug)]
pub(super) struct Known {
    name: Box<[u8]>,
    /// The label in addition to those of the object: its place in [`LABELS`], and the label itself, encoded.
    label: Option<(usize, Box<[u8]>)>,
    scale: Scale,
    /// Where it was last written.
    seen: Cell<Seen>,
}

impl RemoteWrite {
    /// The encoder, for this naming of metrics, with at most `max_samples` samples in each request.
    pub(super) fn encoder(naming: &Naming, max_samples: NonZeroUsize) -> Series<Self> {
        let mut fixed = naming.labels.clone();
        fixed.retain(|(name, _)| !LABELS.contains(&name.as_str()));
        let (labels, time, stream) = (Labels::default(), Vec::new(), Stream::new());
        let format = Self { fixed, labels, time, ended: false, stream, requests: Requests::new(max_samples) };
        Series::of(naming.style, format)
    }

    /// Ends the body, because it is full or the last one.
    fn end(&mut self) {
        let mut length = Vec::new();
        varint(self.stream.end(self.requests.body()) as u64, &mut length);
        self.requests.end(&length);
    }
}

impl Format for RemoteWrite {
    type Metric = Known;
    const ENDS: bool = true;

    fn begin(&mut self) {
        self.requests.clear();
        self.stream.clear();
        self.ended = false;
    }

    fn object(&mut self, _: &Object<'_>, labels: &[(&str, &str)], host: &Host, stamp: Epoch) {
        self.time.clear();
        number(2, stamp.0.saturating_mul(1000), &mut self.time);
        self.requests.stamp(stamp);
        self.stream.object(&self.time, self.requests.body());
        let mut all = Vec::with_capacity(labels.len() + 2 + self.fixed.len());
        all.extend(of_host(host));
        all.extend_from_slice(labels);
        for (name, value) in &self.fixed {
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name, value));
            }
        }
        self.labels.set(&mut all);
    }

    fn metric(&mut self, metric: &Metric) -> Known {
        let label = metric.label.as_ref().map(|(name, value)| (labels::place(name), labels::of_metric(name, value)));
        Known { name: labels::of_name(&metric.name), label, scale: metric.scale, seen: Cell::default() }
    }

    #[inline]
    fn sample(&mut self, metric: &Known, value: Value) {
        let value = value.as_f64();
        if !value.is_finite() {
            // Without a value, there is no series that could end.
            return;
        }
        let value = if self.ended { f64::from_bits(STALE) } else { metric.scale.of(value) };
        let bytes = self.stream.push(metric, &self.labels, value, self.requests.body());
        self.requests.count(1, bytes);
        if self.requests.is_full() {
            self.end();
        }
    }

    fn ended(&mut self, ended: bool) {
        self.ended = ended;
    }

    fn size(&self) -> usize {
        self.requests.size()
    }

    fn take(&mut self, batch: &Batch) -> (Output, Batch) {
        self.end();
        (Output::RemoteWrite, self.requests.take(batch))
    }
}

#[cfg(test)]
mod tests;
