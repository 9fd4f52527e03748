//! What was injected and what came of it: the table at the end.

use std::collections::BTreeMap;

/// The figures of one fault.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    pub injected: u64,
    /// Snapshots that were published while the fault lasted, or after it until the next one.
    pub snapshots: u64,
    pub expected: u64,
    pub arrived: u64,
    pub duplicated: u64,
    pub lost: u64,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.injected += other.injected;
        self.snapshots += other.snapshots;
        self.expected += other.expected;
        self.arrived += other.arrived;
        self.duplicated += other.duplicated;
        self.lost += other.lost;
    }
}

/// All figures of a scene, or of a run.
#[derive(Debug, Default)]
pub struct Report {
    pub rows: BTreeMap<&'static str, Row>,
    /// What must not be.
    pub failures: Vec<String>,
    /// What was measured besides, and what could not be tried here.
    pub notes: Vec<String>,
}

impl Report {
    pub fn row(&mut self, fault: &'static str) -> &mut Row {
        self.rows.entry(fault).or_default()
    }

    pub fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    pub fn merge(&mut self, scene: &str, other: Report) {
        for (fault, row) in &other.rows {
            self.row(fault).add(row);
        }
        self.failures.extend(other.failures.into_iter().map(|what| format!("{scene}: {what}")));
        self.notes.extend(other.notes.into_iter().map(|what| format!("{scene}: {what}")));
    }

    pub fn injected(&self) -> u64 {
        self.rows.values().map(|row| row.injected).sum()
    }

    pub fn expected(&self) -> u64 {
        self.rows.values().map(|row| row.expected).sum()
    }

    /// As it is printed.
    pub fn table(&self) -> String {
        let mut total = Row::default();
        let width = self.rows.keys().map(|fault| fault.len()).max().unwrap_or_default().max(5);
        let line = |name: &str, row: &Row| {
            format!(
                "| {name:<width$} | {:>8} | {:>9} | {:>9} | {:>9} | {:>10} | {:>4} |\n",
                row.injected, row.snapshots, row.expected, row.arrived, row.duplicated, row.lost
            )
        };
        let head = ["injected", "snapshots", "expected", "arrived", "duplicated", "lost"];
        let mut text = format!("| {:<width$} | {} |\n", "fault", head.join(" | "));
        text.push_str(&format!(
            "|-{}-|---------:|----------:|----------:|----------:|-----------:|-----:|\n",
            "-".repeat(width)
        ));
        for (fault, row) in &self.rows {
            total.add(row);
            text.push_str(&line(fault, row));
        }
        text.push_str(&line("all", &total));
        text
    }
}
