//! When a second is published, and with which hosts.

use super::*;

#[test]
fn a_second_goes_out_when_all_known_hosts_are_there() {
    let mut bench = Bench::new(2);
    bench.host(0, ONE, 100);
    bench.host(0, TWO, 100);
    bench.host(1, FAR, 100);
    assert_eq!(bench.out(), [], "who there is is not known yet");
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far", "one", "two"]))]);
    bench.host(0, TWO, 110);
    bench.host(1, FAR, 110);
    assert_eq!(bench.out(), []);
    bench.host(0, ONE, 110);
    assert_eq!(bench.hosts_out(), [(110, names(&["far", "one", "two"]))], "at once");
}

#[test]
fn one_that_does_not_come_is_waited_for_and_counted_and_no_longer_after_a_while() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    for second in [110, 120, 130] {
        bench.host(0, ONE, second);
        assert_eq!(bench.out(), [], "{second}");
        bench.wait(5);
        let out = bench.out();
        assert_eq!(out, [(second, names(&["one"]), vec![], vec![("ams".to_owned(), 1)])]);
    }
    bench.host(0, ONE, 140);
    assert_eq!(bench.out(), [(140, names(&["one"]), vec![], vec![("ams".to_owned(), 0)])]);
}

#[test]
fn a_partition_that_lags_does_not_hold_up_others_and_keeps_its_order() {
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (1, FAR)], &[100, 110]);
    for second in [120, 130, 140, 150, 160] {
        bench.host(0, ONE, second);
        bench.wait(5);
        bench.out();
    }
    bench.host(0, ONE, 170);
    assert_eq!(bench.hosts_out(), [(170, names(&["one"]))]);
    bench.src_dir.clear();
    bench.seconds.delivered(|_| false);
    bench.host(1, FAR, 120);
    bench.host(1, FAR, 130);
    let out: Vec<u64> = bench.out().into_iter().map(|(second, ..)| second).collect();
    assert_eq!(out, [120, 130]);
}

#[test]
fn an_earlier_second_of_the_same_partition_goes_first() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    bench.host(0, ONE, 120);
    bench.host(0, TWO, 120);
    assert_eq!(bench.hosts_out(), [(110, names(&["one"])), (120, names(&["one", "two"]))], "110 is left out by two");
}

#[test]
fn what_stays_incomplete_is_processed_as_far_as_it_is_whole() {
    let mut bench = Bench::new(1);
    assert!(bench.part(0, ONE, 100, "a_stat", 2).is_none());
    let label = |offset| Label {
        host: "two".to_owned(),
        cluster: None,
        time: Epoch(100),
        interval: 10,
        file: "a_stat".to_owned(),
        files: 1,
        offset,
        size: 9,
    };
    assert!(matches!(bench.seconds.take((0, 1), &label(3), b"abc", bench.now, Duration::from_secs(100)), Ok(None)));
    bench.wait(59);
    assert!(bench.seconds.overdue(bench.now).0.is_empty());
    bench.wait(1);
    let (rest, given_up) = bench.seconds.overdue(bench.now);
    assert_eq!((rest.len(), given_up), (1, 1));
    assert!(rest[0].incomplete && rest[0].files.len() == 1);
    bench.store(&rest[0]);
    assert_eq!((bench.hosts_out(), bench.seconds.bytes()), (vec![(100, names(&["one"]))], 0));
    bench.deliver(100);
    bench.seconds.limits.late = 0;
    assert_eq!(bench.committed(), [(0, 2)]);
}

#[test]
fn a_partition_that_catches_up_is_waited_for() {
    let near = ("fra", "near");
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (1, FAR), (1, near)], &[100]);
    assert!(bench.part(0, ONE, 110, "a_stat", 2).is_none());
    bench.host(0, ONE, 150);
    assert_eq!(bench.out(), [], "all are there of whom something was heard lately, but 110 has to go first");
    bench.host(1, FAR, 140);
    bench.host(1, near, 140);
    assert_eq!(bench.hosts_out(), [(140, names(&["far", "near"]))]);
    bench.host(1, FAR, 150);
    let whole = bench.part(0, ONE, 110, "b_stat", 2).unwrap();
    bench.store(&whole);
    assert_eq!(bench.hosts_out(), [(110, names(&["one"]))]);
    bench.host(1, near, 150);
    assert_eq!(bench.hosts_out(), [(150, names(&["far", "near", "one"]))]);
}
