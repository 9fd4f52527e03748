//! Typed columns of one kind of object, filled row by row.
//!
//! Cells are written into a small block of rows first, of fixed size and in the processor's cache, and moved from there to
//! the columns: appending each cell to its own vector took three times as long. A row that turns out to be bad is simply
//! not committed.

use super::first::FirstRows;
use crate::haproxy::columns::Combine;
use crate::plan::{Field, KindPlan};
use crate::value::{ABSENT, UNKNOWN};

/// Rows of a block.
const BLOCK: usize = 64;

/// The values of one field.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// One value a row; [`ABSENT`] where there is none.
    pub ints: Vec<i64>,
    /// The same values as doubles, instead of `ints`, where `i64` would not hold a value or their sum; NaN where there
    /// is none.
    pub floats: Option<Vec<f64>>,
    /// Whether a value is missing in some row.
    pub gaps: bool,
    /// Rows of which a value is unknown, beside having none: what it is part of is unknown as well.
    pub unknown: Vec<usize>,
    /// Whether any file has the field.
    pub present: bool,
    /// All values' magnitudes, or-ed: bounds the largest.
    bits: u64,
}

impl Column {
    /// Whether there is anything to combine: a sum of the default list is sent even when no file has the field.
    #[must_use]
    pub fn counts(&self, field: &Field) -> bool {
        self.present || (field.default && matches!(field.combine, Combine::Sum | Combine::Limit))
    }

    fn clear(&mut self) {
        self.ints.clear();
        self.floats = None;
        self.gaps = false;
        self.unknown.clear();
        self.bits = 0;
    }

    fn extend(&mut self, values: &[i64]) {
        self.ints.extend_from_slice(values);
        let all = values.iter().fold(0, |all, value| all | value);
        if all >= 0 {
            self.bits |= all.unsigned_abs();
        } else {
            let before = self.ints.len() - values.len();
            for (row, value) in self.ints.iter_mut().enumerate().skip(before) {
                if *value == UNKNOWN {
                    *value = ABSENT;
                    self.unknown.push(row);
                }
                self.gaps |= *value == ABSENT;
                self.bits |= if *value == ABSENT { 0 } else { value.unsigned_abs() };
            }
        }
    }

    /// Turns the column into doubles.
    fn widen(&mut self) -> &mut Vec<f64> {
        let ints = &mut self.ints;
        self.floats.get_or_insert_with(|| {
            #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles; exactness ends at 2^53 anyway")]
            ints.drain(..).map(|value| if value == ABSENT { f64::NAN } else { value as f64 }).collect()
        })
    }
}

/// A cell beyond the range of `i64`.
#[derive(Debug, Clone, Copy)]
struct Big {
    row: usize,
    column: usize,
    value: f64,
}

/// Rows of one kind of object.
#[derive(Debug, Clone)]
pub struct Table {
    /// The object of each row: a name, or a pair of names, by number.
    pub keys: Vec<u32>,
    /// The server's name of each row, by number; filled only where servers are summed over backends.
    pub server_names: Vec<u32>,
    /// A column for each field of the plan, complete after [`Table::finish`].
    pub columns: Vec<Column>,
    /// Severity of `status` and of `check_status`, where states are sent; and 1 where a server is used, 0 where it is an
    /// unused slot, where those are left out.
    pub states: [Column; 3],
    /// How many requests the averages of times of each row are over: 0 where it saw no traffic
    /// (`haproxy::traffic`); 1 for any traffic where the plan does not ask how much.
    pub weights: Vec<i64>,
    /// Cells of rows that are not in the columns yet, by column.
    block: Vec<[i64; BLOCK]>,
    /// Committed rows in the block.
    filled: usize,
    bigs: Vec<Big>,
    /// Rows of the last snapshot.
    expected: usize,
}

/// Cells of a row that is not committed yet.
#[derive(Debug)]
pub(crate) struct NextRow<'a> {
    block: &'a mut [[i64; BLOCK]],
    row: usize,
}

impl NextRow<'_> {
    /// Sets a cell.
    #[inline(always)]
    pub(crate) fn set(&mut self, column: usize, value: i64) {
        if let Some(cells) = self.block.get_mut(column) {
            cells[self.row % BLOCK] = value;
        }
    }
}

/// Cells of a row that is there, to which others are added.
#[derive(Debug)]
pub struct Sums<'a> {
    columns: &'a mut [Column],
    bigs: &'a mut [Big],
    row: usize,
}

impl Sums<'_> {
    /// Adds to a cell; one without a value stays so.
    #[inline(always)]
    pub fn add(&mut self, column: usize, value: i64) {
        if !self.bigs.is_empty() && self.add_to_big(column, value) {
            return;
        }
        let Some(column) = self.columns.get_mut(column) else { return };
        if let Some(cell) = column.ints.get_mut(self.row).filter(|cell| **cell != ABSENT) {
            *cell = cell.saturating_add(value);
            column.bits |= cell.unsigned_abs();
        }
    }

    /// Adds to a cell beyond the range of `i64`, if it is one. They are in the order of their rows.
    #[cold]
    fn add_to_big(&mut self, column: usize, value: i64) -> bool {
        let first = self.bigs.partition_point(|big| big.row < self.row);
        let mut of_row = self.bigs.iter_mut().skip(first).take_while(|big| big.row == self.row);
        let Some(big) = of_row.find(|big| big.column == column) else { return false };
        #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
        let value = value as f64;
        big.value += value;
        true
    }
}

impl Table {
    /// An empty table for a plan.
    #[must_use]
    pub fn new(plan: &KindPlan) -> Self {
        let width = plan.fields.len();
        Self { columns: vec![Column::default(); width], block: vec![[0; BLOCK]; width], ..Self::hollow() }
    }

    /// Without columns, until it is [traded](Self::trade) for one that has them.
    #[must_use]
    pub(crate) fn hollow() -> Self {
        Self {
            keys: Vec::new(),
            server_names: Vec::new(),
            columns: Vec::new(),
            states: Default::default(),
            weights: Vec::new(),
            block: Vec::new(),
            filled: 0,
            bigs: Vec::new(),
            expected: 0,
        }
    }

    /// Swaps everything with another one, except for how many rows each expects.
    pub(crate) fn trade(&mut self, other: &mut Self) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.expected, &mut other.expected);
    }

    /// Forgets all rows, and makes room for as many as there were: polars takes the columns' memory away.
    pub fn clear(&mut self) {
        self.keys.reserve(self.expected);
        self.weights.reserve(self.expected);
        self.columns.iter_mut().for_each(|column| column.ints.reserve(self.expected));
        self.columns.iter_mut().for_each(|column| column.present = false);
        self.forget_rows();
    }

    /// Forgets all rows, and not which fields the files have.
    pub(crate) fn forget_rows(&mut self) {
        self.keys.clear();
        self.server_names.clear();
        self.weights.clear();
        self.columns.iter_mut().chain(&mut self.states).for_each(Column::clear);
        self.filled = 0;
        self.bigs.clear();
    }

    /// Number of committed rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Rows of the last snapshot that was finished, however little of it is still here.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// The cells of the next row, to be set one after the other.
    #[inline(always)]
    pub(crate) fn next_row(&mut self) -> NextRow<'_> {
        NextRow { block: &mut self.block, row: self.filled % BLOCK }
    }

    /// Sets a cell of the next row. What is not set is left over from an earlier row.
    #[inline(always)]
    pub fn set(&mut self, column: usize, value: i64) {
        if let Some(cells) = self.block.get_mut(column) {
            cells[self.filled % BLOCK] = value;
        }
    }

    /// A cell of the next row.
    #[must_use]
    pub fn cell(&self, column: usize) -> i64 {
        self.block.get(column).map_or(ABSENT, |cells| cells[self.filled % BLOCK])
    }

    /// Makes the cells that were set a row of the object `key`.
    #[inline]
    pub fn commit(&mut self, key: u32, weight: i64) {
        self.keys.push(key);
        self.weights.push(weight);
        self.filled += 1;
        if self.filled == BLOCK {
            self.flush();
        }
    }

    /// Notes that a cell of the row that was committed last is beyond the range of `i64`.
    pub(crate) fn note_big(&mut self, column: usize, value: f64) {
        if let Some(row) = self.rows().checked_sub(1) {
            self.bigs.push(Big { row, column, value });
        }
    }

    /// Notes the states of the row that was committed last: severities, and whether it is used.
    pub(crate) fn note_states(&mut self, severities: [Option<i64>; 3]) {
        for (column, severity) in self.states.iter_mut().zip(severities) {
            column.extend(&[severity.unwrap_or(ABSENT)]);
        }
    }

    /// Where each object comes first.
    #[must_use]
    pub(crate) fn first_rows(&mut self) -> FirstRows {
        self.flush();
        FirstRows::of(&self.keys)
    }

    /// The cells of a row that came before the last call of [`Table::first_rows`], to be added to.
    pub fn sums(&mut self, row: usize) -> Sums<'_> {
        Sums { columns: &mut self.columns, bigs: &mut self.bigs, row }
    }

    fn flush(&mut self) {
        for (column, cells) in self.columns.iter_mut().zip(&self.block) {
            column.extend(cells.get(..self.filled).unwrap_or_default());
        }
        self.filled = 0;
    }

    /// Completes the columns: brings the last rows over.
    pub fn finish(&mut self) {
        self.flush();
        let rows = self.keys.len();
        self.expected = rows;
        for Big { row, column, value } in self.bigs.drain(..) {
            if let Some(cell) = self.columns.get_mut(column).and_then(|column| column.widen().get_mut(row)) {
                *cell = value;
            }
        }
    }

    /// Which values are not known, by field and by what the row is counted for, of which `keys` has one for each row.
    #[must_use]
    pub fn unknown(&self, keys: &[u32]) -> Vec<(usize, u32)> {
        let columns = self.columns.iter().enumerate();
        let rows = columns.flat_map(|(index, column)| column.unknown.iter().map(move |row| (index, *row)));
        rows.filter_map(|(index, row)| Some((index, *keys.get(row)?))).collect()
    }

    /// Makes sure that a sum over so many rows cannot leave the type of its column: polars' integer sums wrap silently.
    pub(crate) fn widen_beyond(&mut self, rows: usize) {
        for column in &mut self.columns {
            if column.floats.is_none() && column.bits > i64::MAX.unsigned_abs() / (rows as u64).max(1) {
                column.widen();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::columns::Kind;
    use crate::plan::KindPlan;

    fn table(rows: &[i64]) -> Table {
        let mut table = Table::new(&KindPlan::new(Kind::Backend, &crate::testing::config().process));
        for value in rows {
            (0..table.columns.len()).for_each(|column| table.set(column, *value));
            table.commit(7, 1);
        }
        table
    }

    #[test]
    fn rows_beyond_a_block_arrive_in_order() {
        let rows: Vec<i64> = (0..200).collect();
        let mut table = table(&rows);
        (0..table.columns.len()).for_each(|column| table.set(column, -1));
        table.finish();
        assert_eq!((table.rows(), &table.columns[0].ints, &table.columns[39].ints), (200, &rows, &rows));
        assert!(!table.columns[0].gaps);
    }

    #[test]
    fn what_is_not_known_is_absent_and_noted() {
        let mut table = table(&[1, UNKNOWN, ABSENT]);
        table.finish();
        assert_eq!((&table.columns[1].ints, table.columns[1].gaps), (&vec![1, ABSENT, ABSENT], true));
        assert_eq!(table.unknown(&[4, 5, 6])[..2], [(0, 5), (1, 5)]);
        table.clear();
        assert_eq!(table.unknown(&[4, 5, 6]), []);
    }

    #[test]
    fn what_is_added_goes_to_the_first_row_of_its_object() {
        let mut table = table(&[1, 2, ABSENT]);
        table.note_big(3, 2e19);
        let rows = table.first_rows();
        assert_eq!((rows.get(7), rows.get(6), rows.get(8)), (Some(0), None, None));
        for (row, values) in [(0, [5, 0, 7, 1]), (2, [5, 5, 5, 100])] {
            let mut sums = table.sums(row);
            (0..).zip(values).for_each(|(column, value)| sums.add(column, value));
        }
        table.finish();
        let ints = |column: usize| table.columns[column].ints.clone();
        assert_eq!([ints(0), ints(1), ints(2)], [vec![6, 2, ABSENT], vec![1, 2, ABSENT], vec![8, 2, ABSENT]]);
        assert_eq!(table.columns[3].floats.as_deref().map(|floats| floats[2]), Some(2e19 + 100.0));
        assert_eq!(table.rows(), 3, "none of them is a row");
    }

    #[test]
    fn values_beyond_i64_turn_the_column_into_doubles() {
        let mut table = table(&[1, ABSENT, 0]);
        table.note_big(3, 2e19);
        table.finish();
        let floats = table.columns[3].floats.as_ref().unwrap();
        assert_eq!((floats[0], floats[2]), (1.0, 2e19));
        assert!(floats[1].is_nan() && table.columns[3].gaps && table.columns[2].floats.is_none());
    }

    #[test]
    fn a_sum_that_could_wrap_is_made_of_doubles() {
        for (rows, wide) in [(1, false), (3, true)] {
            let mut table = table(&vec![i64::MAX / 2; rows]);
            table.finish();
            table.widen_beyond(rows);
            assert_eq!(table.columns[0].floats.is_some(), wide);
        }
    }
}
