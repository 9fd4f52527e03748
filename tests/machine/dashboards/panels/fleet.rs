//! All load balancers of a namespace beside each other.

use super::Unit::{BitsPerSecond, Count, Days, Milliseconds, PerSecond, Percent, Seconds};
use super::{Dashboard, Panel, Row, areas, lines};

pub const FLEET: Dashboard = Dashboard {
    name: "haproxystats-fleet",
    title: "HAProxy: fleet",
    about: "All load balancers of a namespace beside each other.",
    choices: &[],
    rows: &[
        Row { title: "Traffic", panels: TRAFFIC },
        Row { title: "Load balancers", panels: LOAD_BALANCERS },
        Row { title: "Backends", panels: BACKENDS },
        Row { title: "Servers, certificates and stick tables", panels: THINGS },
    ],
};

#[rustfmt::skip]
const TRAFFIC: &[Panel] = &[
    areas("Requests", PerSecond, "HTTP requests over all frontends, the ten busiest load balancers.",
        &["highest(groupByNode(perSecond($namespace.*.haproxy.frontend.*.req_tot), -5, 'sumSeries'), 10, 'average')"]),
    areas("Open sessions", Count, "Sessions open at the moment of the pull, over all frontends, the ten load balancers with the most.",
        &["highest(groupByNode($namespace.*.haproxy.frontend.*.scur, -5, 'sumSeries'), 10, 'average')"]),
    lines("New sessions", PerSecond, "Over all frontends, the ten load balancers with the most.",
        &["highest(groupByNode(perSecond($namespace.*.haproxy.frontend.*.stot), -5, 'sumSeries'), 10, 'average')"]),
    areas("Responses", PerSecond, "Responses of all frontends by class of their status.", &[
        "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_2xx)), '2xx')",
        "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_3xx)), '3xx')",
        "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_4xx)), '4xx')",
        "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_5xx)), '5xx')",
    ]),
    lines("Server errors", Percent, "Requests that were answered with a status of 500 to 599, the ten load balancers with the most.",
        &["aliasByNode(highest(removeEmptySeries(asPercent(groupByNode(perSecond($namespace.*.haproxy.frontend.*.hrsp_5xx), -5, 'sumSeries'), \
           groupByNode(perSecond($namespace.*.haproxy.frontend.*.req_tot), -5, 'sumSeries'), 0)), 10, 'average'), 0)"]),
    lines("Successes", Percent, "Requests that were answered with a status of 200 to 299, the ten load balancers with the fewest.",
        &["aliasByNode(lowest(removeEmptySeries(asPercent(groupByNode(perSecond($namespace.*.haproxy.frontend.*.hrsp_2xx), -5, 'sumSeries'), \
           groupByNode(perSecond($namespace.*.haproxy.frontend.*.req_tot), -5, 'sumSeries'), 0)), 10, 'average'), 0)"]),
    lines("Network", BitsPerSecond, "To and from clients, over all frontends.", &[
        "alias(scale(sumSeries(perSecond($namespace.*.haproxy.frontend.*.bin)), 8), 'from clients')",
        "alias(scale(sumSeries(perSecond($namespace.*.haproxy.frontend.*.bout)), 8), 'to clients')",
    ]),
    lines("Fullest frontends", Percent, "Open sessions in percent of their limit (maxconn), the ten fullest. At 100 new clients wait.",
        &["aliasByNode(highest(removeEmptySeries(asPercent($namespace.*.haproxy.frontend.*.scur, $namespace.*.haproxy.frontend.*.slim, -5, -2)), 10, 'max'), -5, -2)"]),
];

#[rustfmt::skip]
const LOAD_BALANCERS: &[Panel] = &[
    lines("Idle time", Percent, "How much of its time HAProxy waits, the ten busiest. Near 0 it is overloaded.",
        &["aliasByNode(lowest($namespace.*.haproxy.daemon.Idle_pct, 10, 'average'), -4)"]),
    lines("Connections", Percent, "Open connections in percent of maxconn, the ten fullest. At 100 new clients wait.",
        &["aliasByNode(highest(removeEmptySeries(asPercent($namespace.*.haproxy.daemon.CurrConns, $namespace.*.haproxy.daemon.Maxconn, -4)), 10, 'max'), -4)"]),
    lines("Uptime", Seconds, "Time since HAProxy started, the ten youngest; it falls to 0 at a restart or reload.",
        &["aliasByNode(lowest($namespace.*.haproxy.daemon.Uptime_sec, 10, 'last'), -4)"]),
    lines("Workers that are leaving", Count, "Old workers of HAProxy that still have sessions after a reload, the ten load balancers with the most (master-sockets).",
        &["aliasByNode(highest($namespace.*.haproxy.haproxystats.PullOldWorkers, 10, 'max'), -4)"]),
    lines("Delivery", Seconds, "Time from a pull until the destination has its metrics, the ten slowest load balancers.",
        &["aliasByNode(highest($namespace.*.haproxy.haproxystats.DeliveryLatency, 10, 'max'), -4)"]),
];

#[rustfmt::skip]
const BACKENDS: &[Panel] = &[
    lines("Busiest backends", PerSecond, "Requests, by load balancer and backend, the ten busiest.",
        &["aliasByNode(perSecond(highest($namespace.*.haproxy.backend.*.req_tot, 10, 'range')), -5, -2)"]),
    lines("Waiting requests", Count, "Requests in queues, by load balancer and backend, the ten largest.",
        &["aliasByNode(highest($namespace.*.haproxy.backend.*.qcur, 10, 'max'), -5, -2)"]),
    lines("Slowest backends", Milliseconds, "Time until the response begins, mean of the last 1024 requests, the ten largest.",
        &["aliasByNode(highest($namespace.*.haproxy.backend.*.rtime, 10, 'average'), -5, -2)"]),
    lines("Largest p99", Milliseconds, "Of response times since the pull before, by load balancer and backend, the ten largest (latency-table).",
        &["aliasByNode(highest($namespace.*.haproxy.backend.*.latency_response_p99, 10, 'max'), -5, -2)"]),
    lines("Most server errors", PerSecond, "Responses with a status of 500 to 599, by load balancer and backend, the ten with the most.",
        &["aliasByNode(perSecond(highest($namespace.*.haproxy.backend.*.hrsp_5xx, 10, 'range')), -5, -2)"]),
    lines("Failed connections", PerSecond, "Connections to servers that failed, by load balancer and backend, the ten with the most.",
        &["aliasByNode(perSecond(highest($namespace.*.haproxy.backend.*.econ, 10, 'range')), -5, -2)"]),
    lines("Servers in use", Count, "Servers that a load balancer uses, without backup servers, the ten backends with the fewest.",
        &["aliasByNode(lowest($namespace.*.haproxy.backend.*.act, 10, 'last'), -5, -2)"]),
    lines("Servers down", Count, "By load balancer and backend, the ten backends with the most (status-metrics).",
        &["aliasByNode(highest($namespace.*.haproxy.backend.*.servers_down, 10, 'last'), -5, -2)"]),
];

#[rustfmt::skip]
const THINGS: &[Panel] = &[
    lines("Servers", Count, "By state, as each load balancer sees its servers, over all of them (status-metrics).", &[
        "alias(sumSeries($namespace.*.haproxy.backend.*.TotalServers), 'all')",
        "alias(sumSeries($namespace.*.haproxy.backend.*.servers_up), 'up')",
        "alias(sumSeries($namespace.*.haproxy.backend.*.servers_down), 'down')",
    ]),
    lines("Servers set aside or not checked", Count, "By state, as each load balancer sees its servers, over all of them (status-metrics).", &[
        "alias(sumSeries($namespace.*.haproxy.backend.*.servers_maint), 'maintenance')",
        "alias(sumSeries($namespace.*.haproxy.backend.*.servers_drain), 'drain')",
        "alias(sumSeries($namespace.*.haproxy.backend.*.servers_no_check), 'not checked')",
    ]),
    lines("Certificates", Days, "Days until they expire, by load balancer and file, the ten that expire first (families = certificates).",
        &["aliasByNode(scale(lowest($namespace.*.haproxy.certificate.*.expires_in, 10, 'last'), 0.000011574074), -5, -2)"]),
    lines("Stick tables", Percent, "Entries in percent of those that fit, by load balancer and table, the ten fullest (families = tables). At 100 the oldest entries go.",
        &["aliasByNode(highest($namespace.*.haproxy.table.*.fill_pct, 10, 'last'), -5, -2)"]),
];
