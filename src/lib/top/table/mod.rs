//! Tables: their columns, the content and order of these, and which fit into the available width. Used by both the screen and
//! `--once`.

mod hosts;
mod objects;
mod others;

pub(super) use hosts::{HOSTS, PROCESSES};
pub(super) use objects::{PROXIES, SERVERS, SERVERS_OF_ALL};
pub(super) use others::{CERTIFICATES, PARTS};

use super::model::Known;
use super::text;
use std::cmp::Ordering;

/// The meaning of a cell, which determines its colour or, without colours, its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Faint,
    Good,
    Warning,
    Bad,
}

/// The content of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    pub(super) fn faint(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Faint }
    }

    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    /// A cell for an unknown value.
    pub(super) fn none() -> Self {
        Self::faint("-")
    }
}

/// A column of a table of `T`.
#[derive(Debug)]
pub(super) struct Column<T> {
    pub(super) title: Text,
    /// A description, shown when the table is sorted by this column.
    pub(super) about: Text,
    /// Width in characters; for texts the minimum.
    pub(super) width: usize,
    pub(super) align: Align,
    /// In narrow terminals, columns with the highest number are left out first.
    pub(super) leaves: u8,
    pub(super) cell: Show<T>,
    /// Sorts the most interesting rows first: the largest numbers, the worst states.
    pub(super) order: Order<T>,
}

type Text = &'static str;
type Show<T> = fn(&T) -> Cell;
type Order<T> = fn(&T, &T) -> Ordering;

impl<T> Column<T> {
    /// A column of names and other texts.
    const fn text(title: Text, about: Text, width: usize, leaves: u8, cell: Show<T>, order: Order<T>) -> Self {
        Self { title, about, width, align: Align::Text, leaves, cell, order }
    }

    /// A column of words such as states.
    const fn words(title: Text, about: Text, width: usize, leaves: u8, cell: Show<T>, order: Order<T>) -> Self {
        Self { align: Align::Left, ..Self::text(title, about, width, leaves, cell, order) }
    }

    /// A column of numbers.
    const fn figures(title: Text, about: Text, width: usize, leaves: u8, cell: Show<T>, order: Order<T>) -> Self {
        Self { align: Align::Right, ..Self::text(title, about, width, leaves, cell, order) }
    }
}

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Texts, which take the remaining width.
    Text,
    /// Words of limited length.
    Left,
    Right,
}

/// A rate, with a mark if it is not known for all processes.
fn rate(value: Option<f64>, known: Known) -> Cell {
    match (value, known) {
        (Some(0.0), Known::All) => Cell::faint("0"),
        (Some(value), Known::All) => Cell::plain(text::count(value)),
        (Some(value), _) => Cell::plain(format!("~{}", text::count(value))),
        (None, _) => Cell::none(),
    }
}

/// A rate that should be 0.
fn errors(value: Option<f64>, known: Known) -> Cell {
    let cell = rate(value, known);
    if value.is_some_and(|value| value > 0.0) { Cell { tone: Tone::Bad, ..cell } } else { cell }
}

/// A number that is not interesting while it is 0.
fn number(value: Option<f64>, tone: Tone) -> Cell {
    match value {
        None => Cell::none(),
        Some(0.0) => Cell::faint("0"),
        Some(value) => Cell::toned(text::count(value), tone),
    }
}

/// Sorts the largest first, and unknown values last.
fn descending(one: Option<f64>, other: Option<f64>) -> Ordering {
    let rank = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    rank(other).total_cmp(&rank(one))
}

/// The columns that fit into `room` characters, with the width of each. Columns are separated by a space.
pub(super) fn fit<'a, T>(columns: &'a [Column<T>], room: usize) -> Vec<(&'a Column<T>, usize)> {
    let mut kept: Vec<&'a Column<T>> = columns.iter().collect();
    let taken = |kept: &[&Column<T>]| kept.iter().map(|column| column.width + 1).sum::<usize>().saturating_sub(1);
    while kept.len() > 1 && taken(&kept) > room {
        let Some((last, _)) = kept.iter().enumerate().max_by_key(|(index, column)| (column.leaves, *index)) else {
            break;
        };
        kept.remove(last);
    }
    let texts = kept.iter().filter(|column| column.align == Align::Text).count();
    let spare = room.saturating_sub(taken(&kept));
    let each = spare.checked_div(texts).unwrap_or_default();
    let mut rest = spare.checked_rem(texts).unwrap_or_default();
    let width = |column: &'a Column<T>| {
        let Column { align, width, .. } = column;
        if *align != Align::Text {
            return (column, (*width).min(room));
        }
        let more = std::mem::take(&mut rest);
        (column, (width + each + more).min(room))
    };
    kept.into_iter().map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_leaves_first() {
        let titles = |room| fit(SERVERS, room).iter().map(|(column, _)| column.title).collect::<Vec<_>>();
        let all = titles(200);
        assert_eq!(all.len(), SERVERS.len());
        for room in 0..200 {
            let shown = fit(SERVERS, room);
            let taken = shown.iter().map(|(_, width)| width + 1).sum::<usize>() - 1;
            assert!(taken <= room.max(1) || shown.len() == 1, "{room}: {taken}");
            assert_eq!(shown[0].0.title, all[0], "the name stays");
        }
        assert_eq!(titles(40), ["SERVER", "STATE", "REQ/S", "ERR/S"]);
    }

    #[test]
    fn what_is_not_known_of_all_has_a_mark() {
        assert_eq!(rate(Some(12.0), Known::Part), Cell::plain("~12"));
        assert_eq!(rate(Some(12.0), Known::All), Cell::plain("12"));
        assert_eq!(rate(None, Known::Nothing), Cell::faint("-"));
        assert_eq!(errors(Some(0.4), Known::All), Cell::toned("0.4", Tone::Bad));
        assert_eq!(descending(None, Some(0.0)), Ordering::Greater);
    }
}
