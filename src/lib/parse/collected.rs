//! Rows of all kinds of objects, and the names in them.

use super::cells::RowCells;
use super::doubt::Doubts;
use super::fields::{Fields, Slot};
use super::first::FirstRows;
use super::layout::Layout;
use super::number::Number;
use super::order::Order;
use super::part::Part;
use super::refused::RowError;
use super::table::Table;
use crate::haproxy::columns::Kind;
use crate::haproxy::per_kind::PerKind;
use crate::haproxy::status;
use crate::haproxy::traffic::{self, Counter};
use crate::names::{Names, Pairs, sanitize};
use crate::plan::KindPlan;
use crate::value::UNKNOWN;
use std::sync::Arc;

/// Rows of all kinds of objects, and the names in them.
#[derive(Debug)]
pub struct Collected {
    pub(super) plans: Arc<PerKind<KindPlan>>,
    /// Whether states are read: they are sent, or tell unused slots.
    pub(super) status: bool,
    /// A table for each kind, in the order of [`Kind::ALL`].
    pub tables: PerKind<Table>,
    /// Names of proxies and servers.
    pub names: Names,
    /// Servers in their backends.
    pub servers: Pairs,
    /// What could not be read.
    pub doubts: Doubts,
    /// Cells of the current row beyond the range of `i64`: field and value.
    pub(super) bigs: Vec<(usize, f64)>,
    pub(super) order: Order,
    /// While replies of processes are read that do not say which objects there are: the objects of those that do.
    pub(super) only: Option<PerKind<FirstRows>>,
}

impl Collected {
    #[inline(always)]
    pub(super) fn row(&mut self, layout: &Layout, row: &impl RowCells) -> Result<(), RowError> {
        let Some(kind) = layout.kind(row)? else { return Ok(()) };
        if layout.part == Part::Carried {
            return self.add(kind, layout, row);
        }
        let names = if layout.names_first { row.names() } else { None };
        let expected = match names {
            Some(names) => self.order.expected(kind, names),
            None => None,
        };
        if expected.is_none() && layout.nameless(row) {
            return Err(RowError::NoName);
        }
        let (plan, table) = (&self.plans[kind], &mut self.tables[kind]);
        self.bigs.clear();
        let fields = figures(plan, layout, row, table, &mut self.bigs)?;
        let weight = weight(layout, fields, row, table, &self.bigs);
        fields.complete(table, weight, &mut self.bigs);
        let known = self.only.as_ref().map(|only| &only[kind]);
        let key = match (expected, known) {
            (Some(key), None) => key,
            (expected, Some(known)) => {
                let found = || find(&self.names, &self.servers, kind, layout, row);
                match expected.or_else(found).filter(|key| known.get(*key).is_some()) {
                    Some(key) => key,
                    None => return Ok(()),
                }
            }
            (None, None) => {
                let proxy = self.names.intern(row.text(layout.pxname));
                let key = match kind {
                    Kind::Server => self.servers.intern((proxy, self.names.intern(row.text(layout.svname)))),
                    Kind::Frontend | Kind::Backend => proxy.0,
                };
                if let Some(names) = names {
                    self.order.note(kind, key, names);
                }
                key
            }
        };
        table.commit(key, weight);
        if kind == Kind::Server && !plan.send_aggregated.is_empty() {
            table.server_names.push(self.servers.get(key).map_or(u32::MAX, |(_, server)| server.0));
        }
        for (index, value) in &self.bigs {
            table.note_big(*index, *value);
        }
        if self.status {
            let status = layout.status.map(|position| status::status(row.text(position)).severity);
            let check = layout.check_status.and_then(|position| status::check_status(row.text(position)));
            let live = layout.part == Part::Live;
            let used = (plan.skip_unused && live).then(|| i64::from(!layout.is_unused(row)));
            table.note_states([status, check.map(|state| state.severity), used]);
        }
        Ok(())
    }
}

impl Collected {
    /// Adds what is carried of an object to its first row: no row of its own, which would cost as much as one more process.
    #[inline(never)]
    fn add(&mut self, kind: Kind, layout: &Layout, row: &impl RowCells) -> Result<(), RowError> {
        let Some(rows) = self.only.as_ref().map(|only| &only[kind]) else { return Ok(()) };
        let expected = row.names().filter(|_| layout.names_first).and_then(|names| self.order.expected(kind, names));
        let Some(key) = expected.or_else(|| find(&self.names, &self.servers, kind, layout, row)) else { return Ok(()) };
        if expected.is_none() {
            self.order.go_on(kind, key);
        }
        let Some(first) = rows.get(key) else { return Ok(()) };
        let (plan, table) = (&self.plans[kind], &mut self.tables[kind]);
        let mut sums = table.sums(first);
        let mut slots = layout.fields[kind].present.as_slice();
        while let Some((slot, rest)) = slots.get(row.add(slots, &mut sums)..).and_then(<[Slot]>::split_first) {
            slots = rest;
            match row.number(slot.position) {
                Number::Int(value) => sums.add(slot.index, value),
                Number::Blank => {}
                // What pull carries has an end at 63 bits.
                Number::Big(_) | Number::Bad => {
                    let field = plan.fields.get(slot.index).map_or("", |field| field.column.name);
                    return Err(RowError::NotANumber { field });
                }
            }
        }
        Ok(())
    }
}

/// The number of an object that is known.
fn find(names: &Names, servers: &Pairs, kind: Kind, layout: &Layout, row: &impl RowCells) -> Option<u32> {
    let proxy = names.find(&sanitize(row.text(layout.pxname)))?;
    match kind {
        Kind::Frontend | Kind::Backend => Some(proxy.0),
        Kind::Server => servers.find((proxy, names.find(&sanitize(row.text(layout.svname)))?)),
    }
}

/// Reads the fields of a row that its file has; those beyond 64 bits are 0 there, and in `bigs`. Returns the fields by which
/// they were read.
#[inline(always)]
fn figures<'l>(
    plan: &KindPlan,
    layout: &'l Layout,
    row: &impl RowCells,
    table: &mut Table,
    bigs: &mut Vec<(usize, f64)>,
) -> Result<&'l Fields, RowError> {
    let mut cells = table.next_row();
    let (mut fields, mut done) = (&layout.fields[plan.kind], 0);
    loop {
        done += row.figures(fields.present.get(done..).unwrap_or_default(), &mut cells);
        let Some(slot) = fields.present.get(done) else { return Ok(fields) };
        let value = match (row.number(slot.position), slot.blank) {
            (Number::Int(value), _) | (Number::Blank, Some(value)) => value,
            (Number::Blank, None) => {
                // Those of each mode are in the same places.
                fields = layout.fields_of(plan.kind, row);
                continue;
            }
            (Number::Big(value), _) => {
                bigs.push((slot.index, value));
                0
            }
            (Number::Bad, _) => {
                let field = plan.fields.get(slot.index).map_or("", |field| field.column.name);
                return Err(RowError::NotANumber { field });
            }
        };
        cells.set(slot.index, value);
        done += 1;
    }
}

/// How many requests the averages of a row are over, as far as that matters.
#[inline(always)]
fn weight(layout: &Layout, fields: &Fields, row: &impl RowCells, table: &Table, bigs: &[(usize, f64)]) -> i64 {
    match (fields.counts_requests, fields.balanced) {
        _ if fields.times.is_empty() => 1,
        // What was balanced has had requests.
        (false, Some(index)) if table.cell(index) > 0 => 1,
        (counts_requests, _) => {
            let known = bigs.is_empty();
            let weight = traffic::weight(|counter| match (counter, fields.sessions, fields.balanced) {
                (Counter::Sessions, Some(index), _) | (Counter::Balanced, _, Some(index)) if known => {
                    Some(table.cell(index)).filter(|cell| *cell > UNKNOWN)
                }
                _ => layout.counter(row, counter),
            });
            if counts_requests { weight } else { weight.min(1) }
        }
    }
}
