//! The messages to the queue, and its answers.

use crate::snapshot::Epoch;

/// The place of a worker in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// What the death of a worker says about the snapshot that it was processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing: the worker was stopped from outside, or exited as requested.
    None,
    /// Perhaps something: it was killed from outside.
    Outside,
    /// The snapshot brought it down: a crash, a panic, a hang.
    Snapshot,
}

/// Where a snapshot is that is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// It waits for a worker.
    Ready,
    /// It waits for a moment.
    Held,
    /// A worker has it.
    With(Slot),
}

/// What to do with a snapshot after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays in the queue and is tried again.
    Again,
    /// Move it away. It is aside until [`Queue::forget`](super::Queue::forget) is called, or until it is tried once more.
    Quarantine,
}

/// What a dead worker leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Snapshots that are ready again.
    pub ready: Vec<Epoch>,
    /// Snapshots to move away; at most one from a worker that takes one at a time.
    pub quarantine: Vec<Epoch>,
    /// Snapshots over which [`KILLS`](super::KILLS) workers were killed by now; each is named once.
    pub suspect: Vec<Epoch>,
}
