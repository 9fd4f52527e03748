//! What is known about the objects of a host: their names, when each was last seen, and its carried counters.

use super::super::names::Names;
use super::super::packed::{Packed, Sparse, decode, encode};
use super::super::scratch::Scratch;
use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hasher};

/// See the module.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) names: Names,
    /// When each object was last seen.
    seen: Vec<u64>,
    /// Corrections to the sums over the processes of the host.
    carried: Packed,
    /// How often the corrections have changed.
    changes: u64,
    sums: Vec<(u8, i64)>,
    bytes: Vec<u8>,
}

impl Account {
    pub(super) fn new(scratch: &Scratch) -> Self {
        Self {
            names: Names::default(),
            seen: Vec::new(),
            carried: Packed::new(scratch),
            changes: 0,
            sums: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Notes that an object was seen at this time, and returns its number.
    pub(super) fn note(&mut self, object: &[u8], seen: u64) -> u32 {
        let number = self.names.number(object);
        let index = number as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, 0);
        }
        if let Some(last) = self.seen.get_mut(index) {
            *last = (*last).max(seen);
        }
        number
    }

    /// If the object with this number has this name, notes that it was seen at this time, and returns true.
    pub(super) fn is(&mut self, number: u32, object: &[u8], seen: u64) -> bool {
        let is = self.names.get(number) == Some(object);
        if let Some(last) = self.seen.get_mut(number as usize).filter(|_| is) {
            *last = seen;
        }
        is
    }

    fn seen(&self, object: u32) -> u64 {
        self.seen.get(object as usize).copied().unwrap_or(0)
    }

    /// Adds these counters, multiplied by `times`, to the carried ones of an object.
    pub(super) fn carry(&mut self, object: u32, figures: &Sparse, times: i64) {
        self.change(object, &[(figures, times)]);
    }

    /// Adds several lists of counters, each multiplied by its factor, to the carried ones of an object.
    pub(super) fn change(&mut self, object: u32, changes: &[(&Sparse, i64)]) {
        if changes.iter().all(|(figures, _)| figures.is_empty()) {
            return;
        }
        let Self { sums, bytes, .. } = self;
        self.carried.figures(object, bytes, sums);
        for (figures, times) in changes {
            for (place, figure) in *figures {
                let figure = figure.saturating_mul(*times);
                match sums.binary_search_by_key(place, |(place, _)| *place) {
                    Ok(at) => sums.iter_mut().skip(at).take(1).for_each(|(_, sum)| *sum = sum.saturating_add(figure)),
                    Err(at) => sums.insert(at, (*place, figure)),
                }
            }
        }
        sums.retain(|(_, sum)| *sum != 0);
        self.changes += 1;
        if sums.is_empty() {
            self.carried.remove(object);
        } else {
            bytes.clear();
            encode(sums, bytes);
            self.carried.push(object, bytes);
        }
    }

    /// Ends a snapshot.
    pub(super) fn settle(&mut self) {
        self.carried.settle();
    }

    pub(super) fn carries(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Passes carried counters to `take`: the object, its corrections, and when it was last seen. The order is that in which
    /// objects first occurred, which is that of the replies.
    pub(super) fn carried(&self, mut take: impl FnMut(&[u8], &Sparse, u64)) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for object in self.carried.objects() {
            let Some(name) = self.names.get(object) else { continue };
            self.carried.read(object, &mut bytes);
            decode(&bytes, &mut values);
            take(name, &values, self.seen(object));
        }
    }

    /// The carried counters of one object.
    pub(super) fn carried_of(&self, object: &[u8]) -> Vec<(u8, i64)> {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        if let Some(object) = self.names.find(object) {
            self.carried.figures(object, &mut bytes, &mut values);
        }
        values
    }

    /// Forgets the carried counters of objects that have not been seen since this second.
    pub(super) fn forget(&mut self, before: u64) {
        let old: Vec<u32> = self.carried.objects().filter(|object| self.seen(*object) < before).collect();
        for object in old {
            self.carried.remove(object);
            self.changes += 1;
        }
    }

    /// Number of names, and of those whose objects have not been seen since this second.
    pub(super) fn names(&self, before: u64) -> (usize, usize) {
        // Names with time 0 were restored because their counters are shared; they are still needed.
        let is_stale = |seen: &&u64| (1..before).contains(*seen);
        (self.seen.len(), self.seen.iter().filter(is_stale).count())
    }

    /// Forgets all carried counters.
    pub(super) fn forget_all(&mut self, scratch: &Scratch) {
        self.carried = Packed::new(scratch);
        self.changes += 1;
    }

    /// A number that stays the same as long as the carried counters, and the set of objects in the snapshot, which is that of
    /// second `epoch`, stay the same. Only valid while this program runs.
    pub(super) fn state(&self, epoch: u64) -> u64 {
        let mut hasher = FixedState::with_seed(self.changes).build_hasher();
        for object in self.carried.objects().filter(|object| self.seen(*object) != epoch) {
            hasher.write_u32(object);
            hasher.write_u64(self.seen(object));
        }
        hasher.finish()
    }
}
