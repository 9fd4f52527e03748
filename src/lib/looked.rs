//! A clock that stands still while its thread looks at nothing.
//!
//! A worker is one thread. While it renders a snapshot it hears nothing of what peers do, for minutes where the disk is slow or the
//! machine busy; the parent is not better off while it deletes. What happened meanwhile is seen late, and of what takes several
//! steps nothing happened at all, since the steps are ours. A judgement by the ordinary clock would hold that time against
//! others: a peer would be slow, a server down, a destination away, a worker hung.
//!
//! So there are two clocks, and two rules:
//!
//! - What counts *against* a peer (silence, slowness, trouble that lasts) is measured by this clock.
//! - What speaks *for* a peer (a connection that has stood for so long) is measured by the ordinary one, and looked at in the moment
//!   of the verdict.
//!
//! After such a time the driver turns first: see [`turn`].
//!
//! ```text
//! ordinary   ├────────┼──────── renders ────────┼──────►
//! this one   ├────────┤                         ├──────►
//! ```

use std::cell::Cell;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;
use tokio::time::Instant;

/// A thread that wakes by so much later than it wanted to was stopped, or got no processor: nobody knows since when.
const LATE: Duration = Duration::from_millis(250);

/// What a thread knows of itself.
#[derive(Debug, Clone, Copy, Default)]
struct Eyes {
    /// Time in which it looked at nothing, in all.
    away: Duration,
    /// Up to here that is counted.
    counted: Option<Instant>,
    /// Since when it looks at nothing.
    left: Option<Instant>,
    /// When it last began to wait.
    parked: Option<Instant>,
}

thread_local! {
    // Of the thread, since it is the thread that looks, or does not: everything that is judged on it has seen as much.
    static EYES: Cell<Eyes> = const { Cell::new(Eyes { away: Duration::ZERO, counted: None, left: None, parked: None }) };
}

impl Eyes {
    fn absent(&mut self, from: Instant, until: Instant) {
        let from = self.counted.map_or(from, |counted| from.max(counted));
        if until > from {
            self.away += until - from;
            self.counted = Some(until);
        }
    }
}

fn change(change: impl FnOnce(&mut Eyes)) {
    let mut eyes = EYES.get();
    change(&mut eyes);
    EYES.set(eyes);
}

/// From now on this thread looks at nothing.
pub fn leave() {
    change(|eyes| eyes.left = eyes.left.or(Some(Instant::now())));
}

/// It looks again.
pub fn back() {
    change(|eyes| {
        if let Some(left) = eyes.left.take() {
            eyes.absent(left, Instant::now());
        }
    });
}

/// It begins to wait for what may come: for [`tokio::runtime::Builder::on_thread_park`].
pub(crate) fn parks() {
    change(|eyes| eyes.parked = Some(Instant::now()));
}

/// Lets the driver hear what has come in the meantime, and then those who wait for it, before any of it is judged. To be called on a
/// current-thread runtime.
pub async fn turn() {
    // The first lets the driver turn, which wakes whom something has come for; the second lets these run.
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

/// A moment of this clock, on the thread on which it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Instant);

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let eyes = EYES.get();
        Self(eyes.left.unwrap_or_else(Instant::now) - eyes.away)
    }

    /// Time since another one; none where that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// How long this thread has looked at nothing so far.
    #[must_use]
    pub fn away() -> Duration {
        EYES.get().away
    }

    /// When it is this moment, if the thread looks until then.
    #[must_use]
    pub fn at(self) -> Instant {
        self.0 + EYES.get().away
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

/// Waits until this moment.
pub(crate) async fn sleep_until(moment: Moment) {
    while Moment::now() < moment {
        sleep_until_time(moment.at()).await;
    }
}

/// Waits until this time of the ordinary clock. Should the thread have been stopped meanwhile, that time counts as one in which it
/// looked at nothing.
pub(crate) async fn sleep_until_time(time: Instant) {
    let _sleep = Sleep { asleep: Instant::now(), until: time };
    tokio::time::sleep_until(time).await;
}

/// Does something for so long at the most; `None` when that was not enough.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let until = Moment::now() + limit;
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep_until(until) => None,
    }
}

struct Sleep {
    asleep: Instant,
    until: Instant,
}

impl Drop for Sleep {
    /// Also where something else has ended it: of a stop both see the end.
    fn drop(&mut self) {
        let now = Instant::now();
        if now > self.until + LATE {
            change(|eyes| {
                let since = eyes.parked.map_or(self.asleep, |parked| parked.max(self.asleep));
                eyes.absent(since, now);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;
    use tokio::net::UnixDatagram;
    use tokio::task::LocalSet;

    const MOMENT: Duration = Duration::from_millis(20);

    fn run<T>(test: impl Future<Output = T>) -> T {
        run_stopped(Duration::ZERO, test)
    }

    /// Each time that the thread waits for something, it is stopped for so long.
    fn run_stopped<T>(time: Duration, test: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let wait = move || {
            parks();
            std::thread::sleep(time);
        };
        let runtime = builder.enable_all().on_thread_park(wait).build().unwrap();
        LocalSet::new().block_on(&runtime, test)
    }

    #[test]
    fn it_stands_still_while_nothing_is_looked_at() {
        let (start, began) = (Moment::now(), Instant::now());
        leave();
        let left = Moment::now();
        std::thread::sleep(MOMENT);
        assert_eq!(Moment::now(), left);
        leave();
        back();
        back();
        let (away, all) = (EYES.get().away, began.elapsed());
        assert!(away >= MOMENT && Moment::now().since(start) <= all - away + MOMENT / 2, "{away:?} of {all:?}");
        assert_eq!(start.since(left + MOMENT), Duration::ZERO);
        let soon = Moment::now() + MOMENT;
        assert!(soon.at() > Instant::now() && soon.at() <= Instant::now() + MOMENT);
    }

    #[test]
    fn no_time_is_counted_twice() {
        let (mut eyes, start) = (Eyes::default(), Instant::now());
        eyes.absent(start, start + 3 * MOMENT);
        eyes.absent(start + MOMENT, start + 2 * MOMENT);
        assert_eq!(eyes.away, 3 * MOMENT);
        eyes.absent(start + 2 * MOMENT, start + 5 * MOMENT);
        assert_eq!(eyes.away, 5 * MOMENT);
    }

    #[test]
    fn a_stop_while_it_waits_does_not_count() {
        run_stopped(2 * LATE, async {
            let (start, began) = (Moment::now(), Instant::now());
            sleep_until_time(began + MOMENT).await;
            let (counted, time) = (Moment::now().since(start), began.elapsed());
            assert!(counted + 2 * LATE <= time, "{counted:?} of {time:?}");
        });
    }

    #[test]
    fn what_takes_several_steps_has_time_for_all_of_them() {
        run(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            let steps = async {
                for _ in 0..3 {
                    one.send(b"question").await.unwrap();
                    one.recv(&mut [0; 16]).await.unwrap();
                }
            };
            let answers = async {
                loop {
                    other.recv(&mut [0; 16]).await.unwrap();
                    // A snapshot is rendered.
                    leave();
                    std::thread::sleep(3 * MOMENT);
                    back();
                    other.send(b"answer").await.unwrap();
                }
            };
            let done = tokio::select! {
                done = timeout(2 * MOMENT, steps) => done,
                () = answers => unreachable!(),
            };
            assert_eq!(done, Some(()));
            assert_eq!(timeout(MOMENT, std::future::pending::<()>()).await, None);
        });
    }

    #[test]
    fn those_who_wait_are_heard_before_anybody_is_judged() {
        run(async {
            let (one, other) = UnixDatagram::pair().unwrap();
            let heard = Rc::new(Cell::new(false));
            let hears = Rc::clone(&heard);
            tokio::task::spawn_local(async move {
                other.recv(&mut [0; 16]).await.unwrap();
                hears.set(true);
            });
            turn().await;
            // Something comes while this thread is busy.
            one.into_std().unwrap().send(b"word").unwrap();
            turn().await;
            assert!(heard.get());
        });
    }
}
