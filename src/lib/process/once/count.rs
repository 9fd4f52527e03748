//! `--once DIR --count`: how many series there would be, so that options can be compared before they are rolled out.

use super::{Source, code, render};
use crate::config::Config;
use crate::encode::sink::Skipped;
use crate::encode::tally::{Counts, Tally};
use crate::process::pipeline::Pipeline;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;

/// Counts and prints; the exit code.
pub(super) fn run(config: &Config, source: &Source) -> u8 {
    let counts = Rc::new(RefCell::new(Counts::default()));
    let encoder = Box::new(Tally::new(Rc::clone(&counts)));
    let mut pipeline = Pipeline::only(config, source.hostname(), encoder);
    if let Err(code) = render(config, &mut pipeline, source, |_| Ok(())) {
        return code;
    }
    let (_, skipped) = pipeline.end();
    let text = table(&counts.borrow(), skipped);
    let mut stdout = io::stdout().lock();
    code(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

fn table(counts: &Counts, skipped: Skipped) -> String {
    let mut text = format!("{:<20} {:>10} {:>10}\n", "family", "objects", "series");
    let mut row = |name: &str, objects: usize, series: usize| {
        // Text does not fail.
        let _ = writeln!(text, "{name:<20} {objects:>10} {series:>10}");
    };
    let (mut objects, mut series) = (0, 0);
    for (name, of_objects, of_series) in counts.rows() {
        row(&name, of_objects, of_series);
        (objects, series) = (objects + of_objects, series + of_series);
    }
    row("total", objects, series);
    let Skipped { slots, zeros, .. } = skipped;
    if slots > 0 {
        let _ = writeln!(text, "left out: {slots} servers in unused slots (skip-unused-slots)");
    }
    if zeros > 0 {
        let _ = writeln!(text, "left out: {zeros} counters that are 0 (skip-zero)");
    }
    text
}
