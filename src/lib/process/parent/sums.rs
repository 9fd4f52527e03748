//! A summary of deliveries every few minutes: a line for each snapshot is logged at debug level only.

use crate::logging;
use crate::queue::Queue;
use std::time::{Duration, Instant};

/// What was delivered since the last line.
#[derive(Debug)]
pub(crate) struct Sums {
    begun: Instant,
    snapshots: u64,
    lines: u64,
    longest: Duration,
    /// Whether anything was delivered since the start.
    any: bool,
}

impl Sums {
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, snapshots: 0, lines: 0, longest: Duration::ZERO, any: false }
    }

    /// Adds a snapshot that was delivered `latency` after its pull. Returns whether it is the first one since the start.
    pub(crate) fn delivered(&mut self, lines: u64, latency: Duration) -> bool {
        self.snapshots += 1;
        self.lines = self.lines.saturating_add(lines);
        self.longest = self.longest.max(latency);
        !std::mem::replace(&mut self.any, true)
    }

    /// Writes the line when it is due; returns when the next one is due.
    pub(crate) fn tell(&mut self, now: Instant, queue: &Queue) -> Instant {
        let due = self.begun + logging::sums_every();
        if now < due {
            return due;
        }
        let Self { snapshots, lines, longest, any, .. } = *self;
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let seconds = (now - self.begun).as_secs();
        tracing::info!(snapshots, lines, longest_ms, waiting = queue.depth(), seconds, "delivery summary");
        *self = Self { any, ..Self::new(now) };
        now + logging::sums_every()
    }
}
