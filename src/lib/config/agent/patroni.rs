//! The check `patroni`.

use super::responses::{Response, response};
use crate::config::option::{choice, options};
use crate::config::program::AGENT;
use crate::config::reading::{Reading, Refusal, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use std::num::NonZeroU64;
use std::time::Duration;

options! {
    pub(crate) static ROWS: AGENT, Agent {
        PATRONI_MODE: bool = choice![("read-write", false), ("read-only", true)], "patroni-mode", Some("read-write"),
            "Which nodes are up: the one that holds the leader lock, or the replicas.";
        STANDBY_CLUSTER: bool = value::BOOLEAN, "standby-cluster", Some("false"),
            "Treat the leader of a standby cluster as a read-write node.";
        REPLICA_RESPONSE: Response = Reading::new(Type::Answer, response), "replica-response", Some("maint"),
            "Answer of a healthy node that is not the read-write one.";
        TRANSITION_RESPONSE: Response = Reading::new(Type::Answer, response), "transition-response", Some("maint"),
            "Answer of a node whose role, state and leader lock disagree: starting, stopping, promoting, demoted.";
        REPLICAS: &'static str = choice![("any", "/replica"), ("sync", "/sync"), ("async", "/async")], "replicas", Some("any"),
            "Which replicas serve read-only traffic.";
        REPLICA_TAGS: Vec<(String, String)> = Reading::new(Type::Text, tags), "replica-tags", None,
            "Tags that a replica must have to serve read-only traffic, as name=value separated by spaces.";
        MAX_LAG: NonZeroU64 = value::BYTES, "max-lag", Some("16777216"),
            "Lag at which a replica is drained from read-only traffic; up to that, the weight falls with the lag.";
        LAG_DELAY: Duration = value::PAUSE, "lag-delay", Some("0"),
            "How long max-lag must be exceeded before the replica is drained.";
        PRIMARY_WEIGHT: u8 = value::PERCENT, "primary-weight", Some("1"),
            "Weight of the primary for read-only traffic, as a last resort; 0: drained.";
        GRACE: Duration = value::PAUSE, "grace", Some("5"),
            "How long the last answer is kept while Patroni's API cannot be reached; must be less than Patroni's ttl.";
    }
}

/// `patroni`
#[derive(Debug, Clone)]
pub struct Patroni {
    /// Read-only rather than read-write.
    pub read_only: bool,
    /// The leader of a standby cluster counts as read-write node.
    pub standby_cluster: bool,
    /// Answer of healthy nodes for which read-write is not.
    pub replica: Response,
    /// Answer of nodes in transition.
    pub transition: Response,
    /// Path of the replicas that serve read-only: `/replica`, `/sync`, `/async`.
    pub replica_path: &'static str,
    /// Tags that they must have, as name and value.
    pub tags: Vec<(String, String)>,
    /// Bytes.
    pub max_lag: u64,
    /// How long `max_lag` must be exceeded.
    pub lag_delay: Duration,
    /// Weight of the primary for read-only; 0: drained.
    pub primary_weight: u8,
    /// How long the last answer is kept without Patroni.
    pub grace: Duration,
}

impl Patroni {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        gather!(Self {
            read_only: section.get(&PATRONI_MODE),
            standby_cluster: section.get(&STANDBY_CLUSTER),
            replica: section.get(&REPLICA_RESPONSE),
            transition: section.get(&TRANSITION_RESPONSE),
            replica_path: section.get(&REPLICAS),
            tags: section.or_default(&REPLICA_TAGS),
            max_lag: section.get(&MAX_LAG).map(NonZeroU64::get),
            lag_delay: section.get(&LAG_DELAY),
            primary_weight: section.get(&PRIMARY_WEIGHT),
            grace: section.get(&GRACE),
        })
    }
}

fn tags(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let good = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    };
    text.split_whitespace()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if good(name) && good(value) => Ok((name.to_owned(), value.to_owned())),
            _ => Err(format!("{word:?} is not a tag; write for example zone=a")),
        })
        .collect()
}
