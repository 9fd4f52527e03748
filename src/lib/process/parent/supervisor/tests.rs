use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ONE: Slot = Slot(0);
const TWO: Slot = Slot(1);

fn pool(workers: usize) -> (Supervisor, Moment) {
    let now = Moment::now();
    let policy = Policy { workers, ask_every: 10 * SECOND, patience: 30 * SECOND };
    (Supervisor::new(policy, now), now)
}

fn ready(workers: usize) -> (Supervisor, Moment) {
    let (mut pool, now) = pool(workers);
    for slot in (0..workers).map(Slot) {
        pool.spawned(slot, now);
        pool.answered(slot, now);
    }
    (pool, now)
}

#[test]
fn all_workers_start_at_once() {
    let (mut pool, now) = pool(2);
    assert_eq!(pool.step(now).0, vec![Action::Spawn(ONE), Action::Spawn(TWO)]);
    pool.spawned(ONE, now);
    pool.spawned(TWO, now);
    assert_eq!(pool.step(now).0, vec![]);
    assert_eq!(pool.running(), 2);
}

#[test]
fn a_dead_worker_is_replaced_after_a_growing_pause() {
    let (mut pool, mut now) = ready(2);
    for pause in [BACKOFF_MIN, BACKOFF_MIN * 2, BACKOFF_MIN * 4] {
        pool.died(TWO, now);
        let (actions, wake) = pool.step(now);
        assert_eq!((actions, wake), (vec![], now + pause));
        now = wake;
        assert_eq!(pool.step(now).0, vec![Action::Spawn(TWO)]);
        pool.spawned(TWO, now);
    }
    now += HEALTHY_AFTER;
    pool.died(TWO, now);
    assert_eq!(pool.step(now + BACKOFF_MIN).0.last(), Some(&Action::Spawn(TWO)), "it had lived long enough");
}

#[test]
fn a_worker_that_got_something_done_is_replaced_without_delay() {
    let (mut pool, now) = ready(1);
    for _ in 0..100 {
        pool.progress(ONE);
        pool.died(ONE, now);
        assert_eq!(pool.step(now), (vec![], now + BACKOFF_MIN));
        pool.spawned(ONE, now);
    }
}

#[test]
fn the_silent_are_asked_and_then_killed() {
    let (mut pool, start) = ready(1);
    assert_eq!(pool.step(start), (vec![], start + 10 * SECOND));
    let asked = start + 10 * SECOND;
    assert_eq!(pool.step(asked).0, vec![Action::Ping(ONE)]);
    pool.pinged(ONE, asked);
    assert_eq!(pool.step(asked + 29 * SECOND), (vec![], asked + 30 * SECOND));
    assert_eq!(pool.step(asked + 30 * SECOND).0, vec![Action::Kill(ONE, KillReason::Hang)]);
    pool.killed(ONE);
    assert_eq!(pool.step(asked + 31 * SECOND).0, vec![]);
    pool.died(ONE, asked + 31 * SECOND);
    assert_eq!(pool.step(asked + 32 * SECOND).0, vec![Action::Spawn(ONE)]);
}

#[test]
fn one_that_answers_lives_on() {
    let (mut pool, mut now) = ready(1);
    for _ in 0..10 {
        now = pool.step(now).1;
        assert_eq!(pool.step(now).0, vec![Action::Ping(ONE)]);
        pool.pinged(ONE, now);
        now += 29 * SECOND;
        assert_eq!(pool.step(now).0, vec![]);
        pool.ponged(ONE, now);
    }
}

#[test]
fn work_must_be_answered_even_if_a_ping_was() {
    let (mut pool, start) = ready(1);
    pool.pinged(ONE, start);
    pool.asked(ONE, start);
    pool.ponged(ONE, start + 5 * SECOND);
    assert_eq!(pool.step(start + 34 * SECOND).0, vec![Action::Ping(ONE)]);
    assert_eq!(pool.step(start + 35 * SECOND).0, vec![Action::Kill(ONE, KillReason::Hang)]);
}

#[test]
fn a_worker_must_speak_up_after_its_start() {
    let (mut pool, now) = pool(1);
    pool.spawned(ONE, now);
    assert_eq!(pool.step(now + 30 * SECOND).0, vec![Action::Kill(ONE, KillReason::Hang)]);
}

#[test]
fn one_that_owes_nothing_may_be_silent() {
    let (mut pool, now) = ready(1);
    pool.pinged(ONE, now);
    pool.ponged(ONE, now);
    pool.drain(now, 1000 * SECOND);
    assert_eq!(pool.step(now + 999 * SECOND).0, vec![]);
}

#[test]
fn what_is_excused_is_not_held_against_them() {
    let (mut pool, now) = ready(1);
    pool.pinged(ONE, now);
    pool.excused(ONE, 20 * SECOND, now + 30 * SECOND);
    assert_eq!(pool.step(now + 49 * SECOND).0, vec![]);
    assert_eq!(pool.quiet(ONE, now + 49 * SECOND), 29 * SECOND);
    assert_eq!(pool.step(now + 50 * SECOND).0, vec![Action::Kill(ONE, KillReason::Hang)]);
    pool.excused(ONE, 1000 * SECOND, now + 50 * SECOND);
    assert_eq!(pool.step(now + 80 * SECOND).0, vec![Action::Kill(ONE, KillReason::Hang)], "no more than has gone by");
}

#[test]
fn it_is_known_whether_some_do_not_answer() {
    let (mut pool, now) = ready(2);
    pool.asked(TWO, now);
    assert!(!pool.some_are_silent(now + 20 * SECOND), "it may take its time for a snapshot");
    pool.pinged(TWO, now + 20 * SECOND);
    assert!(pool.some_are_silent(now + 22 * SECOND));
    pool.ponged(TWO, now + 22 * SECOND);
    assert!(!pool.some_are_silent(now + 30 * SECOND));
}

#[test]
fn too_many_deaths_without_progress_are_the_end() {
    let (mut pool, mut now) = ready(2);
    let mut deaths = 0;
    loop {
        let (actions, wake) = pool.step(now);
        if actions == [Action::GiveUp] {
            assert!(wake > now, "nobody spins");
            break;
        }
        for action in actions {
            assert!(matches!(action, Action::Spawn(_)), "{action:?}");
        }
        for slot in [ONE, TWO] {
            pool.spawned(slot, now);
            pool.died(slot, now);
            deaths += 1;
        }
        now = wake.max(now + BACKOFF_MAX);
        assert!(deaths < 1000);
    }
    assert_eq!(deaths, 2 * DEATHS_PER_WORKER);
}

#[test]
fn workers_that_cannot_be_started_are_tried_for_as_long_as_it_takes() {
    let (mut pool, mut now) = pool(1);
    for _ in 0..100 {
        assert_eq!(pool.step(now).0, vec![Action::Spawn(ONE)]);
        pool.not_started(ONE, now);
        assert_eq!(pool.step(now).0, vec![]);
        now += BACKOFF_MAX;
    }
}

#[test]
fn rare_deaths_or_any_progress_are_not_the_end() {
    let (mut pool, mut now) = ready(1);
    for _ in 0..1000 {
        pool.died(ONE, now);
        now += DEATH_WINDOW / u32::try_from(DEATHS_PER_WORKER - 1).unwrap();
        assert_ne!(pool.step(now).0, vec![Action::GiveUp]);
        pool.spawned(ONE, now);
    }
    for _ in 0..1000 {
        pool.died(ONE, now);
        pool.progress(ONE);
        assert_ne!(pool.step(now).0, vec![Action::GiveUp]);
    }
}

#[test]
fn drained_workers_leave_by_themselves_or_are_killed() {
    let (mut pool, now) = ready(2);
    pool.drain(now, 10 * SECOND);
    assert_eq!(pool.step(now + SECOND).0, vec![]);
    pool.died(ONE, now + SECOND);
    assert_eq!(pool.step(now + 5 * SECOND).0, vec![], "nobody is replaced any more");
    assert_eq!(pool.step(now + 11 * SECOND).0, vec![Action::Kill(TWO, KillReason::Grace)]);
    pool.killed(TWO);
    pool.died(TWO, now + 12 * SECOND);
    let (actions, wake) = pool.step(now + 12 * SECOND);
    assert_eq!(actions, vec![Action::Finished]);
    assert!(wake > now + 12 * SECOND, "nobody spins");
}
