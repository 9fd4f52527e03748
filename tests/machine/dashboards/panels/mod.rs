//! The dashboards: what they show, by which queries. Grafana's and graphite-web's are made of this.
//!
//! In a query, `$namespace` is `[graphite] namespace`, `$lb` a load balancer and `$backend` a backend, any of which may
//! be a pattern. Nodes are counted from the end of the path, since a namespace may have several.
//!
//! Whatever a fleet or a backend can have many of is shown by the ten worst. They are chosen before anything is computed, or
//! graphite-web computes for seconds: of counters by how much they grew (`range`).

mod backend;
mod fleet;
mod itself;
mod load_balancer;

/// What the values of a panel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    BitsPerSecond,
    Milliseconds,
    Seconds,
    Days,
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
            Self::Days => "d",
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
            Self::Days => "days",
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
    /// A pattern for names of servers, which is all of them at first.
    Servers,
}

pub struct Row {
    pub title: &'static str,
    pub panels: &'static [Panel],
}

pub struct Panel {
    pub title: &'static str,
    /// Says what the lines mean.
    pub about: &'static str,
    pub unit: Unit,
    /// Areas on top of each other: parts of a whole.
    pub stacked: bool,
    /// Whether graphite-web draws the [`MARKS`] in it; Grafana draws them everywhere.
    pub marked: bool,
    pub queries: &'static [&'static str],
}

impl Panel {
    /// Whether what is least is worst.
    pub fn ascends(&self) -> bool {
        self.queries.iter().any(|query| query.contains("lowest("))
    }

    /// Whether its points come once in a `families-interval`.
    pub fn is_rare(&self) -> bool {
        self.queries.iter().any(|query| [".certificate", ".table."].iter().any(|family| query.contains(family)))
    }

    const fn marked(self) -> Self {
        Self { marked: true, ..self }
    }
}

/// Something that happens at a moment, of the load balancers that are chosen.
pub struct Mark {
    pub title: &'static str,
    /// A series that has a value above 0 then, and none before and after.
    pub query: &'static str,
    /// The counter or duration in `query`, and what PromQL asks of it in the last minute.
    pub field: &'static str,
    pub promql: &'static str,
}

#[rustfmt::skip]
pub const MARKS: [Mark; 2] = [
    Mark {
        title: "HAProxy restarted",
        query: "aliasByNode(scale(removeAboveValue(derivative($namespace.$lb.haproxy.daemon.Uptime_sec), -1), -1), -4)",
        field: "$namespace.$lb.haproxy.daemon.Uptime_sec",
        promql: "resets",
    },
    Mark {
        title: "Counters of HAProxy stepped back",
        query: "aliasByNode(removeBelowValue(nonNegativeDerivative($namespace.$lb.haproxy.haproxystats.PullResets), 1), -4)",
        field: "$namespace.$lb.haproxy.haproxystats.PullResets",
        promql: "increase",
    },
];

const fn lines(title: &'static str, unit: Unit, about: &'static str, queries: &'static [&'static str]) -> Panel {
    Panel { title, about, unit, stacked: false, marked: false, queries }
}

const fn areas(title: &'static str, unit: Unit, about: &'static str, queries: &'static [&'static str]) -> Panel {
    Panel { title, about, unit, stacked: true, marked: false, queries }
}

pub const DASHBOARDS: &[Dashboard] = &[fleet::FLEET, load_balancer::LOAD_BALANCER, backend::BACKEND, itself::ITSELF];
