//! The catalogue of `show info`: its fields, their nature, and how they are combined over processes.

use super::columns::{Combine, Nature, Unit};
use std::collections::HashMap;
use std::sync::LazyLock;

/// One field of `show info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoField {
    /// HAProxy's name, as before the colon.
    pub name: &'static str,
    /// What kind of figure it is.
    pub nature: Nature,
    /// What it counts.
    pub unit: Unit,
    /// How processes are combined; `None` when it is no figure.
    pub combine: Option<Combine>,
    /// First HAProxy release line that prints it.
    pub since: &'static str,
    /// One line of explanation.
    pub about: &'static str,
}

impl InfoField {
    /// Whether it is a figure.
    #[must_use]
    pub const fn is_numeric(&self) -> bool {
        self.combine.is_some()
    }
}

/// The field of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static InfoField> {
    index(name).and_then(|index| FIELDS.get(index))
}

/// Where the field of this name stands in [`FIELDS`].
#[must_use]
pub fn index(name: &str) -> Option<usize> {
    static BY_NAME: LazyLock<HashMap<&'static str, usize>> =
        LazyLock::new(|| FIELDS.iter().enumerate().map(|(index, field)| (field.name, index)).collect());
    BY_NAME.get(name).copied()
}

/// The fields that are summed when nothing is selected: the Python program's list in its order. They are sent (as 0)
/// even when this HAProxy does not print them.
#[rustfmt::skip]
pub const DEFAULT_SUMS: [&str; 37] = [
    "CompressBpsIn", "CompressBpsOut", "CompressBpsRateLim", "ConnRate", "ConnRateLimit", "CumConns", "CumReq",
    "CumSslConns", "CurrConns", "CurrSslConns", "Hard_maxconn", "MaxConnRate", "MaxSessRate", "MaxSslConns",
    "MaxSslRate", "MaxZlibMemUsage", "Maxconn", "Maxpipes", "Maxsock", "Memmax_MB", "PipesFree", "PipesUsed",
    "Run_queue", "SessRate", "SessRateLimit", "SslBackendKeyRate", "SslBackendMaxKeyRate", "SslCacheLookups",
    "SslCacheMisses", "SslFrontendKeyRate", "SslFrontendMaxKeyRate", "SslFrontendSessionReuse_pct", "SslRate",
    "SslRateLimit", "Tasks", "Ulimit-n", "ZlibMemUsage",
];

/// The fields that are averaged beside the sums or beside a selection.
pub const DEFAULT_MEANS: [&str; 2] = ["Idle_pct", "Uptime_sec"];

/// A mean over processes is weighted by another figure of each: this one's by that.
#[must_use]
pub fn weight_of(name: &str) -> Option<&'static str> {
    (name == "SslFrontendSessionReuse_pct").then_some("SslRate")
}

/// A percentage that `calculate-percentages` adds: a figure as part of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentage {
    /// Name of the metric.
    pub name: &'static str,
    /// The figure.
    pub value: &'static str,
    /// Its limit; 0 means there is none, and the percentage is 0. Where some processes have none, there is no percentage.
    pub limit: &'static str,
}

/// The percentages, in the order in which they are sent.
pub const PERCENTAGES: [Percentage; 4] = [
    Percentage { name: "ConnPercentage", value: "CurrConns", limit: "Maxconn" },
    Percentage { name: "ConnRatePercentage", value: "ConnRate", limit: "ConnRateLimit" },
    Percentage { name: "SslConnPercentage", value: "CurrSslConns", limit: "MaxSslConns" },
    Percentage { name: "SslRatePercentage", value: "SslRate", limit: "SslRateLimit" },
];

const NO: Option<Combine> = None;
const SUM: Option<Combine> = Some(Combine::Sum);
const LIMIT: Option<Combine> = Some(Combine::Limit);
const WEIGHTED: Option<Combine> = Some(Combine::WeightedMean);
const MEAN: Option<Combine> = Some(Combine::Mean);
const MAX: Option<Combine> = Some(Combine::Max);
const MIN: Option<Combine> = Some(Combine::Min);

const fn field(
    name: &'static str,
    nature: Nature,
    unit: Unit,
    combine: Option<Combine>,
    since: &'static str,
    about: &'static str,
) -> InfoField {
    InfoField { name, nature, unit, combine, since, about }
}

use Nature::{Age, Average, Config, Counter, Duration, Gauge, Key, Limit, Max, Rate, Text};
use Unit::{Bytes, BytesPerSecond, Count, Megabytes, Milliseconds, None as None_, PerSecond, Percent, Seconds};

/// Every field, in HAProxy's order.
#[rustfmt::skip]
pub static FIELDS: &[InfoField] = &[
    field("Name", Text, None_, NO, "1.3.14", "name of the program"),
    field("Version", Text, None_, NO, "1.3.15", "version"),
    field("Release_date", Text, None_, NO, "1.3.15", "date of the release"),
    field("Nbthread", Config, Count, MAX, "1.9", "threads"),
    field("Nbproc", Config, Count, MAX, "1.3.15", "processes"),
    field("Process_num", Key, None_, NO, "1.3.15", "number of the process"),
    field("Pid", Key, None_, NO, "1.3.15", "process id"),
    field("Uptime", Text, None_, NO, "1.3.15", "time since start as text"),
    field("Uptime_sec", Duration, Seconds, MEAN, "1.3.15", "time since start"),
    field("Memmax_MB", Limit, Megabytes, LIMIT, "1.3.15", "limit of memory, 0 for none"),
    field("PoolAlloc_MB", Gauge, Megabytes, SUM, "1.7", "memory allocated in pools"),
    field("PoolUsed_MB", Gauge, Megabytes, SUM, "1.7", "memory used of the pools"),
    field("PoolFailed", Counter, Count, SUM, "1.7", "allocations that failed"),
    field("Ulimit-n", Limit, Count, SUM, "1.3.15", "limit of file descriptors"),
    field("Maxsock", Limit, Count, SUM, "1.3.15", "limit of sockets"),
    field("Maxconn", Limit, Count, SUM, "1.3.15", "limit of connections"),
    field("Hard_maxconn", Limit, Count, SUM, "1.5", "limit of connections at start"),
    field("CurrConns", Gauge, Count, SUM, "1.3.15", "connections open now"),
    field("CumConns", Counter, Count, SUM, "1.5", "connections since start"),
    field("CumReq", Counter, Count, SUM, "1.5", "requests since start"),
    field("MaxSslConns", Limit, Count, LIMIT, "1.5", "limit of TLS connections, 0 for none"),
    field("CurrSslConns", Gauge, Count, SUM, "1.5", "TLS connections open now"),
    field("CumSslConns", Counter, Count, SUM, "1.5", "TLS connections since start"),
    field("Maxpipes", Limit, Count, SUM, "1.3.16", "limit of pipes"),
    field("PipesUsed", Gauge, Count, SUM, "1.3.16", "pipes in use"),
    field("PipesFree", Gauge, Count, SUM, "1.3.16", "pipes kept for use"),
    field("ConnRate", Rate, PerSecond, SUM, "1.5", "connections in the last second"),
    field("ConnRateLimit", Limit, PerSecond, LIMIT, "1.5", "limit of connections per second, 0 for none"),
    field("MaxConnRate", Max, PerSecond, SUM, "1.5", "most connections in a second"),
    field("SessRate", Rate, PerSecond, SUM, "1.5", "sessions in the last second"),
    field("SessRateLimit", Limit, PerSecond, LIMIT, "1.5", "limit of sessions per second, 0 for none"),
    field("MaxSessRate", Max, PerSecond, SUM, "1.5", "most sessions in a second"),
    field("SslRate", Rate, PerSecond, SUM, "1.5", "TLS sessions in the last second"),
    field("SslRateLimit", Limit, PerSecond, LIMIT, "1.5", "limit of TLS sessions per second, 0 for none"),
    field("MaxSslRate", Max, PerSecond, SUM, "1.5", "most TLS sessions in a second"),
    field("SslFrontendKeyRate", Rate, PerSecond, SUM, "1.5", "TLS keys computed with clients in the last second"),
    field("SslFrontendMaxKeyRate", Max, PerSecond, SUM, "1.5", "most TLS keys computed with clients in a second"),
    field("SslFrontendSessionReuse_pct", Average, Percent, WEIGHTED, "1.5", "share of TLS sessions resumed; of several processes weighted by their TLS sessions of the last second (`SslRate`), and the plain mean where there are none"),
    field("SslBackendKeyRate", Rate, PerSecond, SUM, "1.5", "TLS keys computed with servers in the last second"),
    field("SslBackendMaxKeyRate", Max, PerSecond, SUM, "1.5", "most TLS keys computed with servers in a second"),
    field("SslCacheLookups", Counter, Count, SUM, "1.5", "look-ups in the TLS session cache"),
    field("SslCacheMisses", Counter, Count, SUM, "1.5", "look-ups in the TLS session cache that found nothing"),
    field("CompressBpsIn", Rate, BytesPerSecond, SUM, "1.5", "bytes given to the compressor in the last second"),
    field("CompressBpsOut", Rate, BytesPerSecond, SUM, "1.5", "bytes that the compressor made in the last second"),
    field("CompressBpsRateLim", Limit, BytesPerSecond, LIMIT, "1.5", "limit of compressor output per second, 0 for none"),
    field("ZlibMemUsage", Gauge, Bytes, SUM, "1.5", "memory of zlib"),
    field("MaxZlibMemUsage", Limit, Bytes, LIMIT, "1.5", "limit of the memory of zlib, 0 for none"),
    field("Tasks", Gauge, Count, SUM, "1.3.16", "tasks"),
    field("Run_queue", Gauge, Count, SUM, "1.3.16", "tasks ready to run"),
    field("Idle_pct", Average, Percent, MEAN, "1.5", "share of time without work"),
    field("node", Text, None_, NO, "1.3.23", "name of the node"),
    field("description", Text, None_, NO, "1.3.23", "description"),
    field("Stopping", Gauge, Count, SUM, "1.9", "1 while the process stops; the sum counts stopping processes"),
    field("Jobs", Gauge, Count, SUM, "1.9", "jobs"),
    field("Unstoppable Jobs", Gauge, Count, SUM, "1.9", "jobs that do not end at a stop"),
    field("Listeners", Gauge, Count, SUM, "1.9", "listeners"),
    field("ActivePeers", Gauge, Count, SUM, "1.9", "peers that are connected or try to"),
    field("ConnectedPeers", Gauge, Count, SUM, "1.9", "peers that are connected"),
    field("DroppedLogs", Counter, Count, SUM, "1.9", "log messages lost"),
    field("BusyPolling", Config, Count, MAX, "1.9", "1 when busy polling is on"),
    field("FailedResolutions", Counter, Count, SUM, "2.0", "name resolutions that failed"),
    field("TotalBytesOut", Counter, Bytes, SUM, "2.0", "bytes sent since start"),
    field("TotalSplicedBytesOut", Counter, Bytes, SUM, "2.3", "bytes sent by splicing since start"),
    field("TotalSplicdedBytesOut", Counter, Bytes, SUM, "2.3.0", "spelling of TotalSplicedBytesOut before 2.8"),
    field("BytesOutRate", Rate, BytesPerSecond, SUM, "2.0", "bytes sent per second"),
    field("DebugCommandsIssued", Counter, Count, SUM, "2.1", "debug commands issued"),
    field("CumRecvLogs", Counter, Count, SUM, "2.3", "log messages received"),
    field("Build info", Text, None_, NO, "2.4", "version in full"),
    field("Memmax_bytes", Limit, Bytes, LIMIT, "2.4", "limit of memory, 0 for none"),
    field("PoolAlloc_bytes", Gauge, Bytes, SUM, "2.4", "memory allocated in pools"),
    field("PoolUsed_bytes", Gauge, Bytes, SUM, "2.4", "memory used of the pools"),
    field("Start_time_sec", Age, Seconds, MIN, "2.4", "time of the start since the epoch"),
    field("Tainted", Text, None_, NO, "2.4", "flags as text"),
    field("TotalWarnings", Counter, Count, SUM, "2.8", "warnings since start"),
    field("MaxconnReached", Counter, Count, SUM, "2.8", "times the limit of connections was reached"),
    field("BootTime_ms", Duration, Milliseconds, MAX, "2.8", "time that the start took"),
    field("Niced_tasks", Gauge, Count, SUM, "2.9", "tasks with a nice value"),
    field("CurrStreams", Gauge, Count, SUM, "3.1", "streams open now"),
    field("CumStreams", Counter, Count, SUM, "3.1", "streams since start"),
    field("BlockedTrafficWarnings", Counter, Count, SUM, "3.1", "warnings about blocked traffic"),
    field("PatternsAdded", Counter, Count, SUM, "3.3", "patterns added since start"),
    field("PatternsFreed", Counter, Count, SUM, "3.3", "patterns freed since start"),
    field("NbThreadGroups", Config, Count, MAX, "3.4", "thread groups"),];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_figures_have_rules() {
        let names: HashSet<_> = FIELDS.iter().map(|f| f.name).collect();
        assert_eq!(names.len(), FIELDS.len());
        for field in FIELDS {
            assert_eq!(field.is_numeric(), !matches!(field.nature, Key | Text), "{}", field.name);
        }
    }

    #[test]
    fn the_default_metrics_keep_the_original_rules() {
        // These have a rule of their own, as the guide to migration says.
        let own = |name: &&&str| **name != "SslFrontendSessionReuse_pct";
        let rule = |name: &str| find(name).and_then(|f| f.combine);
        assert!(DEFAULT_SUMS.iter().filter(own).all(|name| [SUM, LIMIT].contains(&rule(name))));
        let unlimited = |field: &&InfoField| field.about.contains("0 for none");
        assert!(
            FIELDS.iter().filter(unlimited).count() == 8 && FIELDS.iter().filter(unlimited).all(|f| f.combine == LIMIT)
        );
        assert!(DEFAULT_MEANS.iter().all(|name| find(name).and_then(|f| f.combine) == MEAN));
        for p in PERCENTAGES {
            assert!(DEFAULT_SUMS.contains(&p.value) && DEFAULT_SUMS.contains(&p.limit));
        }
    }
}
