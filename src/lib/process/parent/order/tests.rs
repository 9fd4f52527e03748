use super::*;
use crate::queue::Blame;
use proptest::prelude::*;
use std::time::Instant;

const NAMES: [&str; 2] = ["otlp", "remote-write"];

fn turn(slot: usize, dispatcher: &'static str, epoch: u64) -> Turn {
    Turn { slot: Slot(slot), dispatcher, epoch: Epoch(epoch) }
}

fn queue(epochs: impl IntoIterator<Item = u64>) -> Queue {
    let mut queue = Queue::new();
    epochs.into_iter().for_each(|epoch| assert!(queue.arrived(Epoch(epoch))));
    queue
}

#[test]
fn the_oldest_goes_whoever_has_it_and_the_next_when_it_is_there() {
    let (mut queue, now, moment) = (queue(1..4), Instant::now(), Moment::now());
    let mut order = Order::new(&NAMES[..1], Had::new());
    assert!(order.turns(&queue, &[], moment).is_empty() && order.is_held_up(&queue, &[]), "a worker has to take it");
    for slot in [2, 0, 1] {
        queue.claim(Slot(slot), now);
    }
    assert!(!order.is_held_up(&queue, &[]));
    assert_eq!(order.turns(&queue, &[], moment), [turn(2, "otlp", 1)]);
    assert!(order.turns(&queue, &[], moment).is_empty(), "it is under way");
    queue.finished(Slot(2), Epoch(1));
    order.forget(Epoch(1));
    assert_eq!(order.turns(&queue, &[], moment), [turn(0, "otlp", 2)]);
    queue.died(Slot(0), Blame::None, now);
    order.died(Slot(0));
    assert!(
        order.turns(&queue, &[], moment).is_empty() && order.is_held_up(&queue, &[]),
        "not the third before the second"
    );
    queue.claim(Slot(0), now);
    assert_eq!(order.turns(&queue, &[], moment), [turn(0, "otlp", 2)], "told again");
}

#[test]
fn one_destination_does_not_wait_for_another_and_what_one_has_is_not_sent_again() {
    let (mut queue, now, moment) = (queue(1..4), Instant::now(), Moment::now());
    let mut order = Order::new(&NAMES, Had::new());
    queue.claim(Slot(0), now);
    queue.claim(Slot(0), now);
    assert_eq!(order.turns(&queue, &[], moment), [turn(0, "otlp", 1), turn(0, "remote-write", 1)]);
    order.delivered(Some("otlp"), Epoch(1), "a");
    assert_eq!(order.turns(&queue, &[], moment), [turn(0, "otlp", 2)]);
    // A restart.
    let mut order = Order::new(&NAMES, order.to_record());
    assert_eq!(order.turns(&queue, &[], moment), [turn(0, "otlp", 2), turn(0, "remote-write", 1)]);
    assert_eq!((order.had(Epoch(1), "a"), order.had(Epoch(2), "b")), (vec!["otlp".to_owned()], vec![]));
    assert!(order.had(Epoch(1), "another directory").is_empty());
    assert!(order.to_record().is_empty());
}

#[test]
fn what_is_held_back_is_waited_for_and_not_for_ever() {
    let (mut queue, now, moment) = (queue(1..3), Instant::now(), Moment::now());
    let mut order = Order::new(&NAMES[..1], Had::new());
    queue.claim(Slot(0), now);
    queue.postponed(Slot(0), Epoch(1), now);
    queue.claim(Slot(0), now);
    assert!(order.turns(&queue, &[], moment).is_empty());
    assert!(order.turns(&queue, &[], moment + PATIENCE / 2).is_empty());
    assert_eq!(order.turns(&queue, &[], moment + PATIENCE), [turn(0, "otlp", 2)]);
    queue.claim(Slot(1), now + PATIENCE);
    assert!(order.turns(&queue, &[], moment + PATIENCE).is_empty(), "one at a time");
    queue.finished(Slot(0), Epoch(2));
    assert_eq!(order.turns(&queue, &[], moment + PATIENCE), [turn(1, "otlp", 1)], "late is better than never");
}

#[test]
fn what_is_not_complete_yet_is_waited_for_too() {
    let (mut queue, now, moment) = (queue([5]), Instant::now(), Moment::now());
    let mut order = Order::new(&NAMES[..1], Had::new());
    queue.claim(Slot(0), now);
    let coming = [Epoch(7), Epoch(4)];
    assert!(order.turns(&queue, &coming, moment).is_empty() && !order.is_held_up(&queue, &coming));
    queue.arrived(Epoch(4));
    queue.claim(Slot(1), now);
    assert_eq!(order.turns(&queue, &coming[..1], moment), [turn(1, "otlp", 4)]);
}

#[derive(Debug, Clone)]
enum Action {
    Arrive,
    Claim(usize),
    Deliver(usize),
    Finish,
    Die(usize),
    Restart,
}

proptest! {
    /// Whatever dies, and whichever destination is slow, each destination gets every snapshot once, in the order of their time.
    #[test]
    fn no_destination_goes_backwards(actions in prop::collection::vec(prop_oneof![
        2 => Just(Action::Arrive),
        3 => (0..3_usize).prop_map(Action::Claim),
        5 => (0..2_usize).prop_map(Action::Deliver),
        3 => Just(Action::Finish),
        1 => (0..3_usize).prop_map(Action::Die),
        1 => Just(Action::Restart),
    ], 0..200)) {
        let (mut queue, now, moment) = (Queue::new(), Instant::now(), Moment::now());
        let (mut order, mut arrived) = (Order::new(&NAMES, Had::new()), 0);
        let mut may: BTreeMap<&str, Turn> = BTreeMap::new();
        let mut got: BTreeMap<&str, Vec<u64>> = NAMES.map(|name| (name, Vec::new())).into();
        for action in actions {
            match action {
                Action::Arrive => {
                    arrived += 1;
                    queue.arrived(Epoch(arrived));
                }
                Action::Claim(slot) => drop(queue.claim(Slot(slot), now)),
                Action::Deliver(which) => {
                    if let Some(Turn { dispatcher, epoch, .. }) = may.remove(NAMES[which]) {
                        got.get_mut(dispatcher).unwrap().push(epoch.0);
                        order.delivered(Some(dispatcher), epoch, "x");
                    }
                }
                Action::Finish => {
                    let all = |epoch: u64| got.values().all(|got| got.contains(&epoch));
                    if let Some((epoch, Whereabouts::With(slot))) = queue.oldest_of(|epoch, _| all(epoch.0)) {
                        queue.finished(slot, epoch);
                        order.forget(epoch);
                    }
                }
                Action::Die(slot) => {
                    queue.died(Slot(slot), Blame::None, now);
                    order.died(Slot(slot));
                    may.retain(|_, turn| turn.slot != Slot(slot));
                }
                Action::Restart => {
                    for slot in 0..3 {
                        queue.died(Slot(slot), Blame::None, now);
                    }
                    order = Order::new(&NAMES, order.to_record());
                    may.clear();
                }
            }
            for turn in order.turns(&queue, &[], moment) {
                prop_assert_eq!(queue.holder(turn.epoch), Some(turn.slot));
                prop_assert!(may.insert(turn.dispatcher, turn).is_none(), "two at a time");
            }
            for got in got.values() {
                prop_assert!(got.iter().copied().eq(1..=got.len() as u64), "{:?}", got);
            }
        }
    }
}
