//! Typed columns of one kind of object, filled row by row.

use crate::plan::KindPlan;

/// Stands for "no value" among the integers of a column; [`super::number`] never yields it.
pub const ABSENT: i64 = i64::MIN;

/// The values of one field.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// One value a row; [`ABSENT`] where there is none.
    pub ints: Vec<i64>,
    /// The same values as doubles, kept instead of `ints` from the first value on that no `i64` holds; NaN where there
    /// is none.
    pub floats: Option<Vec<f64>>,
    /// Whether a value is missing in some row.
    pub gaps: bool,
    /// Whether any file has the field.
    pub present: bool,
    /// All values' magnitudes, or-ed: bounds the largest.
    bits: u64,
}

impl Column {
    fn clear(&mut self) {
        self.ints.clear();
        self.floats = None;
        self.gaps = false;
        self.present = false;
        self.bits = 0;
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: i64) {
        match &mut self.floats {
            #[expect(clippy::cast_precision_loss, reason = "the column has left the range of integers")]
            Some(floats) => floats.push(value as f64),
            None => self.ints.push(value),
        }
        self.bits |= value.unsigned_abs();
    }

    /// Appends "no value".
    pub fn push_absent(&mut self) {
        match &mut self.floats {
            Some(floats) => floats.push(f64::NAN),
            None => self.ints.push(ABSENT),
        }
        self.gaps = true;
    }

    /// Appends a value beyond the range of `i64`.
    pub fn push_big(&mut self, value: f64) {
        self.widen().push(value);
    }

    /// Turns the column into doubles.
    fn widen(&mut self) -> &mut Vec<f64> {
        let ints = &mut self.ints;
        self.floats.get_or_insert_with(|| {
            #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles; exactness ends at 2^53 anyway")]
            ints.drain(..).map(|value| if value == ABSENT { f64::NAN } else { value as f64 }).collect()
        })
    }

    fn truncate(&mut self, rows: usize) {
        self.ints.truncate(rows);
        if let Some(floats) = &mut self.floats {
            floats.truncate(rows);
        }
    }

    /// Makes sure that a sum over all rows cannot leave the type: polars' integer sums wrap silently.
    pub fn settle(&mut self, rows: usize) {
        if self.floats.is_none() && self.bits > i64::MAX.unsigned_abs() / (rows as u64).max(1) {
            self.widen();
        }
    }
}

/// Rows of one kind of object.
#[derive(Debug, Clone)]
pub struct Table {
    /// The object of each row: a name, or a pair of names, by number.
    pub keys: Vec<u32>,
    /// The server's name of each row, by number; filled only where servers are summed over backends.
    pub server_names: Vec<u32>,
    /// A column for each field of the plan.
    pub columns: Vec<Column>,
    /// Severity of `status` and of `check_status`, where states are sent.
    pub states: [Column; 2],
    /// 1 where the row saw traffic (`lbtot` above zero), else 0.
    pub busy: Vec<i64>,
}

impl Table {
    /// An empty table for a plan.
    #[must_use]
    pub fn new(plan: &KindPlan) -> Self {
        Self {
            keys: Vec::new(),
            server_names: Vec::new(),
            columns: vec![Column::default(); plan.fields.len()],
            states: [Column::default(), Column::default()],
            busy: Vec::new(),
        }
    }

    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.server_names.clear();
        self.busy.clear();
        self.columns.iter_mut().chain(&mut self.states).for_each(Column::clear);
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Takes back what a refused row left behind.
    pub fn truncate(&mut self, rows: usize) {
        self.keys.truncate(rows);
        self.server_names.truncate(rows);
        self.busy.truncate(rows);
        self.columns.iter_mut().chain(&mut self.states).for_each(|column| column.truncate(rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_i64_turn_the_column_into_doubles() {
        let mut column = Column::default();
        column.push(1);
        column.push_absent();
        column.push_big(2e19);
        column.push(3);
        let floats = column.floats.unwrap();
        assert_eq!((floats[0], floats[2], floats[3]), (1.0, 2e19, 3.0));
        assert!(floats[1].is_nan() && column.ints.is_empty());
    }

    #[test]
    fn a_sum_that_could_wrap_is_made_of_doubles() {
        let mut column = Column::default();
        column.push(i64::MAX / 2);
        column.settle(1);
        assert!(column.floats.is_none());
        column.push(i64::MAX / 2);
        column.push(i64::MAX / 2);
        column.settle(3);
        assert!(column.floats.is_some());
    }
}
