//! The samples of each metric together, for formats that want it so.

use std::collections::HashMap;

/// A metric, and its samples so far.
#[derive(Debug)]
pub(super) struct Family {
    /// What is said of the metric itself, as it is written.
    pub(super) head: Box<[u8]>,
    /// The samples, as they are written.
    pub(super) content: Vec<u8>,
    /// Where the samples are a field of the metric: which, and what stands behind them in it.
    pub(super) around: (u8, &'static [u8]),
}

impl Family {
    pub(super) fn new(head: Vec<u8>) -> Self {
        Self { head: head.into_boxed_slice(), content: Vec::new(), around: (0, &[]) }
    }
}

/// All metrics, in the order in which they came. They stay, and their samples go.
#[derive(Debug, Default)]
pub(super) struct Families {
    all: Vec<Family>,
    places: HashMap<Box<str>, usize>,
}

impl Families {
    /// Where the family of this name is.
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

    /// Those that have samples.
    pub(super) fn filled(&mut self) -> impl Iterator<Item = &mut Family> {
        self.all.iter_mut().filter(|family| !family.content.is_empty())
    }

    /// Forgets the samples.
    pub(super) fn clear(&mut self) {
        self.all.iter_mut().for_each(|family| family.content.clear());
    }
}
