//! Which metric a field is, for formats that have names and labels of their own. Found out once for each field of a kind of
//! object: objects come with the same fields in the same order, again and again.

use super::object::ObjectKind;
use crate::config::NameStyle;
use crate::latency::histogram::Histogram;
use crate::prometheus::names::{self, Metric, Scale, Subject};
use crate::telemetry::Definition;
use std::collections::HashMap;
use std::fmt::Debug;

/// Stands between a field and a state of it in the key of a metric; no name has it.
const OF: u8 = 0;

/// The bound of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// In milliseconds.
    At(u32),
    /// Of the last bucket, which has all.
    Infinite,
}

impl Bound {
    fn key(self) -> String {
        match self {
            Self::At(bound) => bound.to_string(),
            Self::Infinite => "+Inf".to_owned(),
        }
    }

    /// In the unit of the style.
    fn label(self, style: NameStyle) -> String {
        match self {
            Self::At(bound) if style == NameStyle::Promex => Scale::Thousandths.of(f64::from(bound)).to_string(),
            bound => bound.key(),
        }
    }
}

/// The parts of a histogram as they are written where each is a series: `each` is told part, bound, and value.
pub(super) fn parts(histogram: &Histogram, mut each: impl FnMut(&'static str, Option<Bound>, u64)) {
    for (bound, count) in histogram.bounds().iter().zip(histogram.counts()) {
        each("bucket", Some(Bound::At(*bound)), *count);
    }
    each("bucket", Some(Bound::Infinite), histogram.count());
    each("sum", None, histogram.sum());
    each("count", None, histogram.count());
}

/// The metrics of all kinds of objects, each with what the format makes of it.
#[derive(Debug)]
pub(super) struct Catalogue<T> {
    style: NameStyle,
    kinds: Vec<Kind<T>>,
    /// The kind of the present object.
    present: usize,
    /// The key at hand; kept for its memory.
    key: Vec<u8>,
}

#[derive(Debug)]
struct Kind<T> {
    subject: Subject,
    of_cluster: bool,
    /// In the order in which they came.
    metrics: Vec<(Box<[u8]>, T)>,
    places: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    /// Where the next is likely to stand.
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

/// What a kind of object is about.
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

    /// From now on metrics are of such an object; returns the labels that hold its names.
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

    /// What the format made of the metric of a field; `None` for one that it has in another form.
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

    /// The same of one of the states of a field.
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

    /// The same of a histogram of times, or of one of its parts: a bucket has its bound, in milliseconds.
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

    /// The same of a figure of haproxystats itself.
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
