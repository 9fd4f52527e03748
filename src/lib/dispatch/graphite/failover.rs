//! Which of several servers gets everything. Pure.

use super::shared::Condition;
use crate::looked::Moment;
use std::time::Duration;

/// Times in a row that the wait for a server that fails again and again is doubled.
const MOST_DOUBLINGS: u32 = 6;

/// What is remembered of the servers.
#[derive(Debug)]
pub(super) struct Failover {
    /// How long a server has to be up before it is gone back to.
    delay: Duration,
    /// How often each was left since it delivered something.
    left: Vec<u32>,
}

impl Failover {
    pub(super) fn new(servers: usize, delay: Duration) -> Self {
        Self { delay, left: vec![0; servers] }
    }

    /// A server has delivered something.
    pub(super) fn delivered(&mut self, server: usize) {
        if let Some(left) = self.left.get_mut(server) {
            *left = 0;
        }
    }

    /// The server to use now, and when this may change although no condition does. A server that is down is left for the
    /// first that is up; an earlier one is gone back to when it has been up for a while, a longer one each time that it
    /// fails without having delivered anything.
    pub(super) fn choose(&mut self, current: usize, conditions: &[Condition], now: Moment) -> (usize, Option<Moment>) {
        let mut wake = None;
        for (index, condition) in conditions.iter().enumerate().take(current) {
            let Condition::Up(since) = condition else { continue };
            let left = self.left.get(index).copied().unwrap_or_default();
            let due = *since + self.delay * 2_u32.pow(left.saturating_sub(1).min(MOST_DOUBLINGS));
            if due <= now {
                return (index, None);
            }
            wake = wake.map_or(Some(due), |wake: Moment| Some(wake.min(due)));
        }
        let up = conditions.iter().position(|condition| matches!(condition, Condition::Up(_)));
        match (conditions.get(current), up) {
            (Some(Condition::Down), Some(other)) => {
                if let Some(left) = self.left.get_mut(current) {
                    *left = left.saturating_add(1);
                }
                (other, None)
            }
            _ => (current, wake),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Condition::{Down, Unknown, Up};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_is_kept_until_it_is_down_and_another_is_up() {
        let now = Moment::now();
        let mut failover = Failover::new(3, 10 * SECOND);
        assert_eq!(failover.choose(0, &[Unknown, Up(now), Up(now)], now), (0, None));
        assert_eq!(failover.choose(0, &[Down, Unknown, Unknown], now), (0, None));
        assert_eq!(failover.choose(0, &[Down, Down, Up(now)], now), (2, None));
        assert_eq!(failover.choose(2, &[Down, Down, Down], now), (2, None));
    }

    #[test]
    fn an_earlier_one_is_gone_back_to_after_a_while_that_grows_with_each_failure() {
        let now = Moment::now();
        let mut failover = Failover::new(2, 10 * SECOND);
        for wait in [10, 20, 40, 80] {
            assert_eq!(failover.choose(0, &[Down, Up(now)], now).0, 1);
            let due = now + wait * SECOND;
            assert_eq!(failover.choose(1, &[Up(now), Up(now)], now), (1, Some(due)));
            assert_eq!(failover.choose(1, &[Up(now), Up(now)], due), (0, None));
        }
        failover.delivered(0);
        failover.choose(0, &[Down, Up(now)], now);
        assert_eq!(failover.choose(1, &[Up(now), Up(now)], now), (1, Some(now + 10 * SECOND)));
    }

    #[test]
    fn one_that_is_up_takes_over_at_once_from_one_that_is_down() {
        let now = Moment::now();
        let mut failover = Failover::new(2, 10 * SECOND);
        assert_eq!(failover.choose(1, &[Up(now), Down], now), (0, None));
    }
}
