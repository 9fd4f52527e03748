//! The help screen.

use super::paint::{Canvas, Palette};
use crate::top::table::Tone;

/// Keys and what they do, as in docs/top.md.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("Up, Down, PgUp, PgDn, Home, End", "select a row (also j and k)"),
    ("Enter, Right", "open the host, backend or server"),
    ("Esc, Left, Backspace", "clear the filter, then go back"),
    ("1 2 3", "hosts; frontends and backends; servers"),
    ("4 5 6, Tab", "processes; certificates; changes; the next"),
    ("s, S", "sort by the next or previous column"),
    ("r, w", "reverse the order; back to worst first"),
    ("/", "filter by name"),
    ("!", "show only what is in trouble"),
    ("?, h", "this screen"),
    ("q, Ctrl-C", "quit"),
    ("Ctrl-Z", "suspend; fg in the shell resumes"),
];

/// Keys with live sockets.
pub(super) const LIVE: &[(&str, &str)] =
    &[("p, Space", "pause: HAProxy is not queried"), ("+, -", "refresh half or twice as often"), ("l", "refresh now")];

/// Keys with stored snapshots.
pub(super) const REPLAY: &[(&str, &str)] = &[
    (". ,", "one snapshot forward or back (Space: forward)"),
    ("> <", "ten forward or back"),
    ("] [", "the last or first snapshot"),
    ("g", "go to a time"),
    ("m", "compare with this snapshot; again to stop"),
];

/// What the marks mean.
pub(super) const MARKS: &[(&str, &str)] = &[
    ("~12", "rate without processes that have restarted"),
    ("-", "unknown or none"),
    ("DOWN*", "not all processes agree"),
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
