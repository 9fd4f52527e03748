//! `show stat`: a CSV file with a header line (management guide 9.1).
//!
//! Columns are found by name, never by position: HAProxy adds some with every release, and builds differ. A row that
//! does not fit is left out, counted, and reported with its line; the others count.

use super::cells::Plain;
use super::collected::Collected;
use super::commas::{Cells, MOST_CELLS};
use super::doubt::Doubts;
use super::layout::Layout;
use super::order::Order;
use super::part::Part;
use super::quoted::Quoted;
use super::refused::{FileError, FileReport, RowError, is_cut_off};
use super::rows::{Buffer, Quotes, Row, Rows};
use super::table::Table;
use crate::haproxy::per_kind::PerKind;
use crate::names::{Names, Pairs, sanitize};
use crate::plan::KindPlan;
use std::io::{self, Read};
use std::sync::Arc;

/// Reads files into tables.
#[derive(Debug)]
pub struct Stats {
    /// What was read since [`Stats::clear`].
    pub collected: Collected,
    /// Those of the headers that were seen, of which there are one or two: to compare them takes less than to hash one.
    layouts: Vec<Arc<Layout>>,
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
    pub fn new(plans: Arc<PerKind<KindPlan>>, status: bool) -> Self {
        let tables = plans.each(Table::new);
        Self::with_tables(plans, status, tables)
    }

    /// Without the memory to read into, until that is [traded](Self::trade) for.
    #[must_use]
    pub(crate) fn hollow(plans: Arc<PerKind<KindPlan>>, status: bool) -> Self {
        Self::with_tables(plans, status, PerKind::new(|_| Table::hollow()))
    }

    /// Trades with one of the same plans the memory in which nothing is kept from one snapshot to the next. What one has,
    /// many can thus use, one after the other; names stay with each.
    pub(crate) fn trade(&mut self, other: &mut Self) {
        for (own, table) in self.collected.tables.iter_mut().zip(&mut other.collected.tables) {
            own.trade(table);
        }
        std::mem::swap(&mut self.layouts, &mut other.layouts);
        std::mem::swap(&mut self.buffer, &mut other.buffer);
        std::mem::swap(&mut self.cells, &mut other.cells);
        std::mem::swap(&mut self.quoted, &mut other.quoted);
    }

    fn with_tables(plans: Arc<PerKind<KindPlan>>, status: bool, tables: PerKind<Table>) -> Self {
        let (names, servers) = (Names::default(), Pairs::default());
        let status = status || plans.iter().any(|plan| plan.skip_unused);
        let (doubts, bigs, order) = (Doubts::default(), Vec::new(), Order::default());
        Self {
            collected: Collected { plans, status, tables, names, servers, doubts, bigs, order, only: None },
            layouts: Vec::new(),
            buffer: Buffer::default(),
            cells: Cells::default(),
            quoted: Quoted::default(),
            generation: 0,
        }
    }

    /// Grows whenever names were forgotten, so that what is kept by their numbers can follow.
    #[must_use]
    pub(crate) fn generation(&self) -> u64 {
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
    pub fn read(&mut self, input: impl Read, refused: impl FnMut(u64, RowError)) -> Result<FileReport, FileError> {
        self.read_as(Part::Live, input, refused)
    }

    /// The same of a file that holds this part. Parts that are not live are read between [`Stats::begin_others`] and
    /// [`Stats::end_others`], behind all that are.
    ///
    /// # Errors
    /// As [`Stats::read`].
    pub(crate) fn read_as(
        &mut self,
        part: Part,
        input: impl Read,
        mut refused: impl FnMut(u64, RowError),
    ) -> Result<FileReport, FileError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rows = Rows::new(input, &mut buffer);
        let result = self.read_rows(part, &mut rows, &mut refused);
        rows.finish(&mut buffer);
        self.buffer = buffer;
        result
    }

    /// What follows adds to the objects that are there now, and brings no further ones: they are those of the live processes.
    pub(crate) fn begin_others(&mut self) {
        self.collected.only = Some(PerKind(self.collected.tables.each_mut().map(Table::first_rows)));
    }

    /// Ends what [`Stats::begin_others`] began.
    pub(crate) fn end_others(&mut self) {
        self.collected.only = None;
    }

    fn read_rows<R: Read>(
        &mut self,
        part: Part,
        rows: &mut Rows<R>,
        refused: &mut impl FnMut(u64, RowError),
    ) -> Result<FileReport, FileError> {
        let layout = self.begin_file(part, rows)?;
        self.note_present(&layout);
        self.collected.order.begin();
        self.collected.doubts.begin_file(&self.collected.tables, false);
        let result = self.read_body(&layout, rows, refused);
        let cut_off = is_cut_off(&layout.header);
        let report = result?;
        if report.rows + report.refused == 0 && cut_off {
            self.collected.doubts.note_anything();
        }
        self.collected.doubts.end_file(&self.collected.tables);
        if report.is_nothing(cut_off) { Err(FileError::NoRows) } else { Ok(report) }
    }

    /// Reads the header, and what it says.
    pub(super) fn begin_file<R: Read>(&mut self, part: Part, rows: &mut Rows<R>) -> Result<Arc<Layout>, FileError> {
        match rows.advance()? {
            Row::End => return Err(FileError::Empty),
            Row::TooLong => return Err(FileError::NoHeader("a line of more than 64 KiB".to_owned())),
            Row::Line => {}
        }
        self.layout(part, rows.line())
    }

    /// The layout that a header describes.
    pub(super) fn layout(&mut self, part: Part, header: &[u8]) -> Result<Arc<Layout>, FileError> {
        let mut known = self.layouts.iter();
        if let Some(layout) = known.find(|layout| layout.part == part && *layout.header == *header) {
            return Ok(Arc::clone(layout));
        }
        let layout = Layout::new(header, &self.collected.plans, part).map(Arc::new).ok_or_else(|| {
            FileError::NoHeader(String::from_utf8_lossy(header.get(..60).unwrap_or(header)).into_owned())
        })?;
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.push(Arc::clone(&layout));
        Ok(layout)
    }

    /// Notes which fields some file has.
    pub(super) fn note_present(&mut self, layout: &Layout) {
        for (table, fields) in self.collected.tables.iter_mut().zip(&layout.fields) {
            for slot in &fields.present {
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
        let width = match layout.find(&mut self.cells, row) {
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

#[cfg(test)]
mod tests;
