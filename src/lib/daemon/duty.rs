//! The tasks of a program, and the time by which each must report: systemd's watchdog is notified only if all do.
//!
//! A task that never ends has a [`Duty`]. It reports whenever it comes round, and says within which time it will do so again:
//! how long it will wait, and how long what it waits for may take. Who waits for a slow peer within its own limit of time does
//! its duty; who is late, or has panicked, does not.

use super::fault::Fault;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Time beyond its own after which a task is overdue: on a busy machine everything takes longer.
const LATE: Duration = Duration::from_secs(5);

/// All duties of a program. Clones are the same roll.
#[derive(Debug, Clone, Default)]
pub struct Roll(Rc<RefCell<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    of: BTreeMap<u64, Entry>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    name: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Will report by then; `None`: so late that no clock has it.
    Until(Option<Instant>),
    /// Has panicked.
    Dead,
}

impl Roll {
    /// A duty for the task `name`, which reports for the first time within this time.
    #[must_use]
    pub fn duty(&self, name: impl Into<String>, within: Duration) -> Duty {
        self.enter(name.into(), Instant::now(), within)
    }

    fn enter(&self, name: String, now: Instant, within: Duration) -> Duty {
        let fault = Fault::of(&name);
        let mut entries = self.0.borrow_mut();
        entries.last += 1;
        let id = entries.last;
        entries.of.insert(id, Entry { name, state: State::until(now, within) });
        Duty { roll: self.clone(), id, fault }
    }

    /// The name of a task that is overdue.
    #[must_use]
    pub(crate) fn overdue(&self, now: Instant) -> Option<String> {
        let entries = self.0.borrow();
        let overdue = entries.of.values().find(|entry| match entry.state {
            State::Until(end) => end.is_some_and(|end| end < now),
            State::Dead => true,
        });
        overdue.map(|entry| entry.name.clone())
    }

    fn set(&self, id: u64, state: State) {
        if let Some(entry) = self.0.borrow_mut().of.get_mut(&id) {
            entry.state = state;
        }
    }
}

impl State {
    fn until(now: Instant, within: Duration) -> Self {
        Self::Until(now.checked_add(within.saturating_add(LATE)))
    }
}

/// What a task has to do as long as it lives: to report. One that panics leaves its duty undone forever. One that ends in any
/// other way was told to, and is off the roll.
#[derive(Debug)]
pub struct Duty {
    roll: Roll,
    id: u64,
    fault: Option<Fault>,
}

impl Duty {
    /// The task has come round, and will do so again within this time.
    pub fn report(&self, within: Duration) {
        self.report_at(Instant::now(), within);
    }

    fn report_at(&self, now: Instant, within: Duration) {
        self.roll.set(self.id, State::until(now, within));
    }

    /// Where a test has the task fail.
    pub(crate) async fn spring(&self) {
        if let Some(fault) = self.fault {
            fault.spring().await;
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.roll.set(self.id, State::Dead);
        } else {
            self.roll.0.borrow_mut().of.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_does_not_report_within_its_own_time_is_overdue() {
        let roll = Roll::default();
        let start = Instant::now();
        let at = |seconds: u32| start + SECOND * seconds;
        let late = |seconds: u32| at(seconds) + LATE;
        let overdue = |now: Instant| roll.overdue(now);
        assert_eq!(overdue(at(1_000_000)), None, "nobody is expected");
        let [one, two] =
            [("one", 10), ("two", 60)].map(|(name, seconds)| roll.enter(name.into(), start, SECOND * seconds));
        assert_eq!(overdue(late(10)), None, "to the end of its time it is not late");
        assert_eq!(overdue(late(11)).as_deref(), Some("one"), "the longer time of its neighbour is not its own");
        one.report_at(at(16), SECOND * 10);
        assert_eq!(overdue(late(26)), None);
        two.report_at(at(27), SECOND);
        assert_eq!(overdue(late(27)).as_deref(), Some("one"));
        one.report_at(at(33), SECOND * 10);
        assert_eq!(
            overdue(late(29)).as_deref(),
            Some("two"),
            "the last word counts, be it for less than the one before"
        );
        drop(two);
        assert_eq!(overdue(late(29)), None, "it was told to end");
        one.report_at(at(40), Duration::MAX);
        assert_eq!(overdue(at(1_000_000)), None);
    }

    #[tokio::test]
    async fn who_panics_is_overdue_at_once_and_who_is_aborted_is_not() {
        let roll = Roll::default();
        let overdue = || roll.overdue(Instant::now());
        let work = async |duty: Duty, fails: bool| {
            duty.report(SECOND * 3600);
            yield_now().await;
            assert!(!fails, "a test wants it");
            std::future::pending::<()>().await;
        };
        let tasks = LocalSet::new();
        let all = tasks.run_until(async {
            let other = spawn_local(work(roll.duty("other", SECOND), false));
            yield_now().await;
            other.abort();
            assert!(other.await.is_err());
            assert_eq!(overdue(), None);
            let dead = spawn_local(work(roll.duty("dead", SECOND), true));
            assert!(dead.await.is_err());
            assert_eq!(overdue().as_deref(), Some("dead"));
        });
        all.await;
        drop(tasks);
        assert_eq!(overdue().as_deref(), Some("dead"), "forever");
    }
}
