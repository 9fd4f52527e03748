//! Rows of an object stand at like places, one in each process. Then there is nothing to group: polars adds up whole
//! columns, process upon process, which takes a tenth of what grouping takes, and takes it on the calling thread.
//!
//! Usually every process has the same objects in the same order, and rows stand that way as they are read. Where they do
//! not (a process was reloaded with another configuration), they are moved to such places first.

use super::group::{Grouped, Values};
use crate::haproxy::columns::Combine;
use crate::parse::table::{ABSENT, Column, Table};
use crate::plan::KindPlan;
use polars::prelude::{ChunkCompareIneq, ChunkZip, DataType, Float64Chunked, Int64Chunked, PlSmallStr, PolarsResult};

/// How many objects there are, and how many rows there are places for of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    objects: usize,
    processes: usize,
}

/// Combines the rows of a finished table, and takes its columns; `None` when that needs grouping: when some objects have
/// many more rows than others, or a column is not of integers.
pub fn combine(plan: &KindPlan, table: &mut Table) -> PolarsResult<Option<Grouped>> {
    let (shape, places) = match shape(&table.keys) {
        Some(shape) => (shape, None),
        None => match Places::new(&table.keys) {
            Some(places) => (places.shape, Some(places)),
            None => return Ok(None),
        },
    };
    table.widen_beyond(shape.processes);
    if table.columns.iter().any(|column| column.floats.is_some()) {
        return Ok(None);
    }
    if let Some(places) = places {
        places.arrange(plan, table);
    }
    let Shape { objects, processes } = shape;
    let busy = std::mem::take(&mut table.busy);
    let mut busy_rows = None;
    let mut values = Vec::with_capacity(plan.fields.len());
    for (field, column) in plan.fields.iter().zip(&mut table.columns) {
        if !column.counts(field) {
            values.push(Values::Nothing);
            continue;
        }
        let ints = std::mem::take(&mut column.ints);
        values.push(match field.combine {
            Combine::Sum => Values::Ints(sums(ints, column.gaps, objects)?),
            Combine::Mean => {
                let (sum, count) = sum_and_count(ints, column, objects, processes)?;
                Values::Floats(plain(&(doubles(&sum)? / count)))
            }
            Combine::BusyMean if column.gaps => {
                let rows = present(&ints).zip(&busy).map(|(present, busy)| present & busy).collect();
                let (sum, rows) = (add(zeroed(ints), objects)?, add(rows, objects)?);
                Values::Floats(plain(&(doubles(&sum)? / doubles(&rows)?)))
            }
            Combine::BusyMean => {
                let rows = match &busy_rows {
                    Some(rows) => rows,
                    None => busy_rows.insert(doubles(&add(busy.clone(), objects)?)?),
                };
                Values::Floats(plain(&(&doubles(&add(ints, objects)?)? / rows)))
            }
            Combine::Max => Values::Ints(largest(ints, objects)?),
            Combine::Min | Combine::MinPresent => {
                // The smallest is the largest of the negated; no value is less than any other number's negation.
                let turned = ints.into_iter().map(negated).collect();
                Values::Ints(largest(turned, objects)?.into_iter().map(negated).collect())
            }
        });
    }
    let mut states = Vec::new();
    if table.states.iter().any(|state| !state.ints.is_empty()) {
        for state in &mut table.states {
            states.push(Values::Ints(largest(std::mem::take(&mut state.ints), objects)?));
        }
    }
    let mut keys = std::mem::take(&mut table.keys);
    keys.truncate(objects);
    Ok(Some(Grouped::new(keys, values, states)))
}

/// The shape, if every process has the same objects in the same order, each once.
fn shape(keys: &[u32]) -> Option<Shape> {
    let (first, rest) = keys.split_first()?;
    // Where the second process begins, if there is one.
    let objects = rest.iter().position(|key| key == first).map_or(keys.len(), |place| place + 1);
    let process = keys.get(..objects)?;
    let aligned = keys.chunks(objects).all(|other| other == process) && unique(process);
    aligned.then_some(Shape { objects, processes: keys.len() / objects })
}

/// Where each row is to stand.
struct Places {
    shape: Shape,
    /// The objects, in the order in which they appear first.
    keys: Vec<u32>,
    /// By row: process times objects, and the object.
    places: Vec<usize>,
}

impl Places {
    /// `None` when most places would be empty.
    fn new(keys: &[u32]) -> Option<Self> {
        const NONE: usize = usize::MAX;
        let mut objects = Vec::new();
        let mut by_key = vec![NONE; keys.iter().max().map_or(0, |largest| *largest as usize + 1)];
        // Rows of each object so far.
        let mut rows: Vec<usize> = Vec::new();
        let mut places = Vec::with_capacity(keys.len());
        for key in keys {
            let object = by_key.get_mut(*key as usize)?;
            if *object == NONE {
                *object = objects.len();
                objects.push(*key);
                rows.push(0);
            }
            let process = rows.get_mut(*object)?;
            places.push((*process, *object));
            *process += 1;
        }
        let shape = Shape { objects: objects.len(), processes: *rows.iter().max()? };
        let worthwhile = shape.objects.checked_mul(shape.processes)? <= 4 * keys.len() + 1024;
        let places = places.into_iter().map(|(process, object)| process * shape.objects + object).collect();
        worthwhile.then_some(Self { shape, keys: objects, places })
    }

    /// Moves the rows. Where an object has none in a process, a sum stays what it is, and nothing else has a value.
    fn arrange(self, plan: &KindPlan, table: &mut Table) {
        let Shape { objects, processes } = self.shape;
        let full = self.places.len() == objects * processes;
        for (field, column) in plan.fields.iter().zip(&mut table.columns).filter(|(field, column)| column.counts(field))
        {
            let absent = match field.combine {
                Combine::Sum | Combine::BusyMean if !column.gaps => 0,
                _ => ABSENT,
            };
            self.move_all(&mut column.ints, absent);
            column.gaps |= absent == ABSENT && !full;
        }
        for state in table.states.iter_mut().filter(|state| !state.ints.is_empty()) {
            self.move_all(&mut state.ints, ABSENT);
        }
        self.move_all(&mut table.busy, 0);
        table.keys = self.keys;
    }

    fn move_all(&self, column: &mut Vec<i64>, absent: i64) {
        let mut moved = vec![absent; self.shape.objects * self.shape.processes];
        for (value, place) in column.iter().zip(&self.places) {
            if let Some(cell) = moved.get_mut(*place) {
                *cell = *value;
            }
        }
        *column = moved;
    }
}

/// Whether no key is there twice.
fn unique(keys: &[u32]) -> bool {
    let mut seen = vec![0_u64; keys.iter().max().map_or(0, |largest| *largest as usize / 64 + 1)];
    keys.iter().all(|key| {
        let bit = 1 << (key % 64);
        seen.get_mut(*key as usize / 64).is_some_and(|word| {
            let new = *word & bit == 0;
            *word |= bit;
            new
        })
    })
}

/// Largest integers have no negation; [`ABSENT`] stays what it is.
fn negated(value: i64) -> i64 {
    if value == ABSENT { ABSENT } else { -value }
}

fn present(ints: &[i64]) -> impl Iterator<Item = i64> {
    ints.iter().map(|value| i64::from(*value != ABSENT))
}

fn zeroed(ints: Vec<i64>) -> Vec<i64> {
    ints.into_iter().map(|value| if value == ABSENT { 0 } else { value }).collect()
}

/// Sums; no value where there is none in any process.
fn sums(ints: Vec<i64>, gaps: bool, objects: usize) -> PolarsResult<Vec<i64>> {
    if ints.len() == objects {
        return Ok(ints);
    }
    if !gaps {
        return Ok(plain_ints(&add(ints, objects)?));
    }
    let counts = add(present(&ints).collect(), objects)?;
    let sums = plain_ints(&add(zeroed(ints), objects)?);
    let counts = plain_ints(&counts);
    Ok(sums.into_iter().zip(counts).map(|(sum, count)| if count == 0 { ABSENT } else { sum }).collect())
}

/// Sums, and the number of values in each.
fn sum_and_count(
    ints: Vec<i64>,
    column: &Column,
    objects: usize,
    processes: usize,
) -> PolarsResult<(Int64Chunked, Float64Chunked)> {
    if column.gaps {
        let counts = add(present(&ints).collect(), objects)?;
        return Ok((add(zeroed(ints), objects)?, doubles(&counts)?));
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of processes")]
    let count = vec![processes as f64; objects];
    Ok((add(ints, objects)?, Float64Chunked::from_vec(PlSmallStr::EMPTY, count)))
}

fn column(ints: Vec<i64>) -> Int64Chunked {
    Int64Chunked::from_vec(PlSmallStr::EMPTY, ints)
}

/// Adds the processes up. [`Table::widen_beyond`] made sure that no sum leaves the type.
fn add(ints: Vec<i64>, objects: usize) -> PolarsResult<Int64Chunked> {
    fold(ints, objects, |sum, process| Ok(&sum + process))
}

/// The largest value in any process; [`ABSENT`] is less than any.
fn largest(ints: Vec<i64>, objects: usize) -> PolarsResult<Vec<i64>> {
    let largest = fold(ints, objects, |largest, process| largest.zip_with(&largest.gt_eq(process), process))?;
    Ok(plain_ints(&largest))
}

/// Combines the processes in one column, one after the other.
fn fold(
    ints: Vec<i64>,
    objects: usize,
    step: impl Fn(Int64Chunked, &Int64Chunked) -> PolarsResult<Int64Chunked>,
) -> PolarsResult<Int64Chunked> {
    let processes = ints.len() / objects.max(1);
    let all = column(ints);
    let process = |number: usize| all.slice(i64::try_from(number * objects).unwrap_or(i64::MAX), objects);
    (1..processes).try_fold(process(0), |sum, number| step(sum, &process(number)))
}

fn doubles(column: &Int64Chunked) -> PolarsResult<Float64Chunked> {
    polars::prelude::ChunkCast::cast(column, &DataType::Float64)?.f64().cloned()
}

fn plain_ints(column: &Int64Chunked) -> Vec<i64> {
    super::group::plain(column, ABSENT)
}

fn plain(column: &Float64Chunked) -> Vec<f64> {
    super::group::plain(column, f64::NAN)
}
