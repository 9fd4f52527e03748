//! A second look at the rows of `show stat`, where something is switched on that the first one does not read: listeners, states of
//! frontends, backends and agents, columns that the catalogue does not know.

use crate::haproxy::columns::{COLUMNS, Column, Combine, Kind};
use crate::haproxy::learnt::{self, Learnt, Place};
use crate::haproxy::status::{self, State};
use crate::parse::quoted::{Quoted, QuotedRow};
use crate::parse::rows::{Buffer, Quotes, Row, Rows};
use crate::value::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A frontend.
    Frontend,
    /// A backend.
    Backend,
    /// A server.
    Server,
    /// A listener of a frontend.
    Listener,
}

/// What is looked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Whether listeners are, and by which columns.
    pub listeners: Vec<&'static Column>,
    /// Whether states are.
    pub states: bool,
    /// Whether each state is a figure of its own as well.
    pub series: bool,
    /// Columns that the catalogue does not know.
    pub learnt: Learnt,
}

/// The name of a row: its proxy, and the listener or server.
type Key = (Of, String, String);

/// An object: what it is, its proxy, and its name there.
pub type Object<'a> = (Of, &'a str, &'a str);
/// Its figures by their names.
pub type Figures<'a> = Vec<(Cow<'a, str>, Value)>;

/// What was found in the files of a host.
#[derive(Debug, Default)]
pub struct Seen {
    figures: BTreeMap<Key, BTreeMap<String, (Combine, Vec<i128>)>>,
    /// Severities of states; the highest counts.
    states: BTreeMap<Key, BTreeMap<&'static str, i64>>,
    quoted: Quoted,
    buffer: Buffer,
}

/// Where things are in the rows of a file.
struct Places {
    width: usize,
    proxy: usize,
    name: usize,
    kind: usize,
    status: Option<usize>,
    check: Option<usize>,
    agent: Option<usize>,
    listeners: Vec<(usize, &'static str, Combine)>,
    learnt: Vec<(usize, String, Combine)>,
}

impl Places {
    fn new(header: &[u8], wanted: &Wanted) -> Option<Self> {
        let header = String::from_utf8_lossy(header);
        let names: Vec<&str> = header.trim_start_matches(['#', ' ']).split(',').map(str::trim).collect();
        let place = |wanted: &str| names.iter().position(|name| *name == wanted);
        let listener = |column: &&'static Column| {
            Some((place(column.name)?, column.name, column.combine(Kind::Frontend).unwrap_or(Combine::Sum)))
        };
        let learnt = wanted.learnt.figures(Place::Stat);
        let learnt = learnt.filter_map(|(name, nature)| Some((place(name)?, name.to_owned(), learnt::combine(nature))));
        Some(Self {
            width: names.len(),
            proxy: place("pxname")?,
            name: place("svname")?,
            kind: place("type")?,
            status: place("status"),
            check: place("check_status"),
            agent: place("agent_status"),
            listeners: wanted.listeners.iter().filter_map(listener).collect(),
            learnt: learnt.collect(),
        })
    }
}

/// The columns that a listener may have.
#[must_use]
pub fn of_listeners(is_wanted: impl Fn(&str) -> bool) -> Vec<&'static Column> {
    COLUMNS.iter().filter(|column| column.on(Kind::Frontend) && is_wanted(column.name)).collect()
}

impl Seen {
    /// Looks at a file. Rows that cannot be read are passed over: the first look has counted them.
    ///
    /// # Errors
    /// What reading the file said.
    pub fn read(&mut self, input: impl Read, wanted: &Wanted) -> io::Result<()> {
        let (mut buffer, mut quoted) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.quoted));
        let mut rows = Rows::new(input, &mut buffer);
        let result = self.read_rows(&mut rows, &mut quoted, wanted);
        rows.finish(&mut buffer);
        (self.buffer, self.quoted) = (buffer, quoted);
        result
    }

    fn read_rows<R: Read>(&mut self, rows: &mut Rows<R>, quoted: &mut Quoted, wanted: &Wanted) -> io::Result<()> {
        if rows.advance()? != Row::Line {
            return Ok(());
        }
        let Some(places) = Places::new(rows.line(), wanted) else { return Ok(()) };
        loop {
            match rows.advance()? {
                Row::End => return Ok(()),
                Row::TooLong => continue,
                Row::Line => {}
            }
            if self.row(&quoted.split(rows.line()), &places, wanted)
                || rows.quotes() != Quotes::Open
                || !rows.extend()?
            {
                continue;
            }
            if !self.row(&quoted.split(rows.line()), &places, wanted) {
                rows.shorten();
            }
        }
    }

    /// Takes what is wanted of a row; false when it is none.
    fn row(&mut self, row: &QuotedRow<'_>, places: &Places, wanted: &Wanted) -> bool {
        if row.width() != places.width || !row.is_whole() {
            return false;
        }
        let of = match row.cell(places.kind) {
            b"0" => Of::Frontend,
            b"1" => Of::Backend,
            b"2" => Of::Server,
            b"3" => Of::Listener,
            _ => return true,
        };
        let text = |place: usize| String::from_utf8_lossy(row.cell(place)).into_owned();
        let name = if matches!(of, Of::Server | Of::Listener) { text(places.name) } else { String::new() };
        let key = (of, text(places.proxy), name);
        if of == Of::Listener && wanted.listeners.is_empty() {
            return true;
        }
        let mut figures = Vec::new();
        if of == Of::Listener {
            figures.extend(places.listeners.iter().map(|(place, name, combine)| (*place, *name, *combine)));
        }
        figures.extend(places.learnt.iter().map(|(place, name, combine)| (*place, name.as_str(), *combine)));
        for (place, name, combine) in figures {
            if let Some(value) = number(row.cell(place)) {
                let of_name = self.figures.entry(key.clone()).or_default().entry(name.to_owned());
                of_name.or_insert((combine, Vec::new())).1.push(value);
            }
        }
        self.note_states(of, &key, row, places, wanted);
        true
    }

    fn note_states(&mut self, of: Of, key: &Key, row: &QuotedRow<'_>, places: &Places, wanted: &Wanted) {
        let status = places.status.map(|place| row.cell(place)).filter(|cell| !cell.is_empty());
        let mut note = |field: &'static str, severity: i64| {
            let states = self.states.entry(key.clone()).or_default();
            states.entry(field).and_modify(|before| *before = severity.max(*before)).or_insert(severity);
        };
        match (of, status) {
            (Of::Listener, Some(cell)) => note("status", status::open_status(cell).severity),
            (Of::Frontend, Some(cell)) if wanted.states => note("status", status::open_status(cell).severity),
            (Of::Backend, Some(cell)) if wanted.states => note("status", status::status(cell).severity),
            (Of::Server, cell) if wanted.states => {
                // As numbers the first look has them.
                if wanted.series {
                    let check = places.check.and_then(|place| status::check_status(row.cell(place)));
                    for (field, state) in [("status", cell.map(status::status)), ("check_status", check)] {
                        if let Some(state) = state {
                            note(field, state.severity);
                        }
                    }
                }
                let agent = places.agent.and_then(|place| status::check_status(row.cell(place)));
                if let Some(state) = agent {
                    note("agent_status", state.severity);
                }
            }
            _ => {}
        }
    }

    /// Everything that was found, by object.
    #[must_use]
    pub fn combined(&self, series: bool) -> BTreeMap<Object<'_>, Figures<'_>> {
        let mut all: BTreeMap<Object<'_>, Figures<'_>> = BTreeMap::new();
        for ((of, proxy, name), figures) in &self.figures {
            let value = |combine: &Combine, values: &[i128]| combine.over(values.iter().map(|value| (*value, 1)));
            let figures = figures.iter();
            let figures =
                figures.filter_map(|(field, (combine, values))| Some((Cow::from(field), value(combine, values)?)));
            all.entry((*of, proxy, name)).or_default().extend(figures);
        }
        for ((of, proxy, name), states) in &self.states {
            let figures = states.iter().flat_map(|(field, severity)| codes(*of, field, *severity, series));
            all.entry((*of, proxy, name)).or_default().extend(figures);
        }
        all
    }

    /// The states of an object that the first look does not read: each with its field.
    pub fn states(&self, (of, proxy, name): Object<'_>) -> impl Iterator<Item = (&'static str, &'static State)> {
        let states = self.states.get(&(of, proxy.to_owned(), name.to_owned())).into_iter().flatten();
        let is_new = move |field: &str| of == Of::Listener || field == "agent_status";
        states.filter(move |(field, _)| is_new(field)).filter_map(move |(field, severity)| {
            let state = table(of, field).iter().find(|state| state.severity == *severity)?;
            Some((*field, state))
        })
    }
}

/// The states that a field of an object may have.
fn table(of: Of, field: &str) -> &'static [State] {
    match (of, field) {
        (_, "agent_status" | "check_status") => &status::CHECK_STATUS,
        (Of::Frontend | Of::Listener, _) => &status::OPEN_STATUS,
        _ => &status::STATUS,
    }
}

/// What is sent of a state: its code, and with `series` each state of the table as 1 or 0.
fn codes(of: Of, field: &'static str, severity: i64, series: bool) -> Figures<'static> {
    let table = table(of, field);
    let Some(state) = table.iter().find(|state| state.severity == severity) else { return Vec::new() };
    let mut figures: Figures<'static> = Vec::new();
    if (of, field) != (Of::Server, "status") && field != "check_status" {
        figures.push((field.into(), Value::Int(state.code)));
    }
    if matches!(of, Of::Frontend | Of::Listener) {
        figures.push(("status_up".into(), Value::Int(i64::from(status::is_open(state)))));
    }
    let each = table.iter().filter(|_| series);
    figures.extend(each.map(|other| {
        let word: String =
            other.word.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
        (format!("{field}_is_{word}").into(), Value::Int(i64::from(other.severity == severity)))
    }));
    figures
}

/// The figure in a cell.
fn number(cell: &[u8]) -> Option<i128> {
    std::str::from_utf8(cell).ok()?.trim().parse().ok()
}
