//! How weights grow.

use crate::config::discovery::Ramp;
use crate::discovery::hint::Hint;
use crate::haproxy::runtime::LARGEST_WEIGHT;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// [`Ramp`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRamp {
    /// Weight at the beginning.
    pub min: u16,
    /// Weight at the end.
    pub max: u16,
    /// Weight gained with each interval.
    pub step: u16,
    /// Milliseconds.
    pub interval_ms: u64,
}

impl From<Ramp> for StoredRamp {
    fn from(ramp: Ramp) -> Self {
        let interval_ms = u64::try_from(ramp.interval.as_millis()).unwrap_or(u64::MAX);
        Self { min: ramp.min, max: ramp.max, step: ramp.step, interval_ms }
    }
}

impl StoredRamp {
    /// The weight after some time: `min`, and `step` more with each whole interval, up to `max`; never above what
    /// HAProxy takes.
    #[must_use]
    pub fn after(&self, time: Duration) -> u16 {
        let elapsed = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let steps = elapsed.checked_div(self.interval_ms).unwrap_or(u64::MAX);
        let weight = u64::from(self.min).saturating_add(steps.saturating_mul(u64::from(self.step)));
        u16::try_from(weight).unwrap_or(u16::MAX).min(self.max).min(LARGEST_WEIGHT)
    }
}

/// See `Document::weight_at`; both times in milliseconds.
pub(crate) fn weight(ramp: &StoredRamp, since: u64, hint: Hint, now: u64) -> u16 {
    hint.of(ramp.after(Duration::from_millis(now.saturating_sub(since))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: StoredRamp = StoredRamp { min: 1, max: 10, step: 1, interval_ms: 30_000 };

    #[test]
    fn the_ramp_of_the_seed() {
        for (seconds, wanted) in [(0, 1), (29, 1), (30, 2), (40, 2), (60, 3), (269, 9), (270, 10), (100_000, 10)] {
            assert_eq!(SEED.after(Duration::from_secs(seconds)), wanted, "after {seconds} s");
        }
        let steep = StoredRamp { min: 5, max: 100, step: 40, interval_ms: 500 };
        let weights: Vec<_> = [0, 500, 1000, 1500].map(Duration::from_millis).iter().map(|t| steep.after(*t)).collect();
        assert_eq!(weights, [5, 45, 85, 100]);
    }

    #[test]
    fn hints_scale_the_ramp() {
        assert_eq!(weight(&SEED, 0, Hint::percent(50), 270_000), 5);
        assert_eq!(weight(&SEED, 0, Hint::percent(1), 0), 1);
        assert_eq!(
            weight(&SEED, 1_000_000, Hint::FULL, 10_000),
            1,
            "a clock behind that of the writer begins the ramp"
        );
    }
}
