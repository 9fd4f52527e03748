//! From which size on, and in which portions, proxies are read in batches.

use crate::injection;

/// Statistics of a host up to so many bytes are read at once.
const WHOLE: u64 = 4 << 20;

/// Bytes of statistics in a batch, of all processes together; more only where one proxy alone has more.
const BATCH: u64 = 1 << 20;

/// A part of a batch is at least as large, however many files there are: what is known of a part takes memory, too.
const SMALLEST_PART: u64 = 4 << 10;

/// For tests only: the name of an environment variable with a number of bytes, which takes the place of both bounds.
const VARIABLE: &str = "HAPROXYSTATS_TEST_BATCH";

/// From which size on, and in which portions, proxies are read in batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) whole: u64,
    pub(super) batch: u64,
}

impl Bounds {
    pub(super) fn from_environment() -> Self {
        match injection::variable(VARIABLE).and_then(|bytes| bytes.parse().ok()) {
            Some(bytes) => Self::both(bytes),
            None => Self { whole: WHOLE, batch: BATCH },
        }
    }

    pub(super) fn both(bytes: u64) -> Self {
        Self { whole: bytes, batch: bytes }
    }

    pub(super) fn part(self, files: usize) -> u64 {
        (self.batch / (files as u64).max(1)).max(SMALLEST_PART.min(self.batch))
    }
}
