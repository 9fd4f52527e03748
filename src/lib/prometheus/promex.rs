//! What HAProxy's own exporter calls each field: the one table of names. Fields that it does not export follow its rules,
//! so that they read as if it did.

use super::names::Subject;

/// A name, behind `haproxy_frontend_` and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// HAProxy's field.
    pub field: &'static str,
    /// The name.
    pub name: &'static str,
    /// A label that tells apart the fields that share the name, and its value.
    pub label: Option<(&'static str, &'static str)>,
    /// The kinds of objects for which the exporter has it, by their first letters: F, B, S, L; P for the process. Empty: it
    /// has none, and the name is ours.
    pub exported: &'static str,
}

const fn row(field: &'static str, name: &'static str, exported: &'static str) -> Row {
    Row { field, name, label: None, exported }
}

const fn code(field: &'static str, code: &'static str) -> Row {
    Row { field, name: "http_responses_total", label: Some(("code", code)), exported: "FBS" }
}

const fn percentile(field: &'static str, quantile: &'static str) -> Row {
    Row { field, name: "cpu_usage_percent_quantile", label: Some(("quantile", quantile)), exported: "" }
}

/// The fields of `show stat`, in HAProxy's order, and what haproxystats adds to them. Those that come from HAProxy's modules
/// (`h2_...`, `ssl_...`) are not here: they have their own names, and the label `mod`, see [`module`].
#[rustfmt::skip]
pub static STAT: &[Row] = &[
    row("qcur", "current_queue", "BS"),
    row("qmax", "max_queue", "BS"),
    row("scur", "current_sessions", "FBSL"),
    row("smax", "max_sessions", "FBSL"),
    row("slim", "limit_sessions", "FBSL"),
    row("stot", "sessions_total", "FBSL"),
    row("bin", "bytes_in_total", "FBSL"),
    row("bout", "bytes_out_total", "FBSL"),
    row("dreq", "requests_denied_total", "FBL"),
    row("dresp", "responses_denied_total", "FBSL"),
    row("ereq", "request_errors_total", "FL"),
    row("econ", "connection_errors_total", "BS"),
    row("eresp", "response_errors_total", "BS"),
    row("wretr", "retry_warnings_total", "BS"),
    row("wredis", "redispatch_warnings_total", "BS"),
    row("weight", "weight", "BS"),
    row("chkfail", "check_failures_total", "S"),
    row("chkdown", "check_up_down_total", "BS"),
    row("lastchg", "check_last_change_seconds", "BS"),
    row("downtime", "downtime_seconds_total", "BS"),
    row("qlimit", "queue_limit", "S"),
    row("throttle", "current_throttle", "S"),
    row("lbtot", "loadbalanced_total", "BS"),
    row("rate", "current_session_rate", "FBS"),
    row("rate_lim", "limit_session_rate", "F"),
    row("rate_max", "max_session_rate", "FBS"),
    row("check_code", "check_code", "S"),
    row("check_duration", "check_duration_seconds", "S"),
    code("hrsp_1xx", "1xx"),
    code("hrsp_2xx", "2xx"),
    code("hrsp_3xx", "3xx"),
    code("hrsp_4xx", "4xx"),
    code("hrsp_5xx", "5xx"),
    code("hrsp_other", "other"),
    row("hanafail", "health_analysis_failures_total", ""),
    row("req_rate", "http_requests_rate", ""),
    row("req_rate_max", "http_requests_rate_max", "F"),
    row("req_tot", "http_requests_total", "FBS"),
    row("cli_abrt", "client_aborts_total", "BS"),
    row("srv_abrt", "server_aborts_total", "BS"),
    row("comp_in", "http_comp_bytes_in_total", "FB"),
    row("comp_out", "http_comp_bytes_out_total", "FB"),
    row("comp_byp", "http_comp_bytes_bypassed_total", "FB"),
    row("comp_rsp", "http_comp_responses_total", "FB"),
    row("lastsess", "last_session_seconds", "BS"),
    row("qtime", "queue_time_average_seconds", "BS"),
    row("ctime", "connect_time_average_seconds", "BS"),
    row("rtime", "response_time_average_seconds", "BS"),
    row("ttime", "total_time_average_seconds", "BS"),
    row("agent_code", "agent_code", ""),
    row("agent_duration", "agent_duration_seconds", ""),
    row("check_rise", "check_rise", ""),
    row("check_fall", "check_fall", ""),
    row("check_health", "check_health", ""),
    row("agent_rise", "agent_rise", ""),
    row("agent_fall", "agent_fall", ""),
    row("agent_health", "agent_health", ""),
    row("conn_rate", "connections_rate", ""),
    row("conn_rate_max", "connections_rate_max", "F"),
    row("conn_tot", "connections_total", "FL"),
    row("intercepted", "intercepted_requests_total", "F"),
    row("dcon", "denied_connections_total", "FL"),
    row("dses", "denied_sessions_total", "FL"),
    row("wrew", "failed_header_rewriting_total", "FBSL"),
    row("connect", "connection_attempts_total", "BS"),
    row("reuse", "connection_reuses_total", "BS"),
    row("cache_lookups", "http_cache_lookups_total", "FB"),
    row("cache_hits", "http_cache_hits_total", "FB"),
    row("srv_icur", "idle_connections_current", "S"),
    row("src_ilim", "idle_connections_limit", "S"),
    row("qtime_max", "max_queue_time_seconds", "BS"),
    row("ctime_max", "max_connect_time_seconds", "BS"),
    row("rtime_max", "max_response_time_seconds", "BS"),
    row("ttime_max", "max_total_time_seconds", "BS"),
    row("eint", "internal_errors_total", "FBSL"),
    row("idle_conn_cur", "unsafe_idle_connections_current", "S"),
    row("safe_conn_cur", "safe_idle_connections_current", "S"),
    row("used_conn_cur", "used_connections_current", "S"),
    row("need_conn_est", "need_connections_current", "S"),
    row("uweight", "uweight", "BS"),
    row("sess_other", "other_sessions_total", ""),
    row("h1sess", "http1_sessions_total", ""),
    row("h2sess", "http2_sessions_total", ""),
    row("h3sess", "http3_sessions_total", ""),
    row("req_other", "other_requests_total", ""),
    row("h1req", "http1_requests_total", ""),
    row("h2req", "http2_requests_total", ""),
    row("h3req", "http3_requests_total", ""),
    row("priv_idle_cur", "private_idle_connections_current", "S"),
    row("reqbin", "req_bytes_in_total", "FBSL"),
    row("reqbout", "req_bytes_out_total", "FBSL"),
    row("resbin", "res_bytes_in_total", "FBSL"),
    row("resbout", "res_bytes_out_total", "FBSL"),
    row("cache_hint_hits", "http_cache_hint_hits_total", ""),
    row("TotalServers", "servers", ""),
    row("status_up", "up", ""),
    row("time_samples", "time_samples", ""),
];

/// Where a frontend, a backend and a server have different names for the same field.
#[rustfmt::skip]
static APART: &[(Subject, Row)] = &[
    (Subject::Backend, row("act", "active_servers", "B")),
    (Subject::Backend, row("bck", "backup_servers", "B")),
    (Subject::Server, row("act", "active", "S")),
    (Subject::Server, row("bck", "backup", "S")),
    (Subject::Servers, row("act", "active", "")),
    (Subject::Servers, row("bck", "backup", "")),
];

/// The fields of `show info`, in HAProxy's order, and what haproxystats adds to them.
#[rustfmt::skip]
pub static INFO: &[Row] = &[
    row("Nbthread", "nbthread", "P"),
    row("Nbproc", "nbproc", "P"),
    row("Uptime_sec", "uptime_seconds", "P"),
    row("Memmax_MB", "max_memory_rounded_bytes", ""),
    row("PoolAlloc_MB", "pool_allocated_rounded_bytes", ""),
    row("PoolUsed_MB", "pool_used_rounded_bytes", ""),
    row("PoolFailed", "pool_failures_total", "P"),
    row("Ulimit-n", "max_fds", "P"),
    row("Maxsock", "max_sockets", "P"),
    row("Maxconn", "max_connections", "P"),
    row("Hard_maxconn", "hard_max_connections", "P"),
    row("CurrConns", "current_connections", "P"),
    row("CumConns", "connections_total", "P"),
    row("CumReq", "requests_total", "P"),
    row("MaxSslConns", "max_ssl_connections", "P"),
    row("CurrSslConns", "current_ssl_connections", "P"),
    row("CumSslConns", "ssl_connections_total", "P"),
    row("Maxpipes", "max_pipes", "P"),
    row("PipesUsed", "pipes_used_total", "P"),
    row("PipesFree", "pipes_free_total", "P"),
    row("ConnRate", "current_connection_rate", "P"),
    row("ConnRateLimit", "limit_connection_rate", "P"),
    row("MaxConnRate", "max_connection_rate", "P"),
    row("SessRate", "current_session_rate", "P"),
    row("SessRateLimit", "limit_session_rate", "P"),
    row("MaxSessRate", "max_session_rate", "P"),
    row("SslRate", "current_ssl_rate", "P"),
    row("SslRateLimit", "limit_ssl_rate", "P"),
    row("MaxSslRate", "max_ssl_rate", "P"),
    row("SslFrontendKeyRate", "current_frontend_ssl_key_rate", "P"),
    row("SslFrontendMaxKeyRate", "max_frontend_ssl_key_rate", "P"),
    row("SslFrontendSessionReuse_pct", "frontend_ssl_reuse", "P"),
    row("SslBackendKeyRate", "current_backend_ssl_key_rate", "P"),
    row("SslBackendMaxKeyRate", "max_backend_ssl_key_rate", "P"),
    row("SslCacheLookups", "ssl_cache_lookups_total", "P"),
    row("SslCacheMisses", "ssl_cache_misses_total", "P"),
    row("CompressBpsIn", "http_comp_bytes_in_total", "P"),
    row("CompressBpsOut", "http_comp_bytes_out_total", "P"),
    row("CompressBpsRateLim", "limit_http_comp", "P"),
    row("ZlibMemUsage", "current_zlib_memory", "P"),
    row("MaxZlibMemUsage", "max_zlib_memory", "P"),
    row("Tasks", "current_tasks", "P"),
    row("Run_queue", "current_run_queue", "P"),
    row("Idle_pct", "idle_time_percent", "P"),
    row("Stopping", "stopping", "P"),
    row("Jobs", "jobs", "P"),
    row("Unstoppable Jobs", "unstoppable_jobs", "P"),
    row("Listeners", "listeners", "P"),
    row("ActivePeers", "active_peers", "P"),
    row("ConnectedPeers", "connected_peers", "P"),
    row("DroppedLogs", "dropped_logs_total", "P"),
    row("BusyPolling", "busy_polling_enabled", "P"),
    row("FailedResolutions", "failed_resolutions", "P"),
    row("TotalBytesOut", "bytes_out_total", "P"),
    row("TotalSplicedBytesOut", "spliced_bytes_out_total", "P"),
    row("TotalSplicdedBytesOut", "spliced_bytes_out_total", "P"),
    row("BytesOutRate", "bytes_out_rate", "P"),
    row("DebugCommandsIssued", "debug_commands_total", ""),
    row("CumRecvLogs", "recv_logs_total", "P"),
    row("Memmax_bytes", "max_memory_bytes", "P"),
    row("PoolAlloc_bytes", "pool_allocated_bytes", "P"),
    row("PoolUsed_bytes", "pool_used_bytes", "P"),
    row("Start_time_sec", "start_time_seconds", "P"),
    row("TotalWarnings", "total_warnings", "P"),
    row("MaxconnReached", "max_connections_reached_total", ""),
    row("BootTime_ms", "boot_time_seconds", ""),
    row("Niced_tasks", "niced_tasks", ""),
    row("CurrStreams", "current_streams", ""),
    row("CumStreams", "streams_total", ""),
    row("BlockedTrafficWarnings", "blocked_traffic_warnings_total", ""),
    row("PatternsAdded", "patterns_added_total", "P"),
    row("PatternsFreed", "patterns_freed_total", "P"),
    row("NbThreadGroups", "nb_thread_groups", "P"),
    row("CpuUsagePct", "cpu_usage_percent", ""),
    percentile("25PercentileCpuUsagePct", "0.25"),
    percentile("50PercentileCpuUsagePct", "0.5"),
    percentile("75PercentileCpuUsagePct", "0.75"),
    percentile("95PercentileCpuUsagePct", "0.95"),
    percentile("99PercentileCpuUsagePct", "0.99"),
    row("StdCpuUsagePct", "cpu_usage_percent_stddev", ""),
    row("ConnPercentage", "connections_percent", ""),
    row("ConnRatePercentage", "connection_rate_percent", ""),
    row("SslConnPercentage", "ssl_connections_percent", ""),
    row("SslRatePercentage", "ssl_rate_percent", ""),
];

/// What the exporter and we have under the same name, and not in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The metric of the exporter, or the beginning that several share with a star behind it.
    pub metric: &'static str,
    /// What is different.
    pub what: What,
    /// Why.
    pub reason: &'static str,
}

/// In what way a metric differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// We do not have it.
    Absent,
    /// The exporter calls it something else than it is.
    Type,
    /// The exporter has samples without a value (NaN); we have none then, or 0.
    NoValue,
    /// The exporter has a number where nothing has been counted; we have no sample.
    Nothing,
    /// The values are not the same.
    Value,
}

const fn differs(metric: &'static str, what: What, reason: &'static str) -> Difference {
    Difference { metric, what, reason }
}

const GOES_DOWN: &str = "it goes up and down, so it is a gauge; the exporter says counter";
const GROWS: &str = "it only grows, so it is a counter; the exporter says gauge";

/// All differences.
#[rustfmt::skip]
pub static DIFFERENCES: &[Difference] = &[
    differs("haproxy_process_pipes_used_total", What::Type, GOES_DOWN),
    differs("haproxy_process_pipes_free_total", What::Type, GOES_DOWN),
    differs("haproxy_process_http_comp_bytes_in_total", What::Type, "it is a rate, and goes up and down; the exporter says counter"),
    differs("haproxy_process_http_comp_bytes_out_total", What::Type, "it is a rate, and goes up and down; the exporter says counter"),
    differs("haproxy_process_patterns_added_total", What::Type, GROWS),
    differs("haproxy_process_patterns_freed_total", What::Type, GROWS),
    differs("haproxy_*_open_connections", What::Type, GOES_DOWN),
    differs("haproxy_*_open_streams", What::Type, GOES_DOWN),
    differs("haproxy_*_quic_half_open_conn", What::Type, GOES_DOWN),
    differs("haproxy_process_relative_process_id", What::Absent, "the number of one process says nothing of all of a host; `process` is a label where each process is sent"),
    differs("haproxy_process_node", What::Absent, "a text; the label `instance` says which host it is"),
    differs("haproxy_process_build_info", What::Absent, "a text; processes of one host may be of several versions"),
    differs("haproxy_*", What::NoValue, "where HAProxy prints nothing there is no sample, or 0 where Graphite has always had one"),
    differs("haproxy_*_time_average_seconds", What::Nothing, "before the first request there is no average; the exporter says 0"),
    differs("haproxy_*_last_session_seconds", What::Nothing, "before the first session; the exporter says -1"),
    differs("haproxy_server_check_code", What::Nothing, "a check that has had no code; the exporter says 0"),
    differs("haproxy_*_time_average_seconds", What::Value, "the exporter divides by 1,024 requests, however few there were; HAProxy's socket says the mean of those that there were"),
    differs("haproxy_backend_agg_server_check_status", What::Absent, "obsolete, and the same as haproxy_backend_agg_server_status"),
];

/// The module that a field comes from, which is the label `mod` of the exporter; `None` for a field of HAProxy itself. The
/// exporter has these with `extra-counters`.
#[must_use]
pub fn module(field: &str) -> Option<&'static str> {
    // One of them lacks its first letter in HAProxy.
    const BEGINNINGS: [(&str, &str); 7] = [
        ("h1_", "h1"),
        ("h2_", "h2"),
        ("h3_", "h3"),
        ("qpack_", "h3"),
        ("pack_", "h3"),
        ("quic_", "quic"),
        ("ssl_", "ssl"),
    ];
    BEGINNINGS.into_iter().find(|(beginning, _)| field.starts_with(beginning)).map(|(_, module)| module)
}

/// The row of a field of these objects.
#[must_use]
pub fn find(subject: Subject, field: &str) -> Option<&'static Row> {
    let apart = APART.iter().find(|(of, row)| *of == subject && row.field == field).map(|(_, row)| row);
    let table = if matches!(subject, Subject::Process | Subject::Worker) { INFO } else { STAT };
    apart.or_else(|| table.iter().find(|row| is_same(row.field, field)))
}

/// Whether a field goes by this name: a blank in it is sent as an underscore.
#[must_use]
pub(crate) fn is_same(field: &str, name: &str) -> bool {
    field == name || field.replace(' ', "_") == name
}
