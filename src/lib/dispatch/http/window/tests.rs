use super::*;
use proptest::prelude::*;

const A: Epoch = Epoch(1_500_000_000);
const B: Epoch = Epoch(1_500_000_010);
const ENOUGH: usize = 1000;

/// A body of these samples, two bytes each.
fn body(samples: impl IntoIterator<Item = u16>) -> Body {
    let bytes: Vec<u8> = samples.into_iter().flat_map(u16::to_be_bytes).collect();
    Body { samples: bytes.len() / 2, bytes: bytes.into() }
}

fn samples(body: &Body) -> Vec<u16> {
    body.bytes.chunks(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]])).collect()
}

fn halves(of: &Body) -> Option<[Body; 2]> {
    let all = samples(of);
    let (one, other) = all.split_at(all.len() / 2);
    (!one.is_empty()).then(|| [body(one.iter().copied()), body(other.iter().copied())])
}

fn piece(epoch: Epoch, number: usize, more: bool) -> Piece {
    Piece { epoch, number, more, lines: 10 }
}

#[test]
fn nothing_is_sent_before_its_turn() {
    let mut window = Window::new(ENOUGH);
    assert_eq!(window.push(piece(B, 0, false), vec![body([1, 2])]), Pushed::Kept);
    assert!(window.send(Instant::now()).is_none() && window.finished().is_none());
    window.go(A);
    assert!(window.send(Instant::now()).is_none() && window.finished().is_none());
    assert!(window.has_room_for(A, false), "there is always room for the one whose turn it is");
    assert!(!window.has_room(true), "one that waits is enough");
    window.push(piece(A, 0, false), vec![body([3])]);
    let (token, sent) = window.send(Instant::now()).unwrap();
    assert_eq!((samples(&sent), window.send(Instant::now()).is_none()), (vec![3], true));
    window.accepted(token).unwrap();
    assert_eq!(window.finished().map(|finished| finished.epoch), Some(A));
    assert!(window.send(Instant::now()).is_none(), "the other one has not been named");
    window.go(B);
    assert!(window.send(Instant::now()).is_some());
}

#[test]
fn what_is_too_much_to_wait_in_memory_is_given_up_until_its_turn() {
    let mut window = Window::new(10);
    assert_eq!(window.push(piece(B, 0, true), vec![body([1, 2, 3])]), Pushed::Kept);
    assert_eq!(window.unsent(), 0, "no piece is waited for");
    assert_eq!(window.push(piece(B, 1, true), vec![body([4, 5, 6])]), Pushed::TooMuch);
    assert_eq!(window.push(piece(B, 2, false), vec![body([7])]), Pushed::Ignored);
    assert!(window.is_empty() && !window.has_room(true) && !window.has_room_for(B, true));
    window.go(B);
    assert!(window.has_room_for(B, false) && !window.has_room(true), "others are as large");
    for number in 0..3 {
        assert_eq!(window.push(piece(B, number, number < 2), vec![body([1, 2, 3])]), Pushed::Kept);
        assert_eq!(window.unsent(), if number < 2 { 6 * (number + 1) } else { 0 });
    }
    while let Some((token, _)) = window.send(Instant::now()) {
        window.accepted(token);
    }
    assert_eq!(window.finished().map(|finished| finished.lines), Some(30));
    assert!(!window.has_room(true), "the next one may be as large");
    window.go(Epoch(B.0 + 10));
    window.push(piece(Epoch(B.0 + 10), 0, false), vec![body([1])]);
    assert!(window.has_room(true), "it was not");
}

#[test]
fn a_snapshot_of_which_nothing_is_taken_is_not_taken_apart() {
    let mut window = Window::new(ENOUGH);
    window.go(A);
    let bodies = (0..20).map(|number| body((0..100).map(|sample| number * 100 + sample))).collect();
    window.push(piece(A, 0, false), bodies);
    let (mut requests, mut aside) = (0, 0);
    while let Some((token, _)) = window.send(Instant::now()) {
        requests += 1;
        aside += window.refused(token, "out of order sample", halves).unwrap();
    }
    assert_eq!(aside, 2000);
    assert!(requests < 150, "{requests} requests");
    let (epoch, kept) = window.put_aside().map(|(epoch, aside)| (epoch, aside.len())).unwrap();
    assert!(window.finished().is_none(), "it is not kept yet");
    window.kept(epoch, kept);
    assert_eq!(window.finished().map(|finished| finished.epoch), Some(A));
}

/// Two hundred refusals, one after the other, are no reason to put aside what is good.
#[test]
fn many_bad_samples_side_by_side_cost_no_good_one() {
    let mut window = Window::new(ENOUGH);
    let is_bad = |sample: &u16| (1..=100).contains(sample);
    assert_eq!(window.push(piece(A, 0, false), vec![body(0..128)]), Pushed::Kept);
    window.go(A);
    let mut aside = BTreeSet::new();
    while let Some((token, body)) = window.send(Instant::now()) {
        let samples = samples(&body);
        if !samples.iter().any(is_bad) {
            window.accepted(token).unwrap();
        } else if window.refused(token, "bad", halves).unwrap() > 0 {
            aside.extend(samples);
        }
    }
    assert!(aside.iter().all(is_bad) && aside.len() == 100, "{aside:?}");
}

#[derive(Debug, Clone)]
enum Action {
    Push { epoch: usize, more: bool, samples: usize },
    Go,
    Send,
    Answer { which: usize, not_now: bool },
    Keep,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (0..4_usize, any::<bool>(), 0..40_usize)
            .prop_map(|(epoch, more, samples)| Action::Push { epoch, more, samples }),
        2 => Just(Action::Go),
        8 => Just(Action::Send),
        8 => (0..8_usize, prop::bool::weighted(0.2)).prop_map(|(which, not_now)| Action::Answer { which, not_now }),
        1 => Just(Action::Keep),
    ];
    prop::collection::vec(action, 0..200)
}

/// The surroundings of a window: worker, receiver and parent.
#[derive(Default)]
struct World {
    /// For each snapshot: pieces handed over, whether those are all, and its samples.
    handed: BTreeMap<Epoch, (usize, bool, BTreeSet<u16>)>,
    flying: Vec<(Token, Body)>,
    has: BTreeSet<u16>,
    kept: BTreeSet<u16>,
    /// The snapshot whose turn it is, until it is finished.
    turn: Option<Epoch>,
    finished: Option<Epoch>,
    next: u16,
}

impl World {
    fn is_bad(sample: u16) -> bool {
        sample.is_multiple_of(7)
    }

    fn push(&mut self, window: &mut Window, epoch: Epoch, more: bool, count: usize) {
        if self.finished.is_some_and(|finished| epoch <= finished) {
            return;
        }
        let (number, complete, all) = self.handed.entry(epoch).or_default();
        if *complete {
            return;
        }
        let new: Vec<u16> = (self.next..).take(count).collect();
        self.next += u16::try_from(count).unwrap();
        let bodies = new.chunks(10).map(|samples| body(samples.iter().copied())).collect();
        match window.push(piece(epoch, *number, more), bodies) {
            Pushed::Kept => {
                (*number, *complete) = (*number + 1, !more);
                all.extend(new);
            }
            Pushed::TooMuch => {
                assert_ne!(self.turn, Some(epoch), "whose turn it is is never given up");
                self.handed.remove(&epoch);
            }
            Pushed::Ignored => panic!("{epoch} {number}"),
        }
    }

    fn answer(&mut self, window: &mut Window, which: usize, not_now: bool) {
        if self.flying.is_empty() {
            return;
        }
        let (token, body) = self.flying.remove(which % self.flying.len());
        let samples = samples(&body);
        if not_now {
            assert!(window.again(token));
        } else if samples.iter().copied().any(Self::is_bad) {
            let aside = window.refused(token, "bad", halves).unwrap();
            assert!(aside <= 1, "good samples are put aside with bad ones: {samples:?}");
        } else {
            self.has.extend(samples);
            window.accepted(token).unwrap();
        }
    }

    fn keep(&mut self, window: &mut Window) {
        let Some((epoch, aside)) = window.put_aside() else { return };
        self.kept.extend(aside.iter().flat_map(|aside| samples(&aside.body)));
        let count = aside.len();
        window.kept(epoch, count);
    }

    fn look(&mut self, window: &mut Window) {
        assert!(window.bytes() <= self.handed.values().map(|(_, _, all)| 2 * all.len()).sum());
        let Some(finished) = window.finished() else { return };
        assert_eq!(self.turn.take(), Some(finished.epoch));
        self.finished = Some(finished.epoch);
        let (_, complete, all) = self.handed.remove(&finished.epoch).unwrap();
        assert!(complete && self.flying.is_empty());
        for sample in all {
            let place = if Self::is_bad(sample) { &self.kept } else { &self.has };
            assert!(place.contains(&sample), "{sample} is nowhere");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn all_is_accepted_or_kept_and_one_snapshot_at_a_time(actions in actions()) {
        let (mut window, mut world) = (Window::new(60), World::default());
        for action in actions {
            match action {
                Action::Push { epoch, more, samples } => {
                    world.push(&mut window, Epoch(A.0 + epoch as u64), more, samples);
                }
                Action::Go if world.turn.is_none() => {
                    let next = world.finished.map_or(A, |finished| Epoch(finished.0 + 1));
                    window.go(next);
                    world.turn = Some(next);
                }
                Action::Go => {}
                Action::Send => {
                    if let Some((token, body)) = window.send(Instant::now()) {
                        let all = world.handed.get(&world.turn.unwrap()).map(|(_, _, all)| all).unwrap();
                        prop_assert!(samples(&body).iter().all(|sample| all.contains(sample)), "not its turn");
                        world.flying.push((token, body));
                    }
                }
                Action::Answer { which, not_now } => world.answer(&mut window, which, not_now),
                Action::Keep => world.keep(&mut window),
            }
            prop_assert_eq!(window.flying(), world.flying.len());
            world.look(&mut window);
        }
    }
}
