//! Reads the counters in replies, and in files of carried counters.

use super::packed::Sparse;
use crate::haproxy::columns::{COLUMNS, Combine, Kind, Nature};
use crate::haproxy::info;
use crate::parse::commas::{Cells, MOST_CELLS};
use crate::parse::number::{self, Number};
use crate::parse::quoted::{Quoted, QuotedRow};
use crate::parse::rows::{Buffer, Row, Rows};
use std::io::{self, Read};
use std::sync::LazyLock;

/// The counters of `show stat`: fields that only grow, and are summed over processes.
pub(super) static STAT: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let adds = |column: &&crate::haproxy::columns::Column| {
        Kind::ALL.into_iter().any(|kind| column.combine(kind) == Some(Combine::Sum))
    };
    let counters = COLUMNS.iter().filter(|column| column.nature == Nature::Counter).filter(adds);
    counters.map(|column| column.name).collect()
});

/// The counters of `show info`.
pub(super) static INFO: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let counters = info::FIELDS.iter().filter(|field| field.nature == Nature::Counter);
    counters.filter(|field| field.combine == Some(Combine::Sum)).map(|field| field.name).collect()
});

/// The name of the only object of `show info`; no row of `show stat` has it.
pub(super) const DAEMON: &[u8] = b"";

/// The column of carried counters that says when an object was last seen.
pub(super) const SEEN: &str = "seen";

/// The positions of cells in a row.
struct Layout {
    width: usize,
    names: [usize; 3],
    /// The counters that the reply has: place and position of each.
    counters: Vec<(u8, usize)>,
    /// In carried counters: when the object was last seen.
    seen: Option<usize>,
    needed: usize,
}

impl Layout {
    fn new(header: &[u8]) -> Option<Self> {
        let header = header.strip_prefix(b"# ").or_else(|| header.strip_prefix(b"#")).unwrap_or(header);
        let names: Vec<&[u8]> = header.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
        let position = |name: &str| names.iter().position(|field| *field == name.as_bytes());
        let keys = [position("pxname")?, position("svname")?, position("type")?];
        let counters = (0..=u8::MAX).zip(STAT.iter()).filter_map(|(place, name)| Some((place, position(name)?)));
        let counters: Vec<(u8, usize)> = counters.collect();
        let seen = position(SEEN);
        let needed =
            counters.iter().map(|(_, position)| position).chain(&keys).chain(&seen).max().map_or(0, |last| last + 1);
        Some(Self { width: names.len(), names: keys, counters, seen, needed })
    }
}

/// A row whose cells can be read.
enum Line<'a> {
    Plain { text: &'a [u8], cells: &'a Cells },
    Quoted(QuotedRow<'a>),
}

impl Line<'_> {
    fn cell(&self, position: usize) -> &[u8] {
        match self {
            Self::Plain { text, cells } => {
                let (from, to) = cells.range(position);
                text.get(from..to).unwrap_or_default()
            }
            Self::Quoted(row) => row.cell(position),
        }
    }
}

/// Reads rows of `show stat`; keeps its memory from one reply to the next.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Buffer,
    cells: Cells,
    quoted: Quoted,
    key: Vec<u8>,
}

impl Reader {
    /// Passes each row to `take`, except those of listeners: the key of the object, and its counters that are not 0, by their
    /// places in [`STAT`]. Rows that cannot be read are left out, so their objects count as not seen.
    ///
    /// # Errors
    /// Reading failed, or this is not a reply.
    pub(super) fn stat(&mut self, input: impl Read, mut take: impl FnMut(&[u8], &Sparse)) -> io::Result<()> {
        let mut counters = Vec::new();
        self.rows(input, |key, line, layout| {
            counters.clear();
            match line {
                Line::Plain { text, cells } => {
                    for (place, position) in &layout.counters {
                        let (from, to) = cells.range(*position);
                        match number::figure(text, from, to, Some(0)) {
                            Some(0) => {}
                            Some(value) => counters.push((*place, value)),
                            None => counters.extend(read(line.cell(*position)).map(|value| (*place, value))),
                        }
                    }
                }
                Line::Quoted(_) => {
                    for (place, position) in &layout.counters {
                        counters.extend(read(line.cell(*position)).map(|value| (*place, value)));
                    }
                }
            }
            take(key, &counters);
        })
    }

    /// Like [`Reader::stat`], for carried counters, which can be negative. The last argument of `take` is the second in which the
    /// object was last seen, if it was not in the snapshot.
    ///
    /// # Errors
    /// As [`Reader::stat`].
    pub(super) fn carried(
        &mut self,
        input: impl Read,
        mut take: impl FnMut(&[u8], &Sparse, Option<u64>),
    ) -> io::Result<()> {
        let mut counters = Vec::new();
        self.rows(input, |key, line, layout| {
            counters.clear();
            let cells = layout.counters.iter().map(|(place, position)| (*place, line.cell(*position)));
            counters.extend(cells.filter_map(|(place, cell)| Some((place, whole(cell).filter(|value| *value != 0)?))));
            let seen = layout.seen.and_then(|seen| whole(line.cell(seen)));
            take(key, &counters, seen.and_then(|seen| u64::try_from(seen).ok()));
        })
    }

    fn rows(&mut self, input: impl Read, mut take: impl FnMut(&[u8], &Line<'_>, &Layout)) -> io::Result<()> {
        let no_reply = || io::Error::new(io::ErrorKind::InvalidData, "not a reply to show stat");
        let Self { buffer, cells, quoted, key } = self;
        let mut rows = Rows::new(input, buffer);
        let Row::Line = rows.advance()? else { return Err(no_reply()) };
        let layout = Layout::new(rows.line()).ok_or_else(no_reply)?;
        loop {
            match rows.advance()? {
                Row::End => break,
                Row::TooLong => continue,
                Row::Line => {}
            }
            let text = rows.line();
            let width = (layout.needed <= MOST_CELLS).then(|| cells.find(text, layout.needed)).flatten();
            let line = match width {
                Some(width) if width == layout.width => Line::Plain { text, cells },
                Some(_) => continue,
                None => {
                    let row = quoted.split(text);
                    if row.width() != layout.width || !row.is_whole() {
                        continue;
                    }
                    Line::Quoted(row)
                }
            };
            if identify(key, layout.names.map(|position| line.cell(position))) {
                take(key, &line, &layout);
            }
        }
        rows.finish(buffer);
        Ok(())
    }
}

/// Writes the key of an object into `key`: type, proxy and server as HAProxy spells them. False if this is not an object.
fn identify(key: &mut Vec<u8>, [proxy, server, kind]: [&[u8]; 3]) -> bool {
    key.clear();
    if !matches!(kind, b"0" | b"1" | b"2") || proxy.is_empty() || server.is_empty() {
        return false;
    }
    for part in [kind, proxy, b"\0", server] {
        key.extend_from_slice(part);
    }
    true
}

/// The key of the object with this type and these names.
pub(super) fn key(kind: &str, proxy: &str, server: &str) -> Vec<u8> {
    [kind, proxy, "\0", server].concat().into_bytes()
}

/// Type, proxy and server of an object.
pub(super) fn parts(key: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (kind, names) = key.split_at_checked(1)?;
    let middle = memchr::memchr(0, names)?;
    Some((kind, names.get(..middle)?, names.get(middle + 1..)?))
}

/// Parses a counter; `None` unless it is above 0.
fn read(cell: &[u8]) -> Option<i64> {
    match number::parse(cell) {
        Number::Int(value) => Some(value).filter(|value| *value > 0),
        Number::Big(value) => (value > 0.0).then_some(i64::MAX),
        Number::Blank | Number::Bad => None,
    }
}

fn whole(cell: &[u8]) -> Option<i64> {
    match number::parse(cell) {
        Number::Int(value) => Some(value),
        Number::Big(_) | Number::Blank | Number::Bad => None,
    }
}

/// The counters of a reply to `show info` that are not 0, by their places in [`INFO`].
pub(super) fn info(text: &[u8]) -> Vec<(u8, i64)> {
    values(text, read)
}

/// Like [`info()`], for carried counters.
pub(super) fn carried_info(text: &[u8]) -> Vec<(u8, i64)> {
    values(text, whole)
}

fn values(text: &[u8], read: impl Fn(&[u8]) -> Option<i64>) -> Vec<(u8, i64)> {
    let mut counters = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memmem::find(line, b": ") else { continue };
        let (name, value) = line.split_at(colon);
        let place = INFO.iter().position(|known| known.as_bytes() == name).and_then(|place| u8::try_from(place).ok());
        counters.extend(place.zip(read(value.get(2..).unwrap_or_default())));
    }
    counters.sort_unstable();
    counters.dedup_by_key(|(place, _)| *place);
    counters.retain(|(_, value)| *value != 0);
    counters
}
