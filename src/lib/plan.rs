//! What is read and what is sent: the operator's selections, resolved against the catalogue once at start.

use crate::config::{Process, Selection, TimeAverages};
use crate::haproxy::columns::{self, COLUMNS, Column, Combine, Kind, Nature};
use crate::haproxy::info;

/// A field that is read from rows of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The catalogue's entry.
    pub column: &'static Column,
    /// How processes are combined.
    pub combine: Combine,
    /// A counter that is 0 over all processes is 0 in each of them.
    pub counter: bool,
    /// Blank cells count as 0 and a sum is sent even when no file has the field (the Python program's metrics); any
    /// other field is sent only where there is a value.
    pub default: bool,
}

/// What is read and sent for one kind of object.
#[derive(Debug, Clone)]
pub struct KindPlan {
    /// Which kind.
    pub kind: Kind,
    /// Fields to read, each once.
    pub fields: Vec<Field>,
    /// Metrics to send for each object, in order: indices into `fields`. A metric that was listed twice is here twice.
    pub send: Vec<usize>,
    /// For servers with `aggr-server-metrics`: metrics of a server over all backends, which selections do not touch.
    pub send_aggregated: Vec<usize>,
    /// By field, the one that takes its place in clusters and in messages: the same, except for plain averages of times.
    pub beyond: Vec<usize>,
    /// Whether it is noted how many requests the averages of times of each object are over.
    pub weights: bool,
    /// Whether `TotalServers` of each backend is sent: always, save beside an exact selection of server metrics.
    pub total_servers: bool,
    /// Whether servers that no process uses are left out.
    pub skip_unused: bool,
    /// Whether counters that are 0 are left out.
    pub skip_zero: bool,
    /// Which of the fields that the catalogue does not know are sent; `None`: all.
    unknown: Option<Vec<String>>,
    /// Whether exact means, where there are any, take the place of averages of times.
    pub exact_means: bool,
}

/// The names in a list that the catalogue does not know; `None` where all are wanted.
fn unknown(selection: &Selection, is_known: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let Selection::List(names) = selection else { return None };
    Some(names.iter().filter(|name| !is_known(name)).cloned().collect())
}

impl KindPlan {
    /// Whether a field that the catalogue does not know is sent, where HAProxy has it and its nature is known.
    #[must_use]
    pub(crate) fn takes_unknown(&self, name: &str) -> bool {
        self.unknown.as_ref().is_none_or(|names| names.iter().any(|listed| listed == name))
    }

    /// The plan for `kind` under this configuration.
    #[must_use]
    pub fn new(kind: Kind, config: &Process) -> Self {
        let selection = match kind {
            Kind::Frontend => &config.frontend_metrics,
            Kind::Backend => &config.backend_metrics,
            Kind::Server => &config.server_metrics,
        };
        let defaults = || columns::default_sums(kind).iter().chain(columns::default_means(kind)).copied();
        let total_servers = !(config.exact_selection && matches!(selection, Selection::List(_)));
        let mut plan = Self {
            kind,
            fields: Vec::new(),
            send: Vec::new(),
            send_aggregated: Vec::new(),
            beyond: Vec::new(),
            weights: false,
            total_servers,
            skip_unused: kind == Kind::Server && config.skip_unused_slots,
            skip_zero: config.skip_zero,
            unknown: unknown(selection, |name| columns::find(name).is_some()),
            exact_means: config.time_averages == TimeAverages::Exact,
        };
        let times = config.time_averages;
        match selection {
            Selection::Default => plan.send = plan.read(times, defaults()),
            Selection::All => {
                let all = COLUMNS.iter().filter(|column| column.on(kind));
                plan.send = plan.read(times, all.map(|column| column.name));
            }
            Selection::List(names) => {
                // A listed average is sent by its own rule, once: averages that come besides a selection are only
                // those that it does not name.
                plan.send = plan.read(times, names.iter().map(String::as_str));
                if !config.exact_selection {
                    let besides = columns::default_means(kind).iter().copied();
                    let besides = plan.read(times, besides.filter(|mean| !names.iter().any(|name| name == mean)));
                    plan.send.extend(besides);
                }
            }
        }
        if kind == Kind::Server && config.aggr_server_metrics {
            // The plain average over all rows of a server in all backends means nothing.
            plan.send_aggregated = plan.read(TimeAverages::Weighted, defaults());
        }
        plan
    }

    /// The same, where there are clusters or messages as well: for these, averages of times are weighted whatever is sent
    /// otherwise.
    #[must_use]
    pub fn and_beyond(mut self) -> Self {
        for index in 0..self.fields.len() {
            let Some(field) = self.fields.get(index).filter(|field| field.combine.is_of_times()) else { continue };
            self.weights = true;
            let weighted = self.read(TimeAverages::Weighted, std::iter::once(field.column.name));
            if let (Some(beyond), Some(weighted)) = (self.beyond.get_mut(index), weighted.first()) {
                *beyond = *weighted;
            }
        }
        self
    }

    /// Whether it matters how many requests a row has had, and not only that it has had some.
    #[must_use]
    pub fn counts_requests(&self) -> bool {
        self.weights || self.fields.iter().any(|field| field.combine == Combine::WeightedMean)
    }

    /// Adds fields to be read, and returns their indices. Names that are no figure of this kind are left out; the
    /// configuration refused them before.
    fn read<'a>(&mut self, times: TimeAverages, names: impl Iterator<Item = &'a str>) -> Vec<usize> {
        let mut indices = Vec::new();
        for name in names {
            let Some(column) = columns::find(name) else { continue };
            let Some(combine) = column.combine(self.kind) else { continue };
            let combine = match (combine, times) {
                (Combine::BusyMean, TimeAverages::Weighted | TimeAverages::Exact) => Combine::WeightedMean,
                _ => combine,
            };
            let known = self.fields.iter().position(|field| field.column.name == name && field.combine == combine);
            indices.push(known.unwrap_or_else(|| {
                let default = columns::is_default(self.kind, column.name);
                self.fields.push(Field { column, combine, counter: is_counter(column.nature, combine), default });
                self.beyond.push(self.fields.len() - 1);
                self.fields.len() - 1
            }));
        }
        indices
    }
}

/// A metric of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DaemonMetric {
    /// Where it stands in [`info::FIELDS`].
    pub index: usize,
    /// How processes are combined.
    pub combine: Combine,
    /// Sent (as 0, where it is a sum) even when this HAProxy does not print it.
    pub default: bool,
    /// Sent as 0 if no process prints it, like the Python program.
    pub zero: bool,
}

/// What is sent for the daemon.
#[derive(Debug, Clone)]
pub(crate) struct DaemonPlan {
    /// Metrics in order.
    pub send: Vec<DaemonMetric>,
    /// Whether CpuUsagePct, its percentiles and its deviation come besides.
    pub cpu: bool,
    /// Whether percentages of limits come besides.
    pub percentages: bool,
    /// Whether each process is sent as well.
    pub per_process: bool,
    /// Whether counters that are 0 are left out.
    pub skip_zero: bool,
    /// Which of the fields that the catalogue does not know are sent; `None`: all.
    unknown: Option<Vec<String>>,
}

impl DaemonPlan {
    /// As [`KindPlan::takes_unknown`].
    #[must_use]
    pub(crate) fn takes_unknown(&self, name: &str) -> bool {
        self.unknown.as_ref().is_none_or(|names| names.iter().any(|listed| *listed == name.replace(' ', "_")))
    }

    /// The plan for the daemon under this configuration.
    #[must_use]
    pub(crate) fn new(config: &Process) -> Self {
        let defaults = || info::DEFAULT_SUMS.iter().chain(&info::DEFAULT_MEANS).copied();
        let names: Vec<&str> = match &config.daemon_metrics {
            Selection::Default => defaults().collect(),
            Selection::All => info::FIELDS.iter().filter(|field| field.is_numeric()).map(|field| field.name).collect(),
            Selection::List(names) => {
                let besides = info::DEFAULT_MEANS.iter().copied();
                let besides = besides.filter(|mean| !config.exact_selection && !names.iter().any(|name| name == mean));
                names.iter().map(String::as_str).chain(besides).collect()
            }
        };
        let send = names
            .into_iter()
            .filter_map(|name| {
                let (index, field) = (info::index(name)?, info::find(name)?);
                let (default, zero) = (defaults().any(|d| d == name), info::DEFAULT_SUMS.contains(&name));
                Some(DaemonMetric { index, combine: field.combine?, default, zero })
            })
            .collect();
        let listed = matches!(config.daemon_metrics, Selection::List(_));
        Self {
            send,
            cpu: !(listed && config.exact_selection),
            percentages: config.calculate_percentages,
            per_process: config.per_process_metrics,
            skip_zero: config.skip_zero,
            unknown: unknown(&config.daemon_metrics, |name| info::find(name).is_some()),
        }
    }
}

/// Whether 0 means that nothing was counted in any process: the smallest of several could be 0 beside others.
fn is_counter(nature: Nature, combine: Combine) -> bool {
    nature == Nature::Counter && !matches!(combine, Combine::Min | Combine::MinPresent)
}

/// Whether this metric of the daemon is a counter; what is worked out of several figures is none.
#[must_use]
pub(crate) fn is_daemon_counter(name: &str) -> bool {
    info::find(name).is_some_and(|field| field.combine.is_some_and(|combine| is_counter(field.nature, combine)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: Kind, selection: Selection, exact: bool, aggregated: bool) -> KindPlan {
        let mut config = crate::testing::config().process;
        config.exact_selection = exact;
        config.aggr_server_metrics = aggregated;
        match kind {
            Kind::Frontend => config.frontend_metrics = selection,
            Kind::Backend => config.backend_metrics = selection,
            Kind::Server => config.server_metrics = selection,
        }
        KindPlan::new(kind, &config)
    }

    fn sent(plan: &KindPlan) -> Vec<&'static str> {
        plan.send.iter().map(|index| plan.fields[*index].column.name).collect()
    }

    fn list(names: &[&str]) -> Selection {
        Selection::List(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_selected_is_the_built_in_list() {
        assert_eq!(plan(Kind::Frontend, Selection::Default, false, false).send.len(), 31);
        assert_eq!(plan(Kind::Backend, Selection::Default, false, false).send.len(), 40);
        assert_eq!(plan(Kind::Server, Selection::Default, false, false).send.len(), 32);
    }

    #[test]
    fn averages_come_besides_a_selection_unless_it_is_exact() {
        let selection = list(&["bin", "rtime", "act"]);
        let loose = plan(Kind::Backend, selection.clone(), false, false);
        assert_eq!(sent(&loose), ["bin", "rtime", "act", "bck", "weight", "ctime", "qtime", "ttime"]);
        assert_eq!(sent(&plan(Kind::Backend, selection, true, false)), ["bin", "rtime", "act"]);
    }

    #[test]
    fn a_metric_listed_twice_is_read_once_and_sent_twice() {
        let twice = plan(Kind::Frontend, list(&["bin", "bin"]), false, false);
        assert_eq!((sent(&twice), twice.fields.len()), (vec!["bin", "bin"], 1));
    }

    #[test]
    fn what_goes_beyond_the_original_is_weighted() {
        let rules = |plan: &KindPlan, indices: &[usize]| -> Vec<Combine> {
            let fields = indices.iter().map(|index| plan.fields[*index]);
            fields.filter(|field| field.column.name == "rtime").map(|field| field.combine).collect()
        };
        let plain = plan(Kind::Server, Selection::Default, false, true);
        assert_eq!(rules(&plain, &plain.send), [Combine::BusyMean]);
        assert_eq!(rules(&plain, &plain.send_aggregated), [Combine::WeightedMean]);
        assert!(!plain.weights);
        let plain = plain.and_beyond();
        let beyond: Vec<usize> = plain.send.iter().map(|index| plain.beyond[*index]).collect();
        assert_eq!(
            (rules(&plain, &plain.send), rules(&plain, &beyond)),
            (vec![Combine::BusyMean], vec![Combine::WeightedMean])
        );
        assert!(plain.weights && plain.fields.len() == 36);
        assert!(!plan(Kind::Frontend, Selection::Default, false, false).and_beyond().weights, "without times");
    }

    #[test]
    fn aggregated_servers_keep_the_built_in_list() {
        let selected = plan(Kind::Server, list(&["scur"]), true, true);
        assert_eq!((selected.send.len(), selected.send_aggregated.len()), (1, 32));
    }

    #[test]
    fn only_sums_of_what_is_counted_are_counters() {
        let backend = plan(Kind::Backend, list(&["stot", "scur", "smax", "rtime"]), true, false);
        let counters: Vec<bool> = backend.fields.iter().map(|field| field.counter).collect();
        assert_eq!(counters, [true, false, false, false]);
        assert!(is_daemon_counter("CumReq") && !is_daemon_counter("CurrConns") && !is_daemon_counter("CpuUsagePct"));
    }
}
