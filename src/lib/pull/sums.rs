//! A summary of pulls every few minutes: a line for each pull is logged at debug level only.

use crate::logging;
use std::time::{Duration, Instant};

/// Since the last line.
#[derive(Debug)]
pub(super) struct Sums {
    begun: Instant,
    pulls: u64,
    published: u64,
    failed_sockets: u64,
    bytes: u64,
    longest: Duration,
    /// Whether anything was published since the start.
    any: bool,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            pulls: 0,
            published: 0,
            failed_sockets: 0,
            bytes: 0,
            longest: Duration::ZERO,
            any: false,
        }
    }

    /// A pull has ended. Whether it is the first since the start that was published.
    pub(super) fn pulled(&mut self, published: bool, failed: usize, bytes: u64, elapsed: Duration) -> bool {
        self.pulls += 1;
        self.published += u64::from(published);
        self.failed_sockets += failed as u64;
        self.bytes = self.bytes.saturating_add(bytes);
        self.longest = self.longest.max(elapsed);
        published && !std::mem::replace(&mut self.any, true)
    }

    /// Writes the line when it is time.
    pub(super) fn tell(&mut self) {
        let elapsed = self.begun.elapsed();
        if elapsed < logging::sums_every() {
            return;
        }
        let Self { pulls, published, failed_sockets, bytes, longest, any, .. } = *self;
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let seconds = elapsed.as_secs();
        tracing::info!(pulls, published, failed_sockets, bytes, longest_ms, seconds, "pull summary");
        *self = Self { any, ..Self::new() };
    }
}
