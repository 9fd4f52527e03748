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
        wanted.push(match field.combine {
            // Of a single process, what is there is the sum.
            Combine::Sum if gaps && shape.processes > 1 => {
                let counts = sums.push(present(&ints).collect());
                Wanted::Sum(sums.push(zeroed(ints)), Some(counts))
            }
            Combine::Sum => Wanted::Sum(sums.push(ints), None),
            Combine::Mean | Combine::BusyMean | Combine::WeightedMean if gaps => {
                let counted = present(&ints).zip(&rows.weights);
                let counted = counted.map(|(present, weight)| present * field.combine.divisor(*weight));
                let counted = sums.push(counted.collect());
                Wanted::Mean(sums.push(zeroed(ints)), Some(counted))
            }
            Combine::Mean => Wanted::Mean(sums.push(ints), None),
            Combine::BusyMean | Combine::WeightedMean => {
                let counted = rows.counted(field.combine, &mut sums);
                Wanted::Mean(sums.push(ints), Some(counted))
            }
            Combine::Max => Wanted::Largest(largest.push(ints)),
            // The smallest is the largest of the negated; no value is less than any other number's negation.
            Combine::Min | Combine::MinPresent => {
                Wanted::Smallest(largest.push(ints.into_iter().map(negated).collect()))
            }
        });
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
                Combine::Sum | Combine::BusyMean | Combine::WeightedMean if !column.gaps => 0,
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
mod tests {
    use super::*;
    use crate::haproxy::columns::Kind;
    use crate::value::Value;
    use proptest::prelude::*;

    /// A row of one process: its object, its weight, a value for each field, and its states.
    type Row = (u32, i64, Vec<i64>, [Option<i64>; 3]);

    /// What is true of rows as they are parsed: those that are idle carry no times.
    fn rows(plan: &KindPlan, seed: u64, keys: &[u32], full: bool) -> Vec<Row> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut cell = |combine: Combine, weight: i64| match combine {
            _ if !full && random.u8(..4) == 0 => ABSENT,
            Combine::BusyMean | Combine::WeightedMean => random.i64(0..50) * combine.divisor(weight),
            _ => random.i64(-20..1_000_000_000),
        };
        let row = |(index, key): (usize, &u32)| {
            let weight = (index as i64 * 7 + *key as i64) % 4;
            let cells = plan.fields.iter().map(|field| cell(field.combine, weight)).collect();
            let severity = |at: i64| Some((index as i64 + at) % 5).filter(|severity| *severity > 0);
            (*key, weight, cells, [severity(0), severity(1), severity(2)])
        };
        keys.iter().enumerate().map(row).collect()
    }

    fn table(plan: &KindPlan, rows: &[Row]) -> Table {
        let mut table = Table::new(plan);
        for (key, weight, cells, states) in rows {
            cells.iter().enumerate().for_each(|(column, value)| table.set(column, *value));
            table.commit(*key, *weight);
            table.note_states(*states);
        }
        table.columns.iter_mut().for_each(|column| column.present = true);
        table.finish();
        table
    }

    /// Of the rows of one object, one after the other.
    fn reference(combine: Combine, field: usize, rows: &[&Row]) -> Option<Value> {
        let there = || rows.iter().filter(|row| row.2[field] != ABSENT).map(|row| (row.2[field], row.1));
        let values = || there().map(|(value, _)| value);
        let mean = |divisor: i64| Some(Value::Float(values().sum::<i64>() as f64 / divisor as f64));
        match combine {
            Combine::Sum => values().next().map(|_| Value::Int(values().sum())),
            Combine::Mean | Combine::BusyMean | Combine::WeightedMean => {
                mean(there().map(|(_, weight)| combine.divisor(weight)).sum())
            }
            Combine::Max => values().max().map(Value::Int),
            Combine::Min | Combine::MinPresent => values().min().map(Value::Int),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        /// In few columns and in many rows, in one order or in several, complete or not.
        #[test]
        fn processes_are_combined_as_their_rows_are_one_by_one(
            seed in any::<u64>(),
            objects in prop_oneof![19 => 1..7_u32, 1 => 1023..1026_u32],
            processes in 1..5_usize,
            turned in 0..3_usize,
            left_out in prop_oneof![Just(usize::MAX), 0..20_usize],
            full in any::<bool>(),
        ) {
            super::super::thread::stay();
            let plan = KindPlan::new(Kind::Server, &crate::testing::config().process);
            let plan = if seed % 2 == 0 { plan.and_beyond() } else { plan };
            // Numbers with holes between them, beyond one word of bits.
            let mut keys: Vec<u32> = Vec::new();
            for process in 0..processes {
                let mut of_process: Vec<u32> = (0..objects).map(|object| 3 + object * 41).collect();
                of_process.rotate_left(process * turned % objects as usize);
                keys.extend(of_process);
            }
            if left_out < keys.len() && keys.len() > 1 {
                keys.remove(left_out);
            }
            let rows = rows(&plan, seed, &keys, full);
            let grouped = combine(&plan, &mut table(&plan, &rows)).unwrap().expect("nothing to be grouped");
            let mut first: Vec<u32> = Vec::new();
            let mut of: std::collections::HashMap<u32, Vec<&Row>> = std::collections::HashMap::new();
            for row in &rows {
                if !of.contains_key(&row.0) { first.push(row.0); }
                of.entry(row.0).or_default().push(row);
            }
            prop_assert_eq!(&grouped.keys, &first);
            for (place, key) in first.iter().enumerate() {
                let rows = &of[key];
                for (index, field) in plan.fields.iter().enumerate() {
                    let (found, expected) =
                        (grouped.values(index).and_then(|values| values.get(place)), reference(field.combine, index, rows));
                    let nan = |value: Option<Value>| matches!(value, Some(Value::Float(value)) if value.is_nan());
                    prop_assert!(found == expected || (nan(found) && nan(expected)), "{} of {:?}: {:?}, {:?}", field.column.name, rows, found, expected);
                }
                let weight = plan.weights.then(|| rows.iter().map(|row| row.1).sum::<i64>());
                prop_assert_eq!(grouped.weight(place), weight);
                for state in 0..3 {
                    prop_assert_eq!(grouped.severity(state, place), rows.iter().filter_map(|row| row.3[state]).max());
                }
            }
        }
    }

    #[test]
    fn what_few_processes_have_is_grouped() {
        let plan = KindPlan::new(Kind::Server, &crate::testing::config().process);
        // One object in each of many rows, and many that are there once.
        let keys: Vec<u32> = (0..200).map(|_| 0).chain(1..200).collect();
        assert!(combine(&plan, &mut table(&plan, &rows(&plan, 1, &keys, true))).unwrap().is_none());
        assert!(combine(&plan, &mut Table::new(&plan)).unwrap().is_none());
    }

    #[test]
    fn a_key_that_is_there_twice_is_noticed() {
        assert!(unique(&[]) && unique(&[0, 63, 64, 65, 127, 128, 1000]));
        assert!(!unique(&[0, 1, 0]) && !unique(&[1000, 64, 1000]) && !unique(&[63, 64, 128, 63]));
    }
}
