//! The page for those who scrape: Prometheus' text format, the lines of each metric together. The messages of a batch are
//! metrics, the key what is said of the metric, the payload lines.

use super::catalogue::{Catalogue, parts};
use super::encoder::Encoder;
use super::families::{Families, Family};
use super::object::{Host, Object, ObjectKind};
use crate::batch::messages::Messages;
use crate::batch::{Batch, Output};
use crate::config::NameStyle;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::{Metric, Scale};
use crate::snapshot::Epoch;
use crate::telemetry::{Kind, as_f64};
use crate::value::Value;

/// The encoder.
#[derive(Debug)]
pub struct Page {
    catalogue: Catalogue<Known>,
    families: Families,
    /// Whether series say of which host they are: where they come from one, the scraper knows.
    several_hosts: bool,
    /// The labels of the present object, as they are written.
    labels: Vec<u8>,
    /// It is haproxystats itself, whose figures the page has anyway.
    silent: bool,
    stamp: Epoch,
    size: usize,
    count: usize,
}

#[derive(Debug)]
struct Known {
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

    /// One whose lines stand in this family.
    fn in_family(metric: &Metric, family: usize) -> Self {
        let mut label = Vec::new();
        if let Some((name, value)) = &metric.label {
            pair(name, value, &mut label);
        }
        Self { family, name: metric.name.as_bytes().into(), label: label.into_boxed_slice(), scale: metric.scale }
    }
}

/// Appends a label, a comma in front of it where it is not the first.
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
    /// `several_hosts` gives series the host that they are of.
    #[must_use]
    pub fn new(several_hosts: bool) -> Self {
        Self {
            catalogue: Catalogue::new(NameStyle::Promex),
            families: Families::default(),
            several_hosts,
            labels: Vec::new(),
            silent: false,
            stamp: Epoch(0),
            size: 0,
            count: 0,
        }
    }

    fn sample(
        &mut self,
        find: impl for<'a> FnOnce(&'a mut Catalogue<Known>, &mut Families) -> Option<&'a Known>,
        value: Value,
    ) {
        if self.silent {
            return;
        }
        let Some(known) = find(&mut self.catalogue, &mut self.families) else { return };
        let Some(family) = self.families.get(known.family) else { return };
        let value = match known.scale {
            Scale::Same => value,
            scale => Value::Float(scale.of(value.as_f64())),
        };
        let out = &mut family.content;
        let before = out.len();
        out.extend_from_slice(&known.name);
        if !self.labels.is_empty() || !known.label.is_empty() {
            out.push(b'{');
            out.extend_from_slice(&self.labels);
            if !self.labels.is_empty() && !known.label.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(&known.label);
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
}

impl Encoder for Page {
    fn begin(&mut self) {
        self.families.clear();
        (self.size, self.count, self.silent) = (0, 0, false);
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        self.silent = object.kind == ObjectKind::Own;
        if !self.silent {
            self.stamp = stamp;
        }
        let (proxy, name) = self.catalogue.object(object.kind, host.name.is_empty());
        self.labels.clear();
        let host_name = if self.several_hosts { host.name.as_str() } else { "" };
        let cluster = host.cluster.as_deref().unwrap_or_default();
        for (label, value) in
            [("instance", host_name), ("cluster", cluster), (proxy, object.proxy), (name, object.name)]
        {
            if !label.is_empty() && !value.is_empty() {
                pair(label, value, &mut self.labels);
            }
        }
    }

    fn field(&mut self, name: &[u8], value: Value) {
        self.sample(|catalogue, families| catalogue.field(name, |metric| Known::new(metric, families)), value);
    }

    fn states(&mut self, field: &str, states: &[(&'static str, i64)]) {
        for (state, value) in states {
            self.sample(
                |catalogue, families| catalogue.state(field, state, |metric| Known::new(metric, families)),
                Value::Int(*value),
            );
        }
    }

    fn histogram(&mut self, name: &[u8], histogram: &Histogram, _: Epoch) {
        let timer = String::from_utf8_lossy(name);
        // The family is the histogram, whose parts have names of their own.
        let whole = |catalogue: &mut Catalogue<Known>, families: &mut Families| {
            let whole = |metric: &Metric| Known::of(metric, "histogram", families);
            catalogue.histogram(&timer, "", None, whole).map(|known| known.family)
        };
        let Some(family) = whole(&mut self.catalogue, &mut self.families) else { return };
        parts(histogram, |part, bound, value| {
            self.sample(
                |catalogue, _| catalogue.histogram(&timer, part, bound, |metric| Known::in_family(metric, family)),
                Value::Float(as_f64(value)),
            );
        });
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
        self.size
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        let mut messages = Messages::default();
        for (_, family) in self.families.filled() {
            messages.push(&family.head, self.stamp, [family.content.as_slice()]);
            family.content.clear();
        }
        self.size = 0;
        let lines = std::mem::take(&mut self.count);
        vec![(Output::Page, Batch { messages, lines, ..batch.clone() })]
    }
}
