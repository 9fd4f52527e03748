//! Where the objects of a table come first.

use std::num::NonZeroU32;

/// The first row of each object, by its number. Numbers are given one after the other, so that no place is wasted.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstRows(Vec<Option<NonZeroU32>>);

impl FirstRows {
    /// The first row of an object, if it has one.
    #[must_use]
    pub(crate) fn get(&self, key: u32) -> Option<usize> {
        let behind = self.0.get(key as usize).copied().flatten()?;
        Some(behind.get() as usize - 1)
    }

    /// The first row of each object; `keys` has the object of each row.
    pub(super) fn of(keys: &[u32]) -> Self {
        let mut rows = vec![None; keys.iter().max().map_or(0, |most| *most as usize + 1)];
        // In reverse, so that the first row of an object is written last.
        for (row, key) in keys.iter().enumerate().rev() {
            if let Some(place) = rows.get_mut(*key as usize) {
                *place = u32::try_from(row + 1).ok().and_then(NonZeroU32::new);
            }
        }
        Self(rows)
    }
}
