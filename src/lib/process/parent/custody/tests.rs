use super::*;
use crate::queue::HOLD;
use crate::queue::incoming::SETTLE;
use std::fs;

const A: Epoch = Epoch(1_500_000_000);
const ONE: Slot = Slot(0);
const TWO: Slot = Slot(1);

struct Place {
    base: tempfile::TempDir,
    custody: Custody,
    totals: Totals,
    now: Instant,
}

impl Place {
    /// A source directory with one complete snapshot.
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let src_dir = base.path().join("incoming");
        fs::create_dir_all(src_dir.join(A.to_string())).unwrap();
        let now = Instant::now();
        let custody = Custody::open(&src_dir, now).unwrap();
        let mut place = Self { base, custody, totals: Totals::default(), now };
        place.look();
        place.now += SETTLE;
        place.look();
        place
    }

    fn look(&mut self) {
        self.custody.look(self.now.max(self.custody.next_look()), &mut self.totals);
    }

    fn claim(&mut self) -> Option<Epoch> {
        self.custody.claim(ONE, self.now, &mut self.totals)
    }

    fn fail(&mut self, failure: Failure) {
        self.custody.failed(ONE, A, failure, "for the test", self.now, &mut self.totals);
        self.now += HOLD;
    }

    fn there(&self) -> [bool; 2] {
        ["incoming", "failed"].map(|place| self.base.path().join(place).join(A.to_string()).exists())
    }

    fn count(&self, figure: Figure) -> u64 {
        self.totals.get(figure)
    }
}

#[test]
fn what_every_destination_has_is_removed() {
    let mut place = Place::new();
    assert_eq!((place.claim(), place.claim()), (Some(A), None));
    assert!(!place.custody.rendered(TWO, A, 7) && place.custody.rendered(ONE, A, 7));
    assert_eq!(place.custody.taken[&A].lines, 7);
    assert!(!place.custody.done(TWO, A, false, &mut place.totals));
    assert_eq!(place.there(), [true, false]);
    assert!(place.custody.done(ONE, A, false, &mut place.totals));
    assert_eq!((place.there(), place.custody.queue().knows(A)), ([false, false], false));
    assert!(place.custody.taken.is_empty());
    assert_eq!([Figure::SnapshotsDelivered, Figure::SnapshotsDropped].map(|f| place.count(f)), [1, 0]);
}

#[test]
fn what_has_failed_twice_goes_to_quarantine() {
    let mut place = Place::new();
    for (attempt, quarantined) in [(1, false), (2, true)] {
        assert_eq!(place.claim(), Some(A));
        place.fail(Failure::Snapshot);
        assert_eq!(place.there(), [!quarantined, quarantined]);
        assert_eq!(place.count(Figure::SnapshotsFailed), attempt);
    }
    assert_eq!((place.count(Figure::SnapshotsQuarantined), place.custody.queue().knows(A)), (1, false));
}

#[test]
fn what_the_system_is_to_blame_for_stays() {
    let mut place = Place::new();
    for attempt in 1..=5 {
        assert_eq!(place.claim(), Some(A));
        place.fail(Failure::System);
        assert_eq!((place.there(), place.count(Figure::SnapshotsPostponed)), ([true, false], attempt));
        assert_eq!(place.custody.queue().unreadable(), 1);
        place.now = place.custody.next_due().unwrap();
    }
    assert_eq!(place.claim(), Some(A));
    assert!(place.custody.rendered(ONE, A, 1));
    assert_eq!(place.custody.queue().unreadable(), 0);
}

#[test]
fn only_what_was_in_the_making_is_condemned_by_crashes() {
    for rendered in [true, false] {
        let mut place = Place::new();
        for crash in 1..=2 {
            assert_eq!(place.claim(), Some(A));
            if rendered {
                place.custody.rendered(ONE, A, 1);
            }
            let moved = place.custody.died(ONE, Blame::Snapshot, place.now, &mut place.totals);
            assert_eq!(moved, !rendered && crash == 2);
        }
        assert_eq!(place.there(), [rendered, !rendered]);
    }
}

#[test]
fn what_took_the_place_of_a_snapshot_is_a_snapshot_of_its_own() {
    for fails in [false, true] {
        let mut place = Place::new();
        assert_eq!(place.claim(), Some(A));
        let path = place.base.path().join("incoming").join(A.to_string());
        fs::rename(&path, place.base.path().join("old")).unwrap();
        fs::create_dir(&path).unwrap();
        if fails {
            place.fail(Failure::Snapshot);
            // The new snapshot has not failed before.
            assert_eq!(place.custody.queue().depth(), 1);
        } else {
            assert!(place.custody.done(ONE, A, false, &mut place.totals));
            assert!(!place.custody.queue().knows(A));
        }
        assert_eq!(place.there(), [true, false], "it is not removed unread");
    }
}

#[test]
fn what_somebody_else_has_taken_away_is_forgotten() {
    let mut place = Place::new();
    fs::remove_dir(place.base.path().join("incoming").join(A.to_string())).unwrap();
    assert_eq!((place.claim(), place.count(Figure::SnapshotsVanished)), (None, 1));
    assert!(!place.custody.queue().knows(A));
}
