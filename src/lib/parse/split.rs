//! Splits files into parts, each of which has all rows of its proxies, so that a large snapshot can be read part by part:
//! whatever is combined, counted or grouped is so within a proxy.
//!
//! Rows are told apart here exactly as they are when they are read. What depends on the rows that happen to follow (a quote
//! that nothing closes, a line without an end) is decided here, where those that follow are still there, and left out of the
//! parts.

use super::layout::Layout;
use super::part::Part;
use super::quoted::Quoted;
use super::refused::{FileError, FileReport, RowError, is_cut_off};
use super::rows::{Quotes, Row, Rows};
use super::stat::Stats;
use super::table::Table;
use crate::names::sanitize;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// Some rows that follow each other in a file, all of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where its first byte is.
    pub begin: u64,
    /// Where the byte behind its last one is.
    pub end: u64,
    /// Lines of the file in front of it.
    pub before: u64,
    /// Lines in it.
    pub lines: u64,
    /// Which part.
    pub part: u32,
}

/// What is known of a file that was split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its first line.
    pub header: Vec<u8>,
    /// Its rows, in their order.
    pub runs: Vec<Run>,
    /// Rows that were left out already.
    pub refused: u64,
    /// Whether there are rows, or may have been, of which cannot be told what they are of ([`super::doubt`]).
    pub doubtful: bool,
}

/// Which part each proxy belongs to.
///
/// Proxies are known by a hash of their path element: two that share one share a part, which does no harm.
#[derive(Debug)]
pub struct Parts {
    hasher: RandomState,
    by_proxy: HashMap<u64, u32, RandomState>,
    /// Bytes of each part, in all files.
    sizes: Vec<u64>,
    /// Proxies in the last part.
    proxies: usize,
    limit: u64,
}

/// Most proxies of a part. What a proxy takes in the end is not known when it is seen first: configurations often have all
/// frontends in front, and the small rows of many of them must not bring the large backends of the same names together.
const MOST_PROXIES: usize = 8;

impl Parts {
    /// A part takes no further proxies once it has this many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            hasher: RandomState::default(),
            by_proxy: HashMap::default(),
            sizes: Vec::new(),
            proxies: MOST_PROXIES,
            limit,
        }
    }

    /// Bytes of each part.
    #[must_use]
    pub(crate) fn into_sizes(self) -> Vec<u64> {
        self.sizes
    }

    /// The part of a proxy, by its raw name.
    fn of(&mut self, proxy: &[u8]) -> u32 {
        let key = self.hasher.hash_one(sanitize(proxy));
        if let Some(part) = self.by_proxy.get(&key) {
            return *part;
        }
        if self.proxies >= MOST_PROXIES || self.sizes.last().is_none_or(|size| *size >= self.limit) {
            self.sizes.push(0);
            self.proxies = 0;
        }
        self.proxies += 1;
        // There are fewer parts than bytes of memory.
        let part = u32::try_from(self.sizes.len() - 1).unwrap_or(u32::MAX);
        self.by_proxy.insert(key, part);
        part
    }

    fn grow(&mut self, part: u32, bytes: u64) {
        if let Some(size) = self.sizes.get_mut(part as usize) {
            *size += bytes;
        }
    }
}

/// The proxy of the row before, which most rows share.
#[derive(Debug, Default)]
struct Last {
    /// Its raw name with the comma behind it; empty when rows have to be looked at more closely.
    beginning: Vec<u8>,
    part: u32,
}

impl Last {
    /// The part, if this row is one of the same proxy.
    #[inline]
    fn part(&self, line: &[u8]) -> Option<u32> {
        (line.starts_with(&self.beginning) && !self.beginning.is_empty()).then_some(self.part)
    }
}

impl Stats {
    /// Splits a file. `refused` is told each row that is left out already: line number and reason.
    ///
    /// # Errors
    /// As [`Stats::read`]; that no row can be read turns out later.
    pub fn split(
        &mut self,
        part: Part,
        input: impl Read,
        parts: &mut Parts,
        mut refused: impl FnMut(u64, RowError),
    ) -> Result<Outline, FileError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rows = Rows::new(input, &mut buffer);
        let layout = self.begin_file(part, &mut rows);
        let result = layout.and_then(|layout| Ok(self.outline(&layout, &mut rows, parts, &mut refused)?));
        rows.finish(&mut buffer);
        self.buffer = buffer;
        result
    }

    /// Adds rows of a file that was split. `refused` is told each row that is left out: its number among the lines of
    /// `input`, and why. `doubtful` is that of its [`Outline`].
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn read_part(
        &mut self,
        part: Part,
        header: &[u8],
        doubtful: bool,
        input: impl Read,
        mut refused: impl FnMut(u64, RowError),
    ) -> Result<FileReport, FileError> {
        let layout = self.layout(part, header)?;
        self.note_present(&layout);
        self.collected.order.begin();
        self.collected.doubts.begin_file(&self.collected.tables, doubtful);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rows = Rows::new(input, &mut buffer);
        let result = self.read_body(&layout, &mut rows, &mut refused);
        rows.finish(&mut buffer);
        self.buffer = buffer;
        let report = result?;
        self.collected.doubts.end_file(&self.collected.tables);
        Ok(report)
    }

    fn outline<R: Read>(
        &mut self,
        layout: &Layout,
        rows: &mut Rows<R>,
        parts: &mut Parts,
        refused: &mut impl FnMut(u64, RowError),
    ) -> io::Result<Outline> {
        let (mut runs, mut last): (Vec<Run>, Last) = (Vec::new(), Last::default());
        let (mut left_out, mut doubtful) = (0, false);
        loop {
            let (begin, before) = (rows.offset(), rows.number());
            let outcome = match rows.advance_to_quotes()? {
                (Row::End, _) => break,
                (Row::TooLong, _) => Err(RowError::TooLong),
                (Row::Line, quotes) if quotes == Quotes::Open || rows.is_cut_off() => self.try_row(layout, rows)?,
                (Row::Line, _) => Ok(()),
            };
            if let Err(reason) = outcome {
                (left_out, doubtful) = (left_out + 1, true);
                refused(rows.number(), reason);
                continue;
            }
            let part = match last.part(rows.line()) {
                Some(part) => part,
                None => {
                    doubtful |= !layout.names_proxy(rows.line(), &mut self.quoted);
                    part_of(layout, rows.line(), &mut self.quoted, parts, &mut last)
                }
            };
            let (end, lines) = (rows.offset(), rows.number() - before);
            parts.grow(part, end - begin);
            match runs.last_mut().filter(|run| run.part == part && run.end == begin) {
                Some(run) => (run.end, run.lines) = (end, run.lines + lines),
                None => runs.push(Run { begin, end, before, lines, part }),
            }
        }
        runs.shrink_to_fit();
        doubtful |= runs.is_empty() && left_out == 0 && is_cut_off(&layout.header);
        Ok(Outline { header: layout.header.to_vec(), runs, refused: left_out, doubtful })
    }

    /// Whether the current line, in which a quote is open or which has no end, is a row, alone or with those that follow.
    fn try_row<R: Read>(&mut self, layout: &Layout, rows: &mut Rows<R>) -> io::Result<Result<(), RowError>> {
        let outcome = self.row_with_quotes(layout, rows);
        self.collected.tables.iter_mut().for_each(Table::forget_rows);
        outcome
    }
}

/// The part of a row, however it is written.
fn part_of(layout: &Layout, line: &[u8], quoted: &mut Quoted, parts: &mut Parts, last: &mut Last) -> u32 {
    last.beginning.clear();
    if memchr::memchr(b'"', line).is_some() {
        return parts.of(quoted.split(line).cell(layout.pxname));
    }
    let proxy = line.split(|byte| *byte == b',').nth(layout.pxname).unwrap_or_default();
    let part = parts.of(proxy);
    // The reader of rows with quotes leaves out a byte order mark.
    if layout.pxname == 0 && !proxy.starts_with(b"\xef") {
        last.beginning.extend_from_slice(proxy);
        last.beginning.push(b',');
        last.part = part;
    }
    part
}

/// Some runs of a file, read as if they were one file.
#[derive(Debug)]
pub(crate) struct Ranges<'a> {
    file: &'a File,
    runs: &'a [Run],
    at: u64,
    end: u64,
    /// The last byte that was read.
    last: u8,
}

impl<'a> Ranges<'a> {
    /// These runs, one after the other.
    #[must_use]
    pub(crate) fn new(file: &'a File, runs: &'a [Run]) -> Self {
        Self { file, runs, at: 0, end: 0, last: b'\n' }
    }
}

impl Read for Ranges<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(free) = into.get_mut(filled..).filter(|free| !free.is_empty()) {
            if self.at >= self.end {
                let Some((run, rest)) = self.runs.split_first() else { break };
                // The last row of a file may have no end, and comes before others where it is of an earlier part.
                if self.last != b'\n' {
                    self.last = b'\n';
                    free.iter_mut().take(1).for_each(|byte| *byte = b'\n');
                    filled += 1;
                    continue;
                }
                self.runs = rest;
                (self.at, self.end) = (run.begin, run.end);
            }
            let wanted = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(free.len());
            let count = match self.file.read_at(free.get_mut(..wanted).unwrap_or_default(), self.at) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "is shorter than it was")),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.at += count as u64;
            filled += count;
            self.last = filled.checked_sub(1).and_then(|last| into.get(last)).copied().unwrap_or(self.last);
        }
        Ok(filled)
    }
}

/// The line of the file that is this one, counted from 1, of all lines of these runs.
#[must_use]
pub(crate) fn line_in_file(runs: &[Run], mut line: u64) -> u64 {
    for run in runs {
        if line <= run.lines {
            return run.before + line;
        }
        line -= run.lines;
    }
    line
}
