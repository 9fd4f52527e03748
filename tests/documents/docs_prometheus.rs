//! The tables of docs/prometheus.md are made of the table of names; `HAPROXYSTATS_ACCEPT=1 cargo test --test documents
//! docs_prometheus` writes them again.

use crate::harness::made::is_made_between;
use haproxystats::config::NameStyle;
use haproxystats::haproxy::columns::{COLUMNS, Kind};
use haproxystats::haproxy::info;
use haproxystats::prometheus::names::{self, Metric, Scale, Subject};
use haproxystats::prometheus::promex::{self, DIFFERENCES, Difference, What};
use haproxystats::telemetry;
use std::fmt::Write;

const PAGE: &str = "docs/prometheus.md";

fn metric(subject: Subject, field: &str) -> Metric {
    names::metric(NameStyle::Promex, subject, false, field).expect(field)
}

/// Name without what all names of these objects begin with, label, kind, and what was done to the value.
fn cells(subject: Subject, field: &str) -> String {
    let metric = metric(subject, field);
    let name = metric.name.strip_prefix(&subject.prefix(NameStyle::Promex, false)).expect(field).to_owned();
    let label = metric.label.map_or_else(String::new, |(label, value)| format!("`{label}=\"{value}\"`"));
    let kind = if metric.kind == telemetry::Kind::Counter { "counter" } else { "gauge" };
    let scale = match metric.scale {
        Scale::Same => "",
        Scale::Thousandths => "÷ 1000",
        Scale::Mebi => "× 1048576",
    };
    format!("`{name}` | {label} | {kind} | {scale}")
}

fn of_processes() -> String {
    let mut text = String::from("| field | `haproxy_process_` | label | type | value | |\n|---|---|---|---|---|---|\n");
    for row in promex::INFO {
        let ours = if row.exported.is_empty() { "ours" } else { "" };
        let _ = writeln!(text, "| `{}` | {} | {ours} |", row.field, cells(Subject::Process, row.field));
    }
    text
}

/// The kinds of objects that have a field, and for which of them the exporter has it.
fn of_objects() -> String {
    let mut text = String::from(
        "| field | `haproxy_<object>_` | label | type | value | frontend | backend | server |\n|---|---|---|---|---|---|---|---|\n",
    );
    let subjects = [
        (Kind::Frontend, Subject::Frontend, 'F'),
        (Kind::Backend, Subject::Backend, 'B'),
        (Kind::Server, Subject::Server, 'S'),
    ];
    for column in COLUMNS.iter().filter(|column| column.is_numeric()) {
        let exported = |subject, letter| {
            let row = promex::find(subject, column.name);
            row.map_or(promex::module(column.name).is_some(), |row| row.exported.contains(letter))
        };
        let mut told: Vec<(String, [&str; 3])> = Vec::new();
        for (place, (kind, subject, letter)) in
            subjects.into_iter().enumerate().filter(|(_, (kind, ..))| column.on(*kind))
        {
            let _ = kind;
            let cells = cells(subject, column.name);
            let mark = if exported(subject, letter) { "yes" } else { "ours" };
            match told.iter_mut().find(|(known, _)| *known == cells) {
                Some((_, marks)) => marks[place] = mark,
                None => {
                    let mut marks = [""; 3];
                    marks[place] = mark;
                    told.push((cells, marks));
                }
            }
        }
        for (cells, [frontend, backend, server]) in told {
            let _ = writeln!(text, "| `{}` | {cells} | {frontend} | {backend} | {server} |", column.name);
        }
    }
    text
}

fn differences() -> String {
    let mut text = String::from("| metric | here | why |\n|---|---|---|\n");
    for Difference { metric, what, reason } in DIFFERENCES {
        let here = match what {
            What::Absent => "absent",
            What::Type => "another type",
            What::NoValue => "absent, or 0, in place of NaN",
            What::Nothing => "absent at first",
            What::Value => "another value",
        };
        let _ = writeln!(text, "| `{metric}` | {here} | {reason} |");
    }
    text
}

#[test]
fn the_document_shows_the_table_of_names() {
    let marks = |name| {
        [
            format!("<!-- {name}: begin (generated; see tests/documents/docs_prometheus.rs) -->\n"),
            format!("<!-- {name}: end -->"),
        ]
    };
    for (name, wanted) in [("differences", differences()), ("processes", of_processes()), ("objects", of_objects())] {
        let [begin, end] = marks(name);
        is_made_between(PAGE, [&begin, &end], &wanted);
    }
    assert!(info::FIELDS.len() > 50);
}

/// What the queries of public dashboards and alerts for HAProxy's exporter ask for: Grafana's 12693 (HAProxy 2 Full), and the
/// mixin of Grafana Labs.
const ASKED_FOR: &[&str] = &[
    "haproxy_process_active_peers",
    "haproxy_process_bytes_out_rate",
    "haproxy_process_bytes_out_total",
    "haproxy_process_connected_peers",
    "haproxy_process_connections_total",
    "haproxy_process_current_backend_ssl_key_rate",
    "haproxy_process_current_connection_rate",
    "haproxy_process_current_connections",
    "haproxy_process_current_frontend_ssl_key_rate",
    "haproxy_process_current_run_queue",
    "haproxy_process_current_session_rate",
    "haproxy_process_current_ssl_connections",
    "haproxy_process_current_ssl_rate",
    "haproxy_process_current_tasks",
    "haproxy_process_current_zlib_memory",
    "haproxy_process_dropped_logs_total",
    "haproxy_process_failed_resolutions",
    "haproxy_process_frontend_ssl_reuse",
    "haproxy_process_hard_max_connections",
    "haproxy_process_http_comp_bytes_in_total",
    "haproxy_process_http_comp_bytes_out_total",
    "haproxy_process_idle_time_percent",
    "haproxy_process_jobs",
    "haproxy_process_limit_connection_rate",
    "haproxy_process_limit_http_comp",
    "haproxy_process_limit_session_rate",
    "haproxy_process_limit_ssl_rate",
    "haproxy_process_listeners",
    "haproxy_process_max_backend_ssl_key_rate",
    "haproxy_process_max_connection_rate",
    "haproxy_process_max_connections",
    "haproxy_process_max_fds",
    "haproxy_process_max_frontend_ssl_key_rate",
    "haproxy_process_max_memory_bytes",
    "haproxy_process_max_pipes",
    "haproxy_process_max_session_rate",
    "haproxy_process_max_sockets",
    "haproxy_process_max_ssl_connections",
    "haproxy_process_max_ssl_rate",
    "haproxy_process_max_zlib_memory",
    "haproxy_process_nbproc",
    "haproxy_process_nbthread",
    "haproxy_process_pipes_free_total",
    "haproxy_process_pipes_used_total",
    "haproxy_process_pool_allocated_bytes",
    "haproxy_process_pool_failures_total",
    "haproxy_process_pool_used_bytes",
    "haproxy_process_requests_total",
    "haproxy_process_spliced_bytes_out_total",
    "haproxy_process_ssl_cache_lookups_total",
    "haproxy_process_ssl_cache_misses_total",
    "haproxy_process_ssl_connections_total",
    "haproxy_process_start_time_seconds",
    "haproxy_process_stopping",
    "haproxy_process_unstoppable_jobs",
    "haproxy_process_uptime_seconds",
    "haproxy_frontend_bytes_in_total",
    "haproxy_frontend_bytes_out_total",
    "haproxy_frontend_connections_rate_max",
    "haproxy_frontend_connections_total",
    "haproxy_frontend_current_sessions",
    "haproxy_frontend_current_session_rate",
    "haproxy_frontend_denied_connections_total",
    "haproxy_frontend_denied_sessions_total",
    "haproxy_frontend_failed_header_rewriting_total",
    "haproxy_frontend_http_cache_hits_total",
    "haproxy_frontend_http_cache_lookups_total",
    "haproxy_frontend_http_comp_bytes_bypassed_total",
    "haproxy_frontend_http_comp_bytes_in_total",
    "haproxy_frontend_http_comp_bytes_out_total",
    "haproxy_frontend_http_comp_responses_total",
    "haproxy_frontend_http_requests_rate_max",
    "haproxy_frontend_http_requests_total",
    "haproxy_frontend_http_responses_total",
    "haproxy_frontend_intercepted_requests_total",
    "haproxy_frontend_internal_errors_total",
    "haproxy_frontend_limit_session_rate",
    "haproxy_frontend_limit_sessions",
    "haproxy_frontend_max_session_rate",
    "haproxy_frontend_max_sessions",
    "haproxy_frontend_request_errors_total",
    "haproxy_frontend_requests_denied_total",
    "haproxy_frontend_responses_denied_total",
    "haproxy_frontend_sessions_total",
    "haproxy_frontend_status",
    "haproxy_backend_active_servers",
    "haproxy_backend_backup_servers",
    "haproxy_backend_bytes_in_total",
    "haproxy_backend_bytes_out_total",
    "haproxy_backend_check_last_change_seconds",
    "haproxy_backend_check_up_down_total",
    "haproxy_backend_client_aborts_total",
    "haproxy_backend_connect_time_average_seconds",
    "haproxy_backend_connection_attempts_total",
    "haproxy_backend_connection_errors_total",
    "haproxy_backend_connection_reuses_total",
    "haproxy_backend_current_queue",
    "haproxy_backend_current_sessions",
    "haproxy_backend_downtime_seconds_total",
    "haproxy_backend_failed_header_rewriting_total",
    "haproxy_backend_http_requests_total",
    "haproxy_backend_http_responses_total",
    "haproxy_backend_internal_errors_total",
    "haproxy_backend_last_session_seconds",
    "haproxy_backend_limit_sessions",
    "haproxy_backend_loadbalanced_total",
    "haproxy_backend_max_connect_time_seconds",
    "haproxy_backend_max_queue",
    "haproxy_backend_max_queue_time_seconds",
    "haproxy_backend_max_response_time_seconds",
    "haproxy_backend_max_session_rate",
    "haproxy_backend_max_sessions",
    "haproxy_backend_max_total_time_seconds",
    "haproxy_backend_queue_time_average_seconds",
    "haproxy_backend_redispatch_warnings_total",
    "haproxy_backend_requests_denied_total",
    "haproxy_backend_response_errors_total",
    "haproxy_backend_response_time_average_seconds",
    "haproxy_backend_responses_denied_total",
    "haproxy_backend_retry_warnings_total",
    "haproxy_backend_server_aborts_total",
    "haproxy_backend_sessions_total",
    "haproxy_backend_status",
    "haproxy_backend_total_time_average_seconds",
    "haproxy_backend_weight",
    "haproxy_backend_agg_server_status",
    "haproxy_server_bytes_in_total",
    "haproxy_server_bytes_out_total",
    "haproxy_server_check_code",
    "haproxy_server_check_duration_seconds",
    "haproxy_server_check_failures_total",
    "haproxy_server_check_last_change_seconds",
    "haproxy_server_check_status",
    "haproxy_server_check_up_down_total",
    "haproxy_server_client_aborts_total",
    "haproxy_server_connect_time_average_seconds",
    "haproxy_server_connection_attempts_total",
    "haproxy_server_connection_errors_total",
    "haproxy_server_connection_reuses_total",
    "haproxy_server_current_queue",
    "haproxy_server_current_sessions",
    "haproxy_server_current_throttle",
    "haproxy_server_downtime_seconds_total",
    "haproxy_server_http_responses_total",
    "haproxy_server_idle_connections_current",
    "haproxy_server_idle_connections_limit",
    "haproxy_server_internal_errors_total",
    "haproxy_server_last_session_seconds",
    "haproxy_server_limit_sessions",
    "haproxy_server_loadbalanced_total",
    "haproxy_server_max_queue",
    "haproxy_server_max_session_rate",
    "haproxy_server_max_sessions",
    "haproxy_server_queue_limit",
    "haproxy_server_queue_time_average_seconds",
    "haproxy_server_redispatch_warnings_total",
    "haproxy_server_response_errors_total",
    "haproxy_server_response_time_average_seconds",
    "haproxy_server_responses_denied_total",
    "haproxy_server_retry_warnings_total",
    "haproxy_server_safe_idle_connections_current",
    "haproxy_server_server_aborts_total",
    "haproxy_server_sessions_total",
    "haproxy_server_status",
    "haproxy_server_total_time_average_seconds",
    "haproxy_server_unsafe_idle_connections_current",
    "haproxy_server_used_connections_current",
    "haproxy_server_weight",
];

#[test]
fn what_public_dashboards_ask_for_is_in_the_table() {
    let fields = COLUMNS.iter().filter(|column| column.is_numeric()).map(|column| column.name);
    let of = |subject: Subject| fields.clone().map(move |field| metric(subject, field).name);
    let mut known: Vec<String> = promex::INFO.iter().map(|row| metric(Subject::Process, row.field).name).collect();
    for subject in [Subject::Frontend, Subject::Backend, Subject::Server] {
        known.extend(of(subject));
        for field in ["status", "check_status", "agg_server_status"] {
            known.extend(names::state(NameStyle::Promex, subject, false, field, "UP").map(|metric| metric.name));
        }
    }
    let unknown: Vec<&&str> = ASKED_FOR.iter().filter(|name| !known.iter().any(|known| known == *name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
