use super::*;

const A: Epoch = Epoch(1_500_000_000);
const B: Epoch = Epoch(1_500_000_010);
const ONE: Slot = Slot(0);
const TWO: Slot = Slot(1);

fn with(epochs: &[Epoch]) -> Queue {
    let mut queue = Queue::new();
    for epoch in epochs {
        assert!(queue.arrived(*epoch));
    }
    queue
}

#[test]
fn the_oldest_goes_first_and_each_goes_once() {
    let now = Instant::now();
    let mut queue = with(&[B, A]);
    assert!(!queue.arrived(A));
    assert_eq!(queue.claim(ONE, now), Some(A));
    assert!(!queue.arrived(A));
    assert_eq!(queue.claim(TWO, now), Some(B));
    assert_eq!(queue.claim(ONE, now), None);
    assert_eq!(queue.oldest(), Some(A));
    assert!(!queue.finished(TWO, A));
    assert!(queue.finished(ONE, A));
    assert_eq!(queue.oldest(), Some(B));
    assert!(queue.arrived(A), "a finished snapshot is forgotten");
}

#[test]
fn two_crashes_condemn_only_the_one_in_the_making() {
    let now = Instant::now();
    let mut queue = with(&[A, B]);
    queue.claim(ONE, now);
    assert!(queue.rendered(ONE, A));
    queue.claim(ONE, now);
    assert_eq!(queue.died(ONE, Blame::Snapshot, now), Returned { ready: vec![A, B], ..Returned::default() });
    assert_eq!(queue.claim(TWO, now), Some(A));
    queue.rendered(TWO, A);
    assert_eq!(queue.claim(TWO, now), Some(B));
    assert_eq!(
        queue.died(TWO, Blame::Snapshot, now),
        Returned { ready: vec![A], quarantine: vec![B], suspect: vec![] }
    );
    queue.forget(B);
    assert!(!queue.knows(B));
}

#[test]
fn kills_from_outside_and_stops_condemn_nothing() {
    let mut now = Instant::now();
    let mut queue = with(&[A]);
    for _ in 0..20 {
        queue.claim(ONE, now);
        assert_eq!(queue.died(ONE, Blame::None, now), Returned { ready: vec![A], ..Returned::default() });
    }
    queue.claim(ONE, now);
    assert_eq!(queue.died(ONE, Blame::Outside, now), Returned { ready: vec![A], ..Returned::default() });
    let mut pauses = Vec::new();
    for kills in 2..12 {
        assert_eq!(queue.claim(ONE, now), Some(A));
        let suspect = if kills == KILLS { vec![A] } else { vec![] };
        assert_eq!(queue.died(ONE, Blame::Outside, now), Returned { suspect, ..Returned::default() });
        assert_eq!(queue.claim(ONE, now), None);
        let due = queue.next_due().unwrap();
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses, [6, 12, 24, 48, 96, 192, 300, 300, 300, 300]);
    assert_eq!(queue.claim(ONE, now), Some(A));
}

#[test]
fn a_failure_is_tried_again_after_a_pause_and_once_only() {
    let now = Instant::now();
    let mut queue = with(&[A]);
    queue.claim(ONE, now);
    assert_eq!(queue.failed(ONE, A, now), Some(Verdict::Again));
    assert_eq!(queue.claim(ONE, now), None);
    assert_eq!(queue.next_due(), Some(now + HOLD));
    assert_eq!(queue.depth(), 1);
    assert_eq!(queue.claim(TWO, now + HOLD), Some(A));
    assert_eq!(queue.failed(ONE, A, now), None);
    assert_eq!(queue.failed(TWO, A, now), Some(Verdict::Quarantine));
    queue.forget(A);
    assert!(!queue.knows(A));
}

#[test]
fn trouble_of_the_system_condemns_nothing_and_is_tried_again_with_growing_pauses() {
    let mut now = Instant::now();
    let mut queue = with(&[A]);
    let mut pauses = Vec::new();
    for _ in 0..100 {
        assert_eq!(queue.claim(ONE, now), Some(A));
        assert!(queue.postponed(ONE, A, now));
        assert_eq!((queue.claim(ONE, now), queue.unreadable()), (None, 1));
        let due = queue.next_due().unwrap();
        pauses.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(pauses[..7], [3, 6, 12, 24, 48, 60, 60]);
    assert!(!queue.postponed(ONE, A, now));
}

#[test]
fn when_one_can_be_read_again_the_others_are_tried_at_once() {
    let now = Instant::now();
    let c = Epoch(B.0 + 10);
    let mut queue = with(&[A, B, c]);
    for epoch in [A, B, c] {
        assert_eq!(queue.claim(ONE, now), Some(epoch));
        if epoch == c {
            queue.failed(ONE, epoch, now);
        } else {
            queue.postponed(ONE, epoch, now);
        }
    }
    assert_eq!(queue.claim(ONE, now), None);
    assert_eq!(queue.claim(ONE, now + HOLD), Some(A));
    queue.unclaim(ONE, A);
    queue.held.insert(B, now + HOLD * 9);
    assert_eq!(queue.claim(ONE, now + HOLD), Some(A));
    assert!(queue.rendered(ONE, A));
    assert_eq!(queue.claim(TWO, now + HOLD), Some(B), "B waits no longer");
    assert_eq!(queue.unreadable(), 1);
    assert!(queue.rendered(TWO, B));
    assert_eq!(queue.unreadable(), 0);
}

#[test]
fn a_condemned_snapshot_that_stays_is_tried_once_more_and_seldom() {
    let mut now = Instant::now();
    let mut queue = with(&[A]);
    queue.claim(ONE, now);
    queue.failed(ONE, A, now);
    now += HOLD;
    for pause in [30, 60, 120, 240, 300, 300] {
        assert_eq!(queue.claim(ONE, now), Some(A));
        assert_eq!(queue.failed(ONE, A, now), Some(Verdict::Quarantine));
        assert!(queue.knows(A));
        assert_eq!((queue.depth(), queue.done_with(), queue.oldest()), (0, 1, None));
        assert_eq!(queue.claim(ONE, now), None);
        assert_eq!(queue.next_due(), Some(now + Duration::from_secs(pause)));
        now += Duration::from_secs(pause);
    }
    assert_eq!(queue.claim(ONE, now), Some(A));
    assert!(queue.rendered(ONE, A) && queue.finished(ONE, A), "it has become a good one");
    assert!(!queue.knows(A));
}

#[test]
fn what_is_gone_is_forgotten_unless_a_worker_has_it() {
    let now = Instant::now();
    let mut queue = with(&[A, B]);
    queue.claim(ONE, now);
    assert_eq!(queue.present(&BTreeSet::new()), vec![B]);
    assert_eq!((queue.depth(), queue.in_flight()), (0, 1));
}

#[test]
fn the_stuck_are_known_and_left_alone() {
    let now = Instant::now();
    let mut queue = with(&[A]);
    queue.claim(ONE, now);
    queue.finished(ONE, A);
    queue.stuck(A);
    assert!(!queue.arrived(A));
    assert_eq!(queue.claim(ONE, now), None);
    assert_eq!(queue.stuck_ones(), vec![A]);
    queue.forget(A);
    assert!(queue.arrived(A));
}
