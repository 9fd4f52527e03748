//! The rows of a reply to `show stat` one by one, for those who look at few of their cells: nothing is kept of a row.

use super::commas::{Cells, MOST_CELLS};
use super::quoted::{Quoted, QuotedRow};
use super::rows::{Buffer, Row, Rows};
use std::io::{self, Read};

/// What is looked for in the rows, as their header tells it.
pub trait Wanted: Sized {
    /// Finds its fields by their names; `None` where this is no header of such a reply.
    fn find(names: &[&[u8]]) -> Option<Self>;
    /// The last position that is looked at.
    fn last(&self) -> usize;
}

/// A row whose cells can be read.
#[derive(Debug)]
pub struct Line<'a>(Form<'a>);

#[derive(Debug)]
enum Form<'a> {
    Plain { text: &'a [u8], cells: &'a Cells },
    Quoted(QuotedRow<'a>),
}

impl Line<'_> {
    /// The text of a cell; empty where there is none.
    #[must_use]
    pub fn cell(&self, position: usize) -> &[u8] {
        match &self.0 {
            Form::Plain { text, cells } => {
                let (from, to) = cells.range(position);
                text.get(from..to).unwrap_or_default()
            }
            Form::Quoted(row) => row.cell(position),
        }
    }
}

/// Walks over rows; keeps its memory from one reply to the next.
#[derive(Debug, Default)]
pub struct Walker {
    buffer: Buffer,
    cells: Cells,
    quoted: Quoted,
}

impl Walker {
    /// Tells `take` each row. Rows that cannot be read are left out.
    ///
    /// # Errors
    /// What reading said, or that this is no reply.
    pub fn walk<W: Wanted>(&mut self, input: impl Read, mut take: impl FnMut(&W, &Line<'_>)) -> io::Result<()> {
        let no_reply = || io::Error::new(io::ErrorKind::InvalidData, "not a reply to show stat");
        let Self { buffer, cells, quoted } = self;
        let mut rows = Rows::new(input, buffer);
        let Row::Line = rows.advance()? else { return Err(no_reply()) };
        let header = rows.line();
        let header = header.strip_prefix(b"# ").or_else(|| header.strip_prefix(b"#")).unwrap_or(header);
        let names: Vec<&[u8]> = header.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect();
        let (all, wanted) = (names.len(), W::find(&names).ok_or_else(no_reply)?);
        let needed = wanted.last() + 1;
        loop {
            match rows.advance()? {
                Row::End => break,
                Row::TooLong => continue,
                Row::Line => {}
            }
            let text = rows.line();
            let width = (needed <= MOST_CELLS).then(|| cells.find(text, needed)).flatten();
            let form = match width {
                Some(width) if width == all => Form::Plain { text, cells },
                Some(_) => continue,
                None => {
                    let row = quoted.split(text);
                    if row.width() != all || !row.is_whole() {
                        continue;
                    }
                    Form::Quoted(row)
                }
            };
            take(&wanted, &Line(form));
        }
        rows.finish(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Name(usize);

    impl Wanted for Name {
        fn find(names: &[&[u8]]) -> Option<Self> {
            names.iter().position(|name| *name == b"svname").map(Self)
        }
        fn last(&self) -> usize {
            self.0
        }
    }

    fn names(text: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let take = |name: &Name, line: &Line<'_>| found.push(String::from_utf8_lossy(line.cell(name.0)).into_owned());
        Walker::default().walk(text.as_bytes(), take)?;
        Ok(found)
    }

    #[test]
    fn rows_are_found_with_and_without_quotes_and_broken_ones_left_out() {
        let text = "# pxname,svname,last_chk,\nbe,s1,OK,\nbe,s2,\"a, \"\"b\"\"\",\nbe,s3\nbe,\"s,4\",OK,\n\n";
        assert_eq!(names(text).unwrap(), ["s1", "s2", "s,4"]);
        assert_eq!(names("# pxname,svname,\n").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for text in ["", "\n", "Unknown command\n", "# pxname,other,\nbe,s1,\n"] {
            assert!(names(text).is_err(), "{text:?}");
        }
    }
}
