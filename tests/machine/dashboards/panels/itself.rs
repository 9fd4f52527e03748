//! haproxystats itself.

use super::Unit::{Count, PerSecond, Seconds};
use super::{Choice, Dashboard, Panel, Row, areas, lines};

pub const ITSELF: Dashboard = Dashboard {
    name: "haproxystats-itself",
    title: "haproxystats itself",
    about: "Pulls, queue, workers and delivery of the chosen load balancers.",
    choices: &[Choice::LoadBalancers],
    rows: &[
        Row { title: "Pull", panels: PULL },
        Row { title: "Queue", panels: QUEUE },
        Row { title: "Workers", panels: WORKERS },
        Row { title: "Delivery", panels: DELIVERY },
    ],
};

#[rustfmt::skip]
const PULL: &[Panel] = &[
    lines("Duration of a pull", Seconds, "Until the last answer was on disk, the ten slowest load balancers.",
        &["aliasByNode(highest($namespace.$lb.haproxy.haproxystats.PullDuration, 10, 'max'), -4)"]),
    lines("Sockets", Count, "Sockets that a pull asked, the ten load balancers with the fewest.",
        &["aliasByNode(lowest($namespace.$lb.haproxy.haproxystats.PullSockets, 10, 'last'), -4)"]),
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
    lines("Questions about families", PerSecond, "Over the chosen load balancers: replies, and what was refused or not answered in time.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFurtherReplies)), 'answered')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullRefusedQuestions)), 'refused')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.PullFailedQuestions)), 'not answered')",
    ]),
];

#[rustfmt::skip]
const QUEUE: &[Panel] = &[
    lines("Waiting snapshots", Count, "Snapshots that wait for a worker, the ten longest queues. They grow while Graphite is away.",
        &["aliasByNode(highest($namespace.$lb.haproxy.haproxystats.QueueDepth, 10, 'max'), -4)"]),
    lines("Age of the oldest", Seconds, "Age of the oldest snapshot that is not delivered yet, the ten oldest.",
        &["aliasByNode(highest($namespace.$lb.haproxy.haproxystats.QueueOldestAge, 10, 'max'), -4)"]),
    lines("Left out", PerSecond, "Over the chosen load balancers. Anything above 0 deserves a look at the log.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.SnapshotsQuarantined)), 'snapshots in quarantine')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.SnapshotsDropped)), 'snapshots dropped')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.RefusedFiles)), 'files refused')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.RefusedRows)), 'rows refused')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.UnknownLines)), 'unknown lines')",
    ]),
];

#[rustfmt::skip]
const WORKERS: &[Panel] = &[
    lines("Time of a snapshot", Seconds, "From taking it up until its lines were ready to be sent, the ten slowest load balancers.",
        &["aliasByNode(highest($namespace.$lb.haproxy.haproxystats.TotalWallClockTime, 10, 'max'), -4)"]),
    areas("Metrics of a snapshot", Count, "Mean over the chosen load balancers.", &[
        "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsHAProxy), 'daemon')",
        "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsFrontend), 'frontends')",
        "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsBackend), 'backends')",
        "alias(averageSeries($namespace.$lb.haproxy.haproxystats.MetricsServer), 'servers')",
    ]),
    lines("Workers", Count, "Worker processes that run, the ten load balancers with the fewest.",
        &["aliasByNode(lowest($namespace.$lb.haproxy.haproxystats.Workers, 10, 'last'), -4)"]),
    lines("Replaced workers", PerSecond, "Over the chosen load balancers, by reason.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.WorkerRestartsExit)), 'ended')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.WorkerRestartsSignal)), 'killed')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.WorkerRestartsHang)), 'hanging')",
    ]),
];

#[rustfmt::skip]
const DELIVERY: &[Panel] = &[
    lines("Latency", Seconds, "From a pull until every destination has its metrics, the ten slowest load balancers.",
        &["aliasByNode(highest($namespace.$lb.haproxy.haproxystats.DeliveryLatency, 10, 'max'), -4)"]),
    areas("Lines to Graphite", PerSecond, "Lines that Graphite has for good, the ten load balancers with the most.",
        &["aliasByNode(perSecond(highest($namespace.$lb.haproxy.haproxystats.GraphiteLinesDelivered, 10, 'range')), -4)"]),
    lines("Lines sent again or dropped", PerSecond, "Over the chosen load balancers.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteLinesResent)), 'sent again')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteLinesDropped)), 'dropped')",
    ]),
    lines("Connections to Graphite", PerSecond, "Over the chosen load balancers.", &[
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteRetries)), 'failed attempts')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteReconnects)), 'reconnected')",
        "alias(sumSeries(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteStalls)), 'stalled')",
    ]),
];
