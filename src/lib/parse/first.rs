//! Where the objects of a table come first.

use std::num::NonZeroU32;

/// The first row of each object, by its number. Numbers are given one after the other, so that no place is wasted.
#[derive(Debug, Clone, Default)]
pub struct FirstRows(Vec<Option<NonZeroU32>>);

impl FirstRows {
    /// The first row of an object, if it has one.
    #[must_use]
    pub fn get(&self, key: u32) -> Option<usize> {
        let behind = self.0.get(key as usize).copied().flatten()?;
        Some(behind.get() as usize - 1)
    }

    /// Notes the row of an object, unless it has one.
    pub(super) fn note(&mut self, key: u32, row: usize) {
        let index = key as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        if let Some(place) = self.0.get_mut(index).filter(|place| place.is_none()) {
            *place = u32::try_from(row + 1).ok().and_then(NonZeroU32::new);
        }
    }
}
