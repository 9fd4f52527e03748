//! The rows of a snapshot as they are in its files, for people to read: nothing is calculated here.

use crate::haproxy::columns::Kind;
use crate::parse::part::Part;
use csv::{ByteRecord, ReaderBuilder};
use std::fs::File;
use std::io;
use std::path::Path;

/// A row of `show stat`.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) part: Part,
    pub(super) kind: Kind,
    pub(super) proxy: String,
    pub(super) server: String,
    /// The fields that matter, and their cells; without those that the file does not have.
    pub(super) cells: Vec<(String, String)>,
}

impl Row {
    /// The cell of a field; `None` where the file does not have it.
    pub(super) fn cell(&self, field: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == field).map(|(_, cell)| cell.as_str())
    }
}

/// Reads a file. `wanted` says of each row, by its kind and both names, which fields matter, if any.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(
    dir: &Path,
    (part, file): (Part, &str),
    mut wanted: impl FnMut(Kind, &[u8], &[u8]) -> Option<Vec<String>>,
) -> io::Result<Vec<Row>> {
    let input = File::open(dir.join(file))?;
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let (mut header, mut rows, mut record) = (Vec::new(), Vec::new(), ByteRecord::new());
    while reader.read_byte_record(&mut record).map_err(io::Error::other)? {
        if header.is_empty() {
            let name = |cell: &[u8]| String::from_utf8_lossy(cell).trim_start_matches(['#', ' ']).trim().to_owned();
            header = record.iter().map(name).collect();
            continue;
        }
        let place = |field: &str| header.iter().position(|name: &String| name == field);
        let cell = |field: &str| place(field).and_then(|place| record.get(place));
        let (Some(proxy), Some(server)) = (cell("pxname"), cell("svname")) else { continue };
        let Some(kind) = Kind::of_row(cell("type"), server) else { continue };
        let Some(fields) = wanted(kind, proxy, server) else { continue };
        let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
        let cells = fields.into_iter().filter_map(|field| Some((text(cell(&field)?), field)));
        rows.push(Row {
            file: file.to_owned(),
            line: record.position().map_or(0, csv::Position::line),
            part,
            kind,
            proxy: text(proxy),
            server: text(server),
            cells: cells.map(|(cell, field)| (field, cell)).collect(),
        });
    }
    Ok(rows)
}

/// The lines of a reply to `show info` with these names: number, name, value.
///
/// # Errors
/// It cannot be read.
pub(super) fn info(dir: &Path, file: &str, names: &[&str]) -> io::Result<Vec<(usize, String, String)>> {
    let text = std::fs::read(dir.join(file))?;
    let text = String::from_utf8_lossy(&text);
    let line = |(number, line): (usize, &str)| {
        let (name, value) = line.split_once(": ")?;
        names.contains(&name).then(|| (number, name.to_owned(), value.trim_end().to_owned()))
    };
    Ok((1..).zip(text.lines()).filter_map(line).collect())
}
