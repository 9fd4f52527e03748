use super::*;
use crate::batch::messages::Messages;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn batch(epoch: u64, messages: usize) -> Arc<Batch> {
    let mut all = Messages::default();
    for number in 0..messages {
        let payload = format!("{epoch}.{number}.a 1 1\n{epoch}.{number}.b 1 1\n");
        all.push(b"key", Epoch(epoch), [payload.as_bytes()]);
    }
    Arc::new(Batch { epoch: Epoch(epoch), lines: 2 * messages, messages: all, ..Batch::default() })
}

#[derive(Debug, Clone)]
enum Action {
    Push(usize),
    Send,
    Report(usize, Outcome),
    TryAgain,
    GiveUp,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Delivered),
        1 => Just(Outcome::Refused),
        2 => Just(Outcome::TooLarge),
        1 => Just(Outcome::MuchTooLarge),
    ];
    let action = prop_oneof![
        2 => (0_usize..4).prop_map(Action::Push),
        6 => Just(Action::Send),
        6 => (0_usize..50, outcome).prop_map(|(which, outcome)| Action::Report(which, outcome)),
        1 => Just(Action::TryAgain),
        1 => Just(Action::GiveUp),
    ];
    proptest::collection::vec(action, 0..150)
}

/// The brokers, and what they have.
#[derive(Default)]
struct World {
    flying: Vec<(Token, String)>,
    has: BTreeSet<String>,
    pushed: BTreeSet<u64>,
    delivered: Vec<u64>,
}

impl World {
    fn send(&mut self, window: &mut Window) -> bool {
        let Some((token, message)) = window.next() else { return false };
        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
        window.sent(token, Instant::now());
        self.flying.push((token, payload));
        true
    }

    fn report(&mut self, window: &mut Window, which: usize, outcome: Outcome) {
        let (token, payload) = self.flying.remove(which);
        if outcome == Outcome::Delivered {
            self.has.extend(payload.lines().map(str::to_owned));
        }
        window.report(token, outcome);
        for delivered in window.delivered() {
            let epoch = delivered.batch.epoch.0;
            for message in delivered.batch.messages.iter() {
                for line in std::str::from_utf8(message.payload).unwrap().lines() {
                    assert!(self.has.contains(line), "{line} is not there");
                }
            }
            assert!(!self.delivered.contains(&epoch), "twice");
            self.delivered.push(epoch);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_snapshot_counts_as_delivered_when_all_of_it_is_and_all_of_it_gets_through(actions in actions()) {
        let (mut window, mut world) = (Window::new(KafkaFormat::Graphite), World::default());
        for action in actions {
            match action {
                Action::Push(messages) => {
                    let epoch = world.pushed.len() as u64;
                    world.pushed.insert(epoch);
                    window.push(batch(epoch, messages));
                }
                Action::Send => drop(world.send(&mut window)),
                Action::Report(which, outcome) if !world.flying.is_empty() => {
                    let which = which % world.flying.len();
                    world.report(&mut window, which, outcome);
                }
                Action::Report(..) => {}
                Action::TryAgain => drop(window.try_again()),
                // The reports of what was given up still come.
                Action::GiveUp => drop(window.give_up()),
            }
            let states = || window.held.iter().flatten().flat_map(|held| held.states.iter());
            let count = |wanted: State| states().filter(|state| **state == wanted).count();
            prop_assert_eq!(window.flying(), count(State::Flying) + count(State::FlyingAlone));
            prop_assert_eq!(window.refused(), count(State::Refused));
            prop_assert_eq!(window.large.len(), count(State::Large));
            prop_assert!(count(State::FlyingAlone) == 0 || window.flying() == 1);
            let held = || window.held.iter().flatten().map(|held| &held.batch);
            prop_assert_eq!(window.lines(), held().map(|batch| batch.lines).sum::<usize>());
            prop_assert_eq!(window.bytes(), held().map(|batch| batch.messages.bytes()).sum::<usize>());
            prop_assert_eq!(window.is_empty(), held().next().is_none());
        }
        for _ in 0..1000 {
            while world.send(&mut window) {}
            while !world.flying.is_empty() {
                world.report(&mut window, 0, Outcome::Delivered);
            }
            window.try_again();
            window.delivered().into_iter().for_each(|delivered| world.delivered.push(delivered.batch.epoch.0));
        }
        prop_assert!(window.is_empty() && window.lines() == 0 && window.bytes() == 0);
        prop_assert_eq!(world.delivered.into_iter().collect::<BTreeSet<_>>(), world.pushed);
    }
}

#[test]
fn messages_go_out_in_order() {
    let mut window = Window::new(KafkaFormat::Graphite);
    window.push(batch(1, 2));
    window.push(batch(2, 1));
    let mut world = World::default();
    while world.send(&mut window) {}
    let sent: Vec<&str> = world.flying.iter().map(|(_, payload)| &payload[..3]).collect();
    assert_eq!(sent, ["1.0", "1.1", "2.0"]);
    assert_eq!(window.unsent(), 0);
}

#[test]
fn the_time_of_a_snapshot_is_from_its_first_message_to_its_last_piece() {
    let mut window = Window::new(KafkaFormat::Graphite);
    let piece = |epoch, piece, more| Arc::new(Batch { piece, more, ..Batch::clone(&batch(epoch, 1)) });
    [piece(1, 0, true), piece(1, 1, false), piece(2, 0, false)].into_iter().for_each(|piece| window.push(piece));
    let at = [0, 1, 2].map(|seconds| Instant::now() + std::time::Duration::from_secs(seconds));
    let tokens = at.map(|at| {
        let (token, _) = window.next().unwrap();
        window.sent(token, at);
        token
    });
    let mut told = Vec::new();
    for (token, count) in [(tokens[1], 0), (tokens[0], 2), (tokens[2], 3)] {
        assert!(window.report(token, Outcome::Delivered) && !window.report(token, Outcome::Delivered));
        told.extend(window.delivered().into_iter().map(|delivered| (delivered.batch.epoch.0, delivered.since)));
        assert_eq!(told.len(), count, "the last piece comes after the others");
    }
    assert_eq!(told, [(1, None), (1, Some(at[0])), (2, Some(at[2]))]);
}

#[test]
fn what_is_too_large_goes_by_itself_and_is_divided_where_that_does_not_help() {
    let (mut window, mut world) = (Window::new(KafkaFormat::Graphite), World::default());
    window.push(batch(1, 2));
    while world.send(&mut window) {}
    world.report(&mut window, 0, Outcome::TooLarge);
    assert!(!world.send(&mut window), "another one is under way");
    world.report(&mut window, 0, Outcome::Delivered);
    assert!(world.send(&mut window) && !world.send(&mut window));
    world.report(&mut window, 0, Outcome::TooLarge);
    for half in ["1.0.a 1 1\n", "1.0.b 1 1\n"] {
        assert!(world.delivered.is_empty() && world.send(&mut window) && !world.send(&mut window));
        assert_eq!(world.flying[0].1, half);
        world.report(&mut window, 0, Outcome::Delivered);
    }
    assert_eq!((world.delivered, window.refused(), window.is_empty()), (vec![1], 0, true));
}
