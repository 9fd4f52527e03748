//! Reads rows of `show stat`, including the texts that the metrics pipeline does not need.

use super::field::{COUNT, Field};
use super::tick::{Key, Row};
use crate::haproxy::columns::Kind;
use crate::haproxy::status;
use crate::parse::commas::{Cells, MOST_CELLS};
use crate::parse::number::{self, Number};
use crate::parse::quoted::{Quoted, QuotedRow};
use crate::parse::rows::{self, Buffer, Quotes, Rows};
use crate::value::ABSENT;
use std::io::{self, Read};
use std::sync::Arc;

/// Maximum length of the text of a cell; checks can return anything.
const LONGEST: usize = 200;

/// Reads files, and reuses its memory between them.
#[derive(Debug, Default)]
pub(super) struct RowReader {
    buffer: Buffer,
    quoted: Quoted,
    cells: Cells,
}

/// The positions of cells in the rows of a file.
struct Places {
    width: usize,
    /// Number of cells up to the last one that is used.
    needed: usize,
    proxy: usize,
    name: usize,
    kind: Option<usize>,
    texts: [Option<usize>; TEXTS.len()],
    figures: Vec<(usize, usize)>,
}

/// Text cells, in the order of the constants below.
const TEXTS: [&str; 7] = ["status", "check_status", "last_chk", "agent_status", "last_agt", "mode", "addr"];
const STATUS: usize = 0;
const CHECK: usize = 1;
const CHECK_TEXT: usize = 2;
const AGENT: usize = 3;
const AGENT_TEXT: usize = 4;
const MODE: usize = 5;
const ADDRESS: usize = 6;

impl Places {
    fn new(header: &[u8]) -> Option<Self> {
        let header = String::from_utf8_lossy(header);
        let names: Vec<&str> = header.trim_start_matches(['#', ' ']).split(',').map(str::trim).collect();
        let place = |wanted: &str| names.iter().position(|name| *name == wanted);
        let figures = Field::ALL.iter().enumerate().filter_map(|(index, field)| Some((index, place(field.name())?)));
        let (proxy, name, kind) = (place("pxname")?, place("svname")?, place("type"));
        let (texts, figures) = (TEXTS.map(place), figures.collect::<Vec<_>>());
        let all = figures.iter().map(|(_, place)| *place).chain(texts.iter().flatten().copied()).chain(kind);
        let needed = all.chain([proxy, name]).max().unwrap_or_default() + 1;
        Some(Self { width: names.len(), needed, proxy, name, kind, texts, figures })
    }
}

/// The cells of a row.
trait Text {
    fn cell(&self, place: usize) -> &[u8];
}

impl Text for QuotedRow<'_> {
    fn cell(&self, place: usize) -> &[u8] {
        QuotedRow::cell(self, place)
    }
}

struct Plain<'a>(&'a [u8], &'a Cells);

impl Text for Plain<'_> {
    fn cell(&self, place: usize) -> &[u8] {
        let (from, to) = self.1.range(place);
        self.0.get(from..to).unwrap_or_default()
    }
}

impl RowReader {
    /// The rows of a file, and the number of those that could not be read.
    ///
    /// # Errors
    /// Reading the file failed.
    pub(super) fn read(&mut self, input: impl Read) -> io::Result<(Vec<Row>, u64)> {
        let (mut buffer, mut found, mut refused) = (std::mem::take(&mut self.buffer), Vec::new(), 0);
        let mut rows = Rows::new(input, &mut buffer);
        let result = self.read_rows(&mut rows, &mut found, &mut refused);
        rows.finish(&mut self.buffer);
        result.map(|()| (found, refused))
    }

    fn read_rows<R: Read>(&mut self, rows: &mut Rows<R>, found: &mut Vec<Row>, refused: &mut u64) -> io::Result<()> {
        if rows.advance()? != rows::Row::Line {
            *refused += 1;
            return Ok(());
        }
        let Some(places) = Places::new(rows.line()) else {
            *refused += 1;
            return Ok(());
        };
        let mut proxy: Arc<str> = Arc::from("");
        let none: Arc<str> = Arc::from("");
        let mut take = |text: &dyn Text| {
            found.extend(row(text, &places, &mut proxy, &none));
        };
        loop {
            match rows.advance()? {
                rows::Row::End => return Ok(()),
                rows::Row::TooLong => {
                    *refused += 1;
                    continue;
                }
                rows::Row::Line => {}
            }
            let width = if places.needed <= MOST_CELLS { self.cells.find(rows.line(), places.needed) } else { None };
            match width {
                Some(width) if width == places.width => take(&Plain(rows.line(), &self.cells)),
                Some(_) => *refused += 1,
                None => {
                    let fits = |row: &QuotedRow<'_>| row.width() == places.width && row.is_whole();
                    let alone = self.quoted.split(rows.line());
                    if fits(&alone) {
                        take(&alone);
                    } else if rows.quotes() == Quotes::Open && rows.extend()? {
                        let joined = self.quoted.split(rows.line());
                        if fits(&joined) {
                            take(&joined);
                        } else {
                            rows.shorten();
                            *refused += 1;
                        }
                    } else {
                        *refused += 1;
                    }
                }
            }
        }
    }
}

/// A row of a frontend, a backend or a server; `None` for others.
fn row(cells: &dyn Text, places: &Places, proxy: &mut Arc<str>, none: &Arc<str>) -> Option<Row> {
    let svname = cells.cell(places.name);
    let kind = Kind::of_row(places.kind.map(|place| cells.cell(place)).filter(|cell| !cell.is_empty()), svname)?;
    // The rows of a proxy are consecutive, and share its name.
    if proxy.as_bytes() != cells.cell(places.proxy) {
        *proxy = text(cells.cell(places.proxy)).unwrap_or_default().into();
    }
    let name = match kind {
        Kind::Server => text(svname).unwrap_or_default().into(),
        Kind::Frontend | Kind::Backend => Arc::clone(none),
    };
    let mut figures = [ABSENT; COUNT];
    for (index, place) in &places.figures {
        if let (Some(figure), Some(value)) = (figures.get_mut(*index), integer(cells.cell(*place))) {
            *figure = value;
        }
    }
    let of = |index: usize| places.texts.get(index).copied().flatten().map_or(&[][..], |place| cells.cell(place));
    let word = of(STATUS);
    let state = if kind == Kind::Frontend { status::open_status(word) } else { status::status(word) };
    Some(Row {
        key: Key { kind: kind.into(), proxy: Arc::clone(proxy), name },
        figures,
        http: of(MODE) == b"http" || (of(MODE).is_empty() && !of_figure(cells, places, Field::Status5xx).is_empty()),
        state,
        said: text(word).filter(|word| &**word != state.word).map(Into::into),
        check: text(of(CHECK).strip_prefix(b"* ").unwrap_or(of(CHECK))).map(Into::into),
        check_text: text(of(CHECK_TEXT)).map(Into::into),
        agent: agent(of(AGENT), of(AGENT_TEXT)),
        address: text(of(ADDRESS)).map(Into::into),
    })
}

fn of_figure<'a>(cells: &'a dyn Text, places: &Places, field: Field) -> &'a [u8] {
    let place = places.figures.iter().find(|(index, _)| *index == field as usize);
    place.map_or(&[], |(_, place)| cells.cell(*place))
}

fn agent(word: &[u8], more: &[u8]) -> Option<Box<str>> {
    let word = text(word.strip_prefix(b"* ").unwrap_or(word))?;
    Some(match text(more) {
        Some(more) => format!("{word}: {more}").into(),
        None => word.into(),
    })
}

/// The text of a cell, without control characters that a terminal would interpret.
fn text(cell: &[u8]) -> Option<String> {
    if cell.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(cell);
    let shown = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    Some(shown.take(LONGEST).collect::<String>().trim().to_owned()).filter(|text| !text.is_empty())
}

#[expect(clippy::cast_possible_truncation, reason = "a counter beyond 63 bits is no longer exact anyway")]
fn integer(cell: &[u8]) -> Option<i64> {
    match number::parse(cell) {
        Number::Int(value) => Some(value),
        Number::Big(value) => Some(value as i64),
        Number::Blank | Number::Bad => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_their_texts() {
        let stat = "# pxname,svname,scur,status,check_status,last_chk,type,mode,stot,\n\
                    web,FRONTEND,3,OPEN,,,0,http,9,\n\
                    web,s1,1,DOWN 1/2,* L4CON,\"Connection, \"\"refused\"\"\",2,http,4,\n\
                    web,s2,1,UP,L7OK,\"two\n\nlines\",2,http,5,\n\
                    web,sock,1,OPEN,,,3,http,5,\n\
                    web,short,1,UP\n\
                    web,BACKEND,2,UP,,,1,http,,\n\n";
        let (rows, refused) = RowReader::default().read(stat.as_bytes()).unwrap();
        assert_eq!((rows.len(), refused), (4, 1));
        let server = &rows[1];
        assert_eq!((&*server.key.proxy, &*server.key.name), ("web", "s1"));
        assert_eq!(server.said.as_deref(), Some("DOWN 1/2"));
        assert_eq!(server.last_check().as_deref(), Some("L4CON: Connection, \"refused\""));
        assert_eq!(rows[2].check_text.as_deref(), Some("two  lines"));
        assert_eq!((rows[3].get(Field::SessionsTotal), rows[0].get(Field::SessionsTotal)), (None, Some(9)));
        assert!(rows.iter().all(|row| row.http) && rows[2].said.is_none());
    }

    #[test]
    fn nothing_that_a_terminal_carries_out_is_kept() {
        assert_eq!(text(b"\x1b[2Jred\r\n\xff").as_deref(), Some("[2Jred  \u{fffd}"));
        assert_eq!(text(b"\n "), None);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for bad in ["", "Permission denied\n", "a,b\n"] {
            let (rows, refused) = RowReader::default().read(bad.as_bytes()).unwrap();
            assert_eq!((rows.len(), refused), (0, 1), "{bad:?}");
        }
    }
}
