//! Where the fields of a plan are in the rows of a file, and how their cells are parsed.

use super::part::Part;
use super::table::Table;
use crate::haproxy::columns::{Combine, Mode};
use crate::haproxy::traffic::Counter;
use crate::plan::KindPlan;
use crate::value::{ABSENT, UNKNOWN};

/// Where the fields of one plan stand in a row, and what their cells become.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The fields that the file has, in the order in which they stand there.
    pub(super) present: Vec<Slot>,
    /// The other fields, and what they count as: a file without a field counts as 0, which leaves sums alone; other
    /// figures are combined over the files that have them.
    pub(super) missing: Vec<(usize, i64)>,
    /// Averages of times, which are 0 in rows without traffic: their sum stays that of the busy rows.
    pub(super) times: Vec<usize>,
    /// Those of them of which the product with the row's weight is kept: their sum is divided by that of the weights.
    pub(super) weighted: Vec<usize>,
    /// Whether it matters how many requests a row has had, and not only that it has had some.
    pub(super) counts_requests: bool,
    /// Where `stot` and `lbtot` are in the plan, in rows that always have them: their cells need not be read again.
    pub(super) sessions: Option<usize>,
    pub(super) balanced: Option<usize>,
    /// Fields in which a negative number is "no value".
    pub(super) never_negative: Vec<usize>,
}

/// Where a field stands in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) position: usize,
    /// Its place in the plan.
    pub(super) index: usize,
    /// What a blank cell counts as: 0, no value, or one that is not known; `None` where that depends on the mode of the row.
    pub(super) blank: Option<i64>,
}

impl Fields {
    /// The same for rows of which the mode is not looked at, which takes less: it only matters where a cell is blank that
    /// rows of some mode always have.
    pub(super) fn of_any_mode(plan: &KindPlan, part: Part, position: impl Fn(&str) -> Option<usize>) -> Self {
        let [mut fields, others @ ..] = Mode::ALL.map(|mode| Self::new(plan, mode, part, &position));
        for (place, slot) in fields.present.iter_mut().enumerate() {
            let same = |other: &Self| other.present.get(place).is_some_and(|other| other.blank == slot.blank);
            slot.blank = slot.blank.filter(|_| others.iter().all(same));
        }
        fields
    }

    pub(super) fn new(plan: &KindPlan, mode: Mode, part: Part, position: impl Fn(&str) -> Option<usize>) -> Self {
        let mut fields = Self { counts_requests: plan.counts_requests(), ..Self::default() };
        for (index, field) in plan.fields.iter().enumerate() {
            let taken = part.takes(field.column.nature, field.combine);
            match position(field.column.name).filter(|_| taken) {
                Some(place) => {
                    let always = field.column.is_always_filled(plan.kind, mode, |name| position(name).is_some());
                    let blank = match (always, field.combine) {
                        // What is not carried is nothing.
                        _ if part == Part::Carried => ABSENT,
                        // Counted as 0 it would be a step back, and so would be the sum of the others.
                        (true, Combine::Sum) => UNKNOWN,
                        // Nor is 100 and no limit a limit.
                        (_, Combine::LimitOrBlank) => UNKNOWN,
                        (false, _) if field.default => 0,
                        _ => ABSENT,
                    };
                    fields.present.push(Slot { position: place, index, blank: Some(blank) });
                    match field.column.name {
                        name if always && name == Counter::Sessions.field() => fields.sessions = Some(index),
                        name if always && name == Counter::Balanced.field() => fields.balanced = Some(index),
                        _ => {}
                    }
                }
                None if field.default && field.combine == Combine::Sum => fields.missing.push((index, 0)),
                // Without the field there is no limit; a worker that is leaving has no say in it.
                None if field.default && field.combine == Combine::Limit && taken => fields.missing.push((index, 0)),
                None => fields.missing.push((index, ABSENT)),
            }
            match field.combine {
                Combine::BusyMean => fields.times.push(index),
                Combine::WeightedMean => {
                    fields.times.push(index);
                    fields.weighted.push(index);
                }
                Combine::MinPresent => fields.never_negative.push(index),
                _ => {}
            }
        }
        fields.present.sort_by_key(|slot| slot.position);
        fields
    }

    /// Completes the cells of a row whose present fields are set.
    #[inline(always)]
    pub(super) fn complete(&self, table: &mut Table, weight: i64, bigs: &mut Vec<(usize, f64)>) {
        for (index, value) in &self.missing {
            table.set(*index, *value);
        }
        if !bigs.is_empty() {
            self.complete_bigs(table, weight, bigs);
        }
        for index in &self.never_negative {
            if table.cell(*index) < 0 {
                table.set(*index, ABSENT);
            }
        }
        if weight == 0 {
            for index in &self.times {
                if table.cell(*index) != ABSENT {
                    table.set(*index, 0);
                }
            }
        } else if weight > 1 {
            self.multiply(table, weight, bigs);
        }
    }

    #[inline(always)]
    fn multiply(&self, table: &mut Table, weight: i64, bigs: &mut Vec<(usize, f64)>) {
        for index in &self.weighted {
            let cell = table.cell(*index);
            match cell.checked_mul(weight).filter(|product| *product > UNKNOWN) {
                _ if cell == ABSENT => {}
                Some(product) => table.set(*index, product),
                None => {
                    #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
                    bigs.push((*index, (i128::from(cell) * i128::from(weight)) as f64));
                    table.set(*index, 0);
                }
            }
        }
    }

    #[cold]
    fn complete_bigs(&self, table: &mut Table, weight: i64, bigs: &mut Vec<(usize, f64)>) {
        bigs.retain_mut(|(index, value)| {
            if *value < 0.0 && self.never_negative.contains(index) {
                table.set(*index, ABSENT);
                return false;
            }
            #[expect(clippy::cast_precision_loss, reason = "at most 1024")]
            if self.weighted.contains(index) {
                *value *= weight as f64;
            }
            weight > 0 || !self.times.contains(index)
        });
    }
}
