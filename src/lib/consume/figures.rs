//! What is counted here, for the daemon to tell.

use std::sync::{Arc, Mutex, PoisonError};

/// The figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether the brokers answer.
    pub up: bool,
    /// Partitions that are this member's.
    pub partitions: u64,
    /// Those that are not read for now.
    pub paused: u64,
    /// Messages that are not committed.
    pub lag: u64,
    /// Seconds that are being put together.
    pub assembling: u64,
    /// Bytes of files of which a part is missing.
    pub buffered: u64,
    /// Snapshots of hosts that were whole.
    pub assembled: u64,
    /// Those of which files never came, processed or given up.
    pub incomplete: u64,
    /// Seconds that went out once more since a host was late.
    pub late: u64,
    /// Messages that are none of ours, or contradict others.
    pub refused: u64,
    /// Times that partitions came or went.
    pub rebalances: u64,
}

/// The figures, for the thread that counts and the one that tells.
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
