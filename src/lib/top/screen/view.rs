//! What the operator has chosen: the place, the order, the filter and the selection. Keys change it; nothing is drawn or read
//! here.

use super::items::{Id, Items};
use super::level::Level;
use crate::snapshot::Epoch;
use crate::snapshot::moment;

/// A key that has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Control(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Tab,
}

/// What the program has to do after a key, in addition to redrawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effect {
    Nothing,
    Quit,
    Suspend,
    /// Go this many snapshots forward, or back.
    Step(i64),
    First,
    Last,
    Seek(Epoch),
    /// Compare with the present tick from now on, or stop doing so.
    Mark,
    /// Multiply the interval by this factor.
    Pace(f64),
    /// Query now.
    Look,
}

/// How a table is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sort {
    /// Index of the column; `None`: the worst first.
    pub(super) column: Option<usize>,
    pub(super) reverse: bool,
}

/// What is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    Filter,
    Time(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct View {
    levels: Vec<Level>,
    /// The only host, if the command line names one.
    host: Option<String>,
    pub(super) filter: String,
    pub(super) input: Option<Input>,
    pub(super) troubled: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    /// A message that is shown until the next key.
    pub(super) note: Option<String>,
    sorts: [Sort; Level::TABLES],
    index: usize,
    selected: Option<Id>,
    /// Whether the selection follows its row. Until a key selects a row, the first row is selected, whatever it is.
    follows: bool,
    first: usize,
    page: usize,
    replay: bool,
    settled: bool,
}

impl View {
    /// A view of frontends and backends; only of `host`, if the command line names one.
    pub(super) fn new(host: Option<String>, replay: bool) -> Self {
        Self {
            levels: vec![Level::Proxies(None)],
            host,
            filter: String::new(),
            input: None,
            troubled: false,
            paused: false,
            help: false,
            note: None,
            sorts: [Sort::default(); Level::TABLES],
            index: 0,
            selected: None,
            follows: false,
            first: 0,
            page: 1,
            replay,
            settled: false,
        }
    }

    /// Starts with the hosts if there are several, unless a key has already been pressed.
    pub(super) fn settle(&mut self, hosts: usize) {
        if hosts > 1 && !self.settled {
            self.jump(Level::Hosts);
        }
        self.settled = true;
    }

    /// The present place.
    pub(super) fn level(&self) -> &Level {
        const ALL: &Level = &Level::Proxies(None);
        self.levels.last().unwrap_or(ALL)
    }

    /// The host that is shown, if it is a single one.
    pub(super) fn scope(&self) -> Option<&str> {
        self.levels.iter().rev().find_map(Level::host).or(self.host.as_deref())
    }

    /// The path to the present place, as text.
    pub(super) fn path(&self) -> String {
        self.levels.iter().map(Level::title).collect::<Vec<_>>().join(" > ")
    }

    /// How the table of this level is sorted.
    pub(super) fn sort(&self) -> Sort {
        self.sorts.get(self.level().table()).copied().unwrap_or_default()
    }

    /// The indexes of the selected row and of the first one on the screen, for these items on this many lines. The selection
    /// stays on its row when the order changes.
    pub(super) fn place(&mut self, items: &Items<'_>, lines: usize) -> (usize, usize) {
        let last = items.len().saturating_sub(1);
        let place = self.selected.as_ref().filter(|_| self.follows).and_then(|id| items.position(id));
        self.index = place.unwrap_or(self.index).min(last);
        self.selected = items.id(self.index);
        self.page = lines.max(1);
        self.first = self.first.min(self.index).max((self.index + 1).saturating_sub(self.page));
        self.first = self.first.min(items.len().saturating_sub(self.page));
        (self.index, self.first)
    }

    /// Handles a key; `items` are the rows that are shown.
    pub(super) fn key(&mut self, key: Key, items: &Items<'_>) -> Effect {
        self.note = None;
        self.settled = true;
        match key {
            Key::Control('c') => return Effect::Quit,
            Key::Control('z') => return Effect::Suspend,
            _ => {}
        }
        if self.input.is_some() {
            return self.typed(key);
        }
        if self.help {
            self.help = false;
            return Effect::Nothing;
        }
        match key {
            Key::Up | Key::Char('k') => self.go(items, self.index.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.go(items, self.index + 1),
            Key::PageUp => self.go(items, self.index.saturating_sub(self.page)),
            Key::PageDown => self.go(items, self.index + self.page),
            Key::Home => self.go(items, 0),
            Key::End => self.go(items, usize::MAX),
            Key::Enter | Key::Right => self.enter(items),
            Key::Escape | Key::Left | Key::Backspace => self.back(),
            Key::Tab => self.jump(self.level().next()),
            Key::Char(letter) => return self.letter(letter, items),
            Key::Control(_) => {}
        }
        Effect::Nothing
    }

    fn letter(&mut self, letter: char, items: &Items<'_>) -> Effect {
        match letter {
            'q' => return Effect::Quit,
            '?' | 'h' => self.help = true,
            '/' => self.input = Some(Input::Filter),
            '!' => self.troubled = !self.troubled,
            's' => self.sort_by(items, 1),
            'S' => self.sort_by(items, -1),
            'r' => self.change_sort(|sort| sort.reverse = !sort.reverse),
            'w' => self.change_sort(|sort| *sort = Sort::default()),
            '1'..='6' => {
                let number = letter.to_digit(10).unwrap_or(1) as usize;
                self.jump(Level::numbered(number));
            }
            _ if self.replay => return self.replaying(letter),
            'p' | ' ' => self.paused = !self.paused,
            '+' => return Effect::Pace(2.0),
            '-' => return Effect::Pace(0.5),
            'l' => return Effect::Look,
            _ => {}
        }
        Effect::Nothing
    }

    fn replaying(&mut self, letter: char) -> Effect {
        match letter {
            '.' | ' ' => Effect::Step(1),
            ',' => Effect::Step(-1),
            '>' => Effect::Step(10),
            '<' => Effect::Step(-10),
            '[' => Effect::First,
            ']' => Effect::Last,
            'm' => Effect::Mark,
            'g' => {
                self.input = Some(Input::Time(String::new()));
                Effect::Nothing
            }
            _ => Effect::Nothing,
        }
    }

    /// Handles a key while a filter or a time is being typed.
    fn typed(&mut self, key: Key) -> Effect {
        let Some(input) = &mut self.input else { return Effect::Nothing };
        let text = match input {
            Input::Filter => &mut self.filter,
            Input::Time(text) => text,
        };
        match key {
            Key::Char(letter) if text.chars().count() < 100 => text.push(letter),
            Key::Backspace => {
                text.pop();
            }
            Key::Escape => {
                text.clear();
                self.input = None;
            }
            Key::Enter => return self.entered(),
            _ => {}
        }
        Effect::Nothing
    }

    fn entered(&mut self) -> Effect {
        match self.input.take() {
            Some(Input::Time(text)) => match moment::parse(text.trim()) {
                Some(epoch) => return Effect::Seek(epoch),
                None => {
                    self.note =
                        Some(format!("{text:?} is not a time; write 2026-11-30T08:00:00Z or seconds since the epoch"));
                }
            },
            Some(Input::Filter) | None => {}
        }
        Effect::Nothing
    }

    fn go(&mut self, items: &Items<'_>, index: usize) {
        self.index = index.min(items.len().saturating_sub(1));
        self.selected = items.id(self.index);
        self.follows = true;
    }

    fn enter(&mut self, items: &Items<'_>) {
        if let Some(below) = items.id(self.index).and_then(|id| self.level().below(&id)) {
            self.levels.push(below);
            self.begin();
        }
    }

    fn back(&mut self) {
        if !self.filter.is_empty() || self.troubled {
            self.filter.clear();
            self.troubled = false;
        } else if self.levels.len() > 1 {
            let left = self.levels.pop();
            self.begin();
            self.selected = left.and_then(|level| level.id());
            self.follows = true;
        }
    }

    fn jump(&mut self, level: Level) {
        self.levels = vec![level];
        self.begin();
    }

    fn begin(&mut self) {
        (self.index, self.first, self.follows) = (0, 0, false);
        self.filter.clear();
        self.troubled = false;
    }

    fn change_sort(&mut self, change: impl FnOnce(&mut Sort)) {
        let table = self.level().table();
        if let Some(sort) = self.sorts.get_mut(table) {
            change(sort);
        }
        // After a change of the order, go to the top.
        (self.index, self.first, self.follows) = (0, 0, false);
    }

    /// Sorts by the next or previous column; after the last one comes the default order, the worst first.
    fn sort_by(&mut self, items: &Items<'_>, step: i8) {
        let columns = items.columns();
        if columns == 0 {
            return;
        }
        self.change_sort(|sort| {
            let column = match (sort.column, step > 0) {
                (None, true) => Some(0),
                (None, false) => Some(columns - 1),
                (Some(column), true) => Some(column + 1).filter(|next| *next < columns),
                (Some(column), false) => column.checked_sub(1),
            };
            *sort = Sort { column, reverse: false };
        });
    }
}

#[cfg(test)]
mod tests;
