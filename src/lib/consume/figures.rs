//! Figures about reading from Kafka, which the daemon publishes.

use crate::snapshot::Epoch;
use std::sync::{Arc, Mutex, PoisonError};

/// The figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether the brokers answer.
    pub up: bool,
    /// Partitions that are assigned to this member.
    pub partitions: u64,
    /// Partitions that are paused.
    pub paused: u64,
    /// Partitions stopped at a message of a later version of the format.
    pub held: u64,
    /// Messages that are not committed yet.
    pub lag: u64,
    /// The oldest second that was read but not delivered yet.
    pub oldest: Option<Epoch>,
    /// Seconds that are being assembled.
    pub assembling: u64,
    /// Bytes in memory of files that are not complete.
    pub buffered: u64,
    /// Snapshots of hosts that were assembled.
    pub assembled: u64,
    /// Snapshots of hosts with missing files, whether processed or dropped.
    pub incomplete: u64,
    /// Seconds that were published again because a host was late.
    pub late: u64,
    /// Messages that are not from haproxystats, or contradict others.
    pub refused: u64,
    /// Number of assignments and revocations of partitions.
    pub rebalances: u64,
}

/// The figures, shared by the thread that counts and the one that publishes them.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Figures>>);

impl Shared {
    pub(super) fn get(&self) -> Figures {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
