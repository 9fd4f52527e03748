//! Rows with quotes, split by the reference reader. HAProxy quotes check output that holds commas, quotes or line ends, and
//! doubles quotes inside.

use csv_core::{ReadRecordResult, Reader};

/// Splits rows; keeps its memory between them, since making a reader takes twenty times as long as reading a row.
#[derive(Debug)]
pub(crate) struct Quoted {
    reader: Reader,
    /// The cells one after the other, without quotes.
    text: Vec<u8>,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
}

/// A row that was split.
#[derive(Debug)]
pub(crate) struct QuotedRow<'a> {
    row: &'a [u8],
    text: &'a [u8],
    ends: &'a [usize],
    whole: bool,
}

impl Default for Quoted {
    fn default() -> Self {
        // Not the reader's own default, which knows of no comma.
        Self { reader: Reader::new(), text: Vec::new(), ends: Vec::new() }
    }
}

impl Quoted {
    /// Splits a row.
    pub(crate) fn split<'a>(&'a mut self, row: &'a [u8]) -> QuotedRow<'a> {
        // No row has more bytes of text than it has bytes, or more cells than that and one.
        if self.text.len() <= row.len() {
            self.text.resize(row.len() + 1, 0);
            self.ends.resize(row.len() + 2, 0);
        }
        self.reader.reset();
        let (mut read, mut wrote, mut cells) = (0, 0, 0);
        loop {
            // Nothing left to read tells the reader that the row ends here.
            let (input, text) = (row.get(read..), self.text.get_mut(wrote..));
            let (input, text) = (input.unwrap_or_default(), text.unwrap_or_default());
            let ends = self.ends.get_mut(cells..).unwrap_or_default();
            let (result, input, text, ends) = self.reader.read_record(input, text, ends);
            (read, wrote, cells) = (read + input, wrote + text, cells + ends);
            if result != ReadRecordResult::InputEmpty {
                break;
            }
        }
        QuotedRow { row, text: &self.text, ends: self.ends.get(..cells).unwrap_or_default(), whole: read >= row.len() }
    }
}

impl QuotedRow<'_> {
    /// Number of cells.
    #[must_use]
    pub(crate) fn width(&self) -> usize {
        self.ends.len()
    }

    /// Whether all of the row's bytes are one row to the reader: a line end outside of quotes makes them several.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The text of a cell; empty where there is none.
    #[must_use]
    pub(crate) fn cell(&self, position: usize) -> &[u8] {
        let Some(end) = self.ends.get(position) else { return &[] };
        let begin = position.checked_sub(1).and_then(|before| self.ends.get(before)).unwrap_or(&0);
        self.text.get(*begin..*end).unwrap_or_default()
    }

    /// The first two cells with the comma between them, as they stand in the row, where neither has a quote.
    #[must_use]
    pub(crate) fn first_two(&self) -> Option<&[u8]> {
        let mut commas = memchr::memchr_iter(b',', self.row);
        let names = self.row.get(..commas.nth(1)?)?;
        // The reader leaves out a byte order mark.
        (!names.contains(&b'"') && !names.starts_with(b"\xef")).then_some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_are_taken_off() {
        let mut quoted = Quoted::default();
        for _ in 0..2 {
            let row = quoted.split(b"be,s1,\"L7OK, \"\"fine\"\"\",,\"\",7,");
            let cells: Vec<_> = (0..row.width()).map(|position| row.cell(position)).collect();
            assert_eq!(cells, [b"be".as_slice(), b"s1", b"L7OK, \"fine\"", b"", b"", b"7", b""]);
            assert!(row.is_whole() && row.first_two() == Some(b"be,s1"));
        }
        assert_eq!(quoted.split(b"\"be\",s1,").first_two(), None);
        assert!(!quoted.split(b"a,\"b\"\nc").is_whole());
        assert!(quoted.split(b"a,\"b\nc\",").is_whole());
    }

    proptest! {
        /// A reader for each row, as the library offers it, says the same.
        #[test]
        fn rows_are_split_as_by_a_reader_of_their_own(
            rows in proptest::collection::vec("[ab,\"\n\r]{1,40}|[a-c]{0,5},\"([a-c,\n]|\"\"){0,9}\",.{0,9}", 1..8),
        ) {
            let mut quoted = Quoted::default();
            for row in &rows {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row.as_bytes());
                let mut record = csv::ByteRecord::new();
                let any = reader.read_byte_record(&mut record).unwrap();
                let ours = quoted.split(row.as_bytes());
                prop_assert_eq!(ours.width(), record.len());
                prop_assert_eq!(ours.is_whole(), !any || reader.position().byte() >= row.len() as u64);
                for position in 0..=record.len() {
                    prop_assert_eq!(ours.cell(position), record.get(position).unwrap_or_default());
                }
            }
        }
    }
}
