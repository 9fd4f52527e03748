//! The output, line by line.

use super::asked::Asked;
use super::moment;
use super::rows::{self, Row};
use super::subject::{Of, STATES, Subject, TOTAL_SERVERS};
use crate::config::Config;
use crate::haproxy::columns::{self, Combine, Kind};
use crate::haproxy::info;
use crate::parse::part::Part;
use crate::plan::KindPlan;
use crate::process::once::Source;
use crate::process::pipeline::Holding;
use crate::render::objects::SERVER_COUNTS;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// Rows that are shown.
const MOST_ROWS: usize = 30;

/// See the module.
#[derive(Debug)]
pub(super) struct Told(String);

impl Told {
    pub(super) fn new(metric: &str, source: &Source) -> Self {
        let mut told = Self(format!("{metric}\n"));
        told.line("snapshot", &format!("{} of {}", source.named().display(), moment(source.epoch())));
        told
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn line(&mut self, label: &str, words: &str) {
        // Text does not fail.
        let _ = writeln!(self.0, "  {label:<9} {words}");
    }

    /// It is not sent.
    pub(super) fn absent(&mut self, why: &str) {
        self.line("not sent", why);
    }

    /// Under which names it is sent, and the value that came out.
    pub(super) fn sent(&mut self, asked: &Asked, names: &[String], value: Option<&String>) {
        let Some(value) = value else { return };
        self.line("sent", value);
        if !asked.is_among(names) {
            self.line("name", "not under this name: because of tags or groups, it has another one");
        }
        for name in names.iter().filter(|name| Asked::new(name) != *asked) {
            self.line("sent as", name);
        }
    }

    /// What it is of, and what HAProxy calls that.
    pub(super) fn object(&mut self, holding: &Holding, subject: &Subject) {
        self.line("object", &format!("{} of {}", subject.of.words(), holding.of));
        let spelled = |row: &Row| match subject.of {
            Of::Server(..) => format!("{}/{}", row.proxy, row.server),
            Of::ServerTotal(_) => row.server.clone(),
            _ => row.proxy.clone(),
        };
        let spellings: BTreeSet<String> = subject.rows.iter().map(spelled).collect();
        let own = match &subject.of {
            Of::Server(backend, server) => format!("{backend}/{server}"),
            Of::Frontend(name) | Of::Backend(name) | Of::ServerTotal(name) => name.clone(),
            Of::Own | Of::Daemon | Of::Process(..) => return,
        };
        if spellings.iter().any(|spelling| *spelling != own) {
            let all: Vec<String> = spellings.iter().map(|spelling| format!("{spelling:?}")).collect();
            self.line(
                "spelling",
                &format!("HAProxy writes {}; in metric names this becomes {own:?}", all.join(" and ")),
            );
        }
        if !holding.twins.is_empty() {
            let sockets = holding.twins.join(", ");
            self.line("sockets", &format!("{sockets}: not counted, since another socket belongs to the same process"));
        }
    }

    /// The field of `show stat`, and the rule by which its values become one.
    pub(super) fn field(&mut self, config: &Config, kind: Kind, subject: &Subject) {
        let metric = subject.metric.as_str();
        if metric == TOTAL_SERVERS {
            return self.line("rule", "number of distinct servers of the backend");
        }
        if let Some((_, states)) = SERVER_COUNTS.iter().find(|(name, _)| *name == metric) {
            return self.line("rule", &format!("number of servers whose status is {}", states.join(", ")));
        }
        if let Some((_, field)) = STATES.iter().find(|(name, _)| *name == metric) {
            let rule = format!("the most severe {field} of all processes, as a number (docs/fields.md)");
            return self.line("rule", &rule);
        }
        let Some(column) = columns::find(metric) else { return };
        let unit = column.unit.word();
        let unit = if unit.is_empty() { String::new() } else { format!(" in {unit}") };
        self.line("field", &format!("{metric} of show stat{unit}; {}: {}", column.nature.word(), column.about));
        let plan = KindPlan::new(kind, &config.process);
        let fields = if matches!(subject.of, Of::ServerTotal(_)) { &plan.send_aggregated } else { &plan.send };
        let planned =
            fields.iter().filter_map(|index| plan.fields.get(*index)).find(|field| field.column.name == metric);
        let Some(combine) = planned.map(|field| field.combine).or_else(|| column.combine(kind)) else { return };
        let blank = match planned {
            Some(field) if field.default => "; an empty cell counts as 0",
            _ if combine == Combine::LimitOrBlank => "; an empty cell means no limit",
            _ => "; an empty cell does not count",
        };
        self.line("rule", &format!("{} of the rows below{blank}", combine.word()));
    }

    pub(super) fn rows(&mut self, rows: &[Row]) {
        for row in rows.iter().take(MOST_ROWS) {
            let cell = |(field, cell): &(String, String)| match cell.is_empty() {
                true => format!("{field} is empty"),
                false => format!("{field} = {cell}"),
            };
            let cells: Vec<String> = row.cells.iter().map(cell).collect();
            let cells = if cells.is_empty() { "the file has no such field".to_owned() } else { cells.join(", ") };
            let Row { file, line, proxy, server, .. } = row;
            self.line("row", &format!("{file}:{line} {proxy}/{server}: {cells}{}", part(row.part)));
        }
        if rows.len() > MOST_ROWS {
            self.line("", &format!("and {} more", rows.len() - MOST_ROWS));
        }
    }

    /// The fields of `show info`, and the rule.
    pub(super) fn info(&mut self, fields: &[&'static str], rule: &str) {
        for field in fields.iter().filter_map(|name| info::find(name)) {
            let unit = field.unit.word();
            let unit = if unit.is_empty() { String::new() } else { format!(" in {unit}") };
            self.line("field", &format!("{} of show info{unit}; {}: {}", field.name, field.nature.word(), field.about));
        }
        if !rule.is_empty() {
            self.line("rule", rule);
        }
    }

    /// The lines with these fields, and their values.
    pub(super) fn info_lines<'f>(
        &mut self,
        dir: &Path,
        files: impl Iterator<Item = &'f (Part, String)>,
        fields: &[&str],
    ) -> Vec<String> {
        let mut values = Vec::new();
        for (of, file) in files {
            match rows::info(dir, file, fields) {
                Ok(lines) => {
                    for (number, name, value) in lines {
                        self.line("line", &format!("{file}:{number} {name}: {value}{}", part(*of)));
                        values.push(value);
                    }
                }
                Err(error) => self.line("line", &format!("{file} cannot be read: {error}")),
            }
        }
        values
    }
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Live => "",
        Part::Leaving => " (a worker that is leaving: only its counters and gauges count)",
        Part::Carried => " (carried over from processes that are gone: only counters count)",
    }
}
