//! `show stat`: a CSV file with a header line (management guide 9.1).
//!
//! Columns are found by name, never by position: HAProxy adds some with every release, and builds differ. A row that
//! does not fit is left out, counted, and reported with its line; the others count.

use super::commas::{self, Positions};
use super::number::{self, Number};
use super::rows::{Buffer, Quotes, Row, Rows};
use super::table::{ABSENT, Table};
use crate::haproxy::columns::{Combine, Kind};
use crate::haproxy::status;
use crate::names::{Names, Pairs};
use crate::plan::{Field, KindPlan};
use std::collections::HashMap;
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
    /// The quotes cannot be read.
    #[error("broken quotes")]
    Quotes,
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
    /// There is a header but no row.
    #[error("has a header but no row that can be read")]
    NoRows,
}

/// What was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileReport {
    /// Rows that were read, those of listeners included.
    pub rows: u64,
    /// Rows that were left out.
    pub refused: u64,
}

/// Where the fields of the plans stand in a file.
#[derive(Debug)]
struct Layout {
    width: usize,
    pxname: usize,
    svname: usize,
    row_type: Option<usize>,
    lbtot: Option<usize>,
    status: Option<usize>,
    check_status: Option<usize>,
    /// Positions before this one are read, the rest of a row is only counted.
    needed: usize,
    /// For each kind: for each field of its plan, where it stands.
    slots: [Vec<Slot>; 3],
}

/// Where a field stands in a row, and what its cells become.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Where it stands; `None` when this file does not have it.
    position: Option<usize>,
    /// A blank cell is 0, not "no value".
    blank_is_zero: bool,
    /// A file without the field counts as 0, which leaves sums alone; other figures are combined over the files that
    /// have them.
    missing_is_zero: bool,
    /// 0 in rows without traffic: the sum stays that of the busy rows, and `busy` counts them.
    zero_when_idle: bool,
    /// A negative number is "no value".
    negative_is_absent: bool,
}

/// Rows of all kinds of objects, and the names in them.
#[derive(Debug)]
pub struct Collected {
    plans: Arc<[KindPlan; 3]>,
    /// Whether states are read.
    status: bool,
    /// A table for each kind, in the order of [`Kind::ALL`].
    pub tables: [Table; 3],
    /// Names of proxies and servers.
    pub names: Names,
    /// Servers in their backends.
    pub servers: Pairs,
    /// Cells of the current row beyond the range of `i64`: field and value.
    bigs: Vec<(usize, f64)>,
}

/// Reads files into tables.
#[derive(Debug)]
pub struct Stats {
    /// What was read since [`Stats::clear`].
    pub collected: Collected,
    layouts: HashMap<Vec<u8>, Layout>,
    buffer: Buffer,
    commas: Box<Positions>,
    generation: u64,
}

/// More headers than this in the lifetime of a worker are no HAProxy releases: forget them all.
const MAX_LAYOUTS: usize = 64;

impl Stats {
    /// Empty tables for these plans.
    #[must_use]
    pub fn new(plans: Arc<[KindPlan; 3]>, status: bool) -> Self {
        let tables = plans.each_ref().map(Table::new);
        let (names, servers) = (Names::default(), Pairs::default());
        Self {
            collected: Collected { plans, status, tables, names, servers, bigs: Vec::new() },
            layouts: HashMap::new(),
            buffer: Buffer::default(),
            commas: Box::new([0; commas::MOST]),
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
        let Collected { tables, names, servers, .. } = &mut self.collected;
        let live: usize = tables.iter().map(Table::rows).sum();
        if names.spellings() + servers.len() > 4096 + 8 * live {
            *names = Names::default();
            *servers = Pairs::default();
            self.generation += 1;
        }
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
        match rows.advance()? {
            Row::End => return Err(FileError::Empty),
            Row::TooLong => return Err(FileError::NoHeader("a line of more than 64 KiB".to_owned())),
            Row::Line => {}
        }
        let header = rows.line().to_vec();
        let layout = match self.layouts.remove(&header) {
            Some(layout) => layout,
            None => Layout::new(&header, &self.collected.plans).ok_or_else(|| {
                FileError::NoHeader(String::from_utf8_lossy(header.get(..60).unwrap_or(&header)).into_owned())
            })?,
        };
        for (table, slots) in self.collected.tables.iter_mut().zip(&layout.slots) {
            for (column, slot) in table.columns.iter_mut().zip(slots) {
                column.present |= slot.position.is_some();
            }
        }
        let result = self.read_body(&layout, rows, refused);
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.insert(header, layout);
        let report = result?;
        if report.rows == 0 { Err(FileError::NoRows) } else { Ok(report) }
    }

    fn read_body<R: Read>(
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
                Row::Line => match rows.quotes() {
                    Quotes::None => self.plain_row(layout, rows.line()),
                    Quotes::Balanced => self.collected.quoted_row(layout, rows.line()),
                    // A quote inside a field that does not begin with one is only a character: the line may be a row
                    // by itself. Otherwise the field goes on in the lines that follow, if they complete the row.
                    Quotes::Open => match self.collected.quoted_row(layout, rows.line()) {
                        Err(alone) if rows.extend()? => {
                            let joined = self.collected.quoted_row(layout, rows.line());
                            if joined.is_err() {
                                rows.shorten();
                            }
                            joined.map_err(|_| alone)
                        }
                        outcome => outcome,
                    },
                },
            };
            match outcome {
                Ok(()) => report.rows += 1,
                Err(reason) => {
                    report.refused += 1;
                    refused(rows.number(), reason);
                }
            }
        }
    }

    /// A row without quotes: every comma separates.
    fn plain_row(&mut self, layout: &Layout, row: &[u8]) -> Result<(), RowError> {
        if layout.needed + 8 > commas::MOST {
            return self.collected.quoted_row(layout, row);
        }
        let width = commas::find(row, layout.needed, &mut self.commas) + 1;
        if width != layout.width {
            return Err(RowError::Fields { found: width, expected: layout.width });
        }
        let commas = &self.commas;
        self.collected.row(layout, |index| {
            let from = match index {
                0 => 0,
                index => commas.get(index - 1).map_or(0, |comma| *comma as usize + 1),
            };
            let to = if index + 1 == width { row.len() } else { commas.get(index).map_or(0, |comma| *comma as usize) };
            row.get(from..to).unwrap_or_default()
        })
    }
}

impl Collected {
    /// A row with quotes goes through the reference reader. HAProxy quotes check output that holds commas, quotes or
    /// line ends, and doubles quotes inside.
    fn quoted_row(&mut self, layout: &Layout, row: &[u8]) -> Result<(), RowError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row);
        let mut record = csv::ByteRecord::new();
        match reader.read_byte_record(&mut record) {
            // Several lines are one row only when the reader takes them all for one.
            Ok(true) if record.len() == layout.width && reader.position().byte() >= row.len() as u64 => {
                self.row(layout, |index| record.get(index).unwrap_or_default())
            }
            Ok(_) => Err(RowError::Fields { found: record.len(), expected: layout.width }),
            Err(_) => Err(RowError::Quotes),
        }
    }

    #[inline]
    fn row<'a>(&mut self, layout: &Layout, cell: impl Fn(usize) -> &'a [u8]) -> Result<(), RowError> {
        let (pxname, svname) = (cell(layout.pxname), cell(layout.svname));
        if pxname.is_empty() || svname.is_empty() {
            return Err(RowError::NoName);
        }
        // A server may be called BACKEND, so the type decides where there is one.
        let kind = match (layout.row_type.map(&cell), svname) {
            (Some(b"0"), _) | (None, b"FRONTEND") => Kind::Frontend,
            (Some(b"1"), _) | (None, b"BACKEND") => Kind::Backend,
            (Some(b"2"), _) | (None, _) => Kind::Server,
            (Some(b"3"), _) => return Ok(()),
            (Some(_), _) => return Err(RowError::UnknownType),
        };
        let proxy = self.names.intern(pxname);
        let (Some(plan), Some(table), Some(slots)) =
            (self.plans.get(kind as usize), self.tables.get_mut(kind as usize), layout.slots.get(kind as usize))
        else {
            return Ok(());
        };
        let busy = match layout.lbtot.map(|index| number::parse(cell(index))) {
            // Without the field nothing tells idle rows apart.
            None => true,
            Some(Number::Int(count)) => count > 0,
            Some(Number::Big(_)) => true,
            Some(Number::Blank | Number::Bad) => false,
        };
        self.bigs.clear();
        for (index, (slot, place)) in slots.iter().zip(table.next_row()).enumerate() {
            match slot.value(slot.position.map(&cell), busy) {
                Cell::Int(value) => *place = value,
                Cell::Big(value) => {
                    *place = 0;
                    self.bigs.push((index, value));
                }
                Cell::Bad => {
                    let field = plan.fields.get(index).map_or("", |field| field.column.name);
                    return Err(RowError::NotANumber { field });
                }
            }
        }
        if kind == Kind::Server {
            let server = self.names.intern(svname);
            table.commit(self.servers.intern((proxy, server)), busy);
            if !plan.send_aggregated.is_empty() {
                table.server_names.push(server.0);
            }
        } else {
            table.commit(proxy.0, busy);
        }
        for (index, value) in &self.bigs {
            table.note_big(*index, *value);
        }
        if self.status {
            let status = layout.status.map(|index| status::status(cell(index)).severity);
            let check = layout.check_status.and_then(|index| status::check_status(cell(index)));
            table.note_states([status, check.map(|state| state.severity)]);
        }
        Ok(())
    }
}

/// What a cell adds to its column.
enum Cell {
    /// A number, or [`ABSENT`].
    Int(i64),
    /// A number beyond the range of `i64`.
    Big(f64),
    /// No number.
    Bad,
}

impl Slot {
    fn new(field: &Field, position: Option<usize>) -> Self {
        Self {
            position,
            blank_is_zero: field.default,
            missing_is_zero: field.default && field.combine == Combine::Sum,
            zero_when_idle: field.combine == Combine::BusyMean,
            negative_is_absent: field.combine == Combine::MinPresent,
        }
    }

    /// Reads a cell; `None` when the file has no such field.
    #[inline(always)]
    fn value(self, text: Option<&[u8]>, busy: bool) -> Cell {
        let value = match text {
            Some([digit @ b'0'..=b'9']) => i64::from(digit - b'0'),
            Some([]) if self.blank_is_zero => 0,
            None if self.missing_is_zero => 0,
            Some([]) | None => return Cell::Int(ABSENT),
            Some(text) => match number::parse(text) {
                Number::Int(value) if value < 0 && self.negative_is_absent => return Cell::Int(ABSENT),
                Number::Int(value) => value,
                Number::Big(value) if busy || !self.zero_when_idle => return Cell::Big(value),
                Number::Big(_) => 0,
                Number::Blank | Number::Bad => return Cell::Bad,
            },
        };
        Cell::Int(if self.zero_when_idle && !busy { 0 } else { value })
    }
}

impl Layout {
    /// Reads a header line; `None` when it is none.
    fn new(header: &[u8], plans: &[KindPlan; 3]) -> Option<Self> {
        let header = header.strip_prefix(b"# ").or_else(|| header.strip_prefix(b"#")).unwrap_or(header);
        let names: Vec<&[u8]> = header.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
        let position = |name: &str| names.iter().position(|field| *field == name.as_bytes());
        let slots = plans.each_ref().map(|plan| {
            plan.fields.iter().map(|field| Slot::new(field, position(field.column.name))).collect::<Vec<_>>()
        });
        let mut layout = Self {
            width: names.len(),
            pxname: position("pxname")?,
            svname: position("svname")?,
            row_type: position("type"),
            lbtot: position("lbtot"),
            status: position("status"),
            check_status: position("check_status"),
            needed: 0,
            slots,
        };
        let named = [layout.row_type, layout.lbtot, layout.status, layout.check_status];
        let named = named.into_iter().chain([Some(layout.pxname), Some(layout.svname)]);
        let fields = layout.slots.iter().flatten().map(|slot| slot.position);
        // A cell ends at the comma of its own position.
        layout.needed = named.chain(fields).flatten().max().map_or(0, |last| last + 1);
        Some(layout)
    }
}
