//! The check `patroni`.

use super::super::value::{self, Refusal};
use super::reader::Reader;
use super::responses::{Response, response};
use super::words::percent;
use std::time::Duration;

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
    pub(super) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let mode = r.get("patroni-mode", |text| value::choice(text, &[("read-write", false), ("read-only", true)]));
        let standby_cluster = r.get("standby-cluster", value::boolean);
        let replica = r.get("replica-response", response);
        let transition = r.get("transition-response", response);
        let paths = &[("any", "/replica"), ("sync", "/sync"), ("async", "/async")];
        let replica_path = r.get("replicas", |text| value::choice(text, paths));
        let tags = r.optional("replica-tags", tags);
        let max_lag = r.get("max-lag", value::bytes);
        let lag_delay = r.get("lag-delay", value::pause);
        let primary_weight = r.get("primary-weight", percent);
        let grace = r.get("grace", value::pause);
        Some(Self {
            read_only: mode?,
            standby_cluster: standby_cluster?,
            replica: replica?,
            transition: transition?,
            replica_path: replica_path?,
            tags: tags?.unwrap_or_default(),
            max_lag: max_lag?.get(),
            lag_delay: lag_delay?,
            primary_weight: primary_weight?,
            grace: grace?,
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
            _ => Err(format!("{word:?} is no tag; write for example zone=a")),
        })
        .collect()
}
