//! Limits how fast snapshots follow each other, to a number of metrics per second on average.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    rate: NonZeroU64,
    /// Number of metrics so far.
    counted: u64,
    /// When the rate allows more metrics.
    paid: Instant,
}

impl Pace {
    pub(super) fn new(rate: NonZeroU64, now: Instant) -> Self {
        Self { rate, counted: 0, paid: now }
    }

    /// Notes the total number of metrics so far.
    pub(super) fn count(&mut self, metrics: u64, now: Instant) {
        let further = metrics.saturating_sub(self.counted);
        self.counted = self.counted.max(metrics);
        if further > 0 {
            // Time in which nothing could be sent is not saved up.
            let nanoseconds = u128::from(further) * 1_000_000_000 / u128::from(self.rate.get());
            self.paid = self.paid.max(now) + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        }
    }

    /// When the next snapshot may follow.
    pub(super) fn next(&self) -> Instant {
        self.paid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_paid_for_and_idle_time_is_not_saved_up() {
        let start = Instant::now();
        let mut pace = Pace::new(NonZeroU64::new(1000).unwrap(), start);
        let next = |pace: &Pace| pace.next().duration_since(start).as_millis();
        assert_eq!(next(&pace), 0);
        pace.count(500, start);
        pace.count(500, start);
        assert_eq!(next(&pace), 500);
        pace.count(1500, start + Duration::from_millis(100));
        assert_eq!(next(&pace), 1500);
        pace.count(1600, start + Duration::from_secs(60));
        assert_eq!(next(&pace), 60_100);
    }
}
