//! What a format is for whoever tells of a snapshot.

use super::object::{Host, Object};
use super::prefix::Prefix;
use crate::batch::{Batch, Output};
use crate::snapshot::Epoch;
use crate::value::Value;
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
