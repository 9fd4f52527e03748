//! The common part of formats with series. It finds the metric and the labels of each value, and whether its series has ended;
//! the format only has to write them.

use super::catalogue::{Catalogue, parts};
use super::encoder::Encoder;
use super::object::{Host, Object};
use crate::batch::{Batch, Output};
use crate::config::NameStyle;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::Metric;
use crate::snapshot::Epoch;
use crate::telemetry::{Definition, as_f64};
use crate::value::Value;
use std::fmt::Debug;

/// A format that writes samples of series.
pub(super) trait Format: Debug {
    /// What the format keeps for a metric.
    type Metric: Debug;

    /// Whether the format can express that a series has ended.
    const ENDS: bool;

    /// Begins a snapshot, and discards what is left of another one.
    fn begin(&mut self);

    /// The following samples are of this object. `labels` are those of the object itself, such as proxy and server; none is
    /// empty.
    fn object(&mut self, object: &Object<'_>, labels: &[(&str, &str)], host: &Host, stamp: Epoch);

    /// Prepares a metric that occurs for the first time.
    fn metric(&mut self, metric: &Metric) -> Self::Metric;

    /// Prepares a metric about haproxystats itself.
    fn figure(&mut self, metric: &Metric) -> Self::Metric {
        self.metric(metric)
    }

    /// Appends a sample, finite or not.
    fn sample(&mut self, metric: &Self::Metric, value: Value);

    /// Appends a histogram of times in milliseconds, which has counted since `since`: by default, each of its parts as a sample
    /// of its own.
    fn histogram(
        &mut self,
        catalogue: &mut Catalogue<Self::Metric>,
        timer: &str,
        histogram: &Histogram,
        _since: Epoch,
    ) {
        parts(histogram, |part, bound, value| {
            if let Some(metric) = catalogue.histogram(timer, part, bound, |metric| self.metric(metric)) {
                self.sample(metric, Value::Float(as_f64(value)));
            }
        });
    }

    /// The following counters have counted since this time.
    fn since(&mut self, _start: Option<Epoch>) {}

    /// Whether the following series have ended.
    fn ended(&mut self, _ended: bool) {}

    /// Bytes so far.
    fn size(&self) -> usize;

    /// Takes what was written so far.
    fn take(&mut self, batch: &Batch) -> (Output, Batch);
}

/// The label for the name of a host.
pub(super) const INSTANCE: &str = "instance";

/// The labels of a host; none is empty.
pub(super) fn of_host(host: &Host) -> impl Iterator<Item = (&str, &str)> {
    let labels = [(INSTANCE, host.name.as_str()), ("cluster", host.cluster.as_deref().unwrap_or_default())];
    labels.into_iter().filter(|(_, value)| !value.is_empty())
}

/// The encoder of such a format.
#[derive(Debug)]
pub(super) struct Series<F: Format> {
    catalogue: Catalogue<F::Metric>,
    format: F,
}

impl<F: Format> Series<F> {
    /// An encoder of this format that names metrics in this style.
    pub(super) fn of(style: NameStyle, format: F) -> Self {
        Self { catalogue: Catalogue::new(style), format }
    }
}

impl<F: Format> Encoder for Series<F> {
    fn begin(&mut self) {
        self.format.begin();
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        let (proxy, name) = self.catalogue.object(object.kind, host.name.is_empty());
        let both = [(proxy, object.proxy), (name, object.name)];
        let is_there = |(label, value): &(&str, &str)| !label.is_empty() && !value.is_empty();
        let labels = match both.each_ref().map(is_there) {
            [true, true] => &both[..],
            [true, false] => &both[..1],
            [false, true] => &both[1..],
            [false, false] => &[],
        };
        self.format.object(object, labels, host, stamp);
    }

    fn field(&mut self, name: &[u8], value: Value) {
        let Self { catalogue, format } = self;
        if let Some(metric) = catalogue.field(name, |metric| format.metric(metric)) {
            format.sample(metric, value);
        }
    }

    fn states(&mut self, field: &str, states: &[(&'static str, i64)]) {
        let Self { catalogue, format } = self;
        for (state, value) in states {
            if let Some(metric) = catalogue.state(field, state, |metric| format.metric(metric)) {
                format.sample(metric, Value::Int(*value));
            }
        }
    }

    fn figure(&mut self, figure: &'static Definition, destination: Option<&str>, value: f64) {
        let Self { catalogue, format } = self;
        if let Some(metric) = catalogue.figure(figure, destination, |metric| format.figure(metric)) {
            format.sample(metric, Value::Float(value));
        }
    }

    fn histogram(&mut self, name: &[u8], histogram: &Histogram, since: Epoch) {
        let Self { catalogue, format } = self;
        format.histogram(catalogue, &String::from_utf8_lossy(name), histogram, since);
    }

    fn since(&mut self, start: Option<Epoch>) {
        self.format.since(start);
    }

    fn ended(&mut self, ended: bool) {
        self.format.ended(ended);
    }

    fn tells_ended(&self) -> bool {
        F::ENDS
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
        self.format.size()
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        vec![self.format.take(batch)]
    }
}
