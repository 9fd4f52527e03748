//! What `--once` prints: everything about one tick as text, the worst first.

use super::model::{Model, Object};
use super::sentence::{servers, summary};
use super::table::{Align, CERTIFICATES, Column, HOSTS, PROCESSES, PROXIES, SERVERS_OF_ALL};
use super::text::plural;
use crate::snapshot::moment::Rfc3339;
use std::fmt::Write;

/// The text for a model.
pub(super) fn render(model: &Model) -> String {
    let mut text = format!("{}  {}\n", Rfc3339(model.epoch), summary(model));
    let _ = writeln!(text, "servers: {}", servers(model));
    let (old, sessions) = model.leaving();
    if old > 0 {
        let _ = writeln!(text, "old workers: {old} with {sessions:.0} sessions");
    }
    if model.refused > 0 {
        let _ = writeln!(text, "{} could not be read", plural(count(model.refused), "row or file", "rows or files"));
    }
    for silent in &model.silent {
        let _ = writeln!(text, "{} does not answer: {}", silent.socket, silent.reason);
    }
    for change in &model.changes {
        let _ = writeln!(text, "{}", change.text);
    }
    if model.hosts.len() > 1 {
        section(&mut text, HOSTS, &sorted(&model.hosts, super::order::hosts));
    }
    if model.processes.len() > 1 {
        section(&mut text, PROCESSES, &sorted(&model.processes, super::order::processes));
    }
    let proxies: Vec<&Object> = model.frontends.iter().chain(&model.backends).collect();
    section(&mut text, PROXIES, &in_order(proxies, Object::worse));
    section(&mut text, SERVERS_OF_ALL, &sorted(&model.servers, Object::worse));
    if !model.certificates.is_empty() {
        section(&mut text, CERTIFICATES, &model.certificates.iter().collect::<Vec<_>>());
    }
    text
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn sorted<T>(items: &[T], order: fn(&T, &T) -> std::cmp::Ordering) -> Vec<&T> {
    in_order(items.iter().collect(), order)
}

fn in_order<T>(mut items: Vec<&T>, order: fn(&T, &T) -> std::cmp::Ordering) -> Vec<&T> {
    items.sort_by(|a, b| order(a, b));
    items
}

/// Appends an empty line and a table, with columns as wide as their contents.
fn section<T>(text: &mut String, columns: &[Column<T>], items: &[&T]) {
    if items.is_empty() {
        return;
    }
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|column| column.title.to_owned()).collect()];
    rows.extend(items.iter().map(|item| columns.iter().map(|column| (column.cell)(item).text).collect()));
    let mut widths = vec![0; columns.len()];
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    text.push('\n');
    for row in &rows {
        let cells = columns.iter().zip(row).zip(&widths).map(|((column, cell), width)| match column.align {
            Align::Right => format!("{cell:>width$}"),
            Align::Text | Align::Left => format!("{cell:<width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
}
