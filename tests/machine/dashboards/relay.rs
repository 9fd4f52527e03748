//! The configuration of carbon-c-relay that combines the load balancers of a cluster, made of the catalogue of fields.

use haproxystats::haproxy::columns::{COLUMNS, Column, Combine, Kind, Nature};
use std::collections::BTreeMap;

/// How the values of several load balancers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Sum,
    Average,
    Max,
    Min,
}

impl Rule {
    fn word(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Average => "average",
            Self::Max => "max",
            Self::Min => "min",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Sum => "Traffic, and limits: each load balancer has a part of them.",
            Self::Average => {
                "Times, weights, servers in use: all load balancers see the same servers. The relay cannot weigh an\n\
                 # average by traffic: one without traffic reports times of 0 and pulls it down."
            }
            Self::Max => "The largest of what each load balancer has seen.",
            Self::Min => "Time since the last event on any load balancer.",
        }
    }
}

/// The rule for a field: that for the processes of one load balancer, except that the largest value seen by several load
/// balancers is the largest of theirs.
pub fn rule(column: &Column, kind: Kind) -> Option<Rule> {
    let combine = column.combine(kind)?;
    Some(match (column.nature, combine) {
        (Nature::Max, _) | (_, Combine::Max) => Rule::Max,
        (_, Combine::Sum | Combine::Limit | Combine::LimitOrBlank) => Rule::Sum,
        (_, Combine::Mean | Combine::BusyMean | Combine::WeightedMean) => Rule::Average,
        (_, Combine::Min | Combine::MinPresent) => Rule::Min,
    })
}

/// What of load balancers is combined. Servers are not: their number would make the relay hold millions of buckets.
pub const KINDS: [Kind; 2] = [Kind::Frontend, Kind::Backend];

/// Host names, with the letters at their beginning as the name of the cluster.
const HOSTS: &str = r"^loadbalancers\.([a-z]+)[^.]*\.haproxy\.(frontend|backend)\.([^.]+)\.";

const HEAD: &str = "\
# carbon-c-relay between haproxystats and Graphite: passes everything on, and adds up the load balancers of each cluster
# by frontend and backend, under clusters.<cluster>.haproxy in the same form as a load balancer. docs/clusters.md has the
# explanation. Made of the catalogue of fields of haproxystats; a test holds this file against it.
#
# Change to your needs:
#   - the address of Graphite below;
#   - the host names: a cluster is what its load balancers have in common, here the letters at their beginning
#     (edge-01 and edge-02 are the cluster edge);
#   - 10 seconds, where [pull] pull-interval is not 10.
# Queues must be longer than a batch: carbon-c-relay -f FILE -q 100000

listen
    type linemode
        0.0.0.0:2003 proto tcp
    ;

statistics
    submit every 60 seconds
    prefix with carbon.relays
    ;

cluster graphite
    forward
        graphite.example.com:2003 proto tcp
    ;
";

const TAIL: &str = "
match *
    send to graphite
    stop
    ;
";

fn aggregate(about: &str, fields: &str, compute: &str, target: &str) -> String {
    format!(
        "\n# {about}\naggregate\n        {HOSTS}{fields}$\n    every 10 seconds\n    expire after 30 seconds\n    \
         timestamp at start of bucket\n    compute {compute} write to\n        clusters.\\1.haproxy.\\2.\\3.{target}\n    ;\n"
    )
}

/// The whole file.
pub fn configuration() -> String {
    let mut fields: BTreeMap<Rule, Vec<&str>> = BTreeMap::new();
    for column in COLUMNS {
        let mut rules: Vec<Rule> = KINDS.iter().filter_map(|kind| rule(column, *kind)).collect();
        rules.dedup();
        assert!(rules.len() < 2, "{}: frontends and backends need expressions of their own", column.name);
        if let [rule] = rules[..] {
            fields.entry(rule).or_default().push(column.name);
        }
    }
    let mut text = HEAD.to_owned();
    for (rule, names) in fields {
        text += &aggregate(rule.about(), &format!("({})", names.join("|")), rule.word(), "\\4");
    }
    text += &aggregate("How many load balancers the figures above are made of.", "stot", "count", "LoadBalancers");
    text + TAIL
}
