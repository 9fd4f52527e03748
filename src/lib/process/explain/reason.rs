//! Why a metric of a frontend, a backend or a server is not sent. Whether it is was seen; this looks for the rule that explains
//! it, in the order in which rules apply.

use super::subject::{Of, STATES, Subject, is_of_servers};
use crate::config::{Config, Selection, nearest};
use crate::haproxy::columns::{self, COLUMNS, Column, Combine, Kind};
use crate::parse::number::{Number, parse};
use crate::plan::{Field, KindPlan};
use crate::process::pipeline::Pipeline;

/// See the module.
pub(super) fn reason(config: &Config, pipeline: &mut Pipeline, subject: &Subject, kind: Kind) -> String {
    let process = &config.process;
    if let Some(proxy) = subject.of.proxy()
        && pipeline.excludes(kind, proxy)
    {
        let option = if kind == Kind::Frontend { "exclude-frontends" } else { "exclude-backends" };
        return format!("{proxy} is listed in the file that [process] {option} names");
    }
    if matches!(subject.of, Of::ServerTotal(_)) && !process.aggr_server_metrics {
        return "servers over all backends are only sent with [process] aggr-server-metrics = true".to_owned();
    }
    let plan = KindPlan::new(kind, process);
    if subject.metric == super::subject::TOTAL_SERVERS {
        return match plan_of_servers(config).total_servers {
            true => left_out(),
            false => "[process] exact-selection = true: it is not sent in addition to a selection in server-metrics"
                .to_owned(),
        };
    }
    let is_state = STATES.iter().any(|(name, _)| *name == subject.metric) || is_of_servers(&subject.metric);
    if is_state && columns::find(&subject.metric).is_none_or(|column| !column.on(kind)) {
        return state(config, subject, kind);
    }
    let column = match columns::find(&subject.metric) {
        Some(column) if column.on(kind) => column,
        found => return unknown(subject, kind, found),
    };
    let sent = if matches!(subject.of, Of::ServerTotal(_)) { &plan.send_aggregated } else { &plan.send };
    let field = sent.iter().filter_map(|index| plan.fields.get(*index)).find(|field| field.column.name == column.name);
    let Some(field) = field else { return not_selected(config, kind) };
    of_values(subject, &plan, field)
}

fn plan_of_servers(config: &Config) -> KindPlan {
    KindPlan::new(Kind::Server, &config.process)
}

/// A name that is no figure of this kind.
fn unknown(subject: &Subject, kind: Kind, found: Option<&Column>) -> String {
    let (metric, word) = (&subject.metric, kind.word());
    if found.is_some_and(|column| column.is_numeric()) {
        return format!("HAProxy has no value of {metric} for a {word}");
    }
    if found.is_some() {
        return format!("{metric} is text, which is not sent");
    }
    let known = COLUMNS.iter().filter(|column| column.on(kind)).map(|column| column.name);
    let hint = nearest(metric, known).map_or_else(String::new, |name| format!("; did you mean {name}?"));
    format!("{metric} is not a field that this version knows{hint}")
}

fn not_selected(config: &Config, kind: Kind) -> String {
    let process = &config.process;
    let (option, selection) = match kind {
        Kind::Frontend => ("frontend-metrics", &process.frontend_metrics),
        Kind::Backend => ("backend-metrics", &process.backend_metrics),
        Kind::Server => ("server-metrics", &process.server_metrics),
    };
    match selection {
        Selection::List(_) => format!("not selected: [process] {option} does not list it"),
        Selection::Default | Selection::All => {
            format!("not selected: it is not among the default metrics; list it in [process] {option}, or write all")
        }
    }
}

/// States as numbers.
fn state(config: &Config, subject: &Subject, kind: Kind) -> String {
    if !config.process.status_metrics {
        return "states are only sent with [process] status-metrics = true".to_owned();
    }
    if kind == Kind::Frontend
        || (kind == Kind::Backend && subject.metric != "status_up" && !is_of_servers(&subject.metric))
    {
        return format!("{} is not sent for a {}", subject.metric, kind.word());
    }
    let fields: Vec<&str> =
        STATES.iter().filter(|(name, _)| *name == subject.metric).map(|(_, field)| *field).collect();
    if fields.iter().all(|field| subject.rows.iter().all(|row| row.cell(field).is_none_or(str::is_empty))) {
        return "HAProxy does not report that state: the server has no check, or its cells are empty".to_owned();
    }
    left_out()
}

/// What the cells say.
fn of_values(subject: &Subject, plan: &KindPlan, field: &Field) -> String {
    let name = field.column.name;
    let cells: Vec<Option<&str>> = subject.rows.iter().map(|row| row.cell(name)).collect();
    let numbers = || cells.iter().flatten().map(|cell| parse(cell.as_bytes()));
    if plan.skip_unused && subject.rows.iter().all(|row| row.cell("status").is_some_and(|s| s.starts_with("MAINT"))) {
        return "the server is an unused slot ([process] skip-unused-slots = true)".to_owned();
    }
    if numbers().any(|number| number == Number::Bad) {
        return "a cell is not a number, so the row was left out, and with it the whole object".to_owned();
    }
    if cells.iter().all(Option::is_none) && !field.default {
        return format!("no file has the field {name}: HAProxy reports it since {}", field.column.since);
    }
    if field.combine.is_of_times() && !numbers().all(|number| number == Number::Blank) {
        return "no process has had traffic for it, so there is nothing to average".to_owned();
    }
    if numbers().any(|number| number == Number::Blank) && field.combine == Combine::LimitOrBlank {
        return "a cell is empty, which means no limit, so all processes together have none".to_owned();
    }
    if numbers().all(|number| number == Number::Blank) && !field.default {
        return format!("every cell is empty: HAProxy has no value of {name} for this object");
    }
    if plan.skip_zero && field.counter && numbers().all(|number| matches!(number, Number::Int(0) | Number::Blank)) {
        return "the counter is 0 in every process ([process] skip-zero = true)".to_owned();
    }
    left_out()
}

fn left_out() -> String {
    "a row or file of a process cannot be read, so the object or this value was left out: see the warnings".to_owned()
}
