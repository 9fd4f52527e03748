//! One backend with its servers.

use super::Unit::{Count, Milliseconds, PerSecond, Percent};
use super::{Choice, Dashboard, Panel, Row, areas, lines};

pub const BACKEND: Dashboard = Dashboard {
    name: "haproxystats-backend",
    title: "HAProxy: backend",
    about: "One backend with its servers, over the chosen load balancers.",
    choices: &[Choice::LoadBalancers, Choice::Backend, Choice::Servers],
    rows: &[Row { title: "Backend", panels: BACKEND_ROW }, Row { title: "Servers", panels: SERVERS }],
};

#[rustfmt::skip]
const BACKEND_ROW: &[Panel] = &[
    areas("Requests", PerSecond, "The ten busiest load balancers.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.backend.$backend.req_tot, 10, 'range')), -5)"]),
    areas("Responses", PerSecond, "By class of the status.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_2xx)), '2xx')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_3xx)), '3xx')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_4xx)), '4xx')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_5xx)), '5xx')",
    ]),
    lines("Successes and errors", Percent, "Requests by how they were answered: with a status of 200 to 299, of 500 to 599.", &[
        "alias(asPercent(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_2xx)), \
         sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.req_tot))), '2xx')",
        "alias(asPercent(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_5xx)), \
         sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.req_tot))), '5xx')",
    ]),
    lines("Times", Milliseconds, "Means of the last 1024 requests, and over load balancers.", &[
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.qtime), 'in the queue')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.ctime), 'to connect')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.rtime), 'to the response')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.ttime), 'total')",
    ]).marked(),
    lines("Percentiles", Milliseconds, "Of response times since the pull before, the largest of the load balancers (latency-table).", &[
        "alias(maxSeries($namespace.$lb.haproxy.backend.$backend.latency_response_p50), 'p50')",
        "alias(maxSeries($namespace.$lb.haproxy.backend.$backend.latency_response_p90), 'p90')",
        "alias(maxSeries($namespace.$lb.haproxy.backend.$backend.latency_response_p95), 'p95')",
        "alias(maxSeries($namespace.$lb.haproxy.backend.$backend.latency_response_p99), 'p99')",
    ]),
    lines("Sessions and queue", Count, "Sessions open now, and requests that wait.", &[
        "alias(sumSeries($namespace.$lb.haproxy.backend.$backend.scur), 'open')",
        "alias(sumSeries($namespace.$lb.haproxy.backend.$backend.qcur), 'waiting')",
    ]),
    lines("Trouble with servers", PerSecond, "Failed connections, responses in error, further attempts.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.econ)), 'failed connections')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.eresp)), 'responses in error')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.wretr)), 'tried again')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.wredis)), 'sent elsewhere')",
    ]),
    areas("Servers", Count, "By state, mean of what the load balancers see; together they are all servers (status-metrics).", &[
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.servers_up), 'up')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.servers_no_check), 'not checked')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.servers_drain), 'drain')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.servers_nolb), 'NOLB')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.servers_maint), 'maintenance')",
        "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.servers_down), 'down')",
    ]),
    lines("Servers in use", Count, "Without backup servers, the ten load balancers that use the fewest.",
        &["aliasByNode(lowest($namespace.$lb.haproxy.backend.$backend.act, 10, 'last'), -5)"]),
];

#[rustfmt::skip]
const SERVERS: &[Panel] = &[
    lines("Requests", PerSecond, "Requests (TCP: sessions), by load balancer and server, the ten busiest.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.backend.$backend.server.$server.stot, 10, 'range')), -7, -2)"]),
    lines("Open sessions", Count, "By load balancer and server, the ten with the most.",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.$backend.server.$server.scur, 10, 'max'), -7, -2)"]),
    lines("Waiting requests", Count, "Requests that wait for this server since it has all the sessions that it may have (maxconn), the ten longest queues.",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.$backend.server.$server.qcur, 10, 'max'), -7, -2)"]),
    lines("Response time", Milliseconds, "Time until the response begins, mean of the last 1024 requests, the ten slowest.",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.$backend.server.$server.rtime, 10, 'average'), -7, -2)"]),
    lines("Largest p99", Milliseconds, "Of response times since the pull before, the ten largest (latency-table).",
        &["aliasByNode(highest($namespace.$lb.haproxy.backend.$backend.server.$server.latency_response_p99, 10, 'max'), -7, -2)"]),
    lines("Server errors", PerSecond, "Responses with a status of 500 to 599, the ten servers with the most.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.backend.$backend.server.$server.hrsp_5xx, 10, 'range')), -7, -2)"]),
    lines("Failed checks", PerSecond, "Checks that failed while the server was up, the ten servers with the most.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.backend.$backend.server.$server.chkfail, 10, 'range')), -7, -2)"]),
    lines("Availability", Percent, "100 while a server answers, else 0; the ten that answered for the least of the time (status-metrics).",
        &["aliasByNode(scale(lowest($namespace.$lb.haproxy.backend.$backend.server.$server.status_up, 10, 'average'), 100), -7, -2)"]),
    lines("Weight", Count, "Effective weight, the ten lightest servers.",
        &["aliasByNode(lowest($namespace.$lb.haproxy.backend.$backend.server.$server.weight, 10, 'last'), -7, -2)"]),
];
