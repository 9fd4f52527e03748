//! The metrics of one kind of object, and telling those of each.

use crate::aggregate::group::{Grouped, Values};
use crate::encode::short_bytes::ShortBytes;
use crate::encode::sink::Told;
use crate::haproxy::per_kind::PerKind;
use crate::plan::KindPlan;
use crate::value::{ABSENT, Value};

/// In messages, how many requests the averages of times of an object are over.
const TIME_SAMPLES: &[u8] = b"time_samples";

/// The name of a metric.
#[derive(Debug, Clone)]
struct Name {
    /// With the blank that follows it in a line.
    text: ShortBytes,
    /// Whether it is listed a second time: then it is sent again, but an object has it only once.
    again: bool,
}

/// The names of all metrics, in the order in which they are sent; created once rather than for each snapshot.
#[derive(Debug)]
pub struct MetricNames {
    objects: PerKind<Box<[Name]>>,
    /// Of servers over all backends.
    totals: PerKind<Box<[Name]>>,
}

impl MetricNames {
    /// The names for these plans.
    #[must_use]
    pub fn new(plans: &PerKind<KindPlan>) -> Self {
        let names = |plan: &KindPlan, send: &[usize]| {
            let name = |(place, index): (usize, &usize)| {
                let field = plan.fields.get(*index).map_or("", |field| field.column.name);
                let again = send.iter().take(place).any(|before| before == index);
                Name { text: ShortBytes::new([field, " "].concat().as_bytes()), again }
            };
            send.iter().enumerate().map(name).collect()
        };
        Self {
            objects: plans.each(|plan| names(plan, &plan.send)),
            totals: plans.each(|plan| names(plan, &plan.send_aggregated)),
        }
    }
}

/// A metric that is sent for every object.
struct Metric<'a> {
    /// Its name, with the blank that follows it in a line.
    name: ShortBytes,
    values: &'a Values,
    /// The same for those who add them up beyond the host.
    beyond: &'a Values,
    /// Left out where it is 0: nothing was counted.
    skip_zero: bool,
    /// Counts even where there is no value.
    default: bool,
    /// Whether it is listed a second time: then it is sent again, but an object has it only once.
    again: bool,
}

/// The metrics of one kind of object.
pub(super) struct Metrics<'a> {
    all: Vec<Metric<'a>>,
    grouped: &'a Grouped,
    /// Whether some of them are left out where they are 0.
    skip_zeros: bool,
}

impl<'a> Metrics<'a> {
    /// The metrics of objects.
    pub(super) fn of_objects(plan: &KindPlan, names: &MetricNames, grouped: &'a Grouped) -> Self {
        Self::new(plan, (&plan.send, &names.objects[plan.kind]), grouped)
    }

    /// The metrics of servers over all backends.
    pub(super) fn of_totals(plan: &KindPlan, names: &MetricNames, grouped: &'a Grouped) -> Self {
        Self::new(plan, (&plan.send_aggregated, &names.totals[plan.kind]), grouped)
    }

    /// Those at these places of the plan.
    fn new(plan: &KindPlan, (send, names): (&[usize], &[Name]), grouped: &'a Grouped) -> Self {
        let metric = |(index, name): (&usize, &Name)| {
            let (field, values) = (plan.fields.get(*index)?, grouped.values(*index)?);
            let beyond = grouped.values(*plan.beyond.get(*index)?)?;
            let (skip_zero, Name { text, again }) = (plan.skip_zero && field.counter, name.clone());
            Some(Metric { name: text, values, beyond, skip_zero, default: field.default, again })
        };
        let mut all = Vec::with_capacity(send.len());
        all.extend(send.iter().zip(names).filter_map(metric));
        Self { all, grouped, skip_zeros: plan.skip_zero }
    }

    /// Tells those of an object; returns how many there are.
    pub(super) fn tell(&self, row: usize, told: &mut Told<'_>) -> i64 {
        if told.has_encoders() {
            self.fields(row, told);
        }
        match self.skip_zeros {
            true => self.lines(|metric, value| !metric.skip_zero || !value.is_zero(), row, told),
            false => self.lines(|_, _| true, row, told),
        }
    }

    fn fields(&self, row: usize, told: &mut Told<'_>) {
        for metric in self.all.iter().filter(|metric| !metric.again) {
            if let Some(value) = metric.beyond.get(row) {
                told.field(metric.name.word(), value);
            }
        }
        // Averages of several hosts are weighed by this.
        if let Some(weight) = self.grouped.weight(row).filter(|weight| *weight > 0) {
            told.field(TIME_SAMPLES, Value::Int(weight));
        }
    }

    /// Compiled once for everything and once for a choice, so that without a choice there is nothing to pay for it.
    #[inline(never)]
    fn lines(&self, wanted: impl Fn(&Metric<'_>, Value) -> bool, row: usize, told: &mut Told<'_>) -> i64 {
        let (mut count, mut left_out) = (0, 0);
        if let Some(mut lines) = told.plain_lines() {
            for metric in &self.all {
                // By type from here to the text: values that could be of either cost ten instructions more each.
                let there = match metric.values {
                    Values::Ints(values) => match values.get(row) {
                        Some(value) if *value == ABSENT => false,
                        Some(value) if !wanted(metric, Value::Int(*value)) => {
                            left_out += 1;
                            continue;
                        }
                        Some(value) => {
                            lines.integer(&metric.name, *value);
                            true
                        }
                        None => false,
                    },
                    values => match values.get(row) {
                        Some(value) if !wanted(metric, value) => {
                            left_out += 1;
                            continue;
                        }
                        Some(value) => {
                            lines.push(&metric.name, value);
                            true
                        }
                        None => false,
                    },
                };
                count += i64::from(metric.default || there);
            }
        } else {
            for metric in &self.all {
                let value = metric.values.get(row);
                match value {
                    Some(value) if !wanted(metric, value) => left_out += 1,
                    Some(value) => {
                        told.line(metric.name.word(), value);
                        count += 1;
                    }
                    None => count += i64::from(metric.default),
                }
            }
        }
        if left_out > 0 {
            told.skip_zeros(left_out);
        }
        count
    }
}
