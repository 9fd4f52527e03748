//! Kafka, `format = graphite`: lines, packed into messages by the key of their object.

use super::encoder::Encoder;
use super::object::{Host, Object};
use super::packs::Packs;
use super::prefix::Prefix;
use crate::batch::{Batch, Output};
use crate::config::Kafka;
use crate::snapshot::Epoch;

/// The encoder.
#[derive(Debug)]
pub(super) struct Keyed {
    packs: Packs,
    /// ` <timestamp>\n`
    end: Vec<u8>,
    /// The current line; kept to reuse its memory.
    line: Vec<u8>,
}

impl Keyed {
    /// An encoder with the keys and the maximum message size of the configuration.
    pub(super) fn new(config: &Kafka) -> Self {
        let packs = Packs::new(config.key.clone(), config.max_message_size.get());
        Self { packs, end: Vec::new(), line: Vec::new() }
    }
}

impl Encoder for Keyed {
    fn begin(&mut self) {
        self.packs.clear();
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        self.packs.object(object, host, stamp);
        self.end = format!(" {stamp}\n").into_bytes();
    }

    fn line(&mut self, prefix: Prefix<'_>, metric: &[u8], text: &[u8], _: f64) {
        self.line.clear();
        for part in [prefix.plain, metric, b" ", text, &self.end] {
            self.line.extend_from_slice(part);
        }
        self.packs.add(&self.line);
    }

    fn takes_clusters(&self) -> bool {
        false
    }

    fn takes_lines(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        self.packs.size()
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        vec![(Output::Kafka, Batch { messages: self.packs.take(), ..batch.clone() })]
    }
}
