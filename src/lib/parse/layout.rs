//! What a header says: which cell of a row is what.

use super::cells::RowCells;
use super::commas::Cells;
use super::fields::Fields;
use super::number::Number;
use super::part::Part;
use super::quoted::Quoted;
use super::refused::RowError;
use crate::haproxy::columns::{Kind, Mode};
use crate::haproxy::per_kind::PerKind;
use crate::haproxy::traffic::Counter;
use crate::plan::KindPlan;
use std::collections::BTreeSet;

/// Where the fields of the plans stand in a file.
#[derive(Debug)]
pub(super) struct Layout {
    /// The line that says all of this.
    pub(super) header: Box<[u8]>,
    pub(super) part: Part,
    pub(super) width: usize,
    pub(super) pxname: usize,
    pub(super) svname: usize,
    pub(super) row_type: Option<usize>,
    pub(super) mode: Option<usize>,
    /// Where each [`Counter`] of traffic is.
    pub(super) counters: [Option<usize>; 3],
    pub(super) status: Option<usize>,
    pub(super) check_status: Option<usize>,
    pub(super) addr: Option<usize>,
    /// Positions before this one may be read, the rest of a row is only counted.
    pub(super) needed: usize,
    /// Those before this one say what a row is of.
    first: usize,
    /// Those before this one are read of a row of this kind, besides its mode.
    needed_of: PerKind<usize>,
    /// The positions that are read.
    pub(super) asked: Vec<usize>,
    /// Whether the rows begin with both names.
    pub(super) names_first: bool,
    /// For each kind, where the fields of its plan stand, whatever the [`Mode`] of the row.
    pub(super) fields: PerKind<Fields>,
    /// And what their cells become in rows of each mode.
    by_mode: PerKind<[Fields; 3]>,
}

impl Layout {
    /// Reads a header line; `None` when it is none.
    pub(super) fn new(header: &[u8], plans: &PerKind<KindPlan>, part: Part) -> Option<Self> {
        let names = header.strip_prefix(b"# ").or_else(|| header.strip_prefix(b"#")).unwrap_or(header);
        let names: Vec<&[u8]> = names.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
        let position = |name: &str| names.iter().position(|field| *field == name.as_bytes());
        let by_mode = plans.each(|plan| Mode::ALL.map(|mode| Fields::new(plan, mode, part, position)));
        let fields = plans.each(|plan| match position("mode") {
            Some(_) => Fields::of_any_mode(plan, part, position),
            None => Fields::new(plan, Mode::Unsaid, part, position),
        });
        let slots = plans.iter().any(|plan| plan.skip_unused);
        let mut layout = Self {
            header: header.into(),
            part,
            width: names.len(),
            pxname: position("pxname")?,
            svname: position("svname")?,
            row_type: position("type"),
            mode: position("mode"),
            counters: Counter::ALL.map(|counter| position(counter.field())),
            status: position("status").filter(|_| part == Part::Live),
            check_status: position("check_status").filter(|_| part == Part::Live),
            addr: position("addr").filter(|_| slots),
            needed: 0,
            first: 0,
            needed_of: PerKind::default(),
            asked: Vec::new(),
            names_first: position("pxname") == Some(0) && position("svname") == Some(1),
            fields,
            by_mode,
        };
        layout.find_needed();
        Some(layout)
    }

    /// Works out which positions are read.
    fn find_needed(&mut self) {
        let behind = |positions: &BTreeSet<usize>| positions.last().map_or(0, |last| last + 1);
        let names = [Some(self.pxname), Some(self.svname), self.row_type];
        let names: BTreeSet<usize> = names.into_iter().flatten().collect();
        let of_all = [self.status, self.check_status].into_iter().chain(self.counters).flatten();
        let of_all: BTreeSet<usize> = of_all.chain(names.iter().copied()).collect();
        let of_kind = self.fields.each(|fields| {
            let fields = fields.present.iter().map(|slot| slot.position);
            fields.chain(of_all.iter().copied()).collect::<BTreeSet<_>>()
        });
        (self.first, self.needed_of) = (behind(&names), of_kind.each(behind));
        self.needed_of[Kind::Server] = self.needed_of[Kind::Server].max(self.addr.map_or(0, |addr| addr + 1));
        // Each once: rows with quotes are held against them.
        let mut asked: BTreeSet<usize> = of_kind.iter().flatten().copied().collect();
        asked.extend([self.mode, self.addr].into_iter().flatten());
        self.needed = behind(&asked);
        self.asked = asked.into_iter().collect();
    }

    /// Finds the cells of a row without quotes that are read in rows of its kind, and returns how many it has in all.
    #[inline(always)]
    pub(super) fn find(&self, cells: &mut Cells, row: &[u8]) -> Option<usize> {
        let Some(row_type) = self.row_type else { return cells.find(row, self.needed) };
        cells.find_by_first(row, self.first, |cells| {
            let (from, to) = cells.range(row_type);
            // Of a listener nothing is read.
            Kind::of_row(row.get(from..to), b"").map_or(self.first, |kind| self.needed_of[kind])
        })
    }

    /// Whether the server is an unused slot: in maintenance, without an address, and without traffic since the
    /// start. Where HAProxy tells no addresses (before 1.7; a socket of `level user`), only "MAINT (resolution)" says that
    /// there is none.
    #[inline(never)]
    pub(super) fn is_unused(&self, row: &impl RowCells) -> bool {
        let text = |position: Option<usize>| position.map(|position| row.text(position)).unwrap_or_default();
        let status = text(self.status);
        status.starts_with(b"MAINT")
            && self.counter(row, Counter::Sessions) == Some(0)
            && matches!(self.counter(row, Counter::Balanced), None | Some(0))
            && (status == b"MAINT (resolution)" || is_unspecified(text(self.addr)))
    }

    /// A counter of traffic, where the row has it.
    #[inline(always)]
    pub(super) fn counter(&self, row: &impl RowCells, counter: Counter) -> Option<i64> {
        match row.number(self.counters.get(counter as usize).copied().flatten()?) {
            Number::Int(value) => Some(value),
            Number::Big(value) if value > 0.0 => Some(i64::MAX),
            Number::Big(_) | Number::Blank | Number::Bad => None,
        }
    }

    /// Where the fields of the plan of this kind stand in this row, and what its cells become, by its mode.
    #[inline(never)]
    pub(super) fn fields_of(&self, kind: Kind, row: &impl RowCells) -> &Fields {
        let [http, other, unsaid] = &self.by_mode[kind];
        let Some(position) = self.mode else { return unsaid };
        match Mode::of(row.far(position)) {
            Mode::Http => http,
            Mode::Other => other,
            Mode::Unsaid => unsaid,
        }
    }

    /// Whether a row says which proxy it is of, be there what may in the rest of it.
    pub(super) fn names_proxy(&self, line: &[u8], quoted: &mut Quoted) -> bool {
        self.name(self.pxname, line, quoted, |_| ()).is_some()
    }

    /// What `take` makes of the name in this cell of a row that may be one of anything; `None` when there is none, or when
    /// its end may be missing.
    pub(super) fn name<T>(
        &self,
        place: usize,
        line: &[u8],
        quoted: &mut Quoted,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let whole = |name: &[u8], goes_on: bool| !name.is_empty() && (goes_on || place + 1 == self.width);
        if memchr::memchr(b'"', line).is_some() {
            let row = quoted.split(line);
            let name = row.cell(place);
            return whole(name, row.width() > place + 1).then(|| take(name));
        }
        let mut cells = line.split(|byte| *byte == b',').skip(place);
        let name = cells.next()?;
        whole(name, cells.next().is_some()).then(|| take(name))
    }

    pub(super) fn nameless(&self, row: &impl RowCells) -> bool {
        row.text(self.pxname).is_empty() || row.text(self.svname).is_empty()
    }

    /// What a row is of. `Ok(None)` for one that is of nothing that is read, a listener.
    #[inline(always)]
    pub(super) fn kind(&self, row: &impl RowCells) -> Result<Option<Kind>, RowError> {
        let row_type = self.row_type.map(|position| row.text(position));
        match Kind::of_row(row_type, row.text(self.svname)) {
            Some(kind) => Ok(Some(kind)),
            None if self.nameless(row) => Err(RowError::NoName),
            None if row_type == Some(b"3") => Ok(None),
            None => Err(RowError::UnknownType),
        }
    }
}

/// Whether an address with its port is that of no server.
fn is_unspecified(addr: &[u8]) -> bool {
    [&b"0.0.0.0:"[..], b"[::]:", b":::"].iter().any(|none| addr.starts_with(none))
}
