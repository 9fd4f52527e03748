//! Colours, and text that fits into its space.
//!
//! Nothing is expressed by colour alone: states are words, the selected row has a mark, and bad values are bold and inverse. The
//! only colours are blue and orange, which people with colour blindness can distinguish; with NO_COLOR, there are none.

use crate::top::table::Tone;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

/// Blue and orange from the 256 colours, which are readable on dark and light backgrounds.
const BLUE: Color = Color::Indexed(33);
const ORANGE: Color = Color::Indexed(172);

/// The styles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    /// Whether colours are used.
    pub(super) colours: bool,
}

impl Palette {
    /// The palette for the environment: see no-color.org.
    pub(super) fn of_environment() -> Self {
        Self { colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn coloured(self, style: Style, colour: Color) -> Style {
        if self.colours { style.fg(colour) } else { style }
    }

    /// The style of a cell.
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

    /// The style of the line with titles.
    pub(super) const fn titles(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    /// The style of the title of the column by which a table is sorted.
    pub(super) const fn sorted(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED).add_modifier(Modifier::BOLD)
    }

    /// The style of lines above and below the table.
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
    /// Writes at most `room` characters of a text, starting at a column; returns the column after it.
    pub(super) fn write(&mut self, line: u16, column: u16, text: &str, room: usize, style: Style) -> u16 {
        if line >= self.area.height || column >= self.area.width {
            return column;
        }
        let room = room.min(usize::from(self.area.width - column));
        let (x, y) = (self.area.x + column, self.area.y + line);
        self.buffer.set_stringn(x, y, text, room, style).0.saturating_sub(self.area.x)
    }

    /// Writes a text at the right edge.
    pub(super) fn write_right(&mut self, line: u16, text: &str, style: Style) {
        let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX).min(self.area.width);
        self.write(line, self.area.width - length, text, usize::MAX, style);
    }
}

/// Shortens a text to `room` characters by leaving out the middle, since names differ at both ends.
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
