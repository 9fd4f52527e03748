//! What a format is for the sink.

use super::object::{Host, Object};
use super::prefix::Prefix;
use crate::batch::{Batch, Output};
use crate::latency::histogram::Histogram;
use crate::snapshot::Epoch;
use crate::telemetry::Definition;
use crate::value::Value;
use std::fmt::Debug;

/// Turns objects and values into the bytes of a format. It is told of lines or of fields, whichever it asks for.
pub trait Encoder: Debug {
    /// A snapshot begins; what is left of another is forgotten.
    fn begin(&mut self);

    /// What follows is of this object, at this moment.
    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch);

    /// Whether objects that follow are those of a cluster; told only to those who take these.
    fn clusters(&mut self, _clusters: bool) {}

    /// A metric on one of the paths of the object. `text` is what a line shows of the value.
    fn line(&mut self, _prefix: Prefix<'_>, _metric: &[u8], _text: &[u8], _value: f64) {}

    /// A value of the object, each once, finite or not: averages are those that can be added up beyond the host.
    fn field(&mut self, _name: &[u8], _value: Value) {}

    /// In which of these states the object is, or how many of its parts are in each: each state with a number. `field` is the
    /// field of HAProxy that says it.
    fn states(&mut self, _field: &str, _states: &[(&'static str, i64)]) {}

    /// A figure of haproxystats itself, of one of its destinations where it is said which. Who takes these takes no other
    /// values of it.
    fn figure(&mut self, _figure: &'static Definition, _destination: Option<&str>, _value: f64) {}

    /// Counters of what follows count from this moment on, as far as that is known.
    fn since(&mut self, _start: Option<Epoch>) {}

    /// Whether what follows is of objects that are no more: each series that has a value ends at this moment.
    fn ended(&mut self, _ended: bool) {}

    /// Whether it wants to know of those.
    fn tells_ended(&self) -> bool {
        false
    }

    /// Whether a piece may end between any two objects.
    fn divides_anywhere(&self) -> bool {
        self.takes_lines()
    }

    /// A histogram of the object: all that was counted since `since`, in milliseconds. It only grows, but for a server that is
    /// forgotten; a format without histograms ignores it, since percentiles come as metrics besides.
    fn histogram(&mut self, _name: &[u8], _histogram: &Histogram, _since: Epoch) {}

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
