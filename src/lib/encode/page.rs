//! The metrics page for scrapers: Prometheus' text format, with the lines of each metric together. Each message of a batch is a
//! metric: its key has the lines about the metric, its payload the samples.

use super::catalogue::{Catalogue, parts};
use super::exposition::{Name, pair};
use super::families::{Families, Family};
use super::object::{Host, Object, ObjectKind};
use super::series::{Format, INSTANCE, Series, of_host};
use crate::batch::messages::Messages;
use crate::batch::{Batch, Output};
use crate::config::NameStyle;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::Metric;
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
    name: Name,
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
        Self { family, name: Name::new(metric) }
    }
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

    fn object(&mut self, object: &Object<'_>, labels: &[(&str, &str)], host: &Host, stamp: Epoch) {
        self.silent = object.kind == ObjectKind::Own;
        if !self.silent {
            self.stamp = stamp;
        }
        self.labels.clear();
        let of_host = of_host(host).filter(|(label, _)| self.several_hosts || *label != INSTANCE);
        of_host.chain(labels.iter().copied()).for_each(|(label, value)| pair(label, value, &mut self.labels));
    }

    fn metric(&mut self, metric: &Metric) -> Known {
        Known::new(metric, &mut self.families)
    }

    fn sample(&mut self, metric: &Known, value: Value) {
        let Some(family) = self.families.get(metric.family).filter(|_| !self.silent) else { return };
        let out = &mut family.content;
        let before = out.len();
        if !metric.name.write(&self.labels, value, out) {
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
