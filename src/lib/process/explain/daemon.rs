//! Metrics of HAProxy processes: which fields they are made of, by which rule, and why one is not sent.

use super::subject::Of;
use crate::aggregate::daemon::{CPU_USAGE, DEVIATION, PERCENTILES};
use crate::config::{Config, Selection, nearest};
use crate::haproxy::info::{self, FIELDS, PERCENTAGES};
use crate::plan::{DaemonPlan, is_daemon_counter};

/// The fields of `show info` that a metric is made of, and the rule.
pub(super) fn made_of(of: &Of, metric: &str) -> (Vec<&'static str>, String) {
    if let Some(percentage) = PERCENTAGES.iter().find(|percentage| percentage.name == metric) {
        let rule = format!(
            "100 * {} / {}, rounded down to a whole number; 0 without a limit",
            percentage.value, percentage.limit
        );
        return (vec![percentage.value, percentage.limit], rule);
    }
    if metric == CPU_USAGE {
        return (vec!["Idle_pct"], "100 - Idle_pct".to_owned());
    }
    if PERCENTILES.iter().any(|(name, _)| *name == metric) {
        return (vec!["Idle_pct"], "percentile of 100 - Idle_pct over processes (nearest rank)".to_owned());
    }
    if metric == DEVIATION {
        return (vec!["Idle_pct"], "sample standard deviation of 100 - Idle_pct over processes".to_owned());
    }
    let Some(field) = info::find(metric) else { return (Vec::new(), String::new()) };
    let rule = match (of, field.combine) {
        (Of::Process(..), Some(_)) => "as it is".to_owned(),
        (_, Some(combine)) => combine.word().to_owned(),
        (_, None) => "not a number".to_owned(),
    };
    (vec![field.name], rule)
}

/// Why a metric is not sent; `values` are those of its fields.
pub(super) fn reason(config: &Config, of: &Of, metric: &str, values: &[String]) -> String {
    let process = &config.process;
    let plan = DaemonPlan::new(process);
    if matches!(of, Of::Process(..)) && !plan.per_process {
        return "metrics of single processes are only sent with [process] per-process-metrics = true".to_owned();
    }
    if PERCENTAGES.iter().any(|percentage| percentage.name == metric) {
        return match plan.percentages {
            false => "percentages are only sent with [process] calculate-percentages = true".to_owned(),
            true => missing(values),
        };
    }
    let is_percentile = metric == DEVIATION || PERCENTILES.iter().any(|(name, _)| *name == metric);
    if is_percentile || metric == CPU_USAGE {
        return match (plan.cpu, of) {
            (false, _) => "[process] exact-selection = true: it is not sent in addition to a selection".to_owned(),
            (true, Of::Daemon) if metric == CPU_USAGE => "it is only sent for single processes".to_owned(),
            (true, Of::Process(..)) if is_percentile => "it is only sent for all processes together".to_owned(),
            (true, _) if is_percentile && values.len() < 2 => "it requires more than one process".to_owned(),
            (true, _) => missing(values),
        };
    }
    let Some(field) = info::find(metric) else {
        let known = FIELDS.iter().filter(|field| field.is_numeric()).map(|field| field.name);
        let hint = nearest(metric, known).map_or_else(String::new, |name| format!("; did you mean {name}?"));
        return format!("{metric} is not a field of show info that this version knows{hint}");
    };
    if !field.is_numeric() {
        return format!("{metric} is text, or a number that identifies something, which is not sent");
    }
    let index = info::index(metric);
    if !plan.send.iter().any(|sent| Some(sent.index) == index) {
        return match process.daemon_metrics {
            Selection::List(_) => "not selected: [process] daemon-metrics does not list it".to_owned(),
            _ => "not selected: it is not among the default metrics; list it in [process] daemon-metrics, or write all"
                .to_owned(),
        };
    }
    if values.is_empty() {
        return format!("no process reports {metric}; HAProxy does since {}", field.since);
    }
    let zero = values.iter().all(|value| value.trim().parse() == Ok(0));
    if plan.skip_zero && is_daemon_counter(metric) && zero {
        return "the counter is 0 in every process ([process] skip-zero = true)".to_owned();
    }
    missing(values)
}

fn missing(values: &[String]) -> String {
    match values {
        [] => "no process reports the fields that it is calculated from".to_owned(),
        _ => "the reply of a process, or a value in it, cannot be read, so the metric was left out: see the warnings"
            .to_owned(),
    }
}
