//! The cells of a row, with quotes where they matter or without.

use super::commas::Cells;
use super::fields::Slot;
use super::number::{self, Number};
use super::quoted::QuotedRow;
use super::table::{NextRow, Sums};
use crate::value::ABSENT;

/// The cells of a row.
pub(super) trait RowCells {
    fn text(&self, position: usize) -> &[u8];
    /// The text of any cell, even of one that was not asked for.
    fn far(&self, position: usize) -> &[u8] {
        self.text(position)
    }
    fn number(&self, position: usize) -> Number;
    /// Reads the first cells of these, those that are easily read, and returns how many they are.
    fn figures(&self, _slots: &[Slot], _cells: &mut NextRow<'_>) -> usize {
        0
    }
    /// Adds the first cells of these to those of another row, those that are easily read, and returns how many they are.
    fn add(&self, _slots: &[Slot], _sums: &mut Sums<'_>) -> usize {
        0
    }
    /// Both names with the comma between them, as they stand in a row that begins with them.
    fn names(&self) -> Option<&[u8]>;
}

/// A row without quotes in what is asked for.
pub(super) struct Plain<'a> {
    pub(super) row: &'a [u8],
    pub(super) cells: &'a Cells,
}

impl RowCells for Plain<'_> {
    #[inline(always)]
    fn text(&self, position: usize) -> &[u8] {
        let (from, to) = self.cells.range(position);
        self.row.get(from..to).unwrap_or_default()
    }

    fn far(&self, position: usize) -> &[u8] {
        self.cells.far(self.row, position)
    }

    fn number(&self, position: usize) -> Number {
        let (from, to) = self.cells.range(position);
        number::parse_within(self.row, from, to)
    }

    /// Where most of the time of reading goes: by itself, so that the compiler has all registers for it.
    #[inline(never)]
    fn figures(&self, slots: &[Slot], cells: &mut NextRow<'_>) -> usize {
        for (done, slot) in slots.iter().enumerate() {
            let (from, to) = self.cells.range(slot.position);
            match number::figure(self.row, from, to, slot.blank) {
                Some(value) => cells.set(slot.index, value),
                None => return done,
            }
        }
        slots.len()
    }

    #[inline(never)]
    fn add(&self, slots: &[Slot], sums: &mut Sums<'_>) -> usize {
        for (done, slot) in slots.iter().enumerate() {
            let (from, to) = self.cells.range(slot.position);
            match number::figure(self.row, from, to, Some(ABSENT)) {
                Some(ABSENT) => {}
                Some(value) => sums.add(slot.index, value),
                None => return done,
            }
        }
        slots.len()
    }

    #[inline(always)]
    fn names(&self) -> Option<&[u8]> {
        self.row.get(..self.cells.range(1).1)
    }
}

impl RowCells for QuotedRow<'_> {
    fn text(&self, position: usize) -> &[u8] {
        self.cell(position)
    }

    fn number(&self, position: usize) -> Number {
        number::parse(self.cell(position))
    }

    fn names(&self) -> Option<&[u8]> {
        self.first_two()
    }
}
