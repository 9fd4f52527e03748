//! When the next pull is due: on the grid of whole intervals of the wall clock, never twice, never in a burst.
//!
//! Ticks are the multiples of `pull-interval` (docs/adr/0002-ticks-on-the-wall-clock-grid.md). Waiting is done on the
//! monotonic clock, so that a wall clock that is set has no influence on how long a wait takes; the wall clock only
//! says where the grid is, and is looked at again after every wait.

use crate::snapshot::Epoch;
use std::time::Duration;

/// Both clocks, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since the epoch.
    pub wall: Duration,
    /// Time since any fixed moment.
    pub mono: Duration,
}

/// The next tick, and how long to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The tick.
    pub epoch: Epoch,
    /// Time to wait, on the monotonic clock.
    pub wait: Duration,
    made: Now,
}

impl Plan {
    /// What is left of the wait.
    #[must_use]
    pub fn left(&self, now: Now) -> Duration {
        self.wait.saturating_sub(now.mono.saturating_sub(self.made.mono))
    }
}

/// What to do after the wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wake {
    /// Pull now. `skipped` ticks went by since the last one.
    Tick {
        /// Name of the snapshot.
        epoch: Epoch,
        /// Ticks between the last one and this.
        skipped: u64,
    },
    /// Not yet: the wall clock is a little behind. Plan again.
    Early,
    /// Too late for this tick. Plan again; the next tick counts it.
    Late,
    /// The wall clock was set, by about this many seconds. Plan again.
    ClockSet {
        /// Positive: forwards.
        seconds: f64,
    },
}

/// The grid, and where on it we are.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    /// The last tick, and when it began on the monotonic clock.
    last: Option<(Epoch, Duration)>,
}

impl Schedule {
    /// `interval`: whole seconds, at least one.
    #[must_use]
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval: Duration::from_secs(interval.as_secs().max(1)), last: None }
    }

    /// Whether ticks are so far apart.
    #[must_use]
    pub(crate) fn is_every(&self, interval: Duration) -> bool {
        self.interval == Self::new(interval).interval
    }

    /// The tick that the program before this one has left: it is late by less than half an interval, and `published`,
    /// the last one that was, lies before it. Within the second of its tick or a few later, a restart so loses nothing.
    #[must_use]
    pub(crate) fn left_over(&self, now: Now, published: Option<Epoch>) -> Option<Plan> {
        let step = self.interval.as_secs();
        let due = Epoch((now.wall.as_secs() / step).saturating_mul(step));
        let late = now.wall.saturating_sub(Duration::from_secs(due.0));
        let missed = self.last.is_none() && published.is_some_and(|last| last < due) && late < self.interval / 2;
        missed.then_some(Plan { epoch: due, wait: Duration::ZERO, made: now })
    }

    /// The first tick after now that has not been.
    #[must_use]
    pub(crate) fn next(&self, now: Now) -> Plan {
        let step = self.interval.as_secs();
        let mut due = (now.wall.as_secs() / step).saturating_add(1).saturating_mul(step);
        // The wall clock was set back by less than an interval.
        if self.last.is_some_and(|(last, _)| last == Epoch(due)) {
            due = due.saturating_add(step);
        }
        Plan { epoch: Epoch(due), wait: Duration::from_secs(due).saturating_sub(now.wall), made: now }
    }

    /// Says whether the planned tick is due now, and if so, takes it as begun.
    ///
    /// A tick that is late by half an interval or more is not made up for: two pulls close to each other, under names
    /// an interval apart, would show rates that never were.
    pub(crate) fn wake(&mut self, plan: Plan, now: Now) -> Wake {
        let half = self.interval / 2;
        let late = seconds(now.wall) - seconds(Duration::from_secs(plan.epoch.0));
        let set = (seconds(now.wall) - seconds(plan.made.wall)) - (seconds(now.mono) - seconds(plan.made.mono));
        if late < 0.0 {
            return if set <= -half.as_secs_f64() { Wake::ClockSet { seconds: set } } else { Wake::Early };
        }
        if late >= half.as_secs_f64() {
            return if set >= late / 2.0 { Wake::ClockSet { seconds: set } } else { Wake::Late };
        }
        let skipped = self.last.map_or(0, |(_, begun)| self.steps(now.mono.saturating_sub(begun)).saturating_sub(1));
        self.last = Some((plan.epoch, now.mono));
        Wake::Tick { epoch: plan.epoch, skipped }
    }

    /// Number of intervals in a stretch of time, rounded.
    fn steps(&self, time: Duration) -> u64 {
        let intervals = time.saturating_add(self.interval / 2).as_nanos() / self.interval.as_nanos();
        u64::try_from(intervals).unwrap_or(u64::MAX)
    }
}

/// Differences of these are exact to a microsecond for centuries.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(wall: f64, mono: f64) -> Now {
        Now { wall: Duration::from_secs_f64(wall), mono: Duration::from_secs_f64(mono) }
    }

    fn schedule(interval: u64) -> Schedule {
        Schedule::new(Duration::from_secs(interval))
    }

    fn tick(epoch: u64, skipped: u64) -> Wake {
        Wake::Tick { epoch: Epoch(epoch), skipped }
    }

    #[test]
    fn ticks_are_multiples_of_the_interval() {
        let mut s = schedule(10);
        let plan = s.next(at(1003.25, 7.0));
        assert_eq!((plan.epoch, plan.wait), (Epoch(1010), Duration::from_secs_f64(6.75)));
        assert_eq!(s.wake(plan, at(1010.001, 13.751)), tick(1010, 0));
        assert_eq!(s.next(at(1010.2, 13.95)).epoch, Epoch(1020));
    }

    #[test]
    fn a_pull_that_takes_longer_than_the_interval_costs_ticks_and_no_burst() {
        let mut s = schedule(10);
        let plan = s.next(at(1000.0, 0.0));
        assert_eq!(s.wake(plan, at(1010.0, 10.0)), tick(1010, 0));
        let plan = s.next(at(1033.0, 33.0));
        assert_eq!(plan.epoch, Epoch(1040));
        assert_eq!(s.wake(plan, at(1040.0, 40.0)), tick(1040, 2));
        let plan = s.next(at(1041.0, 41.0));
        assert_eq!(s.wake(plan, at(1050.0, 50.0)), tick(1050, 0));
    }

    #[test]
    fn a_program_that_was_stopped_skips_what_it_missed() {
        let mut s = schedule(10);
        let plan = s.next(at(1000.0, 0.0));
        assert_eq!(s.wake(plan, at(1010.0, 10.0)), tick(1010, 0));
        let plan = s.next(at(1010.1, 10.1));
        assert_eq!(s.wake(plan, at(1098.0, 98.0)), Wake::Late);
        let plan = s.next(at(1098.0, 98.0));
        assert_eq!(s.wake(plan, at(1100.0, 100.0)), tick(1100, 8));
    }

    #[test]
    fn a_little_late_is_in_time() {
        let mut s = schedule(10);
        let plan = s.next(at(1000.0, 0.0));
        assert_eq!(s.wake(plan, at(1014.9, 14.9)), tick(1010, 0));
        let plan = s.next(at(1015.0, 15.0));
        assert_eq!(s.wake(plan, at(1020.0, 20.0)), tick(1020, 0));
    }

    #[test]
    fn a_clock_that_is_set_forwards_skips_nothing_but_its_own_tick() {
        let mut s = schedule(10);
        let plan = s.next(at(1000.0, 0.0));
        assert_eq!(s.wake(plan, at(1010.0, 10.0)), tick(1010, 0));
        let plan = s.next(at(1010.0, 10.0));
        assert_eq!(s.wake(plan, at(4623.0, 20.0)), Wake::ClockSet { seconds: 3603.0 });
        let plan = s.next(at(4623.0, 20.0));
        assert_eq!((plan.epoch, plan.wait.as_secs()), (Epoch(4630), 7));
        assert_eq!(s.wake(plan, at(4630.0, 27.0)), tick(4630, 1));
    }

    #[test]
    fn a_clock_that_is_set_backwards_pulls_on_in_the_old_time() {
        let mut s = schedule(10);
        let plan = s.next(at(5000.0, 0.0));
        assert_eq!(s.wake(plan, at(5010.0, 10.0)), tick(5010, 0));
        let plan = s.next(at(5010.0, 10.0));
        assert_eq!(s.wake(plan, at(1418.0, 20.0)), Wake::ClockSet { seconds: -3602.0 });
        let plan = s.next(at(1418.0, 20.0));
        assert_eq!((plan.epoch, plan.wait.as_secs()), (Epoch(1420), 2));
        assert_eq!(s.wake(plan, at(1420.0, 22.0)), tick(1420, 0));
    }

    #[test]
    fn no_tick_is_taken_twice_when_the_clock_is_corrected_a_little() {
        let mut s = schedule(10);
        let plan = s.next(at(1000.0, 0.0));
        assert_eq!(s.wake(plan, at(1010.0, 10.0)), tick(1010, 0));
        assert_eq!(s.next(at(1009.8, 10.1)).epoch, Epoch(1020));
        let plan = s.next(at(1010.1, 10.1));
        assert_eq!(s.wake(plan, at(1019.7, 20.0)), Wake::Early);
        let plan = s.next(at(1019.7, 20.0));
        assert_eq!(s.wake(plan, at(1020.0, 20.3)), tick(1020, 0));
    }

    #[test]
    fn a_tick_that_the_program_before_has_left_is_taken_once() {
        let mut s = schedule(10);
        let left = |s: &Schedule, wall, published| s.left_over(at(wall, 0.0), published).map(|plan| plan.epoch);
        assert_eq!(left(&s, 1010.3, Some(Epoch(1000))), Some(Epoch(1010)));
        assert_eq!(left(&s, 1014.9, Some(Epoch(90))), Some(Epoch(1010)));
        // It was published, or is too late, or is of a later time than the clock says, or nobody knows.
        assert_eq!(left(&s, 1010.3, Some(Epoch(1010))), None);
        assert_eq!(left(&s, 1015.0, Some(Epoch(1000))), None);
        assert_eq!(left(&s, 1010.3, Some(Epoch(1020))), None);
        assert_eq!(left(&s, 1010.3, None), None);
        let plan = s.left_over(at(1010.3, 0.0), Some(Epoch(1000))).unwrap();
        assert_eq!(s.wake(plan, at(1010.4, 0.1)), tick(1010, 0));
        assert_eq!(left(&s, 1011.0, Some(Epoch(1000))), None);
        assert_eq!(s.next(at(1011.0, 0.7)).epoch, Epoch(1020));
    }

    #[test]
    fn absurd_clocks_do_no_harm() {
        let mut s = schedule(u64::MAX);
        let plan = s.next(Now { wall: Duration::MAX, mono: Duration::MAX });
        let _ = s.wake(plan, Now { wall: Duration::ZERO, mono: Duration::ZERO });
        let _ = s.wake(plan, Now { wall: Duration::MAX, mono: Duration::MAX });
    }

    proptest! {
        /// With a steady wall clock, ticks and skipped ticks together are the grid: none is lost, none comes twice,
        /// and never are two pulls closer than half an interval.
        #[test]
        fn every_point_of_the_grid_is_a_tick_or_counted(
            interval in 1_u64..60,
            start in 1.0e9..1.1e9,
            delays in prop::collection::vec((0.0..3.0, 0.0..2.0), 1..40),
        ) {
            let step = interval as f64;
            let mut s = schedule(interval);
            let mut time = 0.0;
            let (mut first, mut last, mut counted) = (None, None, 0);
            for (duration, lateness) in delays {
                let plan = s.next(at(start + time, time));
                time += plan.wait.as_secs_f64() + lateness * step / 2.0;
                let wake = s.wake(plan, at(start + time, time));
                if let Wake::Tick { epoch, skipped } = wake {
                    prop_assert_eq!(epoch.0 % interval, 0);
                    if let Some((before, begun)) = last {
                        prop_assert!(epoch > before);
                        prop_assert!(time - begun > step * 0.499, "{} s apart", time - begun);
                    }
                    first.get_or_insert((epoch.0, time));
                    last = Some((epoch, time));
                    counted += skipped + 1;
                    time += duration * step;
                } else {
                    prop_assert_eq!(wake, Wake::Late);
                }
            }
            if let (Some((first, _)), Some((last, _))) = (first, last) {
                let grid = (last.0 - first) / interval + 1;
                // A tick may begin up to half an interval late, so the count may be off by one at the end.
                prop_assert!(counted.abs_diff(grid) <= 1, "{counted} of {grid}");
            }
        }
    }
}
