//! One load balancer.

use super::Unit::{BitsPerSecond, Count, Days, Milliseconds, PerSecond, Percent, Seconds};
use super::{Choice, Dashboard, Panel, Row, areas, lines};

pub const LOAD_BALANCER: Dashboard = Dashboard {
    name: "haproxystats-load-balancer",
    title: "HAProxy: load balancer",
    about: "One load balancer: its processes together, its frontends, its backends.",
    choices: &[Choice::LoadBalancer],
    rows: &[
        Row { title: "Daemon", panels: DAEMON },
        Row { title: "Frontends", panels: FRONTENDS },
        Row { title: "Backends", panels: BACKENDS },
        Row { title: "Servers, certificates and stick tables", panels: THINGS },
    ],
};

#[rustfmt::skip]
const DAEMON: &[Panel] = &[
    lines("Connections", Count, "Open connections, and the limit beyond which clients wait.", &[
        "alias($namespace.$lb.haproxy.daemon.CurrConns, 'open')",
        "alias($namespace.$lb.haproxy.daemon.Maxconn, 'limit')",
    ]).marked(),
    lines("New connections and requests", PerSecond, "Over all frontends; TLS connections also with servers.", &[
        "alias(perSecond($namespace.$lb.haproxy.daemon.CumConns), 'connections')",
        "alias(perSecond($namespace.$lb.haproxy.daemon.CumReq), 'requests')",
        "alias(perSecond($namespace.$lb.haproxy.daemon.CumSslConns), 'TLS connections')",
    ]),
    lines("Saturation", Percent, "Open connections in percent of their limit (maxconn), and the time in which HAProxy does not wait, mean over its processes.", &[
        "alias(asPercent($namespace.$lb.haproxy.daemon.CurrConns, $namespace.$lb.haproxy.daemon.Maxconn), 'connections')",
        "alias(offset(scale($namespace.$lb.haproxy.daemon.Idle_pct, -1), 100), 'busy')",
    ]),
    lines("Work", Count, "Tasks of HAProxy, and those that wait for their turn.", &[
        "alias($namespace.$lb.haproxy.daemon.Tasks, 'tasks')",
        "alias($namespace.$lb.haproxy.daemon.Run_queue, 'waiting')",
    ]),
    lines("TLS sessions", PerSecond, "Clients that want to resume a session, and those whose session is not in the cache: each of these costs a key.", &[
        "alias(perSecond($namespace.$lb.haproxy.daemon.SslCacheLookups), 'looked up')",
        "alias(perSecond($namespace.$lb.haproxy.daemon.SslCacheMisses), 'not found')",
    ]),
    lines("Uptime", Seconds, "Time since HAProxy started; it falls to 0 at a restart or reload.",
        &["alias($namespace.$lb.haproxy.daemon.Uptime_sec, 'uptime')"]).marked(),
    lines("Reloads and continuity", Count, "Workers that are leaving after a reload (master-sockets), processes that are gone whose counts go on, and objects whose counters stepped back (continuous-counters).", &[
        "alias($namespace.$lb.haproxy.haproxystats.PullOldWorkers, 'leaving')",
        "alias($namespace.$lb.haproxy.haproxystats.PullCarriedProcesses, 'carried on')",
        "alias(perSecond($namespace.$lb.haproxy.haproxystats.PullResets), 'stepped back, per second')",
    ]),
];

#[rustfmt::skip]
const FRONTENDS: &[Panel] = &[
    areas("Requests", PerSecond, "HTTP requests, the ten busiest frontends.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.frontend.*.req_tot, 10, 'range')), -2)"]),
    areas("Open sessions", Count, "The ten frontends with the most.",
        &["aliasByNode(highest($namespace.$lb.haproxy.frontend.*.scur, 10, 'average'), -2)"]),
    lines("Sessions against their limit", Percent, "Open sessions in percent of maxconn, the ten fullest frontends. At 100 new clients wait.",
        &["aliasByNode(highest(removeEmptySeries(asPercent($namespace.$lb.haproxy.frontend.*.scur, $namespace.$lb.haproxy.frontend.*.slim, -2)), 10, 'max'), -2)"]),
    areas("Responses", PerSecond, "All frontends, by class of the status.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_2xx)), '2xx')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_3xx)), '3xx')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_4xx)), '4xx')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_5xx)), '5xx')",
    ]),
    lines("Server errors", Percent, "Requests that were answered with a status of 500 to 599, the ten frontends with the most.",
        &["aliasByNode(highest(removeEmptySeries(asPercent(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_5xx), \
           perSecond($namespace.$lb.haproxy.frontend.*.req_tot), -2)), 10, 'average'), -2)"]),
    lines("Successes", Percent, "Requests that were answered with a status of 200 to 299, the ten frontends with the fewest.",
        &["aliasByNode(lowest(removeEmptySeries(asPercent(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_2xx), \
           perSecond($namespace.$lb.haproxy.frontend.*.req_tot), -2)), 10, 'average'), -2)"]),
    areas("From clients", BitsPerSecond, "Bytes received, the ten frontends with the most.",
        &["aliasByNode(scale(perSecond(highest($namespace.$lb.haproxy.frontend.*.bin, 10, 'range')), 8), -2)"]),
    areas("To clients", BitsPerSecond, "Bytes sent, the ten frontends with the most.",
        &["aliasByNode(scale(perSecond(highest($namespace.$lb.haproxy.frontend.*.bout, 10, 'range')), 8), -2)"]),
    lines("Refused and broken requests", PerSecond, "Requests in error and requests denied by a rule, all frontends.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.ereq)), 'in error')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.dreq)), 'denied')",
    ]),
];

#[rustfmt::skip]
const BACKENDS: &[Panel] = &[
    areas("Requests", PerSecond, "The ten busiest backends.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.backend.*.req_tot, 10, 'range')), -2)"]),
    lines("Waiting requests", Count, "Requests in the queue of a backend and its servers, the ten largest.",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.*.qcur, 10, 'max'), -2)"]),
    lines("Response time", Milliseconds, "Time until the response begins, mean of the last 1024 requests, the ten slowest backends.",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.*.rtime, 10, 'average'), -2)"]),
    lines("Largest p99", Milliseconds, "Of response times since the pull before, the ten backends with the largest (latency-table).",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.*.latency_response_p99, 10, 'max'), -2)"]),
    lines("Server errors", PerSecond, "Responses with a status of 500 to 599, the ten backends with the most.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.backend.*.hrsp_5xx, 10, 'range')), -2)"]),
    lines("Broken connections and responses", PerSecond, "All backends: connections to servers that failed, responses in error.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.econ)), 'failed connections')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.eresp)), 'responses in error')",
    ]),
    lines("Further attempts", PerSecond, "All backends: requests that were tried again, with the same server or another one.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.wretr)), 'tried again')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.wredis)), 'sent elsewhere')",
    ]),
    lines("Servers in use", Count, "Without backup servers, the ten backends with the fewest.",
        &["aliasByNode(lowest($namespace.$lb.haproxy.backend.*.act, 10, 'last'), -2)"]),
    lines("Servers down", Count, "The ten backends with the most (status-metrics).",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.*.servers_down, 10, 'last'), -2)"]),
];

#[rustfmt::skip]
const THINGS: &[Panel] = &[
    lines("Servers", Count, "Of all backends, by state (status-metrics).", &[
        "alias(sumSeries($namespace.$lb.haproxy.backend.*.TotalServers), 'all')",
        "alias(sumSeries($namespace.$lb.haproxy.backend.*.servers_up), 'up')",
        "alias(sumSeries($namespace.$lb.haproxy.backend.*.servers_down), 'down')",
    ]),
    lines("Servers set aside or not checked", Count, "Of all backends, by state (status-metrics).", &[
        "alias(sumSeries($namespace.$lb.haproxy.backend.*.servers_maint), 'maintenance')",
        "alias(sumSeries($namespace.$lb.haproxy.backend.*.servers_drain), 'drain')",
        "alias(sumSeries($namespace.$lb.haproxy.backend.*.servers_no_check), 'not checked')",
    ]),
    lines("Certificates", Days, "Days until they expire, by file, the ten that expire first (families = certificates).",
        &["aliasByNode(scale(lowest($namespace.$lb.haproxy.certificate.*.expires_in, 10, 'last'), 0.000011574074), -2)"]),
    lines("Stick tables", Percent, "Entries in percent of those that fit, the ten fullest (families = tables). At 100 the oldest entries go.",
        &["aliasByNode(highest($namespace.$lb.haproxy.table.*.fill_pct, 10, 'last'), -2)"]),
];
