//! The places for connections. Each has a time limit in whatever phase it is, and one that is needed is taken from the
//! slowest.

use super::{HEAD, MAKING, TAKING};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// For the peer to send its request.
    Asking,
    /// For the peer to take the answer.
    Taking,
    /// For us.
    Making,
}

impl Phase {
    fn limit(self) -> Duration {
        match self {
            Self::Asking => HEAD,
            Self::Taking => TAKING,
            // `respond` has its own, and then answers that there is none.
            Self::Making => MAKING * 2,
        }
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Vec<Weak<Seat>>>,
}

/// A place, as long as the connection that has it lasts.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// A place; when there is none, that of the slowest, and true.
    pub(super) fn take(&self) -> (Place, bool) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|seat| seat.strong_count() > 0);
        let evicted = taken.len() >= self.most;
        if evicted {
            // One that waits for its peer before one that waits for us; of those, the one that has waited longest.
            let slowness = |seat: &Weak<Seat>| seat.upgrade().map(|seat| seat.state()).map(|s| (s.phase, s.since));
            let slowest = (0..taken.len()).min_by_key(|index| taken.get(*index).map(slowness));
            if let Some(seat) = slowest.map(|index| taken.swap_remove(index)).and_then(|seat| seat.upgrade()) {
                seat.evicted.notify_one();
            }
        }
        let state = State { phase: Phase::Asking, since: Instant::now() };
        let place = Place(Arc::new(Seat { state: Mutex::new(state), evicted: Notify::new() }));
        taken.push(Arc::downgrade(&place.0));
        (place, evicted)
    }
}

impl Place {
    /// From now on the connection waits for this.
    pub(super) fn enter(&self, phase: Phase) {
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = State { phase, since: Instant::now() };
    }

    /// Ends when the time for the present phase is over, or the place is needed.
    pub(super) async fn over(&self) {
        loop {
            let State { phase, since } = self.0.state();
            let until = since + phase.limit();
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.0.evicted.notified() => return,
            }
        }
    }
}

impl Seat {
    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    async fn is_over(place: &Place) -> bool {
        timeout(Duration::from_millis(10), place.over()).await.is_ok()
    }

    #[tokio::test]
    async fn the_slowest_makes_room() {
        let places = Places::new(3);
        let (one, _) = places.take();
        let (two, _) = places.take();
        let (three, evicted) = places.take();
        assert!(!evicted);
        // It waits for us, however long.
        one.enter(Phase::Making);
        // It has asked, and takes its time; the third has not even asked.
        two.enter(Phase::Taking);
        let (four, evicted) = places.take();
        assert!(evicted && is_over(&three).await);
        four.enter(Phase::Making);
        let (five, evicted) = places.take();
        assert!(evicted && is_over(&two).await);
        assert!(!is_over(&one).await && !is_over(&four).await && !is_over(&five).await);
        drop(five);
        assert!(!places.take().1, "a connection that ends leaves its place");
    }

    #[tokio::test]
    async fn each_phase_has_its_time() {
        let places = Places::new(1);
        let (place, _) = places.take();
        let start = Instant::now();
        assert!(timeout(HEAD * 3, place.over()).await.is_ok());
        assert!(start.elapsed() >= HEAD);
        place.enter(Phase::Making);
        assert!(!is_over(&place).await);
    }
}
