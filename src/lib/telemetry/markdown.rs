//! Definitions as docs/metrics.md shows them.

use super::{Definition, Kind};
use std::fmt::Write;

/// A table with its heading.
#[must_use]
pub fn table<'a>(title: &str, definitions: impl IntoIterator<Item = &'a Definition>) -> String {
    let mut text = format!("\n### {title}\n\n| name | unit | kind | meaning |\n|---|---|---|---|\n");
    for Definition { name, unit, kind, about } in definitions {
        let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{name}` | {unit} | {kind} | {about} |");
    }
    text
}
