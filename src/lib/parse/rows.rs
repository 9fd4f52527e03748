//! Rows of a CSV file, read in chunks: a window slides over the file, and a row is handed out as a slice of it.

use memchr::{memchr, memchr_iter, memchr2};
use std::io::{self, Read};

/// Bytes per read. Between 64 and 128 KiB stay in the processor's cache; larger reads were three times as slow.
const CHUNK: usize = 128 * 1024;

/// Longest row. HAProxy's are a few hundred bytes, its longest texts a few kilobytes; an endless line must not take
/// the memory.
const MAX_ROW: usize = 64 * 1024;

/// What comes next in the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Row {
    /// A line that is not blank; [`Rows::line`] is its text.
    Line,
    /// A line that was skipped because it is longer than any row can be.
    TooLong,
    /// The end of the file.
    End,
}

/// Quotes in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// None: the line can be split at every comma.
    None,
    /// All closed.
    Balanced,
    /// One is open at the end: either the field goes on in the next line, or the quote is a stray one.
    Open,
}

/// Reads rows from a file.
#[derive(Debug)]
pub struct Rows<R> {
    input: R,
    window: Vec<u8>,
    /// Where the current row begins in the window, and its length without the line end.
    row: usize,
    length: usize,
    /// Where the next row begins.
    next: usize,
    /// End of what was read.
    end: usize,
    eof: bool,
    number: u64,
    /// Bytes of the file that are in front of the window.
    before: u64,
}

/// The memory of a reader, to be used again for the next file.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl<R: Read> Rows<R> {
    /// Begins to read; `buffer` keeps its memory between files.
    pub fn new(input: R, buffer: &mut Buffer) -> Self {
        let window = std::mem::take(&mut buffer.0);
        Self { input, window, row: 0, length: 0, next: 0, end: 0, eof: false, number: 0, before: 0 }
    }

    /// Gives the memory back.
    pub fn finish(self, buffer: &mut Buffer) {
        buffer.0 = self.window;
    }

    /// Goes to the next line that is not blank.
    ///
    /// # Errors
    /// What reading the file said.
    #[inline(always)]
    pub(crate) fn advance(&mut self) -> io::Result<Row> {
        loop {
            self.row = self.next;
            self.length = 0;
            match self.find_end(self.row)? {
                Some(end) => {
                    self.number += 1;
                    self.next = end + 1;
                    if end - self.row > MAX_ROW {
                        return Ok(Row::TooLong);
                    }
                    self.length = end - self.row;
                }
                None if self.end - self.row > MAX_ROW => {
                    self.number += 1;
                    self.skip_line()?;
                    return Ok(Row::TooLong);
                }
                None if self.row == self.end => return Ok(Row::End),
                None => {
                    // The last line of the file has no end.
                    self.number += 1;
                    self.length = self.end - self.row;
                    self.next = self.end;
                }
            }
            // One byte may be a carriage return alone.
            if self.length > 1 || !self.line().is_empty() {
                return Ok(Row::Line);
            }
        }
    }

    /// The same, and which quotes are in the line; for those who would look for them in any case.
    ///
    /// # Errors
    /// What reading the file said.
    #[inline]
    pub(crate) fn advance_to_quotes(&mut self) -> io::Result<(Row, Quotes)> {
        let rest = self.window.get(self.next..self.end).unwrap_or_default();
        if let Some(end) = memchr2(b'\n', b'"', rest).filter(|end| rest.get(*end) == Some(&b'\n'))
            && (2..=MAX_ROW).contains(&end)
        {
            self.row = self.next;
            self.length = end;
            self.next += end + 1;
            self.number += 1;
            return Ok((Row::Line, Quotes::None));
        }
        let row = self.advance()?;
        let quotes = if row == Row::Line { self.quotes() } else { Quotes::None };
        Ok((row, quotes))
    }

    /// The current line, without its end.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        let line = self.window.get(self.row..self.row + self.length).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Whether the current line is the last one and has no end: the file may have been cut off in it.
    #[must_use]
    pub(crate) fn is_cut_off(&self) -> bool {
        let last = self.end.checked_sub(1).and_then(|last| self.window.get(last));
        self.eof && self.next == self.end && last.is_some_and(|byte| *byte != b'\n')
    }

    /// Number of the current line in the file, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes of the file lie in front of the next row.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.before + self.next as u64
    }

    /// The quotes in the current line.
    #[must_use]
    pub fn quotes(&self) -> Quotes {
        let line = self.line();
        match memchr(b'"', line) {
            None => Quotes::None,
            Some(first) if memchr_iter(b'"', line.get(first..).unwrap_or_default()).count().is_multiple_of(2) => {
                Quotes::Balanced
            }
            Some(_) => Quotes::Open,
        }
    }

    /// Extends the current line by those that follow, up to the one that closes its open quote; false, and nothing
    /// changed, when none does within the length that a row can have. [`Rows::shorten`] takes it back.
    ///
    /// # Errors
    /// What reading the file said.
    pub fn extend(&mut self) -> io::Result<bool> {
        // Offsets from the row's start, since reading on moves the window.
        let mut taken = self.next - self.row;
        let mut lines = 0;
        while taken <= MAX_ROW {
            let from = self.row + taken;
            let (end, last) = match self.find_end(from)? {
                Some(end) => (end, false),
                None => (self.end, true),
            };
            let from = self.row + taken;
            let line = self.window.get(from..end).unwrap_or_default();
            lines += u64::from(!line.is_empty() || !last);
            if memchr_iter(b'"', line).count() % 2 == 1 {
                if end - self.row > MAX_ROW {
                    return Ok(false);
                }
                self.length = end - self.row;
                self.next = if last { end } else { end + 1 };
                self.number += lines;
                return Ok(true);
            }
            if last {
                return Ok(false);
            }
            taken = end + 1 - self.row;
        }
        Ok(false)
    }

    /// Cuts the current row back to its first line; the next row is the line behind it. For rows that were joined
    /// over a stray quote, which must not swallow its neighbours.
    pub(crate) fn shorten(&mut self) {
        let row = self.window.get(self.row..self.row + self.length).unwrap_or_default();
        if let Some(first) = memchr(b'\n', row) {
            self.number -= memchr_iter(b'\n', row).count() as u64;
            self.length = first;
            self.next = self.row + first + 1;
        }
    }

    /// Position of the line end at or behind `from`, or `None` when there is none before the end of the file or within
    /// the length of a row. Reading on moves the window, so that `self.row` may be another number afterwards; the
    /// result fits the new one.
    fn find_end(&mut self, from: usize) -> io::Result<Option<usize>> {
        let offset = from - self.row;
        let mut searched = offset;
        loop {
            let rest = self.window.get(self.row + searched..self.end).unwrap_or_default();
            if let Some(at) = memchr(b'\n', rest) {
                return Ok(Some(self.row + searched + at));
            }
            searched = self.end - self.row;
            if self.eof || searched - offset > MAX_ROW {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Skips to behind the next line end, however far away, without keeping what is skipped.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let rest = self.window.get(self.row..self.end).unwrap_or_default();
            if let Some(at) = memchr(b'\n', rest) {
                self.next = self.row + at + 1;
                return Ok(());
            }
            self.row = self.end;
            self.next = self.end;
            if self.eof {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads the next chunk behind what is still needed.
    fn fill(&mut self) -> io::Result<()> {
        if self.row > 0 {
            self.window.copy_within(self.row..self.end, 0);
            self.before += self.row as u64;
            self.end -= self.row;
            self.next = self.next.saturating_sub(self.row);
            self.row = 0;
        }
        if self.window.len() < self.end + CHUNK {
            self.window.resize(self.end + CHUNK, 0);
        }
        loop {
            let Some(free) = self.window.get_mut(self.end..) else { return Ok(()) };
            match self.input.read(free) {
                Ok(0) => self.eof = true,
                Ok(count) => self.end += count.min(free.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
