//! Colours, and letters where they fit.
//!
//! No meaning is in colour alone: states are words, the selected row has a mark, and what is bad is bold and inverse. The two
//! colours beside that are blue and orange, which everybody can tell apart; with NO_COLOR there are none.

use crate::top::table::Tone;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

/// Blue and orange of the 256 colours, which read well on dark and on light.
const BLUE: Color = Color::Indexed(33);
const ORANGE: Color = Color::Indexed(172);

/// How things look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    /// Whether there are colours.
    pub(super) colours: bool,
}

impl Palette {
    /// By the environment: see no-color.org.
    pub(super) fn of_environment() -> Self {
        Self { colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn coloured(self, style: Style, colour: Color) -> Style {
        if self.colours { style.fg(colour) } else { style }
    }

    /// The look of a cell.
    pub(super) fn tone(self, tone: Tone) -> Style {
        let style = Style::new();
        match tone {
            Tone::Plain => style,
            Tone::Faint => style.add_modifier(Modifier::DIM),
            Tone::Good => self.coloured(style, BLUE),
            Tone::Warning => self.coloured(style.add_modifier(Modifier::BOLD), ORANGE),
            Tone::Bad => self.coloured(style.add_modifier(Modifier::BOLD | Modifier::REVERSED), ORANGE),
        }
    }

    /// The look of the line of titles.
    pub(super) const fn titles(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    /// The look of the title by which a table is sorted.
    pub(super) const fn sorted(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED).add_modifier(Modifier::BOLD)
    }

    /// The look of what is above and below the table.
    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}

/// A part of the screen that is written line by line.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) area: Rect,
}

impl Canvas<'_> {
    /// Writes a text from a column on, as far as there is room for `room` letters; where the next one stands.
    pub(super) fn write(&mut self, line: u16, column: u16, text: &str, room: usize, style: Style) -> u16 {
        if line >= self.area.height || column >= self.area.width {
            return column;
        }
        let room = room.min(usize::from(self.area.width - column));
        let (x, y) = (self.area.x + column, self.area.y + line);
        self.buffer.set_stringn(x, y, text, room, style).0.saturating_sub(self.area.x)
    }

    /// The same at the right edge.
    pub(super) fn write_right(&mut self, line: u16, text: &str, style: Style) {
        let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX).min(self.area.width);
        self.write(line, self.area.width - length, text, usize::MAX, style);
    }
}

/// A text in so many letters: the middle is left out where it is longer, since names differ at both ends.
pub(super) fn shortened(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    if room < 5 {
        return text.chars().take(room).collect();
    }
    let (front, back) = ((room - 1).div_ceil(2), (room - 1) / 2);
    text.chars().take(front).chain(['~']).chain(text.chars().skip(length - back)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(shortened("web", 3), "web");
        assert_eq!(shortened("production-web-frontend-01", 12), "produc~nd-01");
        assert_eq!(shortened("production", 4), "prod");
        assert_eq!(shortened("größere-namen-überall", 7), "grö~all");
    }

    #[test]
    fn what_is_bad_shows_without_colours() {
        let palette = Palette { colours: false };
        let bad = palette.tone(Tone::Bad);
        assert!(bad.fg.is_none() && bad.add_modifier.contains(Modifier::REVERSED));
        assert_eq!(Palette { colours: true }.tone(Tone::Warning).fg, Some(ORANGE));
    }
}
