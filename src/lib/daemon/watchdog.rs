//! systemd's watchdog, fed from the loop of a program, and only while all who are at work in it do their [`duty`](super::duty).
//!
//! That the loop turns says that no step of the work holds it up, as a read from a dead disk does. That no duty is overdue says
//! that the tasks are there and get on: a loop turns as well when all that it should run is dead.

use super::duty::Roll;
use super::systemd;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Longest time until who was overdue is looked at again: it may only have been late.
const AGAIN: Duration = Duration::from_secs(1);

/// The watchdog of a program.
#[derive(Debug)]
pub struct Watchdog {
    roll: Roll,
    /// A third of what systemd allows; `None` where it does not watch.
    every: Option<Duration>,
    next: Instant,
    /// Whether an overdue task has been logged.
    told: bool,
}

/// What a look has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    /// All do their duty.
    Good,
    /// A task does not.
    Overdue(String),
}

impl Watchdog {
    /// That of systemd, which is `None` for a program that does not stay; see [`systemd::watchdog_limit`].
    #[must_use]
    pub fn new(roll: Roll, limit: Option<Duration>) -> Self {
        Self { roll, every: limit.map(|limit| limit / 3), next: Instant::now(), told: false }
    }

    /// Waits until the next feed is due, and feeds if no task is overdue. It is for the `select!` of the program's loop, which
    /// comes back to it; no time is lost when it is not waited for to the end.
    pub async fn turn(&mut self) {
        let Some(every) = self.every else { return std::future::pending().await };
        sleep_until(self.next).await;
        match self.look(Instant::now(), every) {
            Look::Good => {
                systemd::watchdog();
                if std::mem::take(&mut self.told) {
                    tracing::info!("all tasks report again: notifying systemd's watchdog");
                }
            }
            Look::Overdue(task) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::error!(task, "a task has died or hangs: no longer notifying systemd's watchdog");
                }
            }
        }
    }

    fn look(&mut self, now: Instant, every: Duration) -> Look {
        match self.roll.overdue(now) {
            None => {
                self.next = now + every;
                Look::Good
            }
            Some(task) => {
                self.next = now + every.min(AGAIN);
                Look::Overdue(task)
            }
        }
    }

    /// Does `work`, which is all that the program does, and feeds between its steps.
    pub async fn beside<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.turn() => {}
                done = &mut work => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_is_fed_at_thirds_of_its_time_and_looked_at_sooner_while_somebody_is_overdue() {
        let roll = Roll::default();
        let duty = roll.duty("one", MINUTE);
        let mut watchdog = Watchdog::new(roll, Some(MINUTE));
        let every = watchdog.every.unwrap();
        assert_eq!(every, MINUTE / 3);
        let start = Instant::now();
        assert_eq!(watchdog.look(start, every), Look::Good);
        assert_eq!(watchdog.next, start + every);
        let later = start + MINUTE * 2;
        assert_eq!(watchdog.look(later, every), Look::Overdue("one".to_owned()));
        assert_eq!(watchdog.next, later + AGAIN);
        duty.report(MINUTE * 2);
        assert_eq!(watchdog.look(later, every), Look::Good);
        assert_eq!(watchdog.next, later + every);
    }

    #[tokio::test]
    async fn work_goes_on_beside_it_with_and_without_a_limit() {
        for limit in [None, Some(Duration::from_millis(3))] {
            let mut watchdog = Watchdog::new(Roll::default(), limit);
            let begun = watchdog.next;
            let done = watchdog.beside(async {
                sleep(Duration::from_millis(20)).await;
                7
            });
            assert_eq!(done.await, 7);
            assert_eq!(watchdog.next > begun, limit.is_some());
        }
    }
}
