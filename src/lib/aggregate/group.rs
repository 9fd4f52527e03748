//! Rows of several processes become one per object: polars groups and computes on typed columns.
//!
//! The lazy API is polars' public and supported one. `group_by_stable` costs a fraction of `group_by` here, because rows
//! of one object stand at like places in each process, and its order does not change from run to run.

use super::{aligned, thread};
use crate::haproxy::columns::{Combine, Kind};
use crate::names::{NameId, Names};
use crate::parse::doubt::{Unknown, Which};
use crate::parse::table::{Column, Table};
use crate::plan::{Field, KindPlan};
use crate::value::ABSENT;
use crate::value::Value;
use polars::prelude::{
    ChunkFullNull, ChunkedArray, Column as Series, DataFrame, DataType, Expr, Float64Chunked, Int64Chunked, IntoColumn,
    IntoLazy, LazyFrame, NULL, NewChunkedArray, PlSmallStr, PolarsNumericType, PolarsResult, UInt32Chunked, col, lit,
    when,
};
use std::collections::{HashMap, HashSet};

/// Name of the key column.
const KEY: &str = "key";
/// Name of the column of server names.
const SERVER: &str = "server";
/// Name of the column of how many requests the averages of a row are over.
const WEIGHT: &str = "weight";
/// Names of the columns of states.
const STATES: [&str; 3] = ["status", "check_status", "used"];

/// Where among the states it is noted whether a server is used.
pub(super) const USED: usize = 2;

/// Values of one field, one an object, as plain vectors: they are read cell by cell.
#[derive(Debug, Clone)]
pub enum Values {
    /// [`ABSENT`] where there is none.
    Ints(Vec<i64>),
    /// Averages; not a number where there is nothing to average.
    Floats(Vec<f64>),
    /// Numbers beyond 64 bits, and others beside them; not a number where there is none.
    Wide(Vec<f64>),
    /// No file has the field.
    Nothing,
}

/// One row an object.
#[derive(Debug, Clone, Default)]
pub struct Grouped {
    /// The objects, in the order in which they first appeared.
    pub keys: Vec<u32>,
    values: Vec<Values>,
    states: Vec<Values>,
    /// How many requests the averages of times of each object are over, where that is asked for.
    weights: Option<Vec<i64>>,
    /// Sums that are not known, by field and row: a part of them is not.
    unknown: HashSet<(usize, usize)>,
    /// Rows of objects of which nothing is known: a row of theirs cannot be read.
    left_out: HashSet<usize>,
}

impl Values {
    /// The value for the object at `row`; none where HAProxy gave none.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Value> {
        match self {
            Self::Ints(values) => values.get(row).filter(|value| **value != ABSENT).map(|value| Value::Int(*value)),
            Self::Floats(values) => values.get(row).map(|value| Value::Float(*value)),
            Self::Wide(values) => values.get(row).filter(|value| !value.is_nan()).map(|value| Value::Float(*value)),
            Self::Nothing => None,
        }
    }

    /// Puts numbers in the place of some values.
    fn put(&mut self, rows: usize, numbers: &[(usize, f64)]) {
        let mut floats = match std::mem::replace(self, Self::Nothing) {
            Self::Floats(values) | Self::Wide(values) => values,
            #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles; exactness ends at 2^53 anyway")]
            Self::Ints(values) => {
                values.iter().map(|value| if *value == ABSENT { f64::NAN } else { *value as f64 }).collect()
            }
            Self::Nothing => vec![f64::NAN; rows],
        };
        for (row, number) in numbers {
            if let Some(value) = floats.get_mut(*row) {
                *value = *number;
            }
        }
        *self = Self::Wide(floats);
    }

    fn take_away(&mut self, row: usize) {
        match self {
            Self::Ints(values) => values.get_mut(row).map(|value| *value = ABSENT),
            Self::Floats(values) | Self::Wide(values) => values.get_mut(row).map(|value| *value = f64::NAN),
            Self::Nothing => None,
        };
    }
}

impl Grouped {
    /// One row for each key.
    pub(super) fn new(keys: Vec<u32>, values: Vec<Values>, states: Vec<Values>) -> Self {
        Self { keys, values, states, ..Self::default() }
    }

    /// With how many requests the averages of each object are over.
    pub(super) fn with_weights(self, weights: Option<Vec<i64>>) -> Self {
        Self { weights, ..self }
    }

    /// Takes away what is not known: values by field and key.
    pub(super) fn without(mut self, unknown: &[(usize, u32)]) -> Self {
        if unknown.is_empty() {
            return self;
        }
        let rows: HashMap<u32, usize> = self.keys.iter().enumerate().map(|(row, key)| (*key, row)).collect();
        for (index, key) in unknown {
            let (Some(row), Some(values)) = (rows.get(key), self.values.get_mut(*index)) else { continue };
            values.take_away(*row);
            self.unknown.insert((*index, *row));
        }
        self
    }

    /// Puts numbers in the place of values of the field at `index`, by row.
    pub(super) fn put(&mut self, index: usize, numbers: &[(usize, f64)]) {
        let rows = self.keys.len();
        if let Some(values) = self.values.get_mut(index).filter(|_| !numbers.is_empty()) {
            values.put(rows, numbers);
        }
    }

    /// Whether there is a value of the field at `index` for the object at `row`, but a part of it is not known.
    #[must_use]
    pub(crate) fn is_unknown(&self, index: usize, row: usize) -> bool {
        !self.unknown.is_empty() && self.unknown.contains(&(index, row))
    }

    /// Leaves out objects of which nothing is known.
    pub(super) fn leave_out(&mut self, is_unknown: impl Fn(u32) -> bool) {
        let unknown = self.keys.iter().enumerate().filter(|(_, key)| is_unknown(**key));
        self.left_out.extend(unknown.map(|(row, _)| row));
    }

    /// Whether nothing is known of the object at `row`, whatever values are here.
    #[must_use]
    pub(crate) fn is_left_out(&self, row: usize) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(&row)
    }

    /// How many requests the averages of times of the object at `row` are over, in all processes together; only where the
    /// plan asks for it.
    #[must_use]
    pub fn weight(&self, row: usize) -> Option<i64> {
        self.weights.as_ref()?.get(row).copied()
    }

    /// The values of the field at `index` of the plan.
    #[must_use]
    pub fn values(&self, index: usize) -> Option<&Values> {
        self.values.get(index)
    }

    /// Whether the server at `row` is an unused slot in every process; only where that is asked for.
    #[must_use]
    pub(crate) fn is_unused(&self, row: usize) -> bool {
        self.severity(USED, row) == Some(0)
    }

    /// The severities of `status` and `check_status` for the object at `row`.
    #[must_use]
    pub fn severity(&self, state: usize, row: usize) -> Option<i64> {
        match self.states.get(state)?.get(row) {
            Some(Value::Int(severity)) => Some(severity),
            _ => None,
        }
    }
}

/// Both groupings of a table.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// By object.
    pub objects: Grouped,
    /// By the server's name over all backends; only where the plan asks for it.
    pub servers: Option<Grouped>,
    /// Backends that may have servers of which nothing is here.
    pub with_more: Which,
}

impl Groups {
    /// Leaves out what is not known of this kind.
    pub fn leave_out(&mut self, kind: Kind, unknown: &Unknown, names: &Names) {
        let objects = unknown.of_kind(kind);
        if !objects.is_empty() {
            self.objects.leave_out(|key| objects.contains(&key));
        }
        if kind == Kind::Server {
            if let Some(servers) = &mut self.servers {
                servers.leave_out(|name| unknown.has_total(names.get(NameId(name))));
            }
            self.with_more = unknown.servers_of.clone();
        }
    }
}

/// Groups the rows of a table and combines them by the rules of the plan. The table's columns are moved, not copied: it
/// is empty afterwards.
///
/// # Errors
/// What polars said; the columns are made here, so an error is a defect.
pub fn group(plan: &KindPlan, table: &mut Table) -> PolarsResult<Groups> {
    group_by(plan, table, !plan.send_aggregated.is_empty())
}

/// The same, and servers over all backends are left to [`super::totals`].
///
/// # Errors
/// As [`group`].
pub fn objects(plan: &KindPlan, table: &mut Table) -> PolarsResult<Groups> {
    group_by(plan, table, false)
}

fn group_by(plan: &KindPlan, table: &mut Table, aggregated: bool) -> PolarsResult<Groups> {
    table.finish();
    let rows = table.rows();
    if rows == 0 {
        return Ok(Groups::default());
    }
    thread::stay();
    let unknown = table.unknown(&table.keys);
    if !aggregated && let Some(objects) = aligned::combine(plan, table)? {
        return Ok(Groups { objects: objects.without(&unknown), ..Groups::default() });
    }
    let unknown_totals = if aggregated { table.unknown(&table.server_names) } else { Vec::new() };
    table.widen_beyond(rows);
    let with_states = table.states.iter().any(|state| !state.ints.is_empty());
    let mut rules = Vec::with_capacity(plan.fields.len());
    let mut columns = Vec::with_capacity(plan.fields.len() + 5);
    columns.push(UInt32Chunked::from_vec(PlSmallStr::from_static(KEY), std::mem::take(&mut table.keys)).into_column());
    if aggregated {
        let servers = std::mem::take(&mut table.server_names);
        columns.push(UInt32Chunked::from_vec(PlSmallStr::from_static(SERVER), servers).into_column());
    }
    if plan.fields.iter().any(|field| field.combine.is_of_times()) {
        let weights = std::mem::take(&mut table.weights);
        columns.push(Int64Chunked::from_vec(PlSmallStr::from_static(WEIGHT), weights).into_column());
    }
    for (index, (field, column)) in plan.fields.iter().zip(&mut table.columns).enumerate() {
        if !column.counts(field) {
            rules.push(None);
            continue;
        }
        let name = PlSmallStr::from_string(index.to_string());
        rules.push(Some(rule(field, column.gaps, name.clone())));
        columns.push(series(name, column));
    }
    let mut state_rules = Vec::new();
    if with_states {
        for (name, column) in STATES.iter().zip(&mut table.states) {
            let name = PlSmallStr::from_static(name);
            state_rules.push(col(name.clone()).max());
            columns.push(series(name, column));
        }
    }
    let frame = DataFrame::new(rows, columns)?.lazy();
    let servers = match aggregated {
        true => {
            let wanted: Vec<_> = rules
                .iter()
                .enumerate()
                .map(|(i, rule)| rule.clone().filter(|_| plan.send_aggregated.contains(&i)))
                .collect();
            let states = if plan.skip_unused { state_rules.as_slice() } else { &[] };
            let totals = collect(plan, frame.clone(), SERVER, &wanted, states)?;
            Some(totals.without(&unknown_totals))
        }
        false => None,
    };
    let objects = collect(plan, frame, KEY, &rules, &state_rules)?.without(&unknown);
    Ok(Groups { objects, servers, ..Groups::default() })
}

fn collect(
    plan: &KindPlan,
    frame: LazyFrame,
    key: &'static str,
    rules: &[Option<Expr>],
    states: &[Expr],
) -> PolarsResult<Grouped> {
    let mut expressions: Vec<Expr> = rules.iter().flatten().chain(states).cloned().collect();
    if plan.weights {
        expressions.push(col(WEIGHT).sum());
    }
    let grouped = frame.group_by_stable([col(key)]).agg(expressions).collect()?;
    let values = |name: &str| -> PolarsResult<Values> {
        let column = grouped.column(name)?;
        if column.dtype() == &DataType::Int64 {
            return Ok(Values::Ints(plain(column.i64()?, ABSENT)));
        }
        let floats = column.cast(&DataType::Float64)?;
        let values = plain(floats.f64()?, f64::NAN);
        // An average is not a number where there is none, but never null.
        Ok(if floats.null_count() > 0 { Values::Wide(values) } else { Values::Floats(values) })
    };
    let keys = grouped.column(key)?.u32()?.into_no_null_iter().collect();
    let fields = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| if rule.is_some() { values(&index.to_string()) } else { Ok(Values::Nothing) })
        .collect::<PolarsResult<_>>()?;
    let states = if states.is_empty() {
        Vec::new()
    } else {
        STATES.iter().map(|name| values(name)).collect::<PolarsResult<_>>()?
    };
    let weights = if plan.weights { Some(plain(grouped.column(WEIGHT)?.i64()?, 0)) } else { None };
    Ok(Grouped::new(keys, fields, states).with_weights(weights))
}

/// The values of a column, with `absent` where there is none.
pub(super) fn plain<T: PolarsNumericType>(column: &ChunkedArray<T>, absent: T::Native) -> Vec<T::Native> {
    match column.cont_slice() {
        Ok(values) => values.to_vec(),
        Err(_) => column.iter().map(|value| value.unwrap_or(absent)).collect(),
    }
}

/// How polars combines a column.
fn rule(field: &Field, gaps: bool, name: PlSmallStr) -> Expr {
    let values = || col(name.clone());
    // A sum of nothing would be 0, where nothing is to be sent.
    let some_sum = || when(values().count().gt(lit(0))).then(values().sum()).otherwise(lit(NULL));
    match field.combine {
        Combine::Sum | Combine::LimitOrBlank if gaps => some_sum(),
        Combine::Sum | Combine::LimitOrBlank => values().sum(),
        // Without a limit in one of the rows, there is none.
        Combine::Limit => when(values().eq(lit(0)).sum().gt(lit(0))).then(lit(0)).otherwise(some_sum()),
        // Exact sums make the mean independent of the order of the rows, which a running mean of doubles is not. 0 / 0
        // is not a number and never sent.
        Combine::Mean => values().sum().cast(DataType::Float64) / values().count().cast(DataType::Float64),
        // Idle rows carry 0, so the sum is that of the busy rows; where rows are weighted, they carry products.
        Combine::BusyMean | Combine::WeightedMean => {
            let rows = match field.combine {
                Combine::WeightedMean => col(WEIGHT),
                _ => col(WEIGHT).gt(lit(0)).cast(DataType::Int64),
            };
            let rows = if gaps { rows * values().is_not_null().cast(DataType::Int64) } else { rows };
            values().sum().cast(DataType::Float64) / rows.sum().cast(DataType::Float64)
        }
        Combine::Max => values().max(),
        Combine::Min | Combine::MinPresent => values().min(),
    }
    .alias(name)
}

/// Moves a column to polars.
fn series(name: PlSmallStr, column: &mut Column) -> Series {
    match (column.floats.take(), column.gaps) {
        (Some(floats), false) => Float64Chunked::from_vec(name, floats).into_column(),
        (Some(floats), true) => {
            Float64Chunked::from_iter_options(name, floats.into_iter().map(|v| (!v.is_nan()).then_some(v)))
                .into_column()
        }
        (None, false) => Int64Chunked::from_vec(name, std::mem::take(&mut column.ints)).into_column(),
        (None, true) if column.ints.iter().all(|value| *value == ABSENT) => {
            Int64Chunked::full_null(name, column.ints.len()).into_column()
        }
        (None, true) => {
            let values = column.ints.iter().map(|value| (*value != ABSENT).then_some(*value));
            Int64Chunked::from_iter_options(name, values).into_column()
        }
    }
}
