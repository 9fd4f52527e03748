//! Rows of an object stand at like places, one in each process. Then there is nothing to group: polars adds up whole
//! columns, process upon process, which takes a tenth of what grouping takes, and takes it on the calling thread.
//!
//! Usually every process has the same objects in the same order, and rows stand that way as they are read. Where they do
//! not (a process was reloaded with another configuration), they are moved to such places first.

use super::group::{Grouped, Values};
use crate::haproxy::columns::Combine;
use crate::parse::table::Table;
use crate::plan::KindPlan;
use crate::value::ABSENT;
use polars::prelude::{ChunkCompareIneq, ChunkZip, Int64Chunked, PlSmallStr, PolarsResult};

/// How many objects there are, and how many rows there are places for of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    objects: usize,
    processes: usize,
}

impl Shape {
    /// For each object, whether one of its values is 0.
    fn with_zero(self, ints: &[i64]) -> Vec<bool> {
        let mut found = vec![false; self.objects];
        for process in ints.chunks(self.objects) {
            found.iter_mut().zip(process).for_each(|(found, value)| *found |= *value == 0);
        }
        found
    }
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
    let (mut sums, mut largest) = (Stack::new(shape), Stack::new(shape));
    let mut rows = Rows::new(std::mem::take(&mut table.weights));
    let mut wanted = Vec::with_capacity(plan.fields.len());
    for (field, column) in plan.fields.iter().zip(&mut table.columns) {
        if !column.counts(field) {
            wanted.push(Wanted::Nothing);
            continue;
        }
        let (ints, gaps) = (std::mem::take(&mut column.ints), column.gaps);
        // With a single process, the value is the sum, whether or not others are blank. Limits are added if none of them is 0.
        let alone = shape.processes == 1;
        let combine = match field.combine {
            Combine::Limit if alone || !ints.contains(&0) => Combine::Sum,
            combine => combine,
        };
        let gaps = gaps && !(alone && matches!(combine, Combine::Sum | Combine::LimitOrBlank));
        wanted.push(stacked(combine, ints, gaps, &mut rows, (&mut sums, &mut largest)));
    }
    let weights = plan.weights.then(|| rows.counted(Combine::WeightedMean, &mut sums));
    let mut states = Vec::new();
    if table.states.iter().any(|state| !state.ints.is_empty()) {
        states.extend(table.states.iter_mut().map(|state| largest.push(std::mem::take(&mut state.ints))));
    }
    // Table::widen_beyond made sure that no sum leaves the type.
    let mut sums = sums.fold(|sum, process| Ok(&sum + process))?;
    let mut largest = largest.fold(|largest, process| largest.zip_with(&largest.gt_eq(process), process))?;
    let values = wanted.into_iter().map(|wanted| wanted.values(&mut sums, &mut largest, shape)).collect();
    let states = states.into_iter().map(|state| Values::Ints(taken(&mut largest, state))).collect();
    let weights = weights.map(|weights| taken(&mut sums, weights));
    let mut keys = std::mem::take(&mut table.keys);
    keys.truncate(shape.objects);
    Ok(Some(Grouped::new(keys, values, states).with_weights(weights)))
}

/// Puts a column where it is added up or compared, and says where its result will be.
fn stacked(
    combine: Combine,
    ints: Vec<i64>,
    gaps: bool,
    rows: &mut Rows,
    (sums, largest): (&mut Stack, &mut Stack),
) -> Wanted {
    match combine {
        Combine::Sum | Combine::LimitOrBlank if gaps => {
            let counts = sums.push(present(&ints).collect());
            Wanted::Sum(sums.push(zeroed(ints)), Some(counts))
        }
        Combine::Sum | Combine::LimitOrBlank => Wanted::Sum(sums.push(ints), None),
        Combine::Limit => {
            let none = sums.shape.with_zero(&ints);
            let counts = gaps.then(|| sums.push(present(&ints).collect()));
            Wanted::Limit { sum: sums.push(if gaps { zeroed(ints) } else { ints }), counts, none }
        }
        Combine::Mean | Combine::BusyMean | Combine::WeightedMean if gaps => {
            let counted = present(&ints).zip(&rows.weights);
            let counted = counted.map(|(present, weight)| present * combine.divisor(*weight));
            let counted = sums.push(counted.collect());
            Wanted::Mean(sums.push(zeroed(ints)), Some(counted))
        }
        Combine::Mean => Wanted::Mean(sums.push(ints), None),
        Combine::BusyMean | Combine::WeightedMean => {
            let counted = rows.counted(combine, sums);
            Wanted::Mean(sums.push(ints), Some(counted))
        }
        Combine::Max => Wanted::Largest(largest.push(ints)),
        // The smallest is the largest of the negated; no value is less than any other number's negation.
        Combine::Min | Combine::MinPresent => Wanted::Smallest(largest.push(ints.into_iter().map(negated).collect())),
    }
}

/// The rows' weights, and what was summed of them for the sake of several fields.
struct Rows {
    weights: Vec<i64>,
    /// With the rows that saw traffic, and with the weights.
    pushed: [Option<usize>; 2],
}

impl Rows {
    fn new(weights: Vec<i64>) -> Self {
        Self { weights, pushed: [None; 2] }
    }

    /// Where the divisors of this mean are.
    fn counted(&mut self, combine: Combine, sums: &mut Stack) -> usize {
        let Self { weights, pushed: [busy, weighted] } = self;
        let known = if combine == Combine::WeightedMean { weighted } else { busy };
        *known.get_or_insert_with(|| sums.push(weights.iter().map(|weight| combine.divisor(*weight)).collect()))
    }
}

/// What a field becomes, of columns of a [`Stack`].
enum Wanted {
    Nothing,
    /// A sum, and how many values are in it: no value where there is none in any process.
    Sum(usize, Option<usize>),
    /// A sum as well, and for each object, whether its limit is 0 in some process.
    Limit {
        sum: usize,
        counts: Option<usize>,
        none: Vec<bool>,
    },
    /// A sum, and the number of rows that it is divided by; that of processes where there is none.
    Mean(usize, Option<usize>),
    Largest(usize),
    /// The largest of the negated.
    Smallest(usize),
}

impl Wanted {
    fn values(self, sums: &mut [Vec<i64>], largest: &mut [Vec<i64>], shape: Shape) -> Values {
        match self {
            Self::Nothing => Values::Nothing,
            Self::Sum(sum, None) => Values::Ints(taken(sums, sum)),
            Self::Sum(sum, Some(counts)) => {
                let counted = taken(sums, sum).into_iter().zip(taken(sums, counts));
                Values::Ints(counted.map(|(sum, count)| if count == 0 { ABSENT } else { sum }).collect())
            }
            Self::Limit { sum, counts, none } => {
                let mut limits = taken(sums, sum);
                // Without a limit in one of them, there is none.
                let unlimited = limits.iter_mut().zip(none).filter(|(_, none)| *none);
                unlimited.for_each(|(limit, _)| *limit = 0);
                let counts = counts.map(|counts| taken(sums, counts)).into_iter().flatten();
                limits.iter_mut().zip(counts).filter(|(_, count)| *count == 0).for_each(|(limit, _)| *limit = ABSENT);
                Values::Ints(limits)
            }
            #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
            Self::Mean(sum, rows) => {
                let sum = taken(sums, sum);
                Values::Floats(match rows.and_then(|rows| sums.get(rows)) {
                    Some(rows) => sum.iter().zip(rows).map(|(sum, rows)| *sum as f64 / *rows as f64).collect(),
                    None => sum.iter().map(|sum| *sum as f64 / shape.processes as f64).collect(),
                })
            }
            Self::Largest(value) => Values::Ints(taken(largest, value)),
            Self::Smallest(value) => Values::Ints(taken(largest, value).into_iter().map(negated).collect()),
        }
    }
}

fn taken(columns: &mut [Vec<i64>], column: usize) -> Vec<i64> {
    columns.get_mut(column).map(std::mem::take).unwrap_or_default()
}

/// Columns that are combined in the same way.
struct Stack {
    shape: Shape,
    columns: Vec<Vec<i64>>,
}

/// With fewer objects than this, adding up takes less than calling polars, and columns are put behind each other first.
const FEW: usize = 1024;

impl Stack {
    fn new(shape: Shape) -> Self {
        Self { shape, columns: Vec::new() }
    }

    /// Returns where the column is.
    fn push(&mut self, column: Vec<i64>) -> usize {
        self.columns.push(column);
        self.columns.len() - 1
    }

    /// Combines the processes, one after the other: one value an object, for each column.
    fn fold(
        self,
        step: impl Fn(Int64Chunked, &Int64Chunked) -> PolarsResult<Int64Chunked>,
    ) -> PolarsResult<Vec<Vec<i64>>> {
        let Shape { objects, processes } = self.shape;
        if processes == 1 || self.columns.is_empty() {
            return Ok(self.columns);
        }
        if objects >= FEW {
            let fold_column = |ints| {
                let all = column(ints);
                let process = |number: usize| all.slice(i64::try_from(number * objects).unwrap_or(i64::MAX), objects);
                let folded = (1..processes).try_fold(process(0), |before, number| step(before, &process(number)))?;
                Ok(plain(&folded))
            };
            return self.columns.into_iter().map(fold_column).collect();
        }
        let process = |number: usize| {
            let mut all = Vec::with_capacity(self.columns.len() * objects);
            for ints in &self.columns {
                all.extend_from_slice(ints.get(number * objects..(number + 1) * objects).unwrap_or_default());
            }
            column(all)
        };
        let folded = (1..processes).try_fold(process(0), |before, number| step(before, &process(number)))?;
        Ok(plain(&folded).chunks(objects).map(<[i64]>::to_vec).collect())
    }
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
                Combine::Sum | Combine::LimitOrBlank | Combine::BusyMean | Combine::WeightedMean if !column.gaps => 0,
                _ => ABSENT,
            };
            self.move_all(&mut column.ints, absent);
            column.gaps |= absent == ABSENT && !full;
        }
        for state in table.states.iter_mut().filter(|state| !state.ints.is_empty()) {
            self.move_all(&mut state.ints, ABSENT);
        }
        self.move_all(&mut table.weights, 0);
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

fn column(ints: Vec<i64>) -> Int64Chunked {
    Int64Chunked::from_vec(PlSmallStr::EMPTY, ints)
}

fn plain(column: &Int64Chunked) -> Vec<i64> {
    super::group::plain(column, ABSENT)
}

#[cfg(test)]
mod tests;
