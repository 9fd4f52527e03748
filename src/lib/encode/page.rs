//! The metrics page for scrapers: Prometheus' text format, with the lines of each metric together. Each message of a batch is a
//! metric: its key has the lines about the metric, its payload the samples.

use super::catalogue::{Catalogue, parts};
use super::families::{Families, Family};
use super::object::{Host, ObjectKind};
use super::series::{Format, Series};
use crate::batch::messages::Messages;
use crate::batch::{Batch, Output};
use crate::config::NameStyle;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::{Metric, Scale};
use crate::snapshot::Epoch;
use crate::telemetry::{Kind, as_f64};
use crate::value::Value;

/// The format.
#[derive(Debug)]
pub(super) struct Page {
    families: Families,
    /// Whether series have a label for their host. With a single host, the scraper knows it.
    several_hosts: bool,
    /// The labels of the present object, encoded.
    labels: Vec<u8>,
    /// Whether the object is haproxystats itself, whose figures the page has anyway.
    silent: bool,
    stamp: Epoch,
    size: usize,
    count: usize,
}

/// A metric, encoded.
#[derive(Debug)]
pub(super) struct Known {
    family: usize,
    name: Box<[u8]>,
    label: Box<[u8]>,
    scale: Scale,
}

impl Known {
    fn new(metric: &Metric, families: &mut Families) -> Self {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        Self::of(metric, kind, families)
    }

    fn of(metric: &Metric, kind: &str, families: &mut Families) -> Self {
        let Metric { name, about, .. } = metric;
        let family = families.of(name, || {
            let head = format!("# HELP {name} {about}.\n# TYPE {name} {kind}\n");
            Family::new(head.into_bytes())
        });
        Self::in_family(metric, family)
    }

    /// A metric whose lines belong to this family.
    fn in_family(metric: &Metric, family: usize) -> Self {
        let mut label = Vec::new();
        if let Some((name, value)) = &metric.label {
            pair(name, value, &mut label);
        }
        Self { family, name: metric.name.as_bytes().into(), label: label.into_boxed_slice(), scale: metric.scale }
    }
}

/// Appends a label, after a comma if it is not the first one.
fn pair(name: &str, value: &str, out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
    out.push(b'"');
}

impl Page {
    /// The encoder. `several_hosts` adds a label for the host to each series.
    pub(super) fn encoder(several_hosts: bool) -> Series<Self> {
        let (families, labels) = (Families::default(), Vec::new());
        let format = Self { families, several_hosts, labels, silent: false, stamp: Epoch(0), size: 0, count: 0 };
        Series::of(NameStyle::Promex, format)
    }
}

impl Format for Page {
    type Metric = Known;
    const ENDS: bool = false;

    fn begin(&mut self) {
        self.families.clear();
        (self.size, self.count, self.silent) = (0, 0, false);
    }

    fn object(&mut self, kind: ObjectKind, labels: &[(&str, &str)], host: &Host, stamp: Epoch) {
        self.silent = kind == ObjectKind::Own;
        if !self.silent {
            self.stamp = stamp;
        }
        self.labels.clear();
        let host_name = if self.several_hosts { host.name.as_str() } else { "" };
        let of_host = [("instance", host_name), ("cluster", host.cluster.as_deref().unwrap_or_default())];
        for (label, value) in of_host.iter().filter(|(_, value)| !value.is_empty()).chain(labels) {
            pair(label, value, &mut self.labels);
        }
    }

    fn metric(&mut self, metric: &Metric) -> Known {
        Known::new(metric, &mut self.families)
    }

    fn sample(&mut self, metric: &Known, value: Value) {
        let Some(family) = self.families.get(metric.family).filter(|_| !self.silent) else { return };
        let value = match metric.scale {
            Scale::Same => value,
            scale => Value::Float(scale.of(value.as_f64())),
        };
        let out = &mut family.content;
        let before = out.len();
        out.extend_from_slice(&metric.name);
        if !self.labels.is_empty() || !metric.label.is_empty() {
            out.push(b'{');
            out.extend_from_slice(&self.labels);
            if !self.labels.is_empty() && !metric.label.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(&metric.label);
            out.push(b'}');
        }
        out.push(b' ');
        if !value.write(out) {
            out.truncate(before);
            return;
        }
        out.push(b'\n');
        self.size += out.len() - before;
        self.count += 1;
    }

    fn histogram(&mut self, catalogue: &mut Catalogue<Known>, timer: &str, histogram: &Histogram, _: Epoch) {
        // The family is the histogram; its parts have different names.
        let whole = |metric: &Metric| Known::of(metric, "histogram", &mut self.families);
        let Some(family) = catalogue.histogram(timer, "", None, whole).map(|known| known.family) else { return };
        parts(histogram, |part, bound, value| {
            let known = catalogue.histogram(timer, part, bound, |metric| Known::in_family(metric, family));
            if let Some(known) = known {
                self.sample(known, Value::Float(as_f64(value)));
            }
        });
    }

    fn size(&self) -> usize {
        self.size
    }

    fn take(&mut self, batch: &Batch) -> (Output, Batch) {
        let mut messages = Messages::default();
        for family in self.families.filled() {
            messages.push(&family.head, self.stamp, [family.content.as_slice()]);
            family.content.clear();
        }
        self.size = 0;
        let lines = std::mem::take(&mut self.count);
        (Output::Page, Batch { messages, lines, ..batch.clone() })
    }
}
