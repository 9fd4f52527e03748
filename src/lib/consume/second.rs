//! A second on its way: what it waits for, and what goes out of it.

use super::host::Contradiction;
use super::places::Token;
use crate::config::HostName;
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Seconds of a partition that may wait to go out, beyond which nothing more of it is read.
pub(super) const AHEAD: usize = 20;

/// How much later than now a second may be.
pub(super) const FUTURE: u64 = 86_400;

/// What is decided by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) assemble: Duration,
    /// Seconds in which roll-ups are made again.
    pub(super) late: u64,
    pub(super) buffer: usize,
    /// Whether roll-ups are made at all.
    pub(super) roll_ups: bool,
}

/// A message that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Poison {
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    #[error("more than a day in the future")]
    Future,
    #[error("larger than buffer-size")]
    TooLarge,
}

/// A host of which everything is there.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) host: HostName,
    pub(super) second: Epoch,
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) tokens: Vec<Token>,
    /// Files of it never came.
    pub(super) incomplete: bool,
}

/// A second that waits for its hosts.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Number of the directory in which it is put together.
    pub(super) serial: u64,
    pub(super) first: Instant,
    /// Those that are on disk.
    pub(super) hosts: BTreeMap<HostName, Vec<Token>>,
    /// Those that are not yet whole, or not yet on disk.
    pub(super) coming: usize,
    pub(super) partitions: BTreeSet<i32>,
    pub(super) changed: bool,
    pub(super) complete: bool,
}

/// A second that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Going {
    pub(super) second: Epoch,
    pub(super) serial: u64,
    pub(super) hosts: BTreeSet<HostName>,
    /// Hosts that went out before, and are sent once more for the sake of the roll-up of their cluster.
    pub(super) again: BTreeSet<HostName>,
    /// Clusters to roll up, and how many of their hosts are missing.
    pub(super) clusters: BTreeMap<String, u64>,
    /// Whether all of it is late.
    pub(super) late: bool,
}

impl Waiting {
    pub(super) fn new(serial: u64, first: Instant) -> Self {
        let (hosts, partitions) = (BTreeMap::new(), BTreeSet::new());
        Self { serial, first, hosts, coming: 0, partitions, changed: true, complete: false }
    }
}
