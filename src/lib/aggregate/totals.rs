//! Servers over all backends, of a snapshot whose backends are not in memory at the same time: each batch adds its rows.
//! The figures are those that grouping all rows at once gives ([`super::group`]).

use super::group::{Grouped, USED, Values};
use crate::haproxy::columns::Combine;
use crate::names::{NameId, Names};
use crate::parse::doubt::Unknown;
use crate::parse::table::{Column, Table};
use crate::plan::{Field, KindPlan};
use crate::value::ABSENT;
use std::collections::HashSet;

/// One figure of all servers so far; the memory that servers of a snapshot take is mostly this.
#[derive(Debug)]
struct Figure {
    /// Where it stands in the plan.
    index: usize,
    field: Field,
    /// Whether any file has the field.
    counts: bool,
    /// Sums, or the largest or smallest; [`ABSENT`] where there was none yet.
    ints: Vec<i64>,
    /// The same in place of `ints`, once one of them is beyond their range; not a number where there was none yet.
    floats: Option<Vec<f64>>,
    /// Of averages, how many values are in the sum; or the sum of their weights.
    counted: Vec<u32>,
}

/// Servers by their names.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Names of servers; their numbers are the keys of [`Totals::grouped`].
    pub names: Names,
    figures: Vec<Figure>,
    /// Whether a server is used, where those are told apart.
    used: Vec<i64>,
    /// How many requests the averages of times of a server are over, where that is asked for.
    weights: Option<Vec<i64>>,
    /// Sums that are not known, by field and server.
    unknown: Vec<(usize, u32)>,
    /// Path elements of servers of which nothing is known; `None` for all.
    left_out: Option<HashSet<String>>,
}

impl Totals {
    /// What this plan wants of servers over all backends; `None` when that is nothing.
    #[must_use]
    pub(crate) fn new(plan: &KindPlan) -> Option<Self> {
        let mut wanted = plan.send_aggregated.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let figure = |index| {
            let field = *plan.fields.get(index)?;
            Some(Figure { index, field, counts: false, ints: Vec::new(), floats: None, counted: Vec::new() })
        };
        let figures: Vec<Figure> = wanted.into_iter().filter_map(figure).collect();
        (!figures.is_empty()).then(|| Self {
            names: Names::default(),
            figures,
            used: Vec::new(),
            weights: plan.weights.then(Vec::new),
            unknown: Vec::new(),
            left_out: Some(HashSet::new()),
        })
    }

    /// Leaves out what is not known.
    pub(crate) fn leave_out(&mut self, unknown: &Unknown) {
        match (&unknown.totals, &mut self.left_out) {
            (Some(totals), Some(left_out)) => left_out.extend(totals.iter().cloned()),
            _ => self.left_out = None,
        }
    }

    /// Adds the rows of a table of servers, whose names are among `names`.
    pub(crate) fn add(&mut self, table: &mut Table, names: &Names) {
        table.finish();
        // The place of a name here, by its place there.
        let mut places = vec![None; names.len()];
        let mut rows = Vec::with_capacity(table.server_names.len());
        for name in &table.server_names {
            let Some(place) = places.get_mut(*name as usize) else { continue };
            let own = &mut self.names;
            let place = *place.get_or_insert_with(|| own.intern(names.spelled(NameId(*name)).as_bytes()).0 as usize);
            rows.push(place);
        }
        if let Some(used) = table.states.get(USED).filter(|used| !used.ints.is_empty()) {
            self.used.resize(self.names.len(), ABSENT);
            for (name, used) in rows.iter().zip(&used.ints) {
                if let Some(known) = self.used.get_mut(*name) {
                    *known = (*known).max(*used);
                }
            }
        }
        for figure in &mut self.figures {
            if let Some(column) = table.columns.get(figure.index) {
                figure.grow(self.names.len());
                figure.counts |= column.counts(&figure.field);
                figure.add(column, &rows, &table.weights);
                let unknown = column.unknown.iter().filter_map(|row| u32::try_from(*rows.get(*row)?).ok());
                self.unknown.extend(unknown.map(|name| (figure.index, name)));
            }
        }
        if let Some(weights) = &mut self.weights {
            weights.resize(self.names.len(), 0);
            for (name, weight) in rows.iter().zip(&table.weights) {
                if let Some(sum) = weights.get_mut(*name) {
                    *sum += weight;
                }
            }
        }
    }

    /// One row a name.
    #[must_use]
    pub(crate) fn grouped(&mut self, plan: &KindPlan) -> Grouped {
        let mut values = vec![Values::Nothing; plan.fields.len()];
        for figure in &mut self.figures {
            if let Some(values) = values.get_mut(figure.index) {
                *values = figure.values();
            }
        }
        let keys = (0..u32::try_from(self.names.len()).unwrap_or(u32::MAX)).collect();
        let mut states = vec![Values::Nothing; USED];
        states.push(Values::Ints(std::mem::take(&mut self.used)));
        let mut grouped = Grouped::new(keys, values, states)
            .with_weights(self.weights.take())
            .without(&std::mem::take(&mut self.unknown));
        let Self { names, left_out, .. } = self;
        grouped.leave_out(|name| left_out.as_ref().is_none_or(|left_out| left_out.contains(names.get(NameId(name)))));
        grouped
    }
}

impl Figure {
    fn is_mean(&self) -> bool {
        self.field.combine == Combine::Mean || self.field.combine.is_of_times()
    }

    fn grow(&mut self, names: usize) {
        match &mut self.floats {
            Some(floats) => floats.resize(names, f64::NAN),
            None => self.ints.resize(names, ABSENT),
        }
        if self.is_mean() {
            self.counted.resize(names, 0);
        }
    }

    /// `rows` says which name each row of the column is of.
    fn add(&mut self, column: &Column, rows: &[usize], weights: &[i64]) {
        for (row, (name, weight)) in rows.iter().zip(weights).enumerate() {
            match &column.floats {
                Some(floats) => match floats.get(row).filter(|value| !value.is_nan()) {
                    Some(value) => self.add_float(*name, *value),
                    None => continue,
                },
                None => match column.ints.get(row).filter(|value| **value != ABSENT) {
                    Some(value) => self.add_int(*name, *value),
                    None => continue,
                },
            }
            if let Some(counted) = self.counted.get_mut(*name) {
                let divisor = u32::try_from(self.field.combine.divisor(*weight)).unwrap_or(0);
                *counted = counted.saturating_add(divisor);
            }
        }
    }

    fn add_int(&mut self, name: usize, value: i64) {
        if self.floats.is_none() {
            let Some(cell) = self.ints.get_mut(name) else { return };
            let both = match (*cell, self.field.combine) {
                (ABSENT, _) => Some(value),
                (before, Combine::Max) => Some(before.max(value)),
                (before, Combine::Min | Combine::MinPresent) => Some(before.min(value)),
                // Without a limit in one of the rows, there is none.
                (before, Combine::Limit) if before == 0 || value == 0 => Some(0),
                (before, Combine::Sum | Combine::Limit | Combine::LimitOrBlank) => before.checked_add(value),
                (before, Combine::Mean | Combine::BusyMean | Combine::WeightedMean) => before.checked_add(value),
            };
            // The smallest of all integers stands for none.
            if let Some(both) = both.filter(|both| *both != ABSENT) {
                *cell = both;
                return;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles; exactness ends at 2^53 anyway")]
        self.add_float(name, value as f64);
    }

    fn add_float(&mut self, name: usize, value: f64) {
        let combine = self.field.combine;
        let Some(cell) = self.widen().get_mut(name) else { return };
        *cell = match combine {
            _ if cell.is_nan() => value,
            Combine::Max => cell.max(value),
            Combine::Min | Combine::MinPresent => cell.min(value),
            Combine::Limit if *cell == 0.0 || value == 0.0 => 0.0,
            Combine::Sum | Combine::Limit | Combine::LimitOrBlank => *cell + value,
            Combine::Mean | Combine::BusyMean | Combine::WeightedMean => *cell + value,
        };
    }

    #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles; exactness ends at 2^53 anyway")]
    fn widen(&mut self) -> &mut Vec<f64> {
        let ints = &mut self.ints;
        self.floats.get_or_insert_with(|| {
            let ints = std::mem::take(ints);
            ints.into_iter().map(|value| if value == ABSENT { f64::NAN } else { value as f64 }).collect()
        })
    }

    fn values(&mut self) -> Values {
        if !self.counts {
            return Values::Nothing;
        }
        if self.is_mean() {
            let counted = std::mem::take(&mut self.counted);
            // Nothing divided by nothing is not a number, and never sent.
            let sums = std::mem::take(self.widen()).into_iter().map(|sum| if sum.is_nan() { 0.0 } else { sum });
            return Values::Floats(sums.zip(counted).map(|(sum, counted)| sum / f64::from(counted)).collect());
        }
        match self.floats.take() {
            Some(floats) => Values::Wide(floats),
            None => Values::Ints(std::mem::take(&mut self.ints)),
        }
    }
}
