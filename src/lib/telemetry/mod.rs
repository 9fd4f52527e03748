//! What haproxystats sends about itself, under `<namespace>[.<host>].haproxy.haproxystats.` and on the page for Prometheus.
//!
//! The code that counts a figure declares it, with `definitions!`, `counters!` or `figures!`. The page, the
//! lines for Graphite, what a worker says to its parent, the sum over workers and docs/metrics.md go through those
//! declarations: nothing else names a figure.

mod declare;
pub mod markdown;
pub mod pull;

#[cfg(feature = "process")]
pub(crate) use declare::figures;
pub(crate) use declare::{counters, definitions};

use std::borrow::Cow;

/// How a figure behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows from 0 at the start of the program.
    Counter,
    /// Describes one moment or one snapshot.
    Gauge,
}

/// What a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Last element of the metric's path.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// In words.
    pub about: &'static str,
}

impl Definition {
    /// A value of the figure, without labels.
    #[must_use]
    pub fn sample(&'static self, value: f64) -> Sample<'static> {
        Sample { definition: self, labels: Vec::new(), value }
    }

    /// The value of a whole number that is held for the figure: times are held in microseconds.
    #[must_use]
    pub fn value(&self, number: u64) -> f64 {
        if self.unit == "seconds" { as_f64(number) / 1e6 } else { as_f64(number) }
    }

    /// What two workers together have: the longer of two times, the better of two states, and the sum of anything else.
    #[must_use]
    pub fn both(&self, one: u64, other: u64) -> u64 {
        if matches!(self.unit, "seconds" | "state") && self.kind == Kind::Gauge {
            one.max(other)
        } else {
            one.saturating_add(other)
        }
    }
}

/// One value of a figure.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// The figure.
    pub definition: &'static Definition,
    /// What of it: a backend, a socket, a word.
    pub labels: Vec<(&'static str, Cow<'a, str>)>,
    /// The value.
    pub value: f64,
}

impl<'a> Sample<'a> {
    /// With one more label.
    #[must_use]
    pub fn with(mut self, label: &'static str, text: impl Into<Cow<'a, str>>) -> Self {
        self.labels.push((label, text.into()));
        self
    }
}

/// What a figure is called on the page: `QueueOldestAge` of the process program is
/// `haproxystats_process_queue_oldest_age_seconds`. The unit stands at the end where it is one of Prometheus' base
/// units, and `_total` behind counters.
#[must_use]
pub(crate) fn name_of(prefix: &str, definition: &Definition) -> String {
    let mut name = prefix.to_owned();
    let mut before = '_';
    for letter in definition.name.chars() {
        // Abbreviations such as HAProxy stay together.
        if letter.is_ascii_uppercase() && !before.is_ascii_uppercase() && !name.ends_with('_') {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        before = letter;
    }
    if matches!(definition.unit, "seconds" | "bytes") && !name.ends_with(definition.unit) {
        name.push('_');
        name.push_str(definition.unit);
    }
    if definition.kind == Kind::Counter {
        name.push_str("_total");
    }
    name
}

/// A count as a metric's value. Exact up to 2^53, which no counter here reaches in a thousand years.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A number of things as a metric's value.
#[must_use]
pub fn size(count: usize) -> f64 {
    as_f64(u64::try_from(count).unwrap_or(u64::MAX))
}
