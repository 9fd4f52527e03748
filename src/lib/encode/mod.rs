//! From objects and their values to the bytes that destinations take: one encoder for each format.
//!
//! | destination | takes | file |
//! |---|---|---|
//! | Graphite in plaintext, local store | lines | `line` |
//! | Graphite with tags, in pickles, or shared out by a hash | lines or frames, for each server its own | `graphite` |
//! | Kafka, `format = graphite` | lines, packed into messages | `keyed` |
//! | Kafka, `format = json`, `influx` | a document, or a line, for each object | `documents` |
//!
//! Whoever tells of a snapshot speaks to the [`sink::Sink`] alone. A further format is a file here and an entry in
//! [`encoders`].

pub mod documents;
pub mod graphite;
pub mod influx;
pub mod json;
pub mod keyed;
pub mod line;
pub mod object;
mod packs;
pub mod pickle;
pub mod prefix;
mod records;
pub mod ring;
pub mod short_bytes;
pub mod sink;
pub mod unchanged;

use crate::batch::{Batch, Output};
use crate::config::{Config, KafkaFormat};
use crate::snapshot::Epoch;
use crate::value::Value;
use documents::Documents;
use graphite::Graphite;
use keyed::Keyed;
use object::{Host, Object};
use prefix::Prefix;
use std::fmt::Debug;

/// Turns objects and values into the bytes of a format. It is told of lines or of fields, whichever it asks for.
pub trait Encoder: Debug {
    /// A snapshot begins; what is left of another is forgotten.
    fn begin(&mut self);

    /// What follows is of this object, at this moment.
    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch);

    /// A metric on one of the paths of the object. `text` is what a line shows of the value.
    fn line(&mut self, _prefix: Prefix<'_>, _metric: &[u8], _text: &[u8], _value: f64) {}

    /// A value of the object, each once, finite or not: averages are those that can be added up beyond the host.
    fn field(&mut self, _name: &[u8], _value: Value) {}

    /// Whether it takes lines of clusters, too: those who roll up by themselves do not.
    fn takes_clusters(&self) -> bool;

    /// Whether it takes lines. Who takes fields makes one thing of an object, whose values may come in several turns.
    fn takes_lines(&self) -> bool;

    /// Bytes so far.
    fn size(&self) -> usize;

    /// Takes out what there is so far, as batches like `batch`, and who gets them. Where `batch` says that more will follow,
    /// what there is one of for each snapshot may stay until then.
    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)>;
}

/// Whether anything of this configuration takes lines in plaintext.
#[must_use]
pub fn is_plaintext_wanted(config: &Config) -> bool {
    config.local_store.is_some() || (config.graphite.enabled && graphite::is_plaintext(&config.graphite))
}

/// The encoders of all other formats that this configuration wants.
#[must_use]
pub fn encoders(config: &Config) -> Vec<Box<dyn Encoder>> {
    let mut encoders: Vec<Box<dyn Encoder>> = Vec::new();
    if config.graphite.enabled && !graphite::is_plaintext(&config.graphite) {
        encoders.push(Box::new(Graphite::new(&config.graphite)));
    }
    match &config.kafka {
        Some(kafka) if kafka.format == KafkaFormat::Graphite => encoders.push(Box::new(Keyed::new(kafka))),
        Some(kafka) => encoders.push(Box::new(Documents::new(kafka))),
        None => {}
    }
    encoders
}
