//! Draws the screen: a function of the model and the view.

use super::feed::Feed;
use super::help;
use super::items::Items;
use super::level::Level;
use super::paint::{Canvas, Palette, shortened};
use super::view::{Input, View};
use crate::snapshot::Epoch;
use crate::snapshot::moment::Rfc3339;
use crate::top::model::{Gravity, Model, summary as others};
use crate::top::sentence::{servers, summary};
use crate::top::table::{
    Align, CERTIFICATES, Column, HOSTS, PARTS, PROCESSES, PROXIES, SERVERS, SERVERS_OF_ALL, Tone, fit,
};
use crate::top::text::{plural, time};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

/// The source of the ticks, for the first line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// Sockets, which are queried every `interval` seconds.
    Live { interval: f64 },
    /// Snapshot `number` of `of`.
    Replay { number: usize, of: usize },
}

/// Number of lines above the table.
const ABOVE: u16 = 4;

/// Draws everything.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, feed: &Feed, view: &mut View, origin: &Origin, palette: Palette) {
    let canvas = &mut Canvas { buffer, area };
    if view.help {
        help::draw(canvas, matches!(origin, Origin::Replay { .. }), palette);
        return;
    }
    let model = &feed.model;
    head(canvas, feed, view, origin, palette);
    let facts = match view.level() {
        Level::Object(key) => super::facts::lines(model, key),
        _ => Vec::new(),
    };
    let mut line = ABOVE;
    let room = area.height.saturating_sub(1);
    for (tone, text) in facts {
        if line + 3 < room {
            canvas.write(line, 1, &text, usize::MAX, palette.tone(tone));
            line += 1;
        }
    }
    let below = below(area.height, view);
    let items = Items::of(model, &feed.log, view);
    let lines = room.saturating_sub(line + 1).saturating_sub(below);
    let place = view.place(&items, usize::from(lines));
    table(canvas, (line, lines), &items, place, view, palette);
    if items.len() == 0 && !feed.is_empty() {
        canvas.write(line + 1, 1, nothing(view), usize::MAX, palette.tone(Tone::Faint));
    }
    if below > 1 {
        changes(canvas, (room - below, below), feed, palette);
    }
    foot(canvas, room, items.len(), view, origin, palette);
}

/// What an empty table says.
fn nothing(view: &View) -> &'static str {
    match view.level() {
        _ if !view.filter.is_empty() => "nothing matches the filter",
        _ if view.troubled => "nothing is in trouble",
        Level::Certificates => "none known; they are asked for with [pull] families = certificates",
        Level::Changes => "none so far",
        _ => "none",
    }
}

/// Number of lines for changes, including their title.
fn below(height: u16, view: &View) -> u16 {
    match view.level() {
        Level::Changes => 0,
        _ if height < 16 => 0,
        _ => (height / 5).clamp(3, 9),
    }
}

fn head(canvas: &mut Canvas<'_>, feed: &Feed, view: &View, origin: &Origin, palette: Palette) {
    let model = &feed.model;
    let right = match origin {
        _ if view.paused => format!("PAUSED  {}", clock(model.epoch)),
        Origin::Live { interval } => format!("every {interval} s  {}", clock(model.epoch)),
        Origin::Replay { number, of } => {
            format!("snapshot {number} of {of}  {}", Rfc3339(feed.shown().unwrap_or(model.epoch)))
        }
    };
    let room = usize::from(canvas.area.width).saturating_sub(right.len() + 2);
    canvas.write(0, 0, &place(view), room, palette.strong());
    canvas.write_right(0, &right, palette.strong());
    canvas.write(1, 0, &summary(model), usize::MAX, palette.tone(Tone::Plain));
    let mut column = canvas.write(2, 0, "servers ", usize::MAX, palette.tone(Tone::Plain));
    let tone = if model.counts.down > 0 { Tone::Warning } else { Tone::Plain };
    column = canvas.write(2, column, &servers(model), usize::MAX, palette.tone(tone));
    for (tone, text) in notices(feed) {
        column = canvas.write(2, column + 2, &text, usize::MAX, palette.tone(tone));
    }
    let silent = silent(model);
    let text = match (&view.note, silent, model.interval) {
        (Some(note), _, _) => note.clone(),
        (None, Some(silent), _) => silent,
        (None, None, None) if feed.is_empty() => "querying the sockets".to_owned(),
        (None, None, None) => match origin {
            Origin::Live { .. } => "rates appear with the next refresh".to_owned(),
            Origin::Replay { .. } => "rates appear with the next snapshot".to_owned(),
        },
        (None, None, Some(_)) => sorted(view).unwrap_or_default(),
    };
    canvas.write(3, 0, &text, usize::MAX, palette.tone(Tone::Warning));
}

/// The column by which the table is sorted, if it is not the default order.
fn sorted(view: &View) -> Option<String> {
    let column = view.sort().column?;
    let of = match view.level() {
        Level::Hosts => titles(HOSTS),
        Level::Proxies(_) => titles(PROXIES),
        Level::Servers(_) => titles(SERVERS),
        Level::Processes => titles(PROCESSES),
        Level::Certificates => titles(CERTIFICATES),
        Level::Object(_) => titles(PARTS),
        Level::Changes => return None,
    };
    let (title, about) = of.get(column)?;
    let order = if view.sort().reverse { ", in reverse order" } else { "" };
    Some(format!("sorted by {title}: {about}{order}"))
}

fn titles<T>(columns: &[Column<T>]) -> Vec<(&'static str, &'static str)> {
    columns.iter().map(|column| (column.title, column.about)).collect()
}

/// The present place, with filter and order.
fn place(view: &View) -> String {
    let mut text = format!("haproxystats-top  {}", view.path());
    if !view.filter.is_empty() {
        text.push_str(&format!("  filter: {}", view.filter));
    }
    if view.troubled {
        text.push_str("  only trouble");
    }
    text
}

/// The time of day, UTC.
fn clock(epoch: Epoch) -> String {
    let text = Rfc3339(epoch).to_string();
    text.get(11..).unwrap_or_default().to_owned()
}

/// Other things that the user should know.
fn notices(feed: &Feed) -> Vec<(Tone, String)> {
    let model = &feed.model;
    let mut notices = Vec::new();
    let (old, sessions) = model.leaving();
    if old > 0 {
        let text = format!("{}, {sessions:.0} sessions", plural(old, "old worker", "old workers"));
        notices.push((Tone::Warning, text));
    }
    let near: Vec<i64> = model.near_expiry().map(|expiry| expiry.left).collect();
    if let Some(first) = near.first() {
        let noun = if near.len() == 1 { "certificate".to_owned() } else { format!("{} certificates", near.len()) };
        notices.push(match *first {
            ..=0 => (Tone::Bad, format!("{noun}: expired")),
            first => (Tone::Warning, format!("{noun}: {}", time(first))),
        });
    }
    if let Some(mark) = feed.mark() {
        // The table then shows the mark, and rates up to it.
        let later = if feed.shown().is_some_and(|shown| shown < mark) { "the later " } else { "" };
        notices.push((Tone::Plain, format!("compared with {later}{}", Rfc3339(mark))));
    }
    if model.refused > 0 {
        notices.push((Tone::Warning, format!("{} unreadable", model.refused)));
    }
    notices
}

fn silent(model: &Model) -> Option<String> {
    let first = model.silent.first()?;
    let more = match model.silent.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!("{} does not answer{more}: {}", first.socket, first.reason))
}

type Lines = (u16, u16);

fn table(
    canvas: &mut Canvas<'_>,
    lines: Lines,
    items: &Items<'_>,
    place: (usize, usize),
    view: &View,
    palette: Palette,
) {
    let sort = view.sort().column;
    let mut of = Table { canvas, lines, place, sort, palette };
    match items {
        Items::Hosts(all) => of.draw(HOSTS, all),
        Items::Proxies(all) => of.draw(PROXIES, all),
        Items::Servers(all) => of.draw(SERVERS, all),
        Items::ServersOfAll(all) => of.draw(SERVERS_OF_ALL, all),
        Items::Processes(all) => of.draw(PROCESSES, all),
        Items::Certificates(all) => of.draw(CERTIFICATES, all),
        Items::Parts(all) => of.draw(PARTS, all),
        Items::Changes(all) => {
            let rows = all.iter().skip(place.1).zip(0..=lines.1).enumerate();
            for (index, (logged, number)) in rows {
                let selected = index + place.1 == place.0;
                change(of.canvas, lines.0 + number, logged, selected, palette);
            }
        }
    }
}

/// Draws a table on some lines.
struct Table<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    /// The line with the titles, and the number of rows that fit below it.
    lines: Lines,
    /// Indexes of the selected row, and of the first one.
    place: (usize, usize),
    sort: Option<usize>,
    palette: Palette,
}

impl Table<'_, '_> {
    fn draw<T>(&mut self, columns: &[Column<T>], items: &[&T]) {
        // The first character is for the mark of the selected row.
        let room = usize::from(self.canvas.area.width).saturating_sub(1);
        let fitting = fit(columns, room);
        let sorted = self.sort.and_then(|index| columns.get(index)).map(|column| column.title);
        let mut column = 1;
        for (of, width) in &fitting {
            let style = if sorted == Some(of.title) { self.palette.sorted() } else { self.palette.titles() };
            column = self.write(self.lines.0, column, of.align, *width, of.title, style);
        }
        for (line, (index, item)) in (0..self.lines.1).zip(items.iter().enumerate().skip(self.place.1)) {
            let selected = index == self.place.0;
            let line = self.lines.0 + 1 + line;
            if selected {
                self.canvas.write(line, 0, ">", 1, self.palette.strong());
            }
            let mut column = 1;
            for (of, width) in &fitting {
                let cell = (of.cell)(item);
                let style = self.palette.tone(cell.tone);
                let style = if selected { style.patch(self.palette.strong()) } else { style };
                column = self.write(line, column, of.align, *width, &cell.text, style);
            }
        }
    }

    /// Writes a cell; returns where the next one begins.
    fn write(
        &mut self,
        line: u16,
        column: u16,
        align: Align,
        width: usize,
        text: &str,
        style: ratatui_core::style::Style,
    ) -> u16 {
        let text = shortened(text, width);
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        let length = u16::try_from(text.chars().count()).unwrap_or(width);
        let begin = if align == Align::Right { column + width.saturating_sub(length) } else { column };
        self.canvas.write(line, begin, &text, usize::from(width), style);
        column + width + 1
    }
}

/// Draws a change on a line.
fn change(canvas: &mut Canvas<'_>, line: u16, logged: &super::feed::Logged, selected: bool, palette: Palette) {
    let (tone, mark) = match logged.change.gravity {
        Gravity::Bad => (Tone::Warning, '!'),
        Gravity::Notable => (Tone::Plain, ' '),
        Gravity::Good => (Tone::Good, ' '),
    };
    if selected {
        canvas.write(line, 0, ">", 1, palette.strong());
    }
    let text = format!("{} {mark} {}", clock(logged.epoch), logged.change.text);
    canvas.write(line, 1, &text, usize::MAX, palette.tone(tone));
}

/// Draws the latest changes, below the table.
fn changes(canvas: &mut Canvas<'_>, (first, lines): Lines, feed: &Feed, palette: Palette) {
    canvas.write(first, 0, "changes", usize::MAX, palette.titles());
    let shown = usize::from(lines - 1);
    let all = feed.log.len();
    let (rows, left) = if all > shown { (shown - 1, all - (shown - 1)) } else { (all, 0) };
    for (line, logged) in (first + 1..).zip(feed.log.iter().take(rows)) {
        change(canvas, line, logged, false, palette);
    }
    if left > 0 {
        canvas.write(first + lines - 1, 1, &others(left), usize::MAX, palette.tone(Tone::Faint));
    } else if all == 0 {
        canvas.write(first + 1, 1, "none so far", usize::MAX, palette.tone(Tone::Faint));
    }
}

fn foot(canvas: &mut Canvas<'_>, line: u16, count: usize, view: &View, origin: &Origin, palette: Palette) {
    let text = match &view.input {
        Some(Input::Filter) => format!("filter: {}_   Enter applies, Esc cancels", view.filter),
        Some(Input::Time(text)) => format!("go to (such as 2026-11-30T08:00:00Z): {text}_"),
        None => match origin {
            Origin::Live { .. } => {
                "? help  q quit  Enter into  Esc back  / filter  ! trouble  s sort  p pause".to_owned()
            }
            Origin::Replay { .. } => {
                "? help  q quit  Enter into  Esc back  , . step  g go to  m compare  / filter".to_owned()
            }
        },
    };
    canvas.write(line, 0, &text, usize::MAX, palette.tone(Tone::Faint));
    if view.input.is_none() && canvas.area.width > 100 {
        canvas.write_right(line, &plural(count, "row", "rows"), palette.tone(Tone::Faint));
    }
}

#[cfg(test)]
mod tests;
