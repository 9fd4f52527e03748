//! `[process]`: what haproxystats-process does.

use super::ini::Ini;
use super::problem::Report;
use super::section::Section;
use super::selection::{self, Selection};
use super::{LogLevel, value};
use crate::haproxy::columns::Kind;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// `time-averages`: how averages of times become one over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeAverages {
    /// The plain mean over processes with traffic.
    Plain,
    /// Weighted by the requests that each is over.
    Weighted,
}

/// `[process]`
#[derive(Debug, Clone)]
pub struct Process {
    /// Messages below this level are not printed.
    pub loglevel: LogLevel,
    /// The directory to watch: `dst-dir` of `[pull]`.
    pub src_dir: PathBuf,
    /// Number of worker processes.
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

/// Reads the section; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Process> {
    let mut section = Section::new("process", ini, report);
    let loglevel = section.get("loglevel", value::loglevel);
    let src_dir = section.get("src-dir", value::path);
    let workers = section.get("workers", value::workers);
    let frontend_metrics = metrics(&mut section, "frontend-metrics", |text| selection::of_kind(text, Kind::Frontend));
    let backend_metrics = metrics(&mut section, "backend-metrics", |text| selection::of_kind(text, Kind::Backend));
    let server_metrics = metrics(&mut section, "server-metrics", |text| selection::of_kind(text, Kind::Server));
    let daemon_metrics = metrics(&mut section, "daemon-metrics", selection::of_daemon);
    let exact_selection = section.get("exact-selection", value::boolean);
    let aggr_server_metrics = section.get("aggr-server-metrics", value::boolean);
    let per_process_metrics = section.get("per-process-metrics", value::boolean);
    let calculate_percentages = section.get("calculate-percentages", value::boolean);
    let status_metrics = section.get("status-metrics", value::boolean);
    let time_averages = section.get("time-averages", |text| {
        value::choice(text, &[("plain", TimeAverages::Plain), ("weighted", TimeAverages::Weighted)])
    });
    let exclude_frontends = exclude(&mut section, "exclude-frontends");
    let exclude_backends = exclude(&mut section, "exclude-backends");
    let liveness_check_interval = section.get("liveness-check-interval", value::time_limit);
    let worker_timeout = section.get("worker-timeout", value::time_limit);
    let cluster_metrics = section.get("cluster-metrics", value::boolean);
    let skip_unused_slots = section.get("skip-unused-slots", value::boolean);
    let skip_zero = section.get("skip-zero", value::boolean);
    let send_unchanged_every = section.get("send-unchanged-every", value::count);
    let self_metrics = section.get("self-metrics", value::boolean);

    section.warn_if_relative("src-dir", src_dir.as_ref());
    Some(Process {
        loglevel: loglevel?,
        src_dir: src_dir?,
        workers: workers?,
        frontend_metrics: frontend_metrics?,
        backend_metrics: backend_metrics?,
        server_metrics: server_metrics?,
        daemon_metrics: daemon_metrics?,
        exact_selection: exact_selection?,
        aggr_server_metrics: aggr_server_metrics?,
        per_process_metrics: per_process_metrics?,
        calculate_percentages: calculate_percentages?,
        status_metrics: status_metrics?,
        time_averages: time_averages?,
        exclude_frontends: exclude_frontends?,
        exclude_backends: exclude_backends?,
        liveness_check_interval: liveness_check_interval?,
        worker_timeout: worker_timeout?,
        cluster_metrics: cluster_metrics?,
        skip_unused_slots: skip_unused_slots?,
        skip_zero: skip_zero?,
        send_unchanged_every: send_unchanged_every?,
        self_metrics: self_metrics?,
    })
}

fn metrics(
    section: &mut Section<'_>,
    option: &str,
    parse: impl FnOnce(&str) -> Result<Selection, value::Refusal>,
) -> Option<Selection> {
    let selection = section.optional(option, parse)?.unwrap_or(Selection::Default);
    for name in selection::repeated(&selection) {
        section.warn(option, format!("{name:?} is listed more than once"));
    }
    Some(selection)
}

/// An empty name meant no file that could be read, hence nothing to leave out; so it does here.
fn exclude(section: &mut Section<'_>, option: &str) -> Option<Option<PathBuf>> {
    if section.ini.get(section.name, option).is_ok_and(|text| text.is_some_and(|text| text.is_empty())) {
        section.warn(option, "is empty: nothing is left out; write the path of a file, or remove the line");
        return Some(None);
    }
    let path = section.optional(option, value::path)?;
    section.warn_if_relative(option, path.as_ref());
    Some(path)
}
