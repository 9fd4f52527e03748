//! The interface between the sink and the formats.

use super::object::{Host, Object};
use super::prefix::Prefix;
use crate::batch::{Batch, Output};
use crate::latency::histogram::Histogram;
use crate::snapshot::Epoch;
use crate::telemetry::Definition;
use crate::value::Value;
use std::fmt::Debug;

/// Turns objects and values into the bytes of a format. It gets lines or fields, whichever it asks for.
pub trait Encoder: Debug {
    /// Begins a snapshot, and discards what is left of another one.
    fn begin(&mut self);

    /// The following values are of this object and time.
    fn object(&mut self, object: &Object<'_>, host: &Host, stamp: Epoch);

    /// Whether the following objects are those of a cluster. Only called if the encoder takes clusters.
    fn clusters(&mut self, _clusters: bool) {}

    /// Adds a metric on one of the paths of the object. `text` is the value as a line shows it.
    fn line(&mut self, _prefix: Prefix<'_>, _metric: &[u8], _text: &[u8], _value: f64) {}

    /// Adds a value of the object, each once, finite or not. Averages are those that can be combined across hosts.
    fn field(&mut self, _name: &[u8], _value: Value) {}

    /// Adds the state of the object: 1 for the present state and 0 for the others, or how many of its parts are in each. `field`
    /// is HAProxy's field for it.
    fn states(&mut self, _field: &str, _states: &[(&'static str, i64)]) {}

    /// Adds a figure of haproxystats itself, or of one of its destinations if `destination` is given. An encoder that takes
    /// figures must ignore other values of haproxystats itself.
    fn figure(&mut self, _figure: &'static Definition, _destination: Option<&str>, _value: f64) {}

    /// The following counters have counted since this time, if it is known.
    fn since(&mut self, _start: Option<Epoch>) {}

    /// Whether the following objects no longer exist: each series that gets a value ends now.
    fn ended(&mut self, _ended: bool) {}

    /// Whether it takes objects that no longer exist.
    fn tells_ended(&self) -> bool {
        false
    }

    /// Whether a piece may end between any two objects.
    fn divides_anywhere(&self) -> bool {
        self.takes_lines()
    }

    /// Adds a histogram of everything that was counted since `since`, in milliseconds. It only grows, unless a server is
    /// forgotten. Formats without histograms ignore it, since they get percentiles as metrics.
    fn histogram(&mut self, _name: &[u8], _histogram: &Histogram, _since: Epoch) {}

    /// Whether it takes clusters: destinations that roll up by themselves do not.
    fn takes_clusters(&self) -> bool;

    /// Whether it takes lines. If it takes fields, it combines the values of an object, which may arrive in several turns.
    fn takes_lines(&self) -> bool;

    /// Bytes so far.
    fn size(&self) -> usize;

    /// Takes what was written so far, as batches like `batch`, and the destination of each. If `batch` says that more pieces
    /// follow, it may keep what occurs once per snapshot until the last one.
    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)>;
}
