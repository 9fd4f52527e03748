//! A second in progress: what it waits for, and what is published of it.

use super::host::Contradiction;
use super::places::Token;
use crate::config::HostName;
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many seconds of a partition may wait to be published before the partition is paused.
pub(super) const AHEAD: usize = 20;

/// How many seconds in the future a message may be.
pub(super) const FUTURE: u64 = 86_400;

/// Limits from the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) assemble: Duration,
    /// How many seconds late a host may be for a roll-up to be repeated.
    pub(super) late: u64,
    pub(super) buffer: usize,
    /// Whether clusters are rolled up at all.
    pub(super) roll_ups: bool,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Poison {
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    #[error("more than a day in the future")]
    Future,
    #[error("larger than buffer-size")]
    TooLarge,
}

/// A host whose files are complete, or as complete as they will get.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) host: HostName,
    pub(super) second: Epoch,
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) tokens: Vec<Token>,
    /// Some of its files never arrived.
    pub(super) incomplete: bool,
}

/// A second that waits for its hosts.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Number of the directory in which it is assembled.
    pub(super) serial: u64,
    pub(super) first: Instant,
    /// Hosts that are on disk.
    pub(super) hosts: BTreeMap<HostName, Vec<Token>>,
    /// Number of hosts that are not yet complete, or not yet on disk.
    pub(super) coming: usize,
    pub(super) partitions: BTreeSet<i32>,
    /// Hosts of which something was read while the roll-up of this second could be repeated.
    pub(super) in_time: BTreeSet<HostName>,
    pub(super) changed: bool,
    pub(super) complete: bool,
}

/// A second that can be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Going {
    pub(super) second: Epoch,
    pub(super) serial: u64,
    pub(super) hosts: BTreeSet<HostName>,
    /// Hosts that were published before, and are included again for the roll-up of their cluster.
    pub(super) again: BTreeSet<HostName>,
    /// Clusters to roll up, and how many of their hosts are missing.
    pub(super) clusters: BTreeMap<String, u64>,
    /// Whether all of its hosts are late.
    pub(super) late: bool,
}

impl Waiting {
    pub(super) fn new(serial: u64, first: Instant) -> Self {
        let (hosts, partitions, in_time) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { serial, first, hosts, coming: 0, partitions, in_time, changed: true, complete: false }
    }
}
