//! The dashboards: what they show, by which queries. Grafana's and graphite-web's are made of this.
//!
//! In a query, `$namespace` is `[graphite] namespace`, `$lb` a load balancer and `$backend` a backend, any of which may
//! be a pattern. Nodes are counted from the end of the path, since a namespace may have several.

/// What the values of a panel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    BitsPerSecond,
    Milliseconds,
    Seconds,
    Percent,
}

impl Unit {
    /// In Grafana's words.
    pub fn grafana(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::PerSecond => "cps",
            Self::BitsPerSecond => "bps",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Percent => "percent",
        }
    }

    /// For the vertical axis of graphite-web.
    pub fn words(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::PerSecond => "per second",
            Self::BitsPerSecond => "bit/s",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Percent => "%",
        }
    }
}

pub struct Dashboard {
    /// Name of the files, and identity in Grafana.
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// What may be chosen besides the namespace.
    pub choices: &'static [Choice],
    pub rows: &'static [Row],
}

/// Something to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// One load balancer.
    LoadBalancer,
    /// Any number of load balancers.
    LoadBalancers,
    /// One backend.
    Backend,
}

pub struct Row {
    pub title: &'static str,
    pub panels: &'static [Panel],
}

pub struct Panel {
    pub title: &'static str,
    /// For whoever wonders what the lines mean.
    pub about: &'static str,
    pub unit: Unit,
    /// Areas on top of each other: parts of a whole.
    pub stacked: bool,
    pub queries: &'static [&'static str],
}

const fn lines(title: &'static str, unit: Unit, about: &'static str, queries: &'static [&'static str]) -> Panel {
    Panel { title, about, unit, stacked: false, queries }
}

const fn areas(title: &'static str, unit: Unit, about: &'static str, queries: &'static [&'static str]) -> Panel {
    Panel { title, about, unit, stacked: true, queries }
}

use Choice::{Backend, LoadBalancer, LoadBalancers};
use Unit::{BitsPerSecond, Count, Milliseconds, PerSecond, Percent, Seconds};

#[rustfmt::skip]
pub const DASHBOARDS: &[Dashboard] = &[
    Dashboard {
        name: "haproxystats-fleet",
        title: "HAProxy: fleet",
        about: "All load balancers of a namespace beside each other.",
        choices: &[],
        rows: &[
            Row { title: "Traffic", panels: &[
                areas("Requests", PerSecond, "HTTP requests in the last second, over all frontends of each load balancer.",
                    &["groupByNode($namespace.*.haproxy.frontend.*.req_rate, -5, 'sumSeries')"]),
                areas("Open sessions", Count, "Sessions open at the moment of the pull, over all frontends.",
                    &["groupByNode($namespace.*.haproxy.frontend.*.scur, -5, 'sumSeries')"]),
                areas("Responses", PerSecond, "Responses of all frontends by class of their status.", &[
                    "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_2xx)), '2xx')",
                    "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_3xx)), '3xx')",
                    "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_4xx)), '4xx')",
                    "alias(sumSeries(perSecond($namespace.*.haproxy.frontend.*.hrsp_5xx)), '5xx')",
                ]),
                lines("Server errors", PerSecond, "Responses with a status of 500 to 599, by load balancer.",
                    &["groupByNode(perSecond($namespace.*.haproxy.frontend.*.hrsp_5xx), -5, 'sumSeries')"]),
                lines("Network", BitsPerSecond, "To and from clients, over all frontends.", &[
                    "alias(scale(sumSeries(perSecond($namespace.*.haproxy.frontend.*.bin)), 8), 'from clients')",
                    "alias(scale(sumSeries(perSecond($namespace.*.haproxy.frontend.*.bout)), 8), 'to clients')",
                ]),
                lines("New sessions", PerSecond, "Sessions in the last second, by load balancer.",
                    &["groupByNode($namespace.*.haproxy.frontend.*.rate, -5, 'sumSeries')"]),
            ] },
            Row { title: "Load balancers", panels: &[
                lines("Idle time", Percent, "How much of its time HAProxy waits. Near 0 it is overloaded.",
                    &["aliasByNode($namespace.*.haproxy.daemon.Idle_pct, -4)"]),
                lines("Connections", Percent, "Open connections as part of maxconn. At 100 new clients wait.",
                    &["aliasByNode(asPercent($namespace.*.haproxy.daemon.CurrConns, $namespace.*.haproxy.daemon.Maxconn, -4), -4)"]),
                lines("Uptime", Seconds, "Time since HAProxy started; it falls to 0 at a restart or reload.",
                    &["aliasByNode($namespace.*.haproxy.daemon.Uptime_sec, -4)"]),
            ] },
            Row { title: "Backends", panels: &[
                areas("Busiest backends", PerSecond, "Requests by backend over all load balancers, the ten largest.",
                    &["highestAverage(groupByNode(perSecond($namespace.*.haproxy.backend.*.req_tot), -2, 'sumSeries'), 10)"]),
                lines("Waiting requests", Count, "Requests in queues by backend over all load balancers, the ten largest.",
                    &["highestMax(groupByNode($namespace.*.haproxy.backend.*.qcur, -2, 'sumSeries'), 10)"]),
                lines("Slowest backends", Milliseconds, "Time until the response begins, mean over load balancers, the ten largest.",
                    &["highestAverage(groupByNode($namespace.*.haproxy.backend.*.rtime, -2, 'averageSeries'), 10)"]),
                lines("Largest p99", Milliseconds, "Of response times, by backend, the largest of all load balancers, the ten largest (latency-table).",
                    &["highestMax(groupByNode($namespace.*.haproxy.backend.*.latency_response_p99, -2, 'maxSeries'), 10)"]),
                lines("Servers in use", Count, "Fewest servers that a load balancer uses, by backend, the ten smallest.",
                    &["lowestCurrent(groupByNode($namespace.*.haproxy.backend.*.act, -2, 'minSeries'), 10)"]),
                lines("Failed connections", PerSecond, "Connections to servers that failed, by backend, the ten largest.",
                    &["highestMax(groupByNode(perSecond($namespace.*.haproxy.backend.*.econ), -2, 'sumSeries'), 10)"]),
                lines("Delivery", Seconds, "Time from a pull until the destination has its metrics, by load balancer.",
                    &["aliasByNode($namespace.*.haproxy.haproxystats.DeliveryLatency, -4)"]),
            ] },
        ],
    },
    Dashboard {
        name: "haproxystats-load-balancer",
        title: "HAProxy: load balancer",
        about: "One load balancer: its processes together, its frontends, its backends.",
        choices: &[LoadBalancer],
        rows: &[
            Row { title: "Daemon", panels: &[
                lines("Connections", Count, "Open connections, and the limit beyond which clients wait.", &[
                    "alias($namespace.$lb.haproxy.daemon.CurrConns, 'open')",
                    "alias($namespace.$lb.haproxy.daemon.Maxconn, 'limit')",
                ]),
                lines("New connections and sessions", PerSecond, "In the last second.", &[
                    "alias($namespace.$lb.haproxy.daemon.ConnRate, 'connections')",
                    "alias($namespace.$lb.haproxy.daemon.SessRate, 'sessions')",
                    "alias($namespace.$lb.haproxy.daemon.SslRate, 'TLS')",
                ]),
                lines("Idle time", Percent, "Mean over its processes. Near 0 HAProxy is overloaded.",
                    &["alias($namespace.$lb.haproxy.daemon.Idle_pct, 'idle')"]),
                lines("Work", Count, "Tasks of HAProxy, and those that wait for their turn.", &[
                    "alias($namespace.$lb.haproxy.daemon.Tasks, 'tasks')",
                    "alias($namespace.$lb.haproxy.daemon.Run_queue, 'waiting')",
                ]),
                lines("TLS keys", PerSecond, "Key computations, the costly part of TLS.", &[
                    "alias($namespace.$lb.haproxy.daemon.SslFrontendKeyRate, 'with clients')",
                    "alias($namespace.$lb.haproxy.daemon.SslBackendKeyRate, 'with servers')",
                ]),
                lines("Uptime", Seconds, "Time since HAProxy started; it falls to 0 at a restart or reload.",
                    &["alias($namespace.$lb.haproxy.daemon.Uptime_sec, 'uptime')"]),
            ] },
            Row { title: "Frontends", panels: &[
                areas("Requests", PerSecond, "HTTP requests in the last second, by frontend.",
                    &["aliasByNode($namespace.$lb.haproxy.frontend.*.req_rate, -2)"]),
                areas("Open sessions", Count, "By frontend.",
                    &["aliasByNode($namespace.$lb.haproxy.frontend.*.scur, -2)"]),
                areas("Responses", PerSecond, "All frontends, by class of the status.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_2xx)), '2xx')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_3xx)), '3xx')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_4xx)), '4xx')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.hrsp_5xx)), '5xx')",
                ]),
                areas("From clients", BitsPerSecond, "Bytes received, by frontend.",
                    &["aliasByNode(scale(perSecond($namespace.$lb.haproxy.frontend.*.bin), 8), -2)"]),
                areas("To clients", BitsPerSecond, "Bytes sent, by frontend.",
                    &["aliasByNode(scale(perSecond($namespace.$lb.haproxy.frontend.*.bout), 8), -2)"]),
                lines("Refused and broken requests", PerSecond, "Requests in error and requests denied by a rule, all frontends.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.ereq)), 'in error')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.frontend.*.dreq)), 'denied')",
                ]),
            ] },
            Row { title: "Backends", panels: &[
                areas("Requests", PerSecond, "By backend.",
                    &["aliasByNode(perSecond($namespace.$lb.haproxy.backend.*.req_tot), -2)"]),
                lines("Waiting requests", Count, "Requests in the queue of each backend and its servers.",
                    &["aliasByNode($namespace.$lb.haproxy.backend.*.qcur, -2)"]),
                lines("Response time", Milliseconds, "Time until the response begins, mean of the last 1024 requests.",
                    &["aliasByNode($namespace.$lb.haproxy.backend.*.rtime, -2)"]),
                lines("Server errors", PerSecond, "Responses with a status of 500 to 599.",
                    &["aliasByNode(perSecond($namespace.$lb.haproxy.backend.*.hrsp_5xx), -2)"]),
                lines("Trouble with servers", PerSecond, "All backends: failed connections, responses in error, further attempts.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.econ)), 'failed connections')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.eresp)), 'responses in error')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.wretr)), 'tried again')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.*.wredis)), 'sent elsewhere')",
                ]),
                lines("Servers in use", Count, "By backend, without backup servers.",
                    &["aliasByNode($namespace.$lb.haproxy.backend.*.act, -2)"]),
            ] },
        ],
    },
    Dashboard {
        name: "haproxystats-backend",
        title: "HAProxy: backend",
        about: "One backend with its servers, over the chosen load balancers.",
        choices: &[LoadBalancers, Backend],
        rows: &[
            Row { title: "Backend", panels: &[
                areas("Requests", PerSecond, "By load balancer.",
                    &["aliasByNode(perSecond($namespace.$lb.haproxy.backend.$backend.req_tot), -5)"]),
                areas("Responses", PerSecond, "By class of the status.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_2xx)), '2xx')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_3xx)), '3xx')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_4xx)), '4xx')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.backend.$backend.hrsp_5xx)), '5xx')",
                ]),
                lines("Times", Milliseconds, "Means of the last 1024 requests, and over load balancers.", &[
                    "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.qtime), 'in the queue')",
                    "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.ctime), 'to connect')",
                    "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.rtime), 'to the response')",
                    "alias(averageSeries($namespace.$lb.haproxy.backend.$backend.ttime), 'total')",
                ]),
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
                lines("Servers in use", Count, "As each load balancer sees it, without backup servers.",
                    &["aliasByNode($namespace.$lb.haproxy.backend.$backend.act, -5)"]),
            ] },
            Row { title: "Servers", panels: &[
                areas("Requests", PerSecond, "Requests (TCP: sessions) by server, over load balancers.",
                    &["groupByNode(perSecond($namespace.$lb.haproxy.backend.$backend.server.*.stot), -2, 'sumSeries')"]),
                areas("Open sessions", Count, "By server, over load balancers.",
                    &["groupByNode($namespace.$lb.haproxy.backend.$backend.server.*.scur, -2, 'sumSeries')"]),
                lines("Response time", Milliseconds, "Time until the response begins, mean over load balancers.",
                    &["groupByNode($namespace.$lb.haproxy.backend.$backend.server.*.rtime, -2, 'averageSeries')"]),
                lines("p99", Milliseconds, "Of response times, by server, the largest of the load balancers (latency-table).",
                    &["groupByNode($namespace.$lb.haproxy.backend.$backend.server.*.latency_response_p99, -2, 'maxSeries')"]),
                lines("Server errors", PerSecond, "Responses with a status of 500 to 599.",
                    &["groupByNode(perSecond($namespace.$lb.haproxy.backend.$backend.server.*.hrsp_5xx), -2, 'sumSeries')"]),
                lines("Weight", Count, "Effective weight, mean over load balancers.",
                    &["groupByNode($namespace.$lb.haproxy.backend.$backend.server.*.weight, -2, 'averageSeries')"]),
                lines("Failed checks", PerSecond, "Checks that failed while the server was up.",
                    &["groupByNode(perSecond($namespace.$lb.haproxy.backend.$backend.server.*.chkfail), -2, 'sumSeries')"]),
            ] },
        ],
    },
    Dashboard {
        name: "haproxystats-itself",
        title: "haproxystats itself",
        about: "Pulls, queue, workers and delivery of the chosen load balancers.",
        choices: &[LoadBalancers],
        rows: &[
            Row { title: "Pull", panels: &[
                lines("Duration of a pull", Seconds, "Until the last answer was on disk.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.PullDuration, -4)"]),
                lines("Sockets", Count, "Sockets that a pull asked.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.PullSockets, -4)"]),
                lines("Failed sockets", PerSecond, "Over the chosen load balancers, by reason.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsConnect)), 'no connection')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsTimeout)), 'time-out')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsEmpty)), 'no answer')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsRefused)), 'refused')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsTruncated)), 'truncated')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsTooLarge)), 'too large')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedSocketsCorrupt)), 'corrupt')",
                ]),
                lines("Pulls that brought nothing", PerSecond, "Failed, skipped because they came too late, suspended by queue-size.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedTicks)), 'failed')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullSkippedTicks)), 'skipped')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullSuspendedTicks)), 'suspended')",
                ]),
            ] },
            Row { title: "Queue", panels: &[
                lines("Waiting snapshots", Count, "Snapshots that wait for a worker. It grows while Graphite is away.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.QueueDepth, -4)"]),
                lines("Age of the oldest", Seconds, "Age of the oldest snapshot that is not delivered yet.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.QueueOldestAge, -4)"]),
                lines("Left out", PerSecond, "Over the chosen load balancers. Anything above 0 deserves a look at the log.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.SnapshotsQuarantined)), 'snapshots in quarantine')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.SnapshotsDropped)), 'snapshots dropped')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.RefusedFiles)), 'files refused')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.RefusedRows)), 'rows refused')",
                ]),
            ] },
            Row { title: "Workers", panels: &[
                lines("Time of a snapshot", Seconds, "From taking it up until its lines were ready to be sent.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.TotalWallClockTime, -4)"]),
                areas("Metrics of a snapshot", Count, "Mean over the chosen load balancers.", &[
                    "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsHAProxy), 'daemon')",
                    "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsFrontend), 'frontends')",
                    "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsBackend), 'backends')",
                    "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsServer), 'servers')",
                ]),
                lines("Workers", Count, "Worker processes that run.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.Workers, -4)"]),
                lines("Replaced workers", PerSecond, "Over the chosen load balancers, by reason.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.WorkerRestartsExit)), 'ended')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.WorkerRestartsSignal)), 'killed')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.WorkerRestartsHang)), 'hanging')",
                ]),
            ] },
            Row { title: "Delivery", panels: &[
                lines("Latency", Seconds, "From a pull until every destination has its metrics.",
                    &["aliasByNode($namespace.$lb.haproxy.haproxystats.DeliveryLatency, -4)"]),
                areas("Lines to Graphite", PerSecond, "Lines that Graphite has for good, by load balancer.",
                    &["aliasByNode(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteLinesDelivered), -4)"]),
                lines("Lines sent again or dropped", PerSecond, "Over the chosen load balancers.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteLinesResent)), 'sent again')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteLinesDropped)), 'dropped')",
                ]),
                lines("Connections to Graphite", PerSecond, "Over the chosen load balancers.", &[
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteRetries)), 'failed attempts')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteReconnects)), 'opened anew')",
                    "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteStalls)), 'stalled')",
                ]),
            ] },
        ],
    },
];
