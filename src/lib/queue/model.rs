//! Random actions against the queue and against a plain model of it: a list of snapshots with a state each.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Held(Instant),
    Taken(Slot, bool),
    Aside(Instant),
    Stuck,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    epoch: Epoch,
    state: State,
    settles: bool,
    failures: u32,
    kills: u32,
    postponed: u32,
    condemned: u32,
    unreadable: bool,
}

#[derive(Debug, Clone)]
enum Action {
    Arrive(u64),
    Present(Vec<u64>),
    Claim(usize),
    Unclaim(usize, u64),
    Rendered(usize, u64),
    Settles(usize, u64, bool),
    Finished(usize, u64),
    Failed(usize, u64),
    Postponed(usize, u64),
    Died(usize, u8),
    Stuck(u64),
    Forget(u64),
    Wait(u64),
}

const EPOCHS: u64 = 6;
const SLOTS: usize = 3;

fn action() -> impl Strategy<Value = Action> {
    let epoch = 0..EPOCHS;
    let slot = 0..SLOTS;
    prop_oneof![
        4 => epoch.clone().prop_map(Action::Arrive),
        1 => prop::collection::vec(epoch.clone(), 0..8).prop_map(Action::Present),
        4 => slot.clone().prop_map(Action::Claim),
        1 => (slot.clone(), epoch.clone()).prop_map(|(slot, epoch)| Action::Unclaim(slot, epoch)),
        2 => (slot.clone(), epoch.clone()).prop_map(|(slot, epoch)| Action::Rendered(slot, epoch)),
        2 => (slot.clone(), epoch.clone(), any::<bool>())
            .prop_map(|(slot, epoch, settles)| Action::Settles(slot, epoch, settles)),
        2 => (slot.clone(), epoch.clone()).prop_map(|(slot, epoch)| Action::Finished(slot, epoch)),
        2 => (slot.clone(), epoch.clone()).prop_map(|(slot, epoch)| Action::Failed(slot, epoch)),
        1 => (slot.clone(), epoch.clone()).prop_map(|(slot, epoch)| Action::Postponed(slot, epoch)),
        2 => (slot, 0..3_u8).prop_map(|(slot, blame)| Action::Died(slot, blame)),
        1 => epoch.clone().prop_map(Action::Stuck),
        1 => epoch.prop_map(Action::Forget),
        2 => (0..40_u64).prop_map(Action::Wait),
    ]
}

#[derive(Default)]
struct Model(Vec<Entry>);

impl Model {
    fn state(&self, epoch: Epoch) -> Option<State> {
        self.0.iter().find(|entry| entry.epoch == epoch).map(|entry| entry.state)
    }

    fn entry(&mut self, epoch: Epoch) -> &mut Entry {
        self.0.iter_mut().find(|entry| entry.epoch == epoch).expect("known")
    }

    fn drop(&mut self, epoch: Epoch) {
        self.0.retain(|entry| entry.epoch != epoch);
    }

    fn add(&mut self, epoch: Epoch, state: State) {
        let zero = Entry {
            epoch,
            state,
            settles: false,
            failures: 0,
            kills: 0,
            postponed: 0,
            condemned: 0,
            unreadable: false,
        };
        self.0.push(zero);
        self.0.sort_by_key(|entry| entry.epoch);
    }

    fn count(&self, which: impl Fn(State) -> bool) -> usize {
        self.0.iter().filter(|entry| which(entry.state)).count()
    }
}

fn is_waiting(state: State) -> bool {
    matches!(state, State::Ready | State::Held(_))
}

fn condemn(entry: &mut Entry, now: Instant) {
    entry.failures = FAILURES - 1;
    entry.condemned += 1;
    entry.state = State::Aside(now + doubled(ASIDE, entry.condemned, HOLD_MAX));
}

fn holds(model: &Model, slot: Slot, epoch: Epoch) -> bool {
    matches!(model.state(epoch), Some(State::Taken(by, _)) if by == slot)
}

fn perform(queue: &mut Queue, model: &mut Model, now: &mut Instant, action: Action) {
    match action {
        Action::Arrive(epoch) => {
            let epoch = Epoch(epoch);
            let new = model.state(epoch).is_none();
            assert_eq!(queue.arrived(epoch), new);
            if new {
                model.add(epoch, State::Ready);
            }
        }
        Action::Present(there) => present(queue, model, &there.into_iter().map(Epoch).collect()),
        Action::Claim(slot) => claim(queue, model, Slot(slot), *now),
        Action::Unclaim(slot, epoch) => {
            let (slot, epoch) = (Slot(slot), Epoch(epoch));
            assert_eq!(queue.unclaim(slot, epoch), holds(model, slot, epoch));
            if holds(model, slot, epoch) {
                model.entry(epoch).state = State::Ready;
            }
        }
        Action::Rendered(slot, epoch) => rendered(queue, model, Slot(slot), Epoch(epoch)),
        Action::Settles(slot, epoch, settles) => {
            let (slot, epoch) = (Slot(slot), Epoch(epoch));
            assert_eq!(queue.settles(slot, epoch, settles), holds(model, slot, epoch));
            if holds(model, slot, epoch) {
                model.entry(epoch).settles = settles;
            }
        }
        Action::Finished(slot, epoch) => {
            let (slot, epoch) = (Slot(slot), Epoch(epoch));
            assert_eq!(queue.finished(slot, epoch), holds(model, slot, epoch));
            if holds(model, slot, epoch) {
                model.drop(epoch);
            }
        }
        Action::Failed(slot, epoch) => failed(queue, model, (Slot(slot), Epoch(epoch)), *now),
        Action::Postponed(slot, epoch) => {
            let (slot, epoch) = (Slot(slot), Epoch(epoch));
            assert_eq!(queue.postponed(slot, epoch, *now), holds(model, slot, epoch));
            if holds(model, slot, epoch) {
                let entry = model.entry(epoch);
                entry.unreadable = true;
                entry.postponed += 1;
                entry.state = State::Held(*now + doubled(HOLD, entry.postponed, UNREADABLE_MAX));
            }
        }
        Action::Died(slot, blame) => died(queue, model, Slot(slot), blame, *now),
        Action::Stuck(epoch) => {
            queue.stuck(Epoch(epoch));
            if model.state(Epoch(epoch)).is_none() {
                model.add(Epoch(epoch), State::Stuck);
            }
        }
        Action::Forget(epoch) => {
            queue.forget(Epoch(epoch));
            model.drop(Epoch(epoch));
        }
        Action::Wait(seconds) => *now += Duration::from_secs(seconds),
    }
}

fn present(queue: &mut Queue, model: &mut Model, there: &BTreeSet<Epoch>) {
    let gone = |entry: &&Entry| !matches!(entry.state, State::Taken(..)) && !there.contains(&entry.epoch);
    let gone: Vec<Entry> = model.0.iter().filter(gone).copied().collect();
    let waited = gone.iter().filter(|entry| is_waiting(entry.state)).map(|entry| entry.epoch);
    let expected: BTreeSet<Epoch> = waited.collect();
    assert_eq!(queue.present(there).into_iter().collect::<BTreeSet<_>>(), expected);
    gone.iter().for_each(|entry| model.drop(entry.epoch));
}

fn claim(queue: &mut Queue, model: &mut Model, slot: Slot, now: Instant) {
    for entry in &mut model.0 {
        if matches!(entry.state, State::Held(until) | State::Aside(until) if until <= now) {
            entry.state = State::Ready;
        }
    }
    let expected = model.0.iter().find(|entry| entry.state == State::Ready).map(|entry| entry.epoch);
    assert_eq!(queue.claim(slot, now), expected);
    if let Some(epoch) = expected {
        model.entry(epoch).settles = false;
        model.entry(epoch).state = State::Taken(slot, false);
    }
}

fn rendered(queue: &mut Queue, model: &mut Model, slot: Slot, epoch: Epoch) {
    assert_eq!(queue.rendered(slot, epoch), holds(model, slot, epoch));
    if holds(model, slot, epoch) {
        let entry = model.entry(epoch);
        entry.state = State::Taken(slot, true);
        if std::mem::take(&mut entry.unreadable) {
            entry.postponed = 0;
            let held = |entry: &&mut Entry| entry.unreadable && matches!(entry.state, State::Held(_));
            model.0.iter_mut().filter(held).for_each(|entry| entry.state = State::Ready);
        }
    }
}

fn failed(queue: &mut Queue, model: &mut Model, (slot, epoch): (Slot, Epoch), now: Instant) {
    let verdict = queue.failed(slot, epoch, now);
    if !holds(model, slot, epoch) {
        assert_eq!(verdict, None);
        return;
    }
    let entry = model.entry(epoch);
    entry.failures += 1;
    entry.unreadable = false;
    if entry.failures < FAILURES {
        entry.state = State::Held(now + HOLD);
        assert_eq!(verdict, Some(Verdict::Again));
    } else {
        condemn(entry, now);
        assert_eq!(verdict, Some(Verdict::Quarantine));
    }
}

fn died(queue: &mut Queue, model: &mut Model, slot: Slot, blame: u8, now: Instant) {
    let (blame, failures, kills) = match blame {
        0 => (Blame::None, 0, 0),
        1 => (Blame::Outside, 0, 1),
        _ => (Blame::Snapshot, 1, 0),
    };
    let returned = queue.died(slot, blame, now);
    let mut condemned = Vec::new();
    let mut ready = Vec::new();
    for entry in &mut model.0 {
        let State::Taken(by, rendered) = entry.state else { continue };
        if by != slot {
            continue;
        }
        if !rendered {
            entry.failures += failures;
            entry.kills += kills;
            if entry.failures >= FAILURES {
                condemned.push(entry.epoch);
                condemn(entry, now);
                continue;
            }
            if kills > 0 && entry.kills > 1 {
                entry.state = State::Held(now + hold_after(entry.kills));
                continue;
            }
        }
        entry.state = State::Ready;
        ready.push(entry.epoch);
    }
    assert_eq!(returned.ready, ready);
    assert_eq!(returned.quarantine, condemned);
}

proptest! {
    #[test]
    fn the_queue_behaves_like_the_model(actions in prop::collection::vec(action(), 0..200)) {
        let (mut queue, mut model, mut now) = (Queue::new(), Model::default(), Instant::now());
        for action in actions {
            perform(&mut queue, &mut model, &mut now, action);
            for epoch in (0..EPOCHS).map(Epoch) {
                prop_assert_eq!(queue.knows(epoch), model.state(epoch).is_some());
            }
            prop_assert_eq!(queue.depth(), model.count(is_waiting));
            prop_assert_eq!(queue.in_flight(), model.count(|state| matches!(state, State::Taken(..))));
            prop_assert_eq!(queue.done_with(), model.count(|state| matches!(state, State::Stuck | State::Aside(_))));
            prop_assert_eq!(queue.unreadable(), model.0.iter().filter(|entry| entry.unreadable).count());
            let settles = |entry: &Entry| matches!(entry.state, State::Taken(..)) && entry.settles;
            prop_assert_eq!(queue.settling(), model.0.iter().filter(|entry| settles(entry)).count());
            let done = |entry: &Entry| matches!(entry.state, State::Stuck | State::Aside(_)) || settles(entry);
            let undelivered = model.0.iter().find(|entry| !done(entry));
            prop_assert_eq!(queue.oldest(), undelivered.map(|entry| entry.epoch));
            let due = model.0.iter().filter_map(|entry| match entry.state { State::Held(until) | State::Aside(until) => Some(until), _ => None });
            prop_assert_eq!(queue.next_due(), due.min());
            prop_assert!(queue.records.len() <= queue.depth() + queue.in_flight() + queue.done_with());
        }
    }
}
