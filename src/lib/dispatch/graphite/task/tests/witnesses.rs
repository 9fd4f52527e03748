//! When witnesses are opened, called and dismissed.

use super::*;

#[tokio::test]
async fn witnesses_are_dismissed_when_a_later_one_has_proved_itself() {
    let start = Instant::now();
    let at = |seconds: u32| start + SECOND * seconds;
    let now = at(100);
    // Settle is 5 s.
    for (next, witnesses, left) in [
        (90, vec![10, 20], vec![20]),
        (90, vec![10], vec![10]),
        // The later one was opened after the connection that is to carry something.
        (15, vec![10, 20], vec![10, 20]),
        // It has not stood for long enough.
        (99, vec![10, 96], vec![10, 96]),
        (99, vec![10, 95], vec![95]),
    ] {
        let mut bench = Bench::new().await;
        bench.open(at(next)).await;
        for opened in &witnesses {
            bench.witness(at(*opened)).await;
        }
        bench.task.call(now);
        assert_eq!(bench.opened(), left.iter().map(|seconds| at(*seconds)).collect::<Vec<_>>(), "{witnesses:?}");
    }
    // One to a peer that nothing is sent to, and that has confirmed nothing, is of no use.
    let (mut bench, other) = (Bench::new().await, Bench::new().await);
    bench.open(at(90)).await;
    bench.witness(at(10)).await;
    bench.task.witnesses.links[0].peer = other.address();
    bench.task.call(now);
    assert_eq!(bench.opened(), []);
}

#[tokio::test]
async fn who_needs_no_witnesses_keeps_them_for_what_rests_on_them() {
    let now = Instant::now();
    for (habit, settle, confirmed, left) in [
        (Habit::Never, 5, false, 0),
        (Habit::Never, 5, true, 1),
        (Habit::Closes, 0, false, 0),
        (Habit::Closes, 5, true, 1),
    ] {
        let mut bench = Bench::new().await;
        (bench.task.habit, bench.task.rules.settle) = (habit, SECOND * settle);
        if confirmed {
            bench.carry(1);
            bench.confirm(now, now);
        }
        bench.open(now).await;
        bench.witness(now).await;
        bench.task.call(now);
        assert_eq!(bench.task.witnesses.links.len(), left, "{habit:?} {settle} {confirmed}");
        assert!(bench.task.witnesses.calling.is_none());
    }
}

#[tokio::test]
async fn a_witness_is_called_when_it_is_wanted_and_not_before_the_pause_is_over() {
    let now = Instant::now();
    let mut bench = Bench::new().await;
    bench.open(now).await;
    bench.task.witnesses.not_before = now + SECOND;
    assert_eq!(bench.task.next_call(), Some(now + SECOND));
    bench.task.call(now);
    assert!(bench.task.witnesses.calling.is_none());
    bench.task.call(now + SECOND);
    assert!(bench.task.witnesses.calling.is_some());
    assert_eq!(bench.task.next_call(), None, "one at a time");
    // There is none to be had: pauses as after failures.
    for failures in 1..=3 {
        bench.task.witnesses.calling = None;
        bench.task.called(Err(ConnectError::NoAddress { host: "a".to_owned() }), now);
        let pause = bench.task.witnesses.not_before.checked_duration_since(now).unwrap();
        assert!(about(bench.task.rounds.after(failures)).contains(&pause), "{pause:?}");
    }
    // It stands: nothing is to be done for what the next connection will carry.
    let stream = bench.stream().await;
    bench.task.called(Ok(stream), now);
    assert_eq!((bench.task.witnesses.links.len(), bench.task.next_call()), (1, None));
}

#[tokio::test]
async fn a_witness_that_is_called_is_waited_for_and_a_pause_holds_for_all() {
    let now = Instant::now();
    let mut bench = Bench::new().await;
    bench.open(now).await;
    let called = Rc::new(());
    let held = Rc::clone(&called);
    bench.task.witnesses.calling = Some(Box::pin(async move {
        let _held = held;
        std::future::pending().await
    }));
    bench.task.call(now + SECOND);
    assert_eq!(Rc::strong_count(&called), 2, "no other takes its place");
    // What was confirmed lacks a younger witness, which would be due, but for the pause.
    bench.task.witnesses.calling = None;
    bench.carry(1);
    bench.confirm(now, now + SECOND);
    bench.witness(now).await;
    bench.task.witnesses.not_before = now + SECOND * 100;
    assert_eq!(bench.task.next_call(), Some(now + SECOND * 100));
    bench.task.call(now + SECOND * 99);
    assert!(bench.task.witnesses.calling.is_none());
    bench.task.call(now + SECOND * 100);
    assert!(bench.task.witnesses.calling.is_some());
}

/// A greeting is none.
#[tokio::test]
async fn what_a_peer_says_long_after_our_end_proves_that_it_reads() {
    let ended = Instant::now();
    for (heard, reads) in [(None, false), (Some(SECOND / 2), false), (Some(SECOND), true), (Some(SECOND * 9), true)] {
        for is_next in [false, true] {
            let mut bench = Bench::new().await;
            let mut link = bench.link(ended).await;
            link.heard = heard.map(|after| ended + after);
            if is_next {
                bench.task.next = Next::Open(link);
            } else {
                bench.task.ended = Some((link, ended));
            }
            assert_eq!(bench.task.has_read(ended), reads, "{heard:?} {is_next}");
        }
    }
}

/// The witness is younger than the connection that is to rest on it: that one is replaced, unless it carries something already.
#[tokio::test]
async fn the_next_connection_is_opened_after_its_witness() {
    let start = Instant::now();
    for (connection, witness, used, renewed) in
        [(10, 20, false, true), (10, 20, true, false), (20, 10, false, false), (20, 20, false, false)]
    {
        let mut bench = Bench::new().await;
        bench.open(start + SECOND * connection).await;
        bench.witness(start + SECOND * witness).await;
        if used {
            bench.carry(1);
        }
        bench.task.call(start + SECOND * 30);
        let is_renewed = matches!(bench.task.next, Next::Opening(_));
        assert_eq!(is_renewed, renewed, "{connection} {witness} {used}");
    }
}
