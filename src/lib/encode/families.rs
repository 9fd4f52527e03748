//! Collects the samples of each metric, for formats that require them to be together.

use std::collections::HashMap;

/// A metric, and its samples so far.
#[derive(Debug)]
pub(super) struct Family {
    /// The description of the metric itself, encoded.
    pub(super) head: Box<[u8]>,
    /// The samples, encoded.
    pub(super) content: Vec<u8>,
    /// If the samples are a field of the metric: its number, and what follows them in it.
    pub(super) around: (u8, &'static [u8]),
}

impl Family {
    pub(super) fn new(head: Vec<u8>) -> Self {
        Self { head: head.into_boxed_slice(), content: Vec::new(), around: (0, &[]) }
    }
}

/// All metrics, in the order in which they first occurred. Metrics are kept, while their samples are taken out.
#[derive(Debug, Default)]
pub(super) struct Families {
    all: Vec<Family>,
    places: HashMap<Box<str>, usize>,
}

impl Families {
    /// Index of the family of this name.
    pub(super) fn of(&mut self, name: &str, make: impl FnOnce() -> Family) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.all.push(make());
        self.places.insert(name.into(), self.all.len() - 1);
        self.all.len() - 1
    }

    pub(super) fn get(&mut self, place: usize) -> Option<&mut Family> {
        self.all.get_mut(place)
    }

    /// The families that have samples.
    pub(super) fn filled(&mut self) -> impl Iterator<Item = &mut Family> {
        self.all.iter_mut().filter(|family| !family.content.is_empty())
    }

    /// Forgets the samples.
    pub(super) fn clear(&mut self) {
        self.all.iter_mut().for_each(|family| family.content.clear());
    }
}
