//! Which part of what is published a file holds.

use crate::haproxy::columns::{Combine, Nature};

/// Whose replies a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// A process that takes new connections.
    Live,
    /// A worker that is leaving after a reload: it has connections, and no say in states, limits and weights.
    Leaving,
    /// What the counters of processes that are gone had reached.
    Carried,
}

impl Part {
    /// Whether figures of this nature, combined like this over processes, are taken from it. docs/metrics.md has the table.
    #[must_use]
    pub fn takes(self, nature: Nature, combine: Combine) -> bool {
        match self {
            Self::Live => true,
            Self::Leaving => {
                combine.is_of_times()
                    || (combine == Combine::Sum && matches!(nature, Nature::Counter | Nature::Gauge | Nature::Rate))
            }
            Self::Carried => (combine, nature) == (Combine::Sum, Nature::Counter),
        }
    }
}
