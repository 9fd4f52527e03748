//! The screen of keys.

use super::paint::{Canvas, Palette};
use crate::top::table::Tone;

/// Keys and what they do; docs/top.md has the same.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Up, Down, PgUp, PgDn, Home, End", "select a row (also j and k)"),
    ("Enter, Right", "into the host, the backend or the server"),
    ("Esc, Left, Backspace", "clear the filter; then back"),
    ("1 2 3", "hosts; frontends and backends; servers"),
    ("4 5 6, Tab", "processes; certificates; changes; the next"),
    ("s, S", "sort by the next column, by the one before"),
    ("r, w", "reverse the order; worst first again"),
    ("/", "filter by name"),
    ("!", "only what is in trouble"),
    ("?, h", "this screen"),
    ("q, Ctrl-C", "quit"),
    ("Ctrl-Z", "stop; the shell's fg goes on"),
];

/// Those of sockets.
pub(super) const LIVE: &[(&str, &str)] = &[
    ("p, Space", "pause: nothing is asked meanwhile"),
    ("+, -", "look half as often, twice as often"),
    ("l", "look now"),
];

/// Those of stored snapshots.
pub(super) const REPLAY: &[(&str, &str)] = &[
    (". ,", "one snapshot on, one back (Space: on)"),
    ("> <", "ten on, ten back"),
    ("] [", "the last, the first"),
    ("g", "go to a time"),
    ("m", "compare with this snapshot, or no longer"),
];

/// What marks mean.
pub(super) const MARKS: &[(&str, &str)] = &[
    ("~12", "rate without processes that began anew"),
    ("-", "not known, or there is none"),
    ("DOWN*", "not all processes see it so"),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, replay: bool, palette: Palette) {
    canvas.write(0, 0, "haproxystats-top: keys (any key goes back)", usize::MAX, palette.strong());
    let own = if replay { REPLAY } else { LIVE };
    let lines = KEYS.iter().chain(own).chain(MARKS);
    for (line, (keys, about)) in (1..).zip(lines) {
        canvas.write(line, 1, keys, 33, palette.strong());
        canvas.write(line, 34, about, usize::MAX, palette.tone(Tone::Plain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_key() {
        let document = include_str!("../../../../docs/top.md");
        for (keys, about) in KEYS.iter().chain(LIVE).chain(REPLAY) {
            let row = format!("| `{keys}` | {about} |\n");
            assert!(document.contains(&row), "docs/top.md lacks: {row}");
        }
    }
}
