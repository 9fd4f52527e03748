//! `show stat`: a CSV file with a header line (management guide 9.1).
//!
//! Columns are found by name, never by position: HAProxy adds some with every release, and builds differ. A row that
//! does not fit is left out, counted, and reported with its line; the others count.

use super::commas::{Cells, MOST_CELLS};
use super::doubt::Doubts;
use super::number::{self, Number};
use super::order::Order;
use super::quoted::{Quoted, QuotedRow};
use super::rows::{Buffer, Quotes, Row, Rows};
use super::table::{NextRow, Table};
use crate::haproxy::columns::{Combine, Kind, Mode};
use crate::haproxy::status;
use crate::haproxy::traffic::{self, Counter};
use crate::names::{Names, Pairs, sanitize};
use crate::plan::KindPlan;
use crate::value::{ABSENT, UNKNOWN};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::Arc;

/// Why a row was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Not as many fields as the header names: cut off, or garbage.
    #[error("{found} fields where the header names {expected}")]
    Fields {
        /// Fields in the row.
        found: usize,
        /// Fields in the header.
        expected: usize,
    },
    /// A field that should hold a whole number of at most 64 bits holds something else.
    #[error("{field} is not a whole number of 64 bits")]
    NotANumber {
        /// HAProxy's name of the field.
        field: &'static str,
    },
    /// The proxy or the server has no name.
    #[error("the name is empty")]
    NoName,
    /// `type` is none of frontend (0), backend (1), server (2), listener (3).
    #[error("unknown type of row")]
    UnknownType,
    /// Longer than any row of HAProxy.
    #[error("longer than 64 KiB")]
    TooLong,
}

/// Why a file was left out.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// Zero bytes, or only blank lines.
    #[error("is empty")]
    Empty,
    /// The first line does not name `pxname` and `svname`: an error message of HAProxy, or garbage.
    #[error("does not begin with the header of HAProxy's statistics but with {0:?}")]
    NoHeader(String),
    /// There are rows, but none that can be read; or not even the header is whole. A whole header alone is no error: that
    /// HAProxy has no proxy.
    #[error("has a header but no row that can be read")]
    NoRows,
}

/// What was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileReport {
    /// Rows that were read, those of listeners included; none where HAProxy has no proxy.
    pub rows: u64,
    /// Rows that were left out.
    pub refused: u64,
}

impl FileReport {
    /// Whether a file with nothing but this in it is of no use: rows, but none that can be read, or not even a whole header.
    #[must_use]
    pub fn is_nothing(&self, cut_off: bool) -> bool {
        self.rows == 0 && (self.refused > 0 || cut_off)
    }
}

/// Whether something is missing at the end of a header, which HAProxy ends with a comma.
#[must_use]
pub fn is_cut_off(header: &[u8]) -> bool {
    !header.ends_with(b",")
}

/// Where the fields of the plans stand in a file.
#[derive(Debug)]
pub(super) struct Layout {
    width: usize,
    pub(super) pxname: usize,
    svname: usize,
    row_type: Option<usize>,
    mode: Option<usize>,
    /// Where each [`Counter`] of traffic is.
    counters: [Option<usize>; 3],
    status: Option<usize>,
    check_status: Option<usize>,
    addr: Option<usize>,
    /// Positions before this one are read, the rest of a row is only counted.
    needed: usize,
    /// The positions that are read.
    asked: Vec<usize>,
    /// Whether the rows begin with both names.
    names_first: bool,
    /// For each kind, where the fields of its plan stand; by [`Mode`] of the row.
    fields: [[Fields; 3]; 3],
}

/// Where the fields of one plan stand in a row, and what their cells become.
#[derive(Debug, Default)]
struct Fields {
    /// The fields that the file has, in the order in which they stand there.
    present: Vec<Slot>,
    /// The other fields, and what they count as: a file without a field counts as 0, which leaves sums alone; other
    /// figures are combined over the files that have them.
    missing: Vec<(usize, i64)>,
    /// Averages of times, which are 0 in rows without traffic: their sum stays that of the busy rows.
    times: Vec<usize>,
    /// Those of them of which the product with the row's weight is kept: their sum is divided by that of the weights.
    weighted: Vec<usize>,
    /// Whether it matters how many requests a row has had, and not only that it has had some.
    counts_requests: bool,
    /// Where `stot` and `lbtot` are in the plan, in rows that always have them: their cells need not be read again.
    sessions: Option<usize>,
    balanced: Option<usize>,
    /// Fields in which a negative number is "no value".
    never_negative: Vec<usize>,
}

/// Where a field stands in a row.
#[derive(Debug, Clone, Copy)]
struct Slot {
    position: usize,
    /// Its place in the plan.
    index: usize,
    /// What a blank cell counts as: 0, no value, or one that is not known.
    blank: i64,
}

/// Rows of all kinds of objects, and the names in them.
#[derive(Debug)]
pub struct Collected {
    plans: Arc<[KindPlan; 3]>,
    /// Whether states are read: they are sent, or tell unused slots.
    status: bool,
    /// A table for each kind, in the order of [`Kind::ALL`].
    pub tables: [Table; 3],
    /// Names of proxies and servers.
    pub names: Names,
    /// Servers in their backends.
    pub servers: Pairs,
    /// What could not be read.
    pub doubts: Doubts,
    /// Cells of the current row beyond the range of `i64`: field and value.
    bigs: Vec<(usize, f64)>,
    pub(super) order: Order,
}

/// Reads files into tables.
#[derive(Debug)]
pub struct Stats {
    /// What was read since [`Stats::clear`].
    pub collected: Collected,
    layouts: HashMap<Vec<u8>, Layout>,
    pub(super) buffer: Buffer,
    cells: Cells,
    pub(super) quoted: Quoted,
    generation: u64,
}

/// More headers than this in the lifetime of a worker are no HAProxy releases: forget them all.
const MAX_LAYOUTS: usize = 64;

impl Stats {
    /// Empty tables for these plans.
    #[must_use]
    pub fn new(plans: Arc<[KindPlan; 3]>, status: bool) -> Self {
        let tables = plans.each_ref().map(Table::new);
        Self::with_tables(plans, status, tables)
    }

    /// Without the memory to read into, until that is [traded](Self::trade) for.
    #[must_use]
    pub fn hollow(plans: Arc<[KindPlan; 3]>, status: bool) -> Self {
        Self::with_tables(plans, status, [(); 3].map(|()| Table::hollow()))
    }

    /// Trades with one of the same plans the memory in which nothing is kept from one snapshot to the next. What one has,
    /// many can thus use, one after the other; names stay with each.
    pub fn trade(&mut self, other: &mut Self) {
        for (own, table) in self.collected.tables.iter_mut().zip(&mut other.collected.tables) {
            own.trade(table);
        }
        std::mem::swap(&mut self.layouts, &mut other.layouts);
        std::mem::swap(&mut self.buffer, &mut other.buffer);
        std::mem::swap(&mut self.cells, &mut other.cells);
        std::mem::swap(&mut self.quoted, &mut other.quoted);
    }

    fn with_tables(plans: Arc<[KindPlan; 3]>, status: bool, tables: [Table; 3]) -> Self {
        let (names, servers) = (Names::default(), Pairs::default());
        let status = status || plans.iter().any(|plan| plan.skip_unused);
        let (doubts, bigs, order) = (Doubts::default(), Vec::new(), Order::default());
        Self {
            collected: Collected { plans, status, tables, names, servers, doubts, bigs, order },
            layouts: HashMap::new(),
            buffer: Buffer::default(),
            cells: Cells::default(),
            quoted: Quoted::default(),
            generation: 0,
        }
    }

    /// Grows whenever names were forgotten, so that whoever keeps something by their numbers can follow.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Forgets the rows of the last snapshot. Names are kept, unless most of them are of objects that are long gone.
    pub fn clear(&mut self) {
        let Collected { tables, names, servers, doubts, order, .. } = &mut self.collected;
        doubts.clear();
        let live: usize = tables.iter().map(Table::expected).sum();
        if names.spellings() + servers.len() > 4096 + 8 * live {
            *names = Names::default();
            *servers = Pairs::default();
            order.clear();
            self.generation += 1;
        }
        tables.iter_mut().for_each(Table::clear);
    }

    /// Forgets the rows and the names of what was read so far.
    pub fn forget(&mut self) {
        let Collected { tables, names, servers, doubts, order, .. } = &mut self.collected;
        names.clear();
        servers.clear();
        doubts.clear();
        order.clear();
        self.generation += 1;
        tables.iter_mut().for_each(Table::clear);
    }

    /// Adds the rows of one file. `refused` is told each row that is left out: line number and reason.
    ///
    /// # Errors
    /// When nothing in the file can be read; rows read before an I/O error stay.
    pub fn read(&mut self, input: impl Read, mut refused: impl FnMut(u64, RowError)) -> Result<FileReport, FileError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rows = Rows::new(input, &mut buffer);
        let result = self.read_rows(&mut rows, &mut refused);
        rows.finish(&mut buffer);
        self.buffer = buffer;
        result
    }

    fn read_rows<R: Read>(
        &mut self,
        rows: &mut Rows<R>,
        refused: &mut impl FnMut(u64, RowError),
    ) -> Result<FileReport, FileError> {
        let (header, layout) = self.begin_file(rows)?;
        self.note_present(&layout);
        self.collected.order.begin();
        self.collected.doubts.begin_file(&self.collected.tables, false);
        let result = self.read_body(&layout, rows, refused);
        let cut_off = is_cut_off(&header);
        self.keep_layout(header, layout);
        let report = result?;
        if report.rows + report.refused == 0 && cut_off {
            self.collected.doubts.note_anything();
        }
        self.collected.doubts.end_file(&self.collected.tables);
        if report.is_nothing(cut_off) { Err(FileError::NoRows) } else { Ok(report) }
    }

    /// Reads the header, and what it says. The layout is to be given back to [`Stats::keep_layout`].
    pub(super) fn begin_file<R: Read>(&mut self, rows: &mut Rows<R>) -> Result<(Vec<u8>, Layout), FileError> {
        match rows.advance()? {
            Row::End => return Err(FileError::Empty),
            Row::TooLong => return Err(FileError::NoHeader("a line of more than 64 KiB".to_owned())),
            Row::Line => {}
        }
        let header = rows.line().to_vec();
        let layout = self.layout(&header)?;
        Ok((header, layout))
    }

    /// The layout that a header describes; to be given back to [`Stats::keep_layout`].
    pub(super) fn layout(&mut self, header: &[u8]) -> Result<Layout, FileError> {
        match self.layouts.remove(header) {
            Some(layout) => Ok(layout),
            None => Layout::new(header, &self.collected.plans).ok_or_else(|| {
                FileError::NoHeader(String::from_utf8_lossy(header.get(..60).unwrap_or(header)).into_owned())
            }),
        }
    }

    /// Keeps a layout for the next file with this header.
    pub(super) fn keep_layout(&mut self, header: Vec<u8>, layout: Layout) {
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.insert(header, layout);
    }

    /// Notes which fields some file has.
    pub(super) fn note_present(&mut self, layout: &Layout) {
        for (table, fields) in self.collected.tables.iter_mut().zip(&layout.fields) {
            for slot in fields.iter().take(1).flat_map(|fields| &fields.present) {
                if let Some(column) = table.columns.get_mut(slot.index) {
                    column.present = true;
                }
            }
        }
    }

    pub(super) fn read_body<R: Read>(
        &mut self,
        layout: &Layout,
        rows: &mut Rows<R>,
        refused: &mut impl FnMut(u64, RowError),
    ) -> io::Result<FileReport> {
        let mut report = FileReport::default();
        loop {
            let outcome = match rows.advance()? {
                Row::End => return Ok(report),
                Row::TooLong => Err(RowError::TooLong),
                Row::Line => match self.plain_row(layout, rows.line()) {
                    Some(outcome) => outcome,
                    None => self.row_with_quotes(layout, rows)?,
                },
            };
            match outcome {
                Ok(()) => report.rows += 1,
                Err(reason) => {
                    report.refused += 1;
                    refused(rows.number(), reason);
                    self.doubt(layout, rows, reason);
                }
            }
        }
    }

    /// Takes note of what the current row, which is left out, is of.
    #[cold]
    fn doubt<R: Read>(&mut self, layout: &Layout, rows: &Rows<R>, reason: RowError) {
        let doubts = &mut self.collected.doubts;
        if reason == RowError::TooLong || rows.is_cut_off() || rows.quotes() == Quotes::Open {
            return doubts.note_anything();
        }
        match layout.name(layout.pxname, rows.line(), &mut self.quoted, sanitize) {
            Some(proxy) => doubts.note(proxy, layout.name(layout.svname, rows.line(), &mut self.quoted, sanitize)),
            None => doubts.note_anything(),
        }
    }

    /// A row without quotes in any cell that is asked for. `None` when it is not one.
    #[inline(always)]
    fn plain_row(&mut self, layout: &Layout, row: &[u8]) -> Option<Result<(), RowError>> {
        if layout.needed > MOST_CELLS {
            return None;
        }
        let width = match self.cells.find(row, layout.needed) {
            Some(width) => width,
            None => self.cells.find_quoted(row, layout.needed).filter(|_| !self.cells.any_quoted(&layout.asked))?,
        };
        if width != layout.width {
            return Some(Err(RowError::Fields { found: width, expected: layout.width }));
        }
        Some(self.collected.row(layout, &Plain { row, cells: &self.cells }))
    }

    /// A row with quotes where they matter, or with more cells than fit a plain one.
    #[inline(never)]
    pub(super) fn row_with_quotes<R: Read>(
        &mut self,
        layout: &Layout,
        rows: &mut Rows<R>,
    ) -> io::Result<Result<(), RowError>> {
        let alone = self.quoted_row(layout, rows.line());
        // A quote inside a field that does not begin with one is only a character: the line may be a row by itself.
        // Otherwise the field goes on in the lines that follow, if they complete the row.
        let (Err(alone), Quotes::Open) = (alone, rows.quotes()) else { return Ok(alone) };
        if !rows.extend()? {
            return Ok(Err(alone));
        }
        let joined = self.quoted_row(layout, rows.line());
        if joined.is_err() {
            rows.shorten();
        }
        Ok(joined.map_err(|_| alone))
    }

    /// Such a row goes through the reference reader.
    fn quoted_row(&mut self, layout: &Layout, row: &[u8]) -> Result<(), RowError> {
        let row = self.quoted.split(row);
        // Several lines are one row only when the reader takes them all for one.
        if row.width() != layout.width || !row.is_whole() {
            return Err(RowError::Fields { found: row.width(), expected: layout.width });
        }
        self.collected.row(layout, &row)
    }
}

/// The cells of a row.
trait RowCells {
    fn text(&self, position: usize) -> &[u8];
    fn number(&self, position: usize) -> Number;
    /// Reads the first cells of these, those that are easily read, and returns how many they are.
    fn figures(&self, _slots: &[Slot], _cells: &mut NextRow<'_>) -> usize {
        0
    }
    /// Both names with the comma between them, as they stand in a row that begins with them.
    fn names(&self) -> Option<&[u8]>;
}

/// A row without quotes in what is asked for.
struct Plain<'a> {
    row: &'a [u8],
    cells: &'a Cells,
}

impl RowCells for Plain<'_> {
    #[inline(always)]
    fn text(&self, position: usize) -> &[u8] {
        let (from, to) = self.cells.range(position);
        self.row.get(from..to).unwrap_or_default()
    }

    fn number(&self, position: usize) -> Number {
        let (from, to) = self.cells.range(position);
        number::parse_within(self.row, from, to)
    }

    /// Where most of the time of reading goes: by itself, so that the compiler has all registers for it.
    #[inline(never)]
    fn figures(&self, slots: &[Slot], cells: &mut NextRow<'_>) -> usize {
        for (done, slot) in slots.iter().enumerate() {
            let (from, to) = self.cells.range(slot.position);
            match number::figure(self.row, from, to, slot.blank) {
                Some(value) => cells.set(slot.index, value),
                None => return done,
            }
        }
        slots.len()
    }

    #[inline(always)]
    fn names(&self) -> Option<&[u8]> {
        self.row.get(..self.cells.range(1).1)
    }
}

impl RowCells for QuotedRow<'_> {
    fn text(&self, position: usize) -> &[u8] {
        self.cell(position)
    }

    fn number(&self, position: usize) -> Number {
        number::parse(self.cell(position))
    }

    fn names(&self) -> Option<&[u8]> {
        self.first_two()
    }
}

impl Collected {
    #[inline(always)]
    fn row(&mut self, layout: &Layout, row: &impl RowCells) -> Result<(), RowError> {
        // A server may be called BACKEND, so the type decides where there is one.
        let kind = match (layout.row_type.map(|position| row.text(position)), row.text(layout.svname)) {
            (Some(b"0"), _) | (None, b"FRONTEND") => Kind::Frontend,
            (Some(b"1"), _) | (None, b"BACKEND") => Kind::Backend,
            (Some(b"2"), _) | (None, _) => Kind::Server,
            (Some(b"3"), _) => {
                return if layout.nameless(row) { Err(RowError::NoName) } else { Ok(()) };
            }
            (Some(_), _) => {
                return Err(if layout.nameless(row) { RowError::NoName } else { RowError::UnknownType });
            }
        };
        let names = row.names().filter(|_| layout.names_first);
        let expected = names.and_then(|names| self.order.expected(kind, names));
        if expected.is_none() && layout.nameless(row) {
            return Err(RowError::NoName);
        }
        let fields = layout.fields.get(kind as usize).and_then(|by_mode| by_mode.get(layout.mode(row) as usize));
        let (Some(plan), Some(table), Some(fields)) =
            (self.plans.get(kind as usize), self.tables.get_mut(kind as usize), fields)
        else {
            return Ok(());
        };
        self.bigs.clear();
        let mut cells = table.next_row();
        let mut slots = fields.present.as_slice();
        while let Some((slot, rest)) = slots.get(row.figures(slots, &mut cells)..).and_then(<[Slot]>::split_first) {
            slots = rest;
            let value = match row.number(slot.position) {
                Number::Int(value) => value,
                Number::Blank => slot.blank,
                Number::Big(value) => {
                    self.bigs.push((slot.index, value));
                    0
                }
                Number::Bad => {
                    let field = plan.fields.get(slot.index).map_or("", |field| field.column.name);
                    return Err(RowError::NotANumber { field });
                }
            };
            cells.set(slot.index, value);
        }
        let weight = match (fields.counts_requests, fields.balanced) {
            _ if fields.times.is_empty() => 1,
            // What was balanced has had requests.
            (false, Some(index)) if table.cell(index) > 0 => 1,
            (counts_requests, _) => {
                let known = self.bigs.is_empty();
                let weight = traffic::weight(|counter| match (counter, fields.sessions, fields.balanced) {
                    (Counter::Sessions, Some(index), _) | (Counter::Balanced, _, Some(index)) if known => {
                        Some(table.cell(index)).filter(|cell| *cell > UNKNOWN)
                    }
                    _ => layout.counter(row, counter),
                });
                if counts_requests { weight } else { weight.min(1) }
            }
        };
        fields.complete(table, weight, &mut self.bigs);
        let key = match expected {
            Some(key) => key,
            None => {
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
            let used = plan.skip_unused.then(|| i64::from(!layout.is_unused(row)));
            table.note_states([status, check.map(|state| state.severity), used]);
        }
        Ok(())
    }
}

/// Whether an address with its port is that of no server.
fn is_unspecified(addr: &[u8]) -> bool {
    [&b"0.0.0.0:"[..], b"[::]:", b":::"].iter().any(|none| addr.starts_with(none))
}

impl Fields {
    fn new(plan: &KindPlan, mode: Mode, position: impl Fn(&str) -> Option<usize>) -> Self {
        let mut fields = Self { counts_requests: plan.counts_requests(), ..Self::default() };
        for (index, field) in plan.fields.iter().enumerate() {
            match position(field.column.name) {
                Some(place) => {
                    let always = field.column.is_always_filled(plan.kind, mode, |name| position(name).is_some());
                    let blank = match (always, field.combine) {
                        // Counted as 0 it would be a step back, and so would be the sum of the others.
                        (true, Combine::Sum) => UNKNOWN,
                        (false, _) if field.default => 0,
                        _ => ABSENT,
                    };
                    fields.present.push(Slot { position: place, index, blank });
                    match field.column.name {
                        name if always && name == Counter::Sessions.field() => fields.sessions = Some(index),
                        name if always && name == Counter::Balanced.field() => fields.balanced = Some(index),
                        _ => {}
                    }
                }
                None if field.default && field.combine == Combine::Sum => fields.missing.push((index, 0)),
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
        fields.present.sort_unstable_by_key(|slot| slot.position);
        fields
    }

    /// Completes the cells of a row whose present fields are set.
    #[inline(always)]
    fn complete(&self, table: &mut Table, weight: i64, bigs: &mut Vec<(usize, f64)>) {
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

impl Layout {
    /// Reads a header line; `None` when it is none.
    fn new(header: &[u8], plans: &[KindPlan; 3]) -> Option<Self> {
        let header = header.strip_prefix(b"# ").or_else(|| header.strip_prefix(b"#")).unwrap_or(header);
        let names: Vec<&[u8]> = header.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
        let position = |name: &str| names.iter().position(|field| *field == name.as_bytes());
        let fields = plans.each_ref().map(|plan| Mode::ALL.map(|mode| Fields::new(plan, mode, position)));
        let slots = plans.iter().any(|plan| plan.skip_unused);
        let mut layout = Self {
            width: names.len(),
            pxname: position("pxname")?,
            svname: position("svname")?,
            row_type: position("type"),
            mode: position("mode"),
            counters: Counter::ALL.map(|counter| position(counter.field())),
            status: position("status"),
            check_status: position("check_status"),
            addr: position("addr").filter(|_| slots),
            needed: 0,
            asked: Vec::new(),
            names_first: position("pxname") == Some(0) && position("svname") == Some(1),
            fields,
        };
        let named = [layout.row_type, layout.mode, layout.status, layout.check_status, layout.addr];
        let named = named.into_iter().chain(layout.counters).chain([Some(layout.pxname), Some(layout.svname)]);
        let fields = layout.fields.iter().flatten().flat_map(|fields| &fields.present).map(|slot| slot.position);
        // Each once: rows with quotes are held against them.
        layout.asked = named.flatten().chain(fields).collect::<BTreeSet<_>>().into_iter().collect();
        layout.needed = layout.asked.iter().max().map_or(0, |last| last + 1);
        Some(layout)
    }

    /// Whether the server is a slot that nobody uses: in maintenance, without an address, and without traffic since the
    /// start. Where HAProxy tells no addresses (before 1.7; a socket of `level user`), only "MAINT (resolution)" says that
    /// there is none.
    #[inline(never)]
    fn is_unused(&self, row: &impl RowCells) -> bool {
        let text = |position: Option<usize>| position.map(|position| row.text(position)).unwrap_or_default();
        let status = text(self.status);
        status.starts_with(b"MAINT")
            && self.counter(row, Counter::Sessions) == Some(0)
            && matches!(self.counter(row, Counter::Balanced), None | Some(0))
            && (status == b"MAINT (resolution)" || is_unspecified(text(self.addr)))
    }

    /// A counter of traffic, where the row has it.
    #[inline(always)]
    fn counter(&self, row: &impl RowCells, counter: Counter) -> Option<i64> {
        match row.number(self.counters.get(counter as usize).copied().flatten()?) {
            Number::Int(value) => Some(value),
            Number::Big(value) if value > 0.0 => Some(i64::MAX),
            Number::Big(_) | Number::Blank | Number::Bad => None,
        }
    }

    #[inline(always)]
    fn mode(&self, row: &impl RowCells) -> Mode {
        self.mode.map_or(Mode::Unsaid, |position| Mode::of(row.text(position)))
    }

    /// Whether a row says which proxy it is of, be there what may in the rest of it.
    pub(super) fn names_proxy(&self, line: &[u8], quoted: &mut Quoted) -> bool {
        self.name(self.pxname, line, quoted, |_| ()).is_some()
    }

    /// What `take` makes of the name in this cell of a row that may be one of anything; `None` when there is none, or when
    /// its end may be missing.
    fn name<T>(&self, place: usize, line: &[u8], quoted: &mut Quoted, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
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

    fn nameless(&self, row: &impl RowCells) -> bool {
        row.text(self.pxname).is_empty() || row.text(self.svname).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::columns::Kind;

    /// Reads a snapshot of this many servers, and takes the columns away as aggregation does.
    fn snapshot(stats: &mut Stats, first: usize, servers: usize) {
        stats.clear();
        let mut text = String::from("# pxname,svname,type,scur,\n");
        for server in first..first + servers {
            text.push_str(&format!("be,server-{server},2,1,\n"));
        }
        stats.read(text.as_bytes(), |line, reason| panic!("{line}: {reason}")).unwrap();
        for table in &mut stats.collected.tables {
            table.finish();
            drop(std::mem::take(&mut table.keys));
        }
    }

    #[test]
    fn names_are_kept_while_they_live_and_forgotten_when_most_are_gone() {
        let process = crate::testing::config().process;
        let mut stats = Stats::new(Arc::new(Kind::ALL.map(|kind| KindPlan::new(kind, &process))), false);
        for _ in 0..3 {
            snapshot(&mut stats, 0, 10_000);
        }
        assert_eq!((stats.generation(), stats.collected.servers.len()), (0, 10_000));
        snapshot(&mut stats, 20_000, 10);
        snapshot(&mut stats, 20_000, 10);
        assert_eq!((stats.generation(), stats.collected.servers.len()), (1, 10));
    }
}
