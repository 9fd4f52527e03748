//! Limits on memory, on the distance between partitions, and on time.

use super::*;

#[test]
fn memory_is_bounded_and_the_far_future_is_refused() {
    let mut bench = Bench::new(1);
    let take = |bench: &mut Bench, host: usize, second: u64, payload: &[u8]| {
        let label = Label {
            host: format!("h{host}"),
            cluster: None,
            time: Epoch(second),
            interval: 10,
            file: "a_stat".to_owned(),
            files: 1,
            offset: 0,
            size: 1 << 40,
        };
        bench.seconds.take((0, 0), &label, payload, bench.now, Duration::from_secs(100)).map(|whole| whole.is_some())
    };
    for host in 0..100 {
        assert_eq!(take(&mut bench, host, 100, &[0; 100_000]), Ok(false));
        bench.seconds.overdue(bench.now);
        assert!(bench.seconds.bytes() <= LIMITS.buffer, "{}", bench.seconds.bytes());
    }
    assert_eq!(take(&mut bench, 0, 100, &vec![0; LIMITS.buffer + 1]), Err(Poison::TooLarge));
    assert_eq!(take(&mut bench, 0, 101 + FUTURE, b"x"), Err(Poison::Future));
    assert_eq!(take(&mut bench, 0, u64::MAX, b"x"), Err(Poison::Future));
}

#[test]
fn one_partition_is_not_read_far_ahead() {
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (1, FAR)], &[100]);
    for second in 1..=AHEAD as u64 {
        assert!(bench.seconds.full().is_empty());
        bench.host(0, ONE, 100 + second);
    }
    assert_eq!(bench.seconds.full(), BTreeSet::from([0]));
}

#[test]
fn hosts_that_never_become_complete_do_not_keep_a_partition_paused() {
    let mut bench = Bench::new(1);
    for second in 1..=20 {
        assert!(bench.part(0, ONE, 10 * second, "a_stat", 2).is_none());
    }
    for _ in 0..3 {
        let full = bench.seconds.full();
        assert_eq!(full, BTreeSet::from([0]));
        bench.seconds.pause(&full, bench.now);
        bench.wait(60);
        let over = bench.seconds.overdue(bench.now).0;
        assert!(!over.is_empty(), "nothing else can make room");
        over.iter().for_each(|whole| bench.store(whole));
        bench.out();
        bench.src_dir.clone().iter().for_each(|second| bench.deliver(second.0));
        let full = bench.seconds.full();
        bench.seconds.pause(&full, bench.now);
        while bench.seconds.full().is_empty() {
            let second = 10 * (1 + u64::try_from(bench.offset).unwrap());
            bench.part(0, ONE, second, "a_stat", 2);
        }
    }
}

#[test]
fn no_more_is_dropped_than_makes_room() {
    let mut bench = Bench::new(2);
    for host in [ONE, TWO] {
        assert!(bench.part(0, host, 100, "a_stat", 2).is_none());
    }
    bench.seconds.limits.buffer = bench.seconds.bytes();
    bench.seconds.pause(&BTreeSet::from([0]), bench.now);
    bench.wait(600);
    assert!(bench.part(1, FAR, 100, "a_stat", 2).is_none() && bench.seconds.is_over_full());
    let (rest, given_up) = bench.seconds.overdue(bench.now);
    assert_eq!((rest.len(), given_up), (1, 0), "the partition of the other one is not read");
}
