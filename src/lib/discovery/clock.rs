//! The wall clock in UTC, on which several machines have to agree.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch, UTC.
pub(crate) fn utc_seconds() -> u64 {
    utc_millis() / 1000
}

/// Milliseconds since the epoch, UTC.
pub(crate) fn utc_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
