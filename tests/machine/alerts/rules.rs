//! The alerts: what is wrong, how Prometheus and Graphite tell, and samples that make them fire. Everything that is shipped is
//! made of this.

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// In working hours.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What Graphite is asked; `$namespace` is `[graphite] namespace`.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// The last value is above this.
    Above(&'static str, f64),
    /// It is below this.
    Below(&'static str, f64),
}

pub struct Alert {
    pub name: &'static str,
    pub severity: Severity,
    /// How long it has to last.
    pub minutes: u32,
    /// One line; labels are replaced.
    pub summary: &'static str,
    /// What to do.
    pub about: &'static str,
    pub promql: &'static str,
    pub graphite: Option<Check>,
    /// Series of which it fires within an hour, in the notation of promtool, a value a minute.
    pub bad: &'static [(&'static str, &'static str)],
    /// The same series when all is well.
    pub good: &'static [(&'static str, &'static str)],
    /// The labels of the alert that fires, beside its severity.
    pub labels: &'static [(&'static str, &'static str)],
}

pub struct Group {
    pub name: &'static str,
    pub alerts: &'static [Alert],
}

use Check::{Above, Below};
use Severity::{Critical, Warning};

const BACKEND: &[(&str, &str)] = &[("instance", "lb-01"), ("proxy", "app")];
const HOST: &[(&str, &str)] = &[("instance", "lb-01")];
const SERVER: &[(&str, &str)] = &[("instance", "lb-01"), ("proxy", "app"), ("server", "s1"), ("state", "DOWN")];

/// Of a counter of haproxystats that should not grow.
const fn grows(
    name: &'static str,
    severity: Severity,
    summary: &'static str,
    about: &'static str,
    promql: &'static str,
    graphite: &'static str,
    [bad, good]: [&'static [(&'static str, &'static str)]; 2],
) -> Alert {
    Alert {
        name,
        severity,
        minutes: 0,
        summary,
        about,
        promql,
        graphite: Some(Above(graphite, 0.0)),
        bad,
        good,
        labels: HOST,
    }
}

#[rustfmt::skip]
pub const GROUPS: &[Group] = &[
    Group { name: "haproxy", alerts: &[
        Alert {
            name: "HaproxyBackendDown", severity: Critical, minutes: 1,
            summary: "Backend has no server that is up: {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "All requests to it get status 503. Look at the health checks of its servers.",
            promql: "haproxy_backend_status{state=\"DOWN\"} == 1",
            graphite: Some(Below("aliasByNode($namespace.*.haproxy.backend.*.status_up, -5, -2)", 1.0)),
            bad: &[("haproxy_backend_status{instance=\"lb-01\",proxy=\"app\",state=\"DOWN\"}", "0x20 1x40")],
            good: &[("haproxy_backend_status{instance=\"lb-01\",proxy=\"app\",state=\"DOWN\"}", "0x60")],
            labels: &[("instance", "lb-01"), ("proxy", "app"), ("state", "DOWN")],
        },
        Alert {
            name: "HaproxyServerDown", severity: Warning, minutes: 5,
            summary: "Server is down: {{ $labels.proxy }}/{{ $labels.server }} on {{ $labels.instance }}",
            about: "The other servers take over its traffic.",
            promql: "haproxy_server_status{state=\"DOWN\"} == 1",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.backend.*.servers_down, -5, -2)", 0.0)),
            bad: &[("haproxy_server_status{instance=\"lb-01\",proxy=\"app\",server=\"s1\",state=\"DOWN\"}", "0x10 1x50")],
            good: &[("haproxy_server_status{instance=\"lb-01\",proxy=\"app\",server=\"s1\",state=\"DOWN\"}", "0x10 1x3 0x47")],
            labels: SERVER,
        },
        Alert {
            name: "HaproxyFewServers", severity: Warning, minutes: 5,
            summary: "Fewer than half of the servers are in use: {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "The others are down, in maintenance or drained. Another failure would hit the remaining servers hard.",
            promql: "haproxy_backend_active_servers / (haproxy_backend_servers > 1) < 0.5",
            graphite: Some(Below("aliasByNode(asPercent($namespace.*.haproxy.backend.*.act, $namespace.*.haproxy.backend.*.TotalServers, -5, -2), -5, -2)", 50.0)),
            bad: &[("haproxy_backend_active_servers{instance=\"lb-01\",proxy=\"app\"}", "2x60"), ("haproxy_backend_servers{instance=\"lb-01\",proxy=\"app\"}", "5x60")],
            good: &[("haproxy_backend_active_servers{instance=\"lb-01\",proxy=\"app\"}", "0x60"), ("haproxy_backend_servers{instance=\"lb-01\",proxy=\"app\"}", "1x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyServerErrors", severity: Warning, minutes: 5,
            summary: "More than 5 % of the responses are server errors: {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "These are responses with status 500 to 599, including errors of HAProxy itself, such as 503 without a server.",
            promql: "sum by (instance, proxy) (rate(haproxy_backend_http_responses_total{code=\"5xx\"}[5m])) / sum by (instance, proxy) (rate(haproxy_backend_http_responses_total[5m])) > 0.05",
            graphite: Some(Above("aliasByNode(asPercent(perSecond($namespace.*.haproxy.backend.*.hrsp_5xx), perSecond($namespace.*.haproxy.backend.*.req_tot), -5, -2), -5, -2)", 5.0)),
            bad: &[("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"5xx\"}", "0+60x60"), ("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"2xx\"}", "0+600x60")],
            good: &[("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"5xx\"}", "0+6x60"), ("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"2xx\"}", "0+600x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyQueue", severity: Warning, minutes: 5,
            summary: "Requests wait for a server: {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "All servers are at maxconn. Add servers, or use faster ones.",
            promql: "haproxy_backend_current_queue > 0",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.backend.*.qcur, -5, -2)", 0.0)),
            bad: &[("haproxy_backend_current_queue{instance=\"lb-01\",proxy=\"app\"}", "3x60")],
            good: &[("haproxy_backend_current_queue{instance=\"lb-01\",proxy=\"app\"}", "3x3 0x57")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxySessionsNearLimit", severity: Warning, minutes: 5,
            summary: "Frontend uses more than 80 % of its sessions: {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "At maxconn of the frontend, clients have to wait.",
            promql: "haproxy_frontend_current_sessions / (haproxy_frontend_limit_sessions > 0) > 0.8",
            graphite: Some(Above("aliasByNode(asPercent($namespace.*.haproxy.frontend.*.scur, $namespace.*.haproxy.frontend.*.slim, -5, -2), -5, -2)", 80.0)),
            bad: &[("haproxy_frontend_current_sessions{instance=\"lb-01\",proxy=\"app\"}", "900x60"), ("haproxy_frontend_limit_sessions{instance=\"lb-01\",proxy=\"app\"}", "1000x60")],
            good: &[("haproxy_frontend_current_sessions{instance=\"lb-01\",proxy=\"app\"}", "900x60"), ("haproxy_frontend_limit_sessions{instance=\"lb-01\",proxy=\"app\"}", "0x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyConnectionsNearLimit", severity: Critical, minutes: 5,
            summary: "HAProxy uses more than 90 % of its connections: {{ $labels.instance }}",
            about: "At maxconn of the process, no more clients can connect.",
            promql: "haproxy_process_current_connections / (haproxy_process_max_connections > 0) > 0.9",
            graphite: Some(Above("aliasByNode(asPercent($namespace.*.haproxy.daemon.CurrConns, $namespace.*.haproxy.daemon.Maxconn, -4), -4)", 90.0)),
            bad: &[("haproxy_process_current_connections{instance=\"lb-01\"}", "950x60"), ("haproxy_process_max_connections{instance=\"lb-01\"}", "1000x60")],
            good: &[("haproxy_process_current_connections{instance=\"lb-01\"}", "850x60"), ("haproxy_process_max_connections{instance=\"lb-01\"}", "1000x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxyBusy", severity: Warning, minutes: 10,
            summary: "HAProxy is idle for less than 20 % of the time: {{ $labels.instance }}",
            about: "Near 0 it is overloaded. Use more threads, or another host.",
            promql: "haproxy_process_idle_time_percent < 20",
            graphite: Some(Below("aliasByNode($namespace.*.haproxy.daemon.Idle_pct, -4)", 20.0)),
            bad: &[("haproxy_process_idle_time_percent{instance=\"lb-01\"}", "12x60")],
            good: &[("haproxy_process_idle_time_percent{instance=\"lb-01\"}", "12x8 60x52")],
            labels: HOST,
        },
        Alert {
            name: "HaproxyConnectionErrors", severity: Warning, minutes: 5,
            summary: "Connections to servers fail: {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "More than one per second is refused, times out, or has no route.",
            promql: "rate(haproxy_backend_connection_errors_total[5m]) > 1",
            graphite: Some(Above("aliasByNode(perSecond($namespace.*.haproxy.backend.*.econ), -5, -2)", 1.0)),
            bad: &[("haproxy_backend_connection_errors_total{instance=\"lb-01\",proxy=\"app\"}", "0+120x60")],
            good: &[("haproxy_backend_connection_errors_total{instance=\"lb-01\",proxy=\"app\"}", "0+30x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyServerFlaps", severity: Warning, minutes: 0,
            summary: "Server goes up and down: {{ $labels.proxy }}/{{ $labels.server }} on {{ $labels.instance }}",
            about: "More than three times in 15 minutes. Look at the results of its checks, and at rise and fall.",
            promql: "increase(haproxy_server_check_up_down_total[15m]) > 3",
            graphite: None,
            bad: &[("haproxy_server_check_up_down_total{instance=\"lb-01\",proxy=\"app\",server=\"s1\"}", "0+1x60")],
            good: &[("haproxy_server_check_up_down_total{instance=\"lb-01\",proxy=\"app\",server=\"s1\"}", "0x30 1x30")],
            labels: &[("instance", "lb-01"), ("proxy", "app"), ("server", "s1")],
        },
        Alert {
            name: "HaproxyCertificateExpires", severity: Warning, minutes: 0,
            summary: "A certificate expires within two weeks: {{ $labels.instance }}",
            about: "It is the first one to expire of those that HAProxy has loaded (families = certificates of [pull]); show ssl cert names it. HAProxy also has to load the renewed certificate.",
            promql: "haproxy_certificates_expires_in_seconds < 1209600",
            graphite: Some(Below("aliasByNode($namespace.*.haproxy.certificates.expires_in, -4)", 1_209_600.0)),
            bad: &[("haproxy_certificates_expires_in_seconds{instance=\"lb-01\"}", "1000000-60x60")],
            good: &[("haproxy_certificates_expires_in_seconds{instance=\"lb-01\"}", "5000000-60x60")],
            labels: HOST,
        },
    ] },
    Group { name: "haproxystats", alerts: &[
        Alert {
            name: "HaproxystatsDown", severity: Critical, minutes: 2,
            summary: "A program does not answer: {{ $labels.job }} on {{ $labels.instance }}",
            about: "Its metrics page cannot be read: the program is not running, or hangs. systemctl status shows why.",
            promql: "up{job=~\"haproxystats.*\"} == 0",
            graphite: None,
            bad: &[("up{job=\"haproxystats-process\",instance=\"lb-01\"}", "1x20 0x40")],
            good: &[("up{job=\"haproxystats-process\",instance=\"lb-01\"}", "1x60"), ("up{job=\"node\",instance=\"lb-01\"}", "0x60")],
            labels: &[("instance", "lb-01"), ("job", "haproxystats-process")],
        },
        Alert {
            name: "HaproxystatsPullsNothing", severity: Critical, minutes: 5,
            summary: "haproxystats-pull publishes nothing: {{ $labels.instance }}",
            about: "It is running, but there was no snapshot for five minutes. Its log says whether sockets, the disk or queue-size are the cause.",
            promql: "increase(haproxystats_pull_published_total[5m]) == 0",
            graphite: Some(Below("aliasByNode(perSecond($namespace.*.haproxy.haproxystats.PullPublished), -4)", 0.001)),
            bad: &[("haproxystats_pull_published_total{instance=\"lb-01\"}", "100x60")],
            good: &[("haproxystats_pull_published_total{instance=\"lb-01\"}", "0+6x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxystatsPullsFail", severity: Warning, minutes: 0,
            summary: "HAProxy sockets fail: {{ $labels.instance }}",
            about: "More than three failures in ten minutes. The log of haproxystats-pull names the sockets.",
            promql: "increase(haproxystats_pull_failed_sockets_total[10m]) > 3",
            graphite: Some(Above("aliasByNode(perSecond($namespace.*.haproxy.haproxystats.PullFailedSockets), -4)", 0.005)),
            bad: &[("haproxystats_pull_failed_sockets_total{instance=\"lb-01\"}", "0+1x60")],
            good: &[("haproxystats_pull_failed_sockets_total{instance=\"lb-01\"}", "0x30 1x30")],
            labels: HOST,
        },
        grows("HaproxystatsPullSuspended", Critical, "haproxystats-pull is suspended: {{ $labels.instance }}",
            "queue-size snapshots are waiting, so nothing is pulled: haproxystats-process is not running, or a destination is unavailable.",
            "increase(haproxystats_pull_suspended_ticks_total[5m]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.PullSuspendedTicks), -4)",
            [&[("haproxystats_pull_suspended_ticks_total{instance=\"lb-01\"}", "0+1x60")], &[("haproxystats_pull_suspended_ticks_total{instance=\"lb-01\"}", "5x60")]]),
        Alert {
            name: "HaproxystatsQueueOld", severity: Warning, minutes: 5,
            summary: "Metrics are more than five minutes late: {{ $labels.instance }}",
            about: "A destination does not accept snapshots, or the workers are too slow. haproxystats-process --status shows the queue.",
            promql: "haproxystats_process_queue_oldest_age_seconds > 300",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.haproxystats.QueueOldestAge, -4)", 300.0)),
            bad: &[("haproxystats_process_queue_oldest_age_seconds{instance=\"lb-01\"}", "0+60x60")],
            good: &[("haproxystats_process_queue_oldest_age_seconds{instance=\"lb-01\"}", "40x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxystatsDestinationAway", severity: Warning, minutes: 5,
            summary: "A destination confirms nothing: {{ $labels.instance }}",
            about: "Snapshots wait on disk; nothing is lost. The log of haproxystats-process names the destination.",
            promql: "haproxystats_process_destinations_unconfirmed > 0",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.haproxystats.DestinationsUnconfirmed, -4)", 0.0)),
            bad: &[("haproxystats_process_destinations_unconfirmed{instance=\"lb-01\"}", "1x60")],
            good: &[("haproxystats_process_destinations_unconfirmed{instance=\"lb-01\"}", "1x3 0x57")],
            labels: HOST,
        },
        grows("HaproxystatsQuarantine", Warning, "A snapshot cannot be processed: {{ $labels.instance }}",
            "It was moved to failed/ next to src-dir. haproxystats-process --once shows what is wrong; --replay sends it later.",
            "increase(haproxystats_process_snapshots_quarantined_total[1h]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.SnapshotsQuarantined), -4)",
            [&[("haproxystats_process_snapshots_quarantined_total{instance=\"lb-01\"}", "0x50 1x10")], &[("haproxystats_process_snapshots_quarantined_total{instance=\"lb-01\"}", "1x60")]]),
        grows("HaproxystatsDropped", Critical, "Metrics are lost: {{ $labels.instance }}",
            "queue-full = drop-oldest dropped snapshots to make room.",
            "increase(haproxystats_process_snapshots_dropped_total[15m]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.SnapshotsDropped), -4)",
            [&[("haproxystats_process_snapshots_dropped_total{instance=\"lb-01\"}", "0x50 3x10")], &[("haproxystats_process_snapshots_dropped_total{instance=\"lb-01\"}", "3x60")]]),
        grows("HaproxystatsRefusedRows", Warning, "Statistics cannot be read: {{ $labels.instance }}",
            "Rows of show stat, and the objects in them, were left out. The log of haproxystats-process names file and line.",
            "increase(haproxystats_process_refused_rows_total[15m]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.RefusedRows), -4)",
            [&[("haproxystats_process_refused_rows_total{instance=\"lb-01\"}", "0+1x60")], &[("haproxystats_process_refused_rows_total{instance=\"lb-01\"}", "9x60")]]),
        Alert {
            name: "HaproxystatsUnknownFields", severity: Warning, minutes: 30,
            summary: "HAProxy has fields that haproxystats does not know: {{ $labels.instance }}",
            about: "HAProxy is newer than haproxystats. Upgrade haproxystats, or send the fields with unknown-fields = send.",
            promql: "haproxystats_pull_unknown_fields > 0",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.haproxystats.PullUnknownFields, -4)", 0.0)),
            bad: &[("haproxystats_pull_unknown_fields{instance=\"lb-01\"}", "3x60")],
            good: &[("haproxystats_pull_unknown_fields{instance=\"lb-01\"}", "0x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxystatsWorkersDie", severity: Warning, minutes: 0,
            summary: "Workers of haproxystats-process keep being replaced: {{ $labels.instance }}",
            about: "More than three in 15 minutes: because of the OOM killer, a hanging disk, or a defect. The log says how they ended.",
            promql: "increase(haproxystats_process_worker_restarts_exit_total[15m]) + increase(haproxystats_process_worker_restarts_signal_total[15m]) + increase(haproxystats_process_worker_restarts_hang_total[15m]) > 3",
            graphite: Some(Above("aliasByNode(perSecond($namespace.*.haproxy.haproxystats.WorkerRestartsSignal), -4)", 0.003)),
            bad: &[
                ("haproxystats_process_worker_restarts_exit_total{instance=\"lb-01\"}", "0x60"),
                ("haproxystats_process_worker_restarts_signal_total{instance=\"lb-01\"}", "0+1x60"),
                ("haproxystats_process_worker_restarts_hang_total{instance=\"lb-01\"}", "0x60"),
            ],
            good: &[
                ("haproxystats_process_worker_restarts_exit_total{instance=\"lb-01\"}", "0x60"),
                ("haproxystats_process_worker_restarts_signal_total{instance=\"lb-01\"}", "0x30 1x30"),
                ("haproxystats_process_worker_restarts_hang_total{instance=\"lb-01\"}", "0x60"),
            ],
            labels: HOST,
        },
    ] },
];
