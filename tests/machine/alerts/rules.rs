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
            summary: "Backend {{ $labels.proxy }} of {{ $labels.instance }} has no server that is up",
            about: "Every request to it is answered with 503. Look at the checks of its servers.",
            promql: "haproxy_backend_status{state=\"DOWN\"} == 1",
            graphite: Some(Below("aliasByNode($namespace.*.haproxy.backend.*.status_up, -5, -2)", 1.0)),
            bad: &[("haproxy_backend_status{instance=\"lb-01\",proxy=\"app\",state=\"DOWN\"}", "0x20 1x40")],
            good: &[("haproxy_backend_status{instance=\"lb-01\",proxy=\"app\",state=\"DOWN\"}", "0x60")],
            labels: &[("instance", "lb-01"), ("proxy", "app"), ("state", "DOWN")],
        },
        Alert {
            name: "HaproxyServerDown", severity: Warning, minutes: 5,
            summary: "Server {{ $labels.server }} of {{ $labels.proxy }} is down for {{ $labels.instance }}",
            about: "The others have its share of the traffic.",
            promql: "haproxy_server_status{state=\"DOWN\"} == 1",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.backend.*.servers_down, -5, -2)", 0.0)),
            bad: &[("haproxy_server_status{instance=\"lb-01\",proxy=\"app\",server=\"s1\",state=\"DOWN\"}", "0x10 1x50")],
            good: &[("haproxy_server_status{instance=\"lb-01\",proxy=\"app\",server=\"s1\",state=\"DOWN\"}", "0x10 1x3 0x47")],
            labels: SERVER,
        },
        Alert {
            name: "HaproxyFewServers", severity: Warning, minutes: 5,
            summary: "Less than half of the servers of {{ $labels.proxy }} are in use on {{ $labels.instance }}",
            about: "Down, in maintenance or drained: a further failure hits the others hard.",
            promql: "haproxy_backend_active_servers / (haproxy_backend_servers > 1) < 0.5",
            graphite: Some(Below("aliasByNode(asPercent($namespace.*.haproxy.backend.*.act, $namespace.*.haproxy.backend.*.TotalServers, -5, -2), -5, -2)", 50.0)),
            bad: &[("haproxy_backend_active_servers{instance=\"lb-01\",proxy=\"app\"}", "2x60"), ("haproxy_backend_servers{instance=\"lb-01\",proxy=\"app\"}", "5x60")],
            good: &[("haproxy_backend_active_servers{instance=\"lb-01\",proxy=\"app\"}", "0x60"), ("haproxy_backend_servers{instance=\"lb-01\",proxy=\"app\"}", "1x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyServerErrors", severity: Warning, minutes: 5,
            summary: "More than 5 % of the responses of {{ $labels.proxy }} on {{ $labels.instance }} are errors of servers",
            about: "Status 500 to 599. Errors of HAProxy itself, such as 503 without a server, are among them.",
            promql: "sum by (instance, proxy) (rate(haproxy_backend_http_responses_total{code=\"5xx\"}[5m])) / sum by (instance, proxy) (rate(haproxy_backend_http_responses_total[5m])) > 0.05",
            graphite: Some(Above("aliasByNode(asPercent(perSecond($namespace.*.haproxy.backend.*.hrsp_5xx), perSecond($namespace.*.haproxy.backend.*.req_tot), -5, -2), -5, -2)", 5.0)),
            bad: &[("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"5xx\"}", "0+60x60"), ("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"2xx\"}", "0+600x60")],
            good: &[("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"5xx\"}", "0+6x60"), ("haproxy_backend_http_responses_total{instance=\"lb-01\",proxy=\"app\",code=\"2xx\"}", "0+600x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyQueue", severity: Warning, minutes: 5,
            summary: "Requests wait for a server of {{ $labels.proxy }} on {{ $labels.instance }}",
            about: "All servers are at maxconn: more servers, or faster ones.",
            promql: "haproxy_backend_current_queue > 0",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.backend.*.qcur, -5, -2)", 0.0)),
            bad: &[("haproxy_backend_current_queue{instance=\"lb-01\",proxy=\"app\"}", "3x60")],
            good: &[("haproxy_backend_current_queue{instance=\"lb-01\",proxy=\"app\"}", "3x3 0x57")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxySessionsNearLimit", severity: Warning, minutes: 5,
            summary: "Frontend {{ $labels.proxy }} of {{ $labels.instance }} is above 80 % of its sessions",
            about: "At maxconn of the frontend, clients wait.",
            promql: "haproxy_frontend_current_sessions / (haproxy_frontend_limit_sessions > 0) > 0.8",
            graphite: Some(Above("aliasByNode(asPercent($namespace.*.haproxy.frontend.*.scur, $namespace.*.haproxy.frontend.*.slim, -5, -2), -5, -2)", 80.0)),
            bad: &[("haproxy_frontend_current_sessions{instance=\"lb-01\",proxy=\"app\"}", "900x60"), ("haproxy_frontend_limit_sessions{instance=\"lb-01\",proxy=\"app\"}", "1000x60")],
            good: &[("haproxy_frontend_current_sessions{instance=\"lb-01\",proxy=\"app\"}", "900x60"), ("haproxy_frontend_limit_sessions{instance=\"lb-01\",proxy=\"app\"}", "0x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyConnectionsNearLimit", severity: Critical, minutes: 5,
            summary: "HAProxy on {{ $labels.instance }} is above 90 % of its connections",
            about: "At maxconn of the process, nobody can connect any more.",
            promql: "haproxy_process_current_connections / (haproxy_process_max_connections > 0) > 0.9",
            graphite: Some(Above("aliasByNode(asPercent($namespace.*.haproxy.daemon.CurrConns, $namespace.*.haproxy.daemon.Maxconn, -4), -4)", 90.0)),
            bad: &[("haproxy_process_current_connections{instance=\"lb-01\"}", "950x60"), ("haproxy_process_max_connections{instance=\"lb-01\"}", "1000x60")],
            good: &[("haproxy_process_current_connections{instance=\"lb-01\"}", "850x60"), ("haproxy_process_max_connections{instance=\"lb-01\"}", "1000x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxyBusy", severity: Warning, minutes: 10,
            summary: "HAProxy on {{ $labels.instance }} is idle for less than 20 % of its time",
            about: "Near 0 it is overloaded: more threads, or another host.",
            promql: "haproxy_process_idle_time_percent < 20",
            graphite: Some(Below("aliasByNode($namespace.*.haproxy.daemon.Idle_pct, -4)", 20.0)),
            bad: &[("haproxy_process_idle_time_percent{instance=\"lb-01\"}", "12x60")],
            good: &[("haproxy_process_idle_time_percent{instance=\"lb-01\"}", "12x8 60x52")],
            labels: HOST,
        },
        Alert {
            name: "HaproxyConnectionErrors", severity: Warning, minutes: 5,
            summary: "Connections to servers of {{ $labels.proxy }} fail on {{ $labels.instance }}",
            about: "More than one in a second: refused, timed out, or without a route.",
            promql: "rate(haproxy_backend_connection_errors_total[5m]) > 1",
            graphite: Some(Above("aliasByNode(perSecond($namespace.*.haproxy.backend.*.econ), -5, -2)", 1.0)),
            bad: &[("haproxy_backend_connection_errors_total{instance=\"lb-01\",proxy=\"app\"}", "0+120x60")],
            good: &[("haproxy_backend_connection_errors_total{instance=\"lb-01\",proxy=\"app\"}", "0+30x60")],
            labels: BACKEND,
        },
        Alert {
            name: "HaproxyServerFlaps", severity: Warning, minutes: 0,
            summary: "Server {{ $labels.server }} of {{ $labels.proxy }} goes up and down for {{ $labels.instance }}",
            about: "More than three times in 15 minutes. Look at what its checks say, and at rise and fall.",
            promql: "increase(haproxy_server_check_up_down_total[15m]) > 3",
            graphite: None,
            bad: &[("haproxy_server_check_up_down_total{instance=\"lb-01\",proxy=\"app\",server=\"s1\"}", "0+1x60")],
            good: &[("haproxy_server_check_up_down_total{instance=\"lb-01\",proxy=\"app\",server=\"s1\"}", "0x30 1x30")],
            labels: &[("instance", "lb-01"), ("proxy", "app"), ("server", "s1")],
        },
        Alert {
            name: "HaproxyCertificateExpires", severity: Warning, minutes: 0,
            summary: "A certificate that HAProxy has loaded on {{ $labels.instance }} expires within two weeks",
            about: "The first of all to expire; families = certificates of [pull]. show ssl cert names it; a renewed one has to be loaded, too.",
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
            summary: "{{ $labels.job }} on {{ $labels.instance }} does not answer",
            about: "Its page of metrics cannot be read: the program does not run, or hangs. systemctl status says why.",
            promql: "up{job=~\"haproxystats.*\"} == 0",
            graphite: None,
            bad: &[("up{job=\"haproxystats-process\",instance=\"lb-01\"}", "1x20 0x40")],
            good: &[("up{job=\"haproxystats-process\",instance=\"lb-01\"}", "1x60"), ("up{job=\"node\",instance=\"lb-01\"}", "0x60")],
            labels: &[("instance", "lb-01"), ("job", "haproxystats-process")],
        },
        Alert {
            name: "HaproxystatsPullsNothing", severity: Critical, minutes: 5,
            summary: "haproxystats-pull on {{ $labels.instance }} publishes nothing",
            about: "No snapshot in five minutes, although it runs: its sockets, the disk, or queue-size. Its log says which.",
            promql: "increase(haproxystats_pull_published_total[5m]) == 0",
            graphite: Some(Below("aliasByNode(perSecond($namespace.*.haproxy.haproxystats.PullPublished), -4)", 0.001)),
            bad: &[("haproxystats_pull_published_total{instance=\"lb-01\"}", "100x60")],
            good: &[("haproxystats_pull_published_total{instance=\"lb-01\"}", "0+6x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxystatsPullsFail", severity: Warning, minutes: 0,
            summary: "Sockets of HAProxy fail on {{ $labels.instance }}",
            about: "More than three in ten minutes. The log of haproxystats-pull names them.",
            promql: "increase(haproxystats_pull_failed_sockets_total[10m]) > 3",
            graphite: Some(Above("aliasByNode(perSecond($namespace.*.haproxy.haproxystats.PullFailedSockets), -4)", 0.005)),
            bad: &[("haproxystats_pull_failed_sockets_total{instance=\"lb-01\"}", "0+1x60")],
            good: &[("haproxystats_pull_failed_sockets_total{instance=\"lb-01\"}", "0x30 1x30")],
            labels: HOST,
        },
        grows("HaproxystatsPullSuspended", Critical, "haproxystats-pull on {{ $labels.instance }} is suspended",
            "queue-size snapshots wait, so that nothing is pulled: haproxystats-process does not run, or a destination is away.",
            "increase(haproxystats_pull_suspended_ticks_total[5m]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.PullSuspendedTicks), -4)",
            [&[("haproxystats_pull_suspended_ticks_total{instance=\"lb-01\"}", "0+1x60")], &[("haproxystats_pull_suspended_ticks_total{instance=\"lb-01\"}", "5x60")]]),
        Alert {
            name: "HaproxystatsQueueOld", severity: Warning, minutes: 5,
            summary: "Metrics of {{ $labels.instance }} are more than five minutes late",
            about: "Some destination does not take snapshots, or workers are too slow. haproxystats-process --status shows the queue.",
            promql: "haproxystats_process_queue_oldest_age_seconds > 300",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.haproxystats.QueueOldestAge, -4)", 300.0)),
            bad: &[("haproxystats_process_queue_oldest_age_seconds{instance=\"lb-01\"}", "0+60x60")],
            good: &[("haproxystats_process_queue_oldest_age_seconds{instance=\"lb-01\"}", "40x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxystatsDestinationAway", severity: Warning, minutes: 5,
            summary: "A destination of {{ $labels.instance }} confirms nothing",
            about: "Snapshots wait on disk, nothing is lost. The log of haproxystats-process names it.",
            promql: "haproxystats_process_destinations_unconfirmed > 0",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.haproxystats.DestinationsUnconfirmed, -4)", 0.0)),
            bad: &[("haproxystats_process_destinations_unconfirmed{instance=\"lb-01\"}", "1x60")],
            good: &[("haproxystats_process_destinations_unconfirmed{instance=\"lb-01\"}", "1x3 0x57")],
            labels: HOST,
        },
        grows("HaproxystatsQuarantine", Warning, "A snapshot of {{ $labels.instance }} cannot be processed",
            "It lies in failed/ beside src-dir. haproxystats-process --once shows what is wrong; --replay sends it later.",
            "increase(haproxystats_process_snapshots_quarantined_total[1h]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.SnapshotsQuarantined), -4)",
            [&[("haproxystats_process_snapshots_quarantined_total{instance=\"lb-01\"}", "0x50 1x10")], &[("haproxystats_process_snapshots_quarantined_total{instance=\"lb-01\"}", "1x60")]]),
        grows("HaproxystatsDropped", Critical, "Metrics of {{ $labels.instance }} are lost",
            "queue-full = drop-oldest gave up snapshots to make room.",
            "increase(haproxystats_process_snapshots_dropped_total[15m]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.SnapshotsDropped), -4)",
            [&[("haproxystats_process_snapshots_dropped_total{instance=\"lb-01\"}", "0x50 3x10")], &[("haproxystats_process_snapshots_dropped_total{instance=\"lb-01\"}", "3x60")]]),
        grows("HaproxystatsRefusedRows", Warning, "Statistics of {{ $labels.instance }} cannot be read",
            "Rows of show stat were left out, and with them objects. The log of haproxystats-process names file and line.",
            "increase(haproxystats_process_refused_rows_total[15m]) > 0",
            "aliasByNode(perSecond($namespace.*.haproxy.haproxystats.RefusedRows), -4)",
            [&[("haproxystats_process_refused_rows_total{instance=\"lb-01\"}", "0+1x60")], &[("haproxystats_process_refused_rows_total{instance=\"lb-01\"}", "9x60")]]),
        Alert {
            name: "HaproxystatsUnknownFields", severity: Warning, minutes: 30,
            summary: "HAProxy on {{ $labels.instance }} has fields that haproxystats does not know",
            about: "A newer HAProxy: take a newer haproxystats, or send them with unknown-fields = send.",
            promql: "haproxystats_pull_unknown_fields > 0",
            graphite: Some(Above("aliasByNode($namespace.*.haproxy.haproxystats.PullUnknownFields, -4)", 0.0)),
            bad: &[("haproxystats_pull_unknown_fields{instance=\"lb-01\"}", "3x60")],
            good: &[("haproxystats_pull_unknown_fields{instance=\"lb-01\"}", "0x60")],
            labels: HOST,
        },
        Alert {
            name: "HaproxystatsWorkersDie", severity: Warning, minutes: 0,
            summary: "Workers of haproxystats-process on {{ $labels.instance }} are replaced again and again",
            about: "More than three in 15 minutes: the OOM killer, a disk that hangs, or a defect. The log says how they ended.",
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
