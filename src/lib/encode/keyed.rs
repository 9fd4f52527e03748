//! Kafka, `format = graphite`: lines, packed into messages by the key of their object.

use super::encoder::Encoder;
use super::object::{Host, Object};
use super::packs::Packs;
use super::prefix::Prefix;
use super::records::key_of;
use crate::batch::{Batch, Output};
use crate::config::{Kafka, KeyTemplate};
use crate::snapshot::Epoch;

/// The encoder.
#[derive(Debug)]
pub struct Keyed {
    key: KeyTemplate,
    limit: usize,
    packs: Packs,
    /// The pack of the present object.
    pack: usize,
    /// ` <timestamp>\n`
    end: Vec<u8>,
    /// The current line; kept to reuse its memory.
    line: Vec<u8>,
}

impl Keyed {
    /// An encoder with the keys and the maximum message size of the configuration.
    #[must_use]
    pub fn new(config: &Kafka) -> Self {
        let limit = config.max_message_size.get();
        let (packs, key) = (Packs::new(limit), config.key.clone());
        Self { key, limit, packs, pack: 0, end: Vec::new(), line: Vec::new() }
    }
}

impl Encoder for Keyed {
    fn begin(&mut self) {
        self.packs = Packs::new(self.limit);
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch) {
        self.pack = self.packs.of(key_of(&self.key, object, host), stamp);
        self.end = format!(" {stamp}\n").into_bytes();
    }

    fn line(&mut self, prefix: Prefix<'_>, metric: &[u8], text: &[u8], _: f64) {
        self.line.clear();
        for part in [prefix.plain, metric, b" ", text, &self.end] {
            self.line.extend_from_slice(part);
        }
        self.packs.add(self.pack, &self.line);
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
        let mut messages = std::mem::replace(&mut self.packs, Packs::new(self.limit)).finish();
        messages.shrink();
        vec![(Output::Kafka, Batch { messages, ..batch.clone() })]
    }
}
