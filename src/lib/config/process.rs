//! `[process]`: what haproxystats-process does.

use super::ini::Ini;
use super::problem::Report;
use super::section::{Section, gather};
use super::selection::{self, Selection};
use super::value::{self, LogLevel};
use crate::config::option::{Opt, choice, options};
use crate::config::reading::{Reading, Type};
use crate::haproxy::columns::Kind;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: "process", Process {
        LOGLEVEL: LogLevel = value::LOGLEVEL, "loglevel", None,
            "Log level of haproxystats-process; unset: that of [DEFAULT].";
        SRC_DIR: PathBuf = value::DIRECTORY, "src-dir", Some("/var/lib/haproxystats/incoming"),
            "Directory watched for snapshots: dst-dir of [pull]. It must exist.";
        SOURCE: Source = choice![("directory", Source::Directory), ("kafka", Source::Kafka)], "source", Some("directory"),
            "Where snapshots come from: haproxystats-pull puts them into src-dir (directory), or they are read from the topic of \
             [kafka-source] and assembled there (kafka).";
        WORKERS: NonZeroUsize = value::WORKERS, "workers", Some("4"),
            "Number of worker processes, at most 1024.";
        FRONTEND_METRICS: Selection = Reading::new(Type::Metrics, |text| selection::of_kind(text, Kind::Frontend)), "frontend-metrics", None,
            "Metrics of frontends to send instead of the default selection.";
        BACKEND_METRICS: Selection = Reading::new(Type::Metrics, |text| selection::of_kind(text, Kind::Backend)), "backend-metrics", None,
            "Metrics of backends to send instead of the default selection.";
        SERVER_METRICS: Selection = Reading::new(Type::Metrics, |text| selection::of_kind(text, Kind::Server)), "server-metrics", None,
            "Metrics of servers to send instead of the default selection.";
        DAEMON_METRICS: Selection = Reading::new(Type::Metrics, selection::of_daemon), "daemon-metrics", None,
            "Metrics of the HAProxy daemon (show info) to send instead of the default selection; write _ for a space \
             in a name.";
        EXACT_SELECTION: bool = value::BOOLEAN, "exact-selection", Some("false"),
            "Send only the selected metrics; false: averages and times are sent in addition to a selection.";
        AGGR_SERVER_METRICS: bool = value::BOOLEAN, "aggr-server-metrics", Some("false"),
            "Also send the metrics of servers summed over all backends.";
        EXCLUDE_FRONTENDS: PathBuf = value::FILE, "exclude-frontends", None,
            "File with the names of frontends to exclude, one per line; lines that begin with # are comments. Read \
             again for every snapshot.";
        EXCLUDE_BACKENDS: PathBuf = value::FILE, "exclude-backends", None,
            "File with the names of backends to exclude, one per line; lines that begin with # are comments. Read \
             again for every snapshot.";
        PER_PROCESS_METRICS: bool = value::BOOLEAN, "per-process-metrics", Some("false"),
            "Also send the metrics of the HAProxy daemon for each of its processes.";
        CALCULATE_PERCENTAGES: bool = value::BOOLEAN, "calculate-percentages", Some("false"),
            "Also send how much of the HAProxy daemon's limits is in use, in percent.";
        STATUS_METRICS: bool = value::BOOLEAN, "status-metrics", Some("false"),
            "Also send the states of servers and backends as numbers.";
        STATE_SERIES: bool = value::BOOLEAN, "state-series", Some("false"),
            "If families includes states, also send a series for each state: 1 for the current one, 0 for the others.";
        LATENCY_BUCKETS: bool = value::BOOLEAN, "latency-buckets", Some("false"),
            "Also send each bucket of the response times that HAProxy counts (latency-table of [pull]), as counters.";
        TIME_AVERAGES: TimeAverages = choice![("plain", TimeAverages::Plain), ("weighted", TimeAverages::Weighted), ("exact", TimeAverages::Exact)], "time-averages", Some("plain"),
            "How qtime, ctime, rtime and ttime are averaged over processes. plain: the mean of the processes with \
             traffic. weighted: weighted by the number of requests behind each average, at most 1024. exact: the mean \
             of the times that HAProxy has counted since the previous snapshot (latency-table of [pull]), or weighted \
             where it has counted none. Clusters and servers over all backends always use exact, messages to Kafka at \
             least weighted.";
        LIVENESS_CHECK_INTERVAL: Duration = value::TIME_LIMIT, "liveness-check-interval", Some("10"),
            "How often the parent checks that the workers are alive.";
        WORKER_TIMEOUT: Duration = value::TIME_LIMIT, "worker-timeout", Some("60"),
            "A worker that makes no progress for this long is replaced.";
        CLUSTER_METRICS: bool = value::BOOLEAN, "cluster-metrics", Some("false"),
            "Also send the metrics of each cluster of [hosts] under <namespace>.cluster.<cluster>, combined over all \
             of its hosts: sums of counters, means of times weighted by traffic, maxima.";
        SKIP_UNUSED_SLOTS: bool = value::BOOLEAN, "skip-unused-slots", Some("false"),
            "Skip servers in maintenance that have no address and have had no traffic, such as free slots of a \
             server-template, for every destination. Requires a socket of level operator or admin: other sockets do \
             not report addresses.";
        SKIP_ZERO: bool = value::BOOLEAN, "skip-zero", Some("false"),
            "Skip counters that are 0, because nothing has been counted since HAProxy started or they were cleared; \
             gauges are still sent, and JSON and influx messages keep the counters.";
        SEND_UNCHANGED_EVERY: NonZeroUsize = value::COUNT, "send-unchanged-every", Some("1"),
            "Send an unchanged value only in every n-th snapshot; 1: in each. Applies to lines for Graphite and the \
             local store; messages to Kafka are complete.";
        SELF_METRICS: bool = value::BOOLEAN, "self-metrics", Some("true"),
            "Also send metrics about haproxystats itself (queue, retries, workers), not only its processing times and \
             numbers of metrics.";
    }
}

/// `time-averages`: how averages of times become one over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeAverages {
    /// The plain mean over processes with traffic.
    Plain,
    /// Weighted by the requests that each is over.
    Weighted,
    /// Exact where HAProxy has counted the times (`latency-table`), weighted elsewhere.
    Exact,
}

/// `[process]`
#[derive(Debug, Clone)]
pub struct Process {
    /// Least severe level that is logged.
    pub loglevel: LogLevel,
    /// The directory to watch: `dst-dir` of `[pull]`.
    pub src_dir: PathBuf,
    /// Where snapshots come from.
    pub source: Source,
    /// Number of worker processes, at most 1024.
    pub workers: NonZeroUsize,
    /// Metrics of frontends.
    pub frontend_metrics: Selection,
    /// Metrics of backends.
    pub backend_metrics: Selection,
    /// Metrics of servers.
    pub server_metrics: Selection,
    /// Metrics of the daemon (`show info`).
    pub daemon_metrics: Selection,
    /// Send what is selected and nothing else; without it averages and times come besides a selection.
    pub exact_selection: bool,
    /// Also send servers summed over all backends.
    pub aggr_server_metrics: bool,
    /// Also send the daemon's metrics for each process.
    pub per_process_metrics: bool,
    /// Also send the percentages of limits.
    pub calculate_percentages: bool,
    /// Also send states as numbers.
    pub status_metrics: bool,
    /// With states, also send each state by itself.
    pub state_series: bool,
    /// Also send buckets of response times.
    pub latency_buckets: bool,
    /// How averages of times become one over processes, in what the original sent.
    pub time_averages: TimeAverages,
    /// File with names of frontends to leave out.
    pub exclude_frontends: Option<PathBuf>,
    /// File with names of backends to leave out.
    pub exclude_backends: Option<PathBuf>,
    /// How often the workers are asked whether they live.
    pub liveness_check_interval: Duration,
    /// A worker without progress for this long is replaced.
    pub worker_timeout: Duration,
    /// Also send roll-ups over all hosts of a cluster.
    pub cluster_metrics: bool,
    /// Leave out servers in maintenance without an address that have had no traffic.
    pub skip_unused_slots: bool,
    /// Leave out counters that are 0.
    pub skip_zero: bool,
    /// Send a value that stays the same in one of so many snapshots.
    pub send_unchanged_every: NonZeroUsize,
    /// Send figures about haproxystats itself beyond those of the original.
    pub self_metrics: bool,
}

/// `source`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The directory that haproxystats-pull writes to.
    Directory,
    /// A topic of Kafka.
    Kafka,
}

/// Reads the section; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Process> {
    let section = &mut Section::new("process", ini, report);
    gather!(
        Process {
            loglevel: section.get(&LOGLEVEL),
            src_dir: section.get(&SRC_DIR),
            source: section.get(&SOURCE),
            workers: section.get(&WORKERS),
            frontend_metrics: metrics(section, &FRONTEND_METRICS),
            backend_metrics: metrics(section, &BACKEND_METRICS),
            server_metrics: metrics(section, &SERVER_METRICS),
            daemon_metrics: metrics(section, &DAEMON_METRICS),
            exact_selection: section.get(&EXACT_SELECTION),
            aggr_server_metrics: section.get(&AGGR_SERVER_METRICS),
            per_process_metrics: section.get(&PER_PROCESS_METRICS),
            calculate_percentages: section.get(&CALCULATE_PERCENTAGES),
            status_metrics: section.get(&STATUS_METRICS),
            state_series: section.get(&STATE_SERIES),
            latency_buckets: section.get(&LATENCY_BUCKETS),
            time_averages: section.get(&TIME_AVERAGES),
            exclude_frontends: exclude(section, &EXCLUDE_FRONTENDS),
            exclude_backends: exclude(section, &EXCLUDE_BACKENDS),
            liveness_check_interval: section.get(&LIVENESS_CHECK_INTERVAL),
            worker_timeout: section.get(&WORKER_TIMEOUT),
            cluster_metrics: section.get(&CLUSTER_METRICS),
            skip_unused_slots: section.get(&SKIP_UNUSED_SLOTS),
            skip_zero: section.get(&SKIP_ZERO),
            send_unchanged_every: section.get(&SEND_UNCHANGED_EVERY),
            self_metrics: section.get(&SELF_METRICS),
        },
        section.warn_if_relative("src-dir", src_dir.as_ref())
    )
}

fn metrics(section: &mut Section<'_>, option: &Opt<Selection>) -> Option<Selection> {
    let selection = section.optional(option)?.unwrap_or(Selection::Default);
    for name in selection::repeated(&selection) {
        section.warn(option.name(), format!("{name:?} is listed more than once"));
    }
    for name in selection::unknown_in(&selection) {
        let message = format!(
            "{name:?} is not a metric that this version knows; with unknown-fields = send in [pull], it is sent if \
             HAProxy has it"
        );
        section.warn(option.name(), message);
    }
    Some(selection)
}

/// An empty name meant no file that could be read, hence nothing to leave out; so it does here.
fn exclude(section: &mut Section<'_>, option: &Opt<PathBuf>) -> Option<Option<PathBuf>> {
    let name = option.name();
    if section.ini.get(section.name, name).is_ok_and(|text| text.is_some_and(|text| text.is_empty())) {
        section.warn(name, "is empty, so nothing is excluded; write the path of a file, or remove the line");
        return Some(None);
    }
    let path = section.optional(option)?;
    section.warn_if_relative(name, path.as_ref());
    Some(path)
}
