//! Finds the metric for each field, for formats with their own names and labels. This is done once for each field of each kind of
//! object; after that, the fact that objects have the same fields in the same order makes the lookup cheap.

use super::object::ObjectKind;
use crate::config::NameStyle;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::{self, Metric, Scale, Subject};
use crate::telemetry::Definition;
use std::collections::HashMap;
use std::fmt::Debug;

/// Separates a field from its state in the key of a metric; no name contains it.
const OF: u8 = 0;

/// The bound of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// In milliseconds.
    At(u32),
    /// The bound of the last bucket, which contains everything.
    Infinite,
}

impl Bound {
    fn key(self) -> String {
        match self {
            Self::At(bound) => bound.to_string(),
            Self::Infinite => "+Inf".to_owned(),
        }
    }

    /// The bound as a label, in the unit of the style.
    fn label(self, style: NameStyle) -> String {
        match self {
            Self::At(bound) if style == NameStyle::Promex => Scale::Thousandths.of(f64::from(bound)).to_string(),
            bound => bound.key(),
        }
    }
}

/// The parts of a histogram, for formats in which each is a series: calls `each` with part, bound and value.
pub(super) fn parts(histogram: &Histogram, mut each: impl FnMut(&'static str, Option<Bound>, u64)) {
    for (bound, count) in histogram.bounds().iter().zip(histogram.counts()) {
        each("bucket", Some(Bound::At(*bound)), *count);
    }
    each("bucket", Some(Bound::Infinite), histogram.count());
    each("sum", None, histogram.sum());
    each("count", None, histogram.count());
}

/// The metrics of all kinds of objects, each with what the format keeps for it.
#[derive(Debug)]
pub(super) struct Catalogue<T> {
    style: NameStyle,
    kinds: Vec<Kind<T>>,
    /// The kind of the present object.
    present: usize,
    /// The current key; kept to reuse its memory.
    key: Vec<u8>,
}

#[derive(Debug)]
struct Kind<T> {
    subject: Subject,
    of_cluster: bool,
    /// Keys and metrics, in the order in which they first occurred.
    metrics: Vec<(Box<[u8]>, T)>,
    places: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    /// Where the next metric probably is.
    next: usize,
}

impl<T> Kind<T> {
    fn find(&mut self, key: &[u8]) -> Option<usize> {
        let is_it = |place: usize| self.metrics.get(place).is_some_and(|(known, _)| **known == *key);
        let place = if is_it(self.next) { self.next } else { *self.places.get(key)? };
        self.next = place + 1;
        Some(place)
    }

    fn add(&mut self, key: &[u8], made: T) {
        self.places.insert(key.into(), self.metrics.len());
        self.metrics.push((key.into(), made));
        self.next = self.metrics.len();
    }
}

/// The subject of a kind of object.
fn subject(kind: ObjectKind) -> Subject {
    match kind {
        ObjectKind::Daemon => Subject::Process,
        ObjectKind::Process => Subject::Worker,
        ObjectKind::Frontend => Subject::Frontend,
        ObjectKind::Backend => Subject::Backend,
        ObjectKind::Server => Subject::Server,
        ObjectKind::ServerTotal => Subject::Servers,
        ObjectKind::Listener => Subject::Listener,
        ObjectKind::Thing(thing) => Subject::Thing(thing),
        ObjectKind::Own => Subject::Own,
    }
}

impl<T: Debug> Catalogue<T> {
    pub(super) fn new(style: NameStyle) -> Self {
        Self { style, kinds: Vec::new(), present: 0, key: Vec::new() }
    }

    /// Switches to this kind of object; returns the labels for its names.
    pub(super) fn object(&mut self, kind: ObjectKind, of_cluster: bool) -> (&'static str, &'static str) {
        let subject = subject(kind);
        let known = self.kinds.iter().position(|kind| (kind.subject, kind.of_cluster) == (subject, of_cluster));
        self.present = known.unwrap_or_else(|| {
            let (metrics, places) = (Vec::new(), HashMap::default());
            self.kinds.push(Kind { subject, of_cluster, metrics, places, next: 0 });
            self.kinds.len() - 1
        });
        if let Some(kind) = self.kinds.get_mut(self.present) {
            kind.next = 0;
        }
        subject.labels(self.style)
    }

    /// What the format keeps for the metric of a field; `None` if the format expresses the field in another form.
    pub(super) fn field(&mut self, field: &[u8], make: impl FnOnce(&Metric) -> T) -> Option<&T> {
        let (style, kind) = (self.style, self.kinds.get_mut(self.present)?);
        let place = match kind.find(field) {
            Some(place) => place,
            None => {
                let metric = names::metric(style, kind.subject, kind.of_cluster, &String::from_utf8_lossy(field))?;
                kind.add(field, make(&metric));
                kind.metrics.len() - 1
            }
        };
        kind.metrics.get(place).map(|(_, made)| made)
    }

    /// Like [`Self::field`], for one of the states of a field.
    pub(super) fn state(&mut self, field: &str, state: &'static str, make: impl FnOnce(&Metric) -> T) -> Option<&T> {
        let (style, kind) = (self.style, self.kinds.get_mut(self.present)?);
        self.key.clear();
        for part in [field.as_bytes(), &[OF], state.as_bytes()] {
            self.key.extend_from_slice(part);
        }
        let place = match kind.find(&self.key) {
            Some(place) => place,
            None => {
                let metric = names::state(style, kind.subject, kind.of_cluster, field, state)?;
                kind.add(&self.key, make(&metric));
                kind.metrics.len() - 1
            }
        };
        kind.metrics.get(place).map(|(_, made)| made)
    }

    /// Like [`Self::field`], for a histogram of times, or for one of its parts; a bucket has its bound, in milliseconds.
    pub(super) fn histogram(
        &mut self,
        timer: &str,
        part: &'static str,
        bound: Option<Bound>,
        make: impl FnOnce(&Metric) -> T,
    ) -> Option<&T> {
        let (style, kind) = (self.style, self.kinds.get_mut(self.present)?);
        self.key.clear();
        let text = bound.map(|bound| bound.key()).unwrap_or_default();
        for piece in [timer.as_bytes(), &[OF], part.as_bytes(), &[OF], text.as_bytes()] {
            self.key.extend_from_slice(piece);
        }
        let place = match kind.find(&self.key) {
            Some(place) => place,
            None => {
                let bound = bound.map(|bound| bound.label(style).into());
                let part = (!part.is_empty()).then_some((part, bound));
                kind.add(&self.key, make(&names::histogram(style, kind.subject, kind.of_cluster, timer, part)));
                kind.metrics.len() - 1
            }
        };
        kind.metrics.get(place).map(|(_, made)| made)
    }

    /// Like [`Self::field`], for a figure of haproxystats itself.
    pub(super) fn figure(
        &mut self,
        figure: &'static Definition,
        destination: Option<&str>,
        make: impl FnOnce(&Metric) -> T,
    ) -> Option<&T> {
        let (style, kind) = (self.style, self.kinds.get_mut(self.present)?);
        self.key.clear();
        for part in [figure.name.as_bytes(), &[OF], destination.unwrap_or_default().as_bytes()] {
            self.key.extend_from_slice(part);
        }
        let place = match kind.find(&self.key) {
            Some(place) => place,
            None => {
                kind.add(&self.key, make(&names::figure(style, figure, destination)));
                kind.metrics.len() - 1
            }
        };
        kind.metrics.get(place).map(|(_, made)| made)
    }
}
