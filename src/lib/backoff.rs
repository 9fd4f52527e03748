//! How long to wait before something that failed is tried again. Pure: the random number is passed in.

use crate::config::Retries;
use std::time::Duration;

/// No pause grows beyond this, unless the operator's own `interval` or `delay` is longer: whatever comes back is
/// found within a minute.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// No pause between two rounds or attempts is shorter, whatever the options say: a peer that refuses is not asked
/// thousands of times a second.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Part of a pause by which [`jitter`] may lengthen or shorten it.
const SPREAD: f64 = 0.25;

/// Pauses that grow by a factor up to a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backoff {
    first: Duration,
    factor: f64,
    longest: Duration,
}

impl Backoff {
    /// Pauses `first`, `first * factor`, `first * factor * factor`, … and never more than `longest`. A factor below 1
    /// makes them shrink; one that is negative or not a number counts as 1.
    #[must_use]
    pub(crate) fn new(first: Duration, factor: f64, longest: Duration) -> Self {
        Self { first: first.min(longest), factor: if factor >= 0.0 { factor } else { 1.0 }, longest }
    }

    /// The pause after `failures` failures in a row; none after none.
    #[must_use]
    pub(crate) fn after(&self, failures: u32) -> Duration {
        let Some(exponent) = failures.checked_sub(1) else { return Duration::ZERO };
        let exponent = i32::try_from(exponent).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(exponent);
        // Also where the product is infinite, or 0 * infinity.
        if seconds < self.longest.as_secs_f64() {
            Duration::from_secs_f64(seconds)
        } else if self.first.is_zero() {
            Duration::ZERO
        } else {
            self.longest
        }
    }
}

/// The original's way to retry a connection: rounds of attempts with growing pauses, and a longer pause between rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounds {
    backoff: Backoff,
    retries: Retries,
    delay: Duration,
}

impl Rounds {
    /// One attempt and `retries` more per round, with pauses `interval`, `interval * factor`, …; `delay` between two
    /// rounds. For ever means one endless round, whose pauses stop growing at [`LONGEST_PAUSE`].
    #[must_use]
    pub fn new(retries: Retries, interval: Duration, factor: f64, delay: Duration) -> Self {
        let longest = LONGEST_PAUSE.max(interval).max(delay);
        Self { backoff: Backoff::new(interval, factor, longest), retries, delay }
    }

    /// The pause after `failures` failed attempts in a row; none after none.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let pause = match self.retries {
            _ if failures == 0 => return Duration::ZERO,
            Retries::Forever => self.backoff.after(failures),
            // A round is `retries + 1` attempts; the remainder is 0 at the end of one. (With u32::MAX retries the
            // round has no end that could be reached.)
            Retries::Times(retries) => match retries.checked_add(1).map_or(failures, |attempts| failures % attempts) {
                0 => self.delay,
                failures => self.backoff.after(failures),
            },
        };
        pause.max(SHORTEST_PAUSE)
    }
}

/// The pause, up to a quarter longer or shorter, so that many senders that lost the same peer do not return in the same
/// instant. `random` is uniform in 0..1; anything else is taken as the nearer end.
#[must_use]
pub fn jitter(pause: Duration, random: f64) -> Duration {
    let random = if random.is_nan() { 0.5 } else { random.clamp(0.0, 1.0) };
    Duration::try_from_secs_f64(pause.as_secs_f64() * (1.0 - SPREAD + 2.0 * SPREAD * random)).unwrap_or(pause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(value: f64) -> Duration {
        Duration::from_secs_f64(value)
    }

    #[test]
    fn the_default_options_give_the_pauses_of_the_original() {
        let rounds = Rounds::new(Retries::Times(3), seconds(1.8), 2.0, seconds(10.0));
        let pauses: Vec<f64> = (0..=9).map(|failures| rounds.after(failures).as_secs_f64()).collect();
        assert_eq!(pauses, [0.0, 1.8, 3.6, 7.2, 10.0, 1.8, 3.6, 7.2, 10.0, 1.8]);
    }

    #[test]
    fn no_retries_means_one_attempt_per_round() {
        let rounds = Rounds::new(Retries::Times(0), seconds(1.8), 2.0, seconds(10.0));
        assert!((1..50).all(|failures| rounds.after(failures) == seconds(10.0)));
    }

    #[test]
    fn for_ever_never_waits_for_the_delay_and_stops_growing() {
        let rounds = Rounds::new(Retries::Forever, seconds(1.0), 2.0, seconds(10.0));
        assert_eq!(rounds.after(3), seconds(4.0));
        assert_eq!(rounds.after(7), LONGEST_PAUSE);
        assert_eq!(rounds.after(u32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn options_of_zero_do_not_make_a_busy_loop() {
        for retries in [Retries::Forever, Retries::Times(0), Retries::Times(3)] {
            let rounds = Rounds::new(retries, Duration::ZERO, 0.0, Duration::ZERO);
            assert!((1..50).all(|failures| rounds.after(failures) == SHORTEST_PAUSE));
        }
    }

    proptest! {
        #[test]
        fn pauses_grow_and_stay_within_their_bounds(
            first in 0.0..1e4_f64, factor in 0.0..100.0_f64, longest in 0.0..1e4_f64, failures in 1_u32..2000,
        ) {
            let backoff = Backoff::new(seconds(first), factor, seconds(longest));
            let pause = backoff.after(failures);
            prop_assert!(pause <= seconds(longest));
            if factor >= 1.0 {
                prop_assert!(pause >= seconds(first).min(seconds(longest)));
                prop_assert!(backoff.after(failures + 1) >= pause);
            } else {
                prop_assert!(backoff.after(failures + 1) <= pause);
            }
        }

        #[test]
        fn every_round_has_one_delay_at_its_end(retries in 0_u32..20, round in 0_u32..1000, delay in 0.1..1e4_f64) {
            let rounds = Rounds::new(Retries::Times(retries), seconds(1.0), 1.0, seconds(delay));
            let start = round * (retries + 1);
            for attempt in 1..=retries {
                prop_assert_eq!(rounds.after(start + attempt), seconds(1.0));
            }
            prop_assert_eq!(rounds.after(start + retries + 1), seconds(delay));
        }

        #[test]
        fn jitter_stays_within_a_quarter(pause in 0.0..1e6_f64, random in any::<f64>()) {
            let got = jitter(seconds(pause), random).as_secs_f64();
            prop_assert!(got >= pause * 0.7499 && got <= pause * 1.2501, "{}", got);
        }
    }
}
