//! How much of what is rendered is in memory at a time.

use crate::injection;
use std::sync::OnceLock;

/// For tests only: all of [`Bounds`] in bytes, so that small snapshots go the ways of large ones. Not part of the
/// interface to operators.
pub const VARIABLE: &str = "HAPROXYSTATS_TEST_BOUNDS";

/// Bytes of rendered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A piece of a snapshot is handed over when it has so many.
    pub piece: usize,
    /// What waits for a connection beyond this is of no use to it: the next piece, or the next snapshot, can as well wait
    /// on disk.
    pub unsent: usize,
    /// What was sent is kept up to this, to be sent again at once should the connection be lost before all is confirmed.
    /// Beyond, it is rendered again.
    pub kept: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { piece: 512 * 1024, unsent: 1024 * 1024, kept: 1024 * 1024 }
    }
}

impl Bounds {
    /// Those of this process.
    #[must_use]
    pub fn get() -> Self {
        static BOUNDS: OnceLock<Bounds> = OnceLock::new();
        *BOUNDS.get_or_init(|| {
            let all = injection::variable(VARIABLE).and_then(|text| text.parse().ok());
            all.map_or_else(Self::default, |bytes| Self { piece: bytes, unsent: bytes, kept: bytes })
        })
    }
}
