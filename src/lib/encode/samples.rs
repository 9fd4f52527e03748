//! Kafka, `format = prometheus`: lines of Prometheus' text format with their time, packed into messages by the key of their
//! object. They are the samples of remote write; only the end of a series cannot be expressed.

use super::exposition::{Name, pair};
use super::object::{Host, Object};
use super::packs::Packs;
use super::series::{Format, Series, of_host};
use crate::batch::{Batch, Output};
use crate::config::{Kafka, NameStyle};
use crate::prometheus::names::Metric;
use crate::snapshot::Epoch;
use crate::value::Value;

/// The format.
#[derive(Debug)]
pub(super) struct Samples {
    packs: Packs,
    /// The labels of the present object, encoded.
    labels: Vec<u8>,
    /// ` <milliseconds>\n`
    end: Vec<u8>,
    /// The current line; kept to reuse its memory.
    line: Vec<u8>,
    count: usize,
}

impl Samples {
    /// The encoder, with the keys and the maximum message size of the configuration.
    pub(super) fn encoder(config: &Kafka) -> Series<Self> {
        let packs = Packs::new(config.key.clone(), config.max_message_size.get());
        let format = Self { packs, labels: Vec::new(), end: Vec::new(), line: Vec::new(), count: 0 };
        Series::of(NameStyle::Promex, format)
    }
}

impl Format for Samples {
    type Metric = Name;
    const ENDS: bool = false;

    fn begin(&mut self) {
        self.packs.clear();
        self.count = 0;
    }

    fn object(&mut self, object: &Object<'_>, labels: &[(&str, &str)], host: &Host, stamp: Epoch) {
        self.packs.object(object, host, stamp);
        self.labels.clear();
        of_host(host).chain(labels.iter().copied()).for_each(|(label, value)| pair(label, value, &mut self.labels));
        self.end = format!(" {}\n", stamp.0.saturating_mul(1000)).into_bytes();
    }

    fn metric(&mut self, metric: &Metric) -> Name {
        Name::new(metric)
    }

    fn sample(&mut self, metric: &Name, value: Value) {
        self.line.clear();
        if metric.write(&self.labels, value, &mut self.line) {
            self.line.extend_from_slice(&self.end);
            self.packs.add(&self.line);
            self.count += 1;
        }
    }

    fn size(&self) -> usize {
        self.packs.size()
    }

    fn take(&mut self, batch: &Batch) -> (Output, Batch) {
        let lines = std::mem::take(&mut self.count);
        (Output::Kafka, Batch { messages: self.packs.take(), lines, ..batch.clone() })
    }
}
