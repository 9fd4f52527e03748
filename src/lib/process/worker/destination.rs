//! A destination as a worker sees it: whether it has room, and what it is still to get.

use crate::dispatch::Dispatcher;
use crate::looked::Moment;
use crate::snapshot::Epoch;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the others wait for a destination with no room. Longer than a busy one needs to free some.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A destination, and the snapshots that it is to get once it has room.
///
/// A destination that is away must not hold up the others. Where one has had no room for [`PATIENCE`] and another has,
/// snapshots are taken on, without being given to the one that is away: they stay on disk, and are rendered once more for
/// it when it has room again, oldest first. So are those that were sent to it and lost. What is put off costs a number in
/// memory.
pub(super) struct Destination {
    pub(super) dispatcher: Box<dyn Dispatcher>,
    pub(super) put_off: BTreeSet<Epoch>,
    /// Since when it has had no room.
    pub(super) full_since: Option<Moment>,
    /// Whether it is known to be away.
    pub(super) away: bool,
    /// Whether it gets the snapshot that is being rendered.
    pub(super) takes: bool,
    /// Whether it has had that one before.
    pub(super) had: bool,
}

impl Destination {
    pub(super) fn new(dispatcher: Box<dyn Dispatcher>) -> Self {
        Self { dispatcher, put_off: BTreeSet::new(), full_since: None, away: false, takes: false, had: false }
    }

    /// Whether a further snapshot can be given to it. The order of what it is still to get is that of the parent, where it
    /// sends in order; otherwise the oldest comes first.
    pub(super) fn has_room(&self) -> bool {
        (self.put_off.is_empty() || self.dispatcher.is_ordered()) && self.dispatcher.has_room()
    }

    /// Whether it gets this snapshot, which is rendered now.
    fn gets(&self, epoch: Epoch, now: Moment) -> bool {
        if self.dispatcher.is_ordered() {
            return self.dispatcher.has_room_for(epoch);
        }
        self.has_room() || !self.is_away(now)
    }

    /// From now on this snapshot is rendered, for all destinations that have not `had` it or for this one alone.
    pub(super) fn begin(&mut self, epoch: Epoch, had: bool, alone: Option<bool>, now: Moment) {
        (self.takes, self.had) = match alone {
            Some(alone) => (alone, false),
            None => (!had && self.gets(epoch, now), had),
        };
    }

    /// Whether the others should wait for it no longer.
    pub(super) fn is_away(&self, now: Moment) -> bool {
        !self.put_off.is_empty() || self.full_since.is_some_and(|since| now.since(since) >= PATIENCE)
    }
}

/// Whether a further snapshot should be taken: by all destinations, or by those that are not away. Without any, snapshots are for
/// the page of those who scrape.
pub(super) fn wants_more(destinations: &mut [Destination], now: Moment) -> bool {
    for destination in &mut *destinations {
        if destination.dispatcher.has_room() {
            destination.full_since = None;
        } else {
            destination.full_since.get_or_insert(now);
        }
    }
    (destinations.is_empty() || destinations.iter().any(Destination::has_room))
        && destinations.iter().all(|destination| destination.has_room() || destination.is_away(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Output;
    use crate::dispatch::{Batch, Counters};
    use crate::looked;
    use std::pin::Pin;
    use std::sync::Arc;
    use tokio::time::Instant;

    struct Busy(bool);

    impl Dispatcher for Busy {
        fn name(&self) -> &'static str {
            "busy"
        }

        fn output(&self) -> Output {
            Output::Plaintext
        }

        fn submit(&self, _: Arc<Batch>) {}

        fn has_room(&self) -> bool {
            self.0
        }

        fn takes_more(&self) -> bool {
            self.0
        }

        fn counters(&self) -> Counters {
            Counters::default()
        }

        fn drain(&self, _: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
            Box::pin(std::future::ready(()))
        }
    }

    #[test]
    fn none_is_away_because_the_worker_was_busy() {
        let mut destinations = [false, true].map(|room| Destination::new(Box::new(Busy(room))));
        assert!(!wants_more(&mut destinations, Moment::now()));
        looked::leave();
        std::thread::sleep(PATIENCE);
        looked::back();
        assert!(!wants_more(&mut destinations, Moment::now()), "it had no turn to say that it has room");
        assert!(wants_more(&mut destinations, Moment::now() + PATIENCE), "now it had");
    }
}
