//! Up to which offset a partition may be committed.
//!
//! ```text
//! offsets   0   1   2   3   4   5   6
//! second    10  10  20  10  20  30  30
//!           └─ delivered ─┘      └ being assembled
//!                   ▲ committed: the first message of any second that is not settled
//! ```
//!
//! A second is settled when it is completely delivered, all seconds before it are settled, and no roll-up of it will be repeated.
//! A member that continues at the committed offset reads every message of every second that is not settled, along with
//! interleaved messages of settled seconds. The last settled second is therefore committed together with the offset, so that no
//! roll-up is made of such leftovers.

use crate::snapshot::Epoch;
use std::collections::BTreeMap;

/// One assignment of a partition to this member. The generation distinguishes it from earlier and later assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) partition: i32,
    pub(super) generation: u64,
}

/// The offset to commit for a partition, and the last settled second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) settled: Option<Epoch>,
}

/// A second that messages were read of.
#[derive(Debug, Clone, Copy)]
struct Second {
    /// Offset of its first message.
    first: i64,
    /// Number of hosts that are not delivered yet.
    open: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Offset after the last message that was read.
    next: Option<i64>,
    seconds: BTreeMap<Epoch, Second>,
    settled: Option<Epoch>,
    newest: Option<Epoch>,
}

impl Places {
    /// `settled` is the last second that was settled before the assignment.
    pub(super) fn new(settled: Option<Epoch>) -> Self {
        Self { settled, ..Self::default() }
    }

    /// Notes that a message was read. `second` is `None` if it is not a message of haproxystats.
    pub(super) fn read(&mut self, offset: i64, second: Option<Epoch>) {
        self.next = self.next.max(Some(offset.saturating_add(1)));
        if let Some(second) = second {
            self.newest = self.newest.max(Some(second));
            let place = self.seconds.entry(second).or_insert(Second { first: offset, open: 0 });
            place.first = place.first.min(offset);
        }
    }

    /// Notes that a host of this second has to be delivered.
    pub(super) fn open(&mut self, second: Epoch) {
        if let Some(place) = self.seconds.get_mut(&second) {
            place.open += 1;
        }
    }

    /// Notes that a host of this second has been delivered.
    pub(super) fn close(&mut self, second: Epoch) {
        if let Some(place) = self.seconds.get_mut(&second) {
            place.open = place.open.saturating_sub(1);
        }
    }

    /// What to commit, if anything was read. Roll-ups are not repeated for seconds that are `late` or more older than the newest
    /// one.
    pub(super) fn position(&mut self, partition: i32, late: u64) -> Option<Position> {
        let newest = self.newest.map_or(0, |newest| newest.0);
        while let Some((second, place)) = self.seconds.first_key_value() {
            let over = Some(*second) <= self.settled || newest.saturating_sub(second.0) >= late;
            if place.open > 0 || !over {
                break;
            }
            self.settled = self.settled.max(Some(*second));
            self.seconds.pop_first();
        }
        let offset = self.seconds.values().map(|place| place.first).chain(self.next).min()?;
        Some(Position { partition, offset, settled: self.settled })
    }

    /// The oldest second that is not delivered.
    pub(super) fn oldest(&self) -> Option<Epoch> {
        self.seconds.iter().find(|(_, place)| place.open > 0).map(|(second, _)| *second)
    }

    /// The last settled second.
    pub(super) fn settled(&self) -> Option<Epoch> {
        self.settled
    }

    /// The newest second that messages were read of.
    pub(super) fn newest(&self) -> Option<Epoch> {
        self.newest
    }

    /// Offset after the last message that was read.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }
}

/// Metadata to commit with an offset.
pub(super) fn note(settled: Option<Epoch>) -> String {
    settled.map_or_else(String::new, |settled| format!("settled={settled}"))
}

/// The inverse of [`note`].
pub(super) fn read_note(text: &str) -> Option<Epoch> {
    text.strip_prefix("settled=").and_then(Epoch::from_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(position: Option<Position>) -> Option<(i64, Option<u64>)> {
        position.map(|position| (position.offset, position.settled.map(|epoch| epoch.0)))
    }

    #[test]
    fn what_is_not_settled_can_be_read_again_as_a_whole() {
        let mut places = Places::default();
        assert_eq!(places.position(0, 0), None);
        for (offset, second) in [10, 10, 20, 10, 20, 30].into_iter().enumerate() {
            places.read(i64::try_from(offset).unwrap(), Some(Epoch(second)));
            places.open(Epoch(second));
        }
        assert_eq!(at(places.position(0, 0)), Some((0, None)));
        (0..2).for_each(|_| places.close(Epoch(20)));
        assert_eq!(at(places.position(0, 0)), Some((0, None)), "10 is not delivered");
        (0..2).for_each(|_| places.close(Epoch(10)));
        assert_eq!(at(places.position(0, 0)), Some((0, None)), "one host of it is not");
        places.close(Epoch(10));
        assert_eq!(at(places.position(0, 11)), Some((2, Some(10))), "20 may be rolled up again");
        assert_eq!(at(places.position(0, 0)), Some((5, Some(20))));
        places.read(6, None);
        places.close(Epoch(30));
        assert_eq!(at(places.position(0, 0)), Some((7, Some(30))));
        // Leftovers of a settled second block the offset until they are delivered.
        places.read(7, Some(Epoch(10)));
        places.open(Epoch(10));
        assert_eq!(at(places.position(0, 60)), Some((7, Some(30))));
        places.close(Epoch(10));
        assert_eq!(at(places.position(0, 60)), Some((8, Some(30))));
    }

    #[test]
    fn a_note_survives_the_round_trip() {
        assert_eq!(read_note(&note(Some(Epoch(1_500_000_000)))), Some(Epoch(1_500_000_000)));
        assert_eq!((read_note(&note(None)), read_note("settled=x"), read_note("other")), (None, None, None));
    }

    proptest! {
        #[test]
        fn nothing_that_is_open_lies_before_what_is_committed(
            messages in proptest::collection::vec((1_u64..5, any::<bool>()), 1..30), late in 0_u64..3,
        ) {
            let mut places = Places::default();
            let mut all: Vec<(i64, u64, bool)> = Vec::new();
            for (offset, (second, delivered)) in messages.into_iter().enumerate() {
                let offset = i64::try_from(offset).unwrap();
                places.read(offset, Some(Epoch(second)));
                places.open(Epoch(second));
                if delivered {
                    places.close(Epoch(second));
                }
                all.push((offset, second, delivered));
                let position = places.position(0, late).unwrap();
                let settled = position.settled.map_or(0, |settled| settled.0);
                for (at, second, delivered) in &all {
                    prop_assert!(*at >= position.offset || *delivered);
                    prop_assert!(*at >= position.offset || *second <= settled);
                }
            }
        }
    }
}
