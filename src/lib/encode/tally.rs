//! Counts series by family, for `--once --count`.

use super::encoder::Encoder;
use super::object::{Host, Object, ObjectKind};
use super::prefix::Prefix;
use crate::batch::{Batch, Output};
use crate::snapshot::Epoch;
use foldhash::quality::RandomState;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::rc::Rc;

/// Objects and series of one family. Names are stored as hashes, since there may be millions.
#[derive(Debug, Default)]
struct Family {
    objects: HashSet<u64>,
    series: HashSet<u64>,
}

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    hashes: RandomState,
    /// Families, by whether they are of a cluster, and by kind of object.
    families: BTreeMap<(bool, ObjectKind), Family>,
}

impl Counts {
    /// Name, number of objects and number of series of each family, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (String, usize, usize)> {
        self.families.iter().map(|((clusters, kind), family)| {
            let word = kind.word();
            let name = if *clusters { format!("cluster {word}") } else { word.to_owned() };
            (name, family.objects.len(), family.series.len())
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: Rc<RefCell<Counts>>,
    clusters: bool,
    present: ObjectKind,
}

impl Tally {
    /// A tally that adds to `counts`.
    #[must_use]
    pub(crate) fn new(counts: Rc<RefCell<Counts>>) -> Self {
        Self { counts, clusters: false, present: ObjectKind::Own }
    }
}

impl Encoder for Tally {
    fn begin(&mut self) {
        *self.counts.borrow_mut() = Counts::default();
    }

    fn object(&mut self, object: &Object<'_>, host: &Host, _: Epoch) {
        self.present = object.kind;
        let mut counts = self.counts.borrow_mut();
        let hash = counts.hashes.hash_one((&host.name, object));
        counts.families.entry((self.clusters, self.present)).or_default().objects.insert(hash);
    }

    fn line(&mut self, prefix: Prefix<'_>, metric: &[u8], _: &[u8], _: f64) {
        let mut counts = self.counts.borrow_mut();
        // With tags, there is also one series for each plain name.
        let hash = counts.hashes.hash_one((prefix.plain, metric));
        counts.families.entry((self.clusters, self.present)).or_default().series.insert(hash);
    }

    fn clusters(&mut self, clusters: bool) {
        self.clusters = clusters;
    }

    fn takes_clusters(&self) -> bool {
        true
    }

    fn takes_lines(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        0
    }

    fn take(&mut self, _: &Batch) -> Vec<(Output, Batch)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::prefix::Prefixes;
    use crate::encode::sink::Sink;
    use crate::value::Value;

    #[test]
    fn each_series_and_each_object_is_counted_once() {
        let counts = Rc::new(RefCell::new(Counts::default()));
        let mut sink = Sink::only(Box::new(Tally::new(Rc::clone(&counts))));
        let prefixes = |names: &[&str]| Prefixes {
            plain: names.iter().map(|name| name.as_bytes().into()).collect(),
            ..Prefixes::default()
        };
        sink.begin(Epoch(1), Vec::new());
        let backend = Object { kind: ObjectKind::Backend, proxy: "b", name: "" };
        for metric in ["scur", "stot", "scur"] {
            sink.object(backend, &prefixes(&["g.b.", "b."])).metric(metric.as_bytes(), Value::Int(1));
        }
        sink.object(backend, &prefixes(&["b."])).metric(b"rtime", Value::Float(f64::NAN));
        sink.clusters(true);
        sink.object(backend, &prefixes(&["c.b."])).metric(b"scur", Value::Int(1));
        sink.clusters(false);
        sink.object(Object::unnamed(ObjectKind::Daemon), &prefixes(&["d."])).metric(b"x", Value::Int(1));
        let rows: Vec<_> = counts.borrow().rows().collect();
        let row = |name: &str, objects, series| (name.to_owned(), objects, series);
        assert_eq!(rows, [row("daemon", 1, 1), row("backend", 1, 4), row("cluster backend", 1, 1)]);
    }
}
