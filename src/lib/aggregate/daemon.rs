//! The daemon's figures over all processes, and those of each process. A handful of values: plain arithmetic is clearer
//! and cheaper than a data frame here.

use crate::haproxy::columns::Combine;
use crate::haproxy::info::{self, PERCENTAGES};
use crate::parse::info::Info;
use crate::plan::{DaemonMetric, DaemonPlan};
use crate::value::Value;

/// A figure: its metric name and its value. No value means that the metric exists but has none now; it counts, but is
/// not sent.
pub type Figure = (&'static str, Option<Value>);

/// Names of the percentiles, and the quantile of each.
pub(crate) const PERCENTILES: [(&str, f64); 5] = [
    ("25PercentileCpuUsagePct", 0.25),
    ("50PercentileCpuUsagePct", 0.50),
    ("75PercentileCpuUsagePct", 0.75),
    ("95PercentileCpuUsagePct", 0.95),
    ("99PercentileCpuUsagePct", 0.99),
];

/// Name of the deviation.
pub(crate) const DEVIATION: &str = "StdCpuUsagePct";

/// Name of what of a process is not idle.
pub(crate) const CPU_USAGE: &str = "CpuUsagePct";

/// The figures over all processes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overall {
    /// All of them.
    pub figures: Vec<Figure>,
    /// Those of which the part of a process is not known, by name; they have no value.
    pub unknown: Vec<&'static str>,
}

/// The figures over all processes. `others` are what counts of workers that are leaving, and of those that are gone. `missing` are those of which no figure could be read: without their parts the others
/// would be wrong.
#[must_use]
pub(crate) fn overall(plan: &DaemonPlan, processes: &[Info], others: &[Info], missing: usize) -> Overall {
    let all = || processes.iter().chain(others);
    let is_unknown = |index| {
        let printed = || processes.iter().any(|process| process.at(index).is_some());
        missing > 0 || all().any(|process| process.is_unknown(index, printed))
    };
    let name_is_unknown = |name| info::index(name).is_some_and(is_unknown);
    let mut overall = Overall { figures: Vec::with_capacity(plan.send.len() + 10), unknown: Vec::new() };
    let Overall { figures, unknown } = &mut overall;
    for metric in &plan.send {
        let name = info::FIELDS.get(metric.index).map_or("", |field| field.name);
        let weight = info::weight_of(name);
        let weight = |process: &Info| weight.map_or(1, |name| weight_in(process, name));
        let values = all().filter_map(|process| Some((process.at(metric.index)?, weight(process))));
        let value = if is_unknown(metric.index) {
            unknown.extend(info::FIELDS.get(metric.index).map(|field| field.name));
            None
        } else {
            combine(metric.combine, values).or(metric.zero.then_some(Value::Int(0)))
        };
        figures.extend(figure(metric, value));
    }
    if plan.cpu && processes.len() + missing > 1 {
        let known = !name_is_unknown("Idle_pct");
        let mut usage: Vec<i128> = processes.iter().filter(|_| known).filter_map(cpu_usage).collect();
        usage.sort_unstable();
        figures.extend(PERCENTILES.map(|(name, quantile)| (name, nearest(&usage, quantile).map(Value::from_i128))));
        figures.push((DEVIATION, deviation(&usage).map(Value::Float)));
        if !known {
            unknown.extend(PERCENTILES.map(|(name, _)| name).into_iter().chain([DEVIATION]));
        }
    }
    if plan.percentages {
        for (percentage, (name, value)) in PERCENTAGES.iter().zip(percentages(all)) {
            let known = ![percentage.value, percentage.limit].into_iter().any(name_is_unknown);
            unknown.extend((!known).then_some(name));
            figures.push((name, value.filter(|_| known)));
        }
    }
    overall
}

/// What the values of the processes become, each with its weight. A mean without any weight is the plain one.
fn combine(rule: Combine, values: impl Iterator<Item = (i128, i64)> + Clone) -> Option<Value> {
    match rule {
        Combine::WeightedMean if values.clone().all(|(_, weight)| weight == 0) => Combine::Mean.over(values),
        rule => rule.over(values),
    }
}

/// The figure of a process that another one is weighted by.
fn weight_in(process: &Info, name: &str) -> i64 {
    process.get(name).and_then(|weight| i64::try_from(weight).ok()).unwrap_or(0).max(0)
}

/// The figures of one process.
#[must_use]
pub(crate) fn of_process(plan: &DaemonPlan, process: &Info) -> Vec<Figure> {
    let mut figures = Vec::with_capacity(plan.send.len() + 5);
    figures.extend(plan.send.iter().filter_map(|metric| {
        let value = process.at(metric.index).map(Value::from_i128);
        figure(metric, value)
    }));
    if plan.cpu {
        figures.push((CPU_USAGE, cpu_usage(process).map(Value::from_i128)));
    }
    if plan.percentages {
        figures.extend(percentages(|| std::iter::once(process)));
    }
    figures
}

/// A metric of the default selection always counts; any other only where HAProxy prints it.
fn figure(metric: &DaemonMetric, value: Option<Value>) -> Option<Figure> {
    let field = info::FIELDS.get(metric.index)?;
    (metric.default || value.is_some()).then_some((field.name, value))
}

/// CPU utilization in percent: what is not idle.
fn cpu_usage(process: &Info) -> Option<i128> {
    process.get("Idle_pct").map(|idle| 100 - idle)
}

/// The value at the rank nearest to `quantile`, halves to the even rank, of sorted values.
fn nearest(sorted: &[i128], quantile: f64) -> Option<i128> {
    let last = u32::try_from(sorted.len().checked_sub(1)?).ok()?;
    let rank = (quantile * f64::from(last)).round_ties_even();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= rank <= last")]
    sorted.get(rank as usize).copied()
}

/// Standard deviation of a sample (divided by n - 1); none for fewer than two values.
fn deviation(values: &[i128]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "percentages")]
    let values: Vec<f64> = values.iter().map(|value| *value as f64).collect();
    #[expect(clippy::cast_precision_loss, reason = "a number of processes")]
    let count = values.len() as f64;
    if count < 2.0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

/// Figures as percentages of their limits, cut to whole numbers; 0 where there is no limit. None where HAProxy prints
/// no such figure.
fn percentages<'a, I: Iterator<Item = &'a Info>>(processes: impl Fn() -> I) -> [Figure; PERCENTAGES.len()] {
    PERCENTAGES.map(|percentage| {
        let sum = |name| {
            let values = processes().filter_map(|process| process.get(name));
            values.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
        };
        let has_limit = |limited: bool| {
            let mut limits = processes().filter_map(|process| process.get(percentage.limit));
            limits.any(|limit| (limit != 0) == limited)
        };
        #[expect(clippy::cast_precision_loss, reason = "64-bit figures; a percentage needs three digits")]
        let value = match (sum(percentage.value), sum(percentage.limit)) {
            // Of no limit there is no part.
            _ if has_limit(true) && has_limit(false) => None,
            (Some(_), Some(0_i128)) => Some(Value::Int(0)),
            (Some(value), Some(limit)) => Some(Value::Float((100.0 * value as f64 / limit as f64).trunc())),
            _ => None,
        };
        (percentage.name, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        assert_eq!(nearest(&[10, 59], 0.5), Some(10));
        assert_eq!(nearest(&[0, 3, 37, 90], 0.5), Some(37));
        assert_eq!(nearest(&[7], 0.99), Some(7));
        assert_eq!(nearest(&[], 0.5), None);
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        assert_eq!(deviation(&[1, 3]), Some(2.0_f64.sqrt()));
        assert_eq!(deviation(&[5]), None);
    }

    fn process(conns: i64, limit: i64) -> Info {
        Info::read(format!("CurrConns: {conns}\nMaxconn: {limit}\n").as_bytes(), |_, _| {}).unwrap()
    }

    #[test]
    fn percentages_are_cut_and_survive_a_missing_limit() {
        let percentages = |conns, limit| {
            let process = process(conns, limit);
            percentages(|| std::iter::once(&process))
        };
        assert_eq!(percentages(999, 1000)[0], ("ConnPercentage", Some(Value::Float(99.0))));
        assert_eq!(percentages(999, 0)[0].1, Some(Value::Int(0)));
        assert_eq!(percentages(1, 1)[1].1, None);
    }

    fn infos(texts: &[&str]) -> Vec<Info> {
        texts.iter().map(|text| Info::read(text.as_bytes(), |_, _| {}).unwrap()).collect()
    }

    fn of_all(texts: &[&str], name: &str) -> Option<Value> {
        let mut config = crate::testing::config().process;
        config.calculate_percentages = true;
        config.daemon_metrics = crate::config::Selection::All;
        let figures = overall(&DaemonPlan::new(&config), &infos(texts), &[], 0).figures;
        figures.into_iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}")).1
    }

    /// `no-limit-is-no-number`
    #[test]
    fn no_limit_beside_a_limit_is_no_limit() {
        let (limited, not) = ("ConnRateLimit: 100\nConnRate: 50\n", "ConnRateLimit: 0\nConnRate: 7\n");
        assert_eq!(of_all(&[limited, limited], "ConnRateLimit"), Some(Value::Int(200)));
        assert_eq!(of_all(&[limited, limited], "ConnRatePercentage"), Some(Value::Float(50.0)));
        assert_eq!(of_all(&[limited, not], "ConnRateLimit"), Some(Value::Int(0)));
        assert_eq!(of_all(&[not, limited, limited], "ConnRateLimit"), Some(Value::Int(0)));
        assert_eq!(of_all(&[limited, not], "ConnRatePercentage"), None);
        assert_eq!(of_all(&[not, not], "ConnRatePercentage"), Some(Value::Int(0)));
    }

    /// `a-share-is-no-sum`
    #[test]
    fn the_share_of_resumed_sessions_is_that_of_all_processes() {
        let of = |texts: &[&str]| of_all(texts, "SslFrontendSessionReuse_pct");
        let (busy, idle) =
            ("SslFrontendSessionReuse_pct: 90\nSslRate: 300\n", "SslFrontendSessionReuse_pct: 10\nSslRate: 100\n");
        assert_eq!(of(&[busy]), Some(Value::Float(90.0)));
        assert_eq!(of(&[busy, idle]), Some(Value::Float(70.0)));
        let quiet = "SslFrontendSessionReuse_pct: 50\nSslRate: 0\n";
        assert_eq!(of(&[quiet, "SslFrontendSessionReuse_pct: 0\nSslRate: 0\n"]), Some(Value::Float(25.0)));
        assert_eq!(of(&["Maxconn: 1\n"]), Some(Value::Int(0)), "a build without TLS");
    }

    #[test]
    fn threads_are_those_of_a_process() {
        assert_eq!(
            of_all(&["Nbthread: 4\nNbThreadGroups: 1\n", "Nbthread: 2\nNbThreadGroups: 2\n"], "Nbthread"),
            Some(Value::Int(4))
        );
    }

    #[test]
    fn what_a_process_does_not_tell_is_not_known_of_all() {
        let mut config = crate::testing::config().process;
        (config.calculate_percentages, config.per_process_metrics) = (true, true);
        let plan = DaemonPlan::new(&config);
        let read = |text: &str| Info::read(text.as_bytes(), |_, _| {}).unwrap();
        let whole = read("Maxconn: 10\nCurrConns: 4\nCumReq: 7\nIdle_pct: 50\n");
        let names = |text: &str, missing| overall(&plan, &[whole.clone(), read(text)], &[], missing).unknown;
        let value = |text: &str, name| {
            let figures = overall(&plan, &[whole.clone(), read(text)], &[], 0).figures;
            figures.into_iter().find(|(known, _)| *known == name).unwrap().1
        };
        assert_eq!(names("Maxconn: 10\nCurrConns: 4\n", 0), [""; 0], "of an older version, or another build");
        let garbled = "Maxconn: 10\nCurrConns: four\nCumReq: 7\n";
        assert_eq!(names(garbled, 0), ["CurrConns", "ConnPercentage"]);
        assert_eq!((value(garbled, "CurrConns"), value(garbled, "CumReq")), (None, Some(Value::Int(14))));
        let cut = names("Maxconn: 10\nCurrConns: 4\nCumReq: 7", 0);
        assert!(cut.contains(&"CumReq") && cut.contains(&"StdCpuUsagePct") && !cut.contains(&"CurrConns"), "{cut:?}");
        assert!(!cut.contains(&"CumSslConns"), "no process prints it: {cut:?}");
        let all = overall(&plan, std::slice::from_ref(&whole), &[], 1);
        assert!(all.figures.iter().all(|(_, value)| value.is_none()) && all.figures.len() == all.unknown.len());
    }

    proptest! {
        #[test]
        fn the_order_of_processes_does_not_matter(mut conns in proptest::collection::vec(0_i64..1_000_000, 1..9)) {
            let plan = DaemonPlan::new(&crate::testing::config().process);
            let forward: Vec<_> = conns.iter().map(|c| process(*c, 10)).collect();
            conns.reverse();
            let backward: Vec<_> = conns.iter().map(|c| process(*c, 10)).collect();
            prop_assert_eq!(overall(&plan, &forward, &[], 0).figures, overall(&plan, &backward, &[], 0).figures);
        }
    }
}
