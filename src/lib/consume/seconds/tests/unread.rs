//! What was not read yet is neither missing nor late.

use super::*;

#[test]
fn what_is_not_read_is_not_missing() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    let all = BTreeSet::from([0]);
    bench.seconds.pause(&all, bench.now);
    bench.wait(60);
    assert_eq!(bench.out(), [], "two may be the next message");
    bench.seconds.pause(&BTreeSet::new(), bench.now);
    bench.wait(4);
    assert_eq!(bench.out(), []);
    bench.host(0, TWO, 110);
    assert_eq!(bench.hosts_out(), [(110, names(&["one", "two"]))]);
}

#[test]
fn who_is_not_read_from_the_start_is_not_known() {
    let mut bench = Bench::new(1);
    let all = BTreeSet::from([0]);
    bench.host(0, ONE, 100);
    bench.seconds.pause(&all, bench.now);
    bench.wait(60);
    assert_eq!(bench.out(), [], "two may be the next message");
    bench.seconds.pause(&BTreeSet::new(), bench.now);
    bench.wait(4);
    assert_eq!(bench.out(), []);
    bench.host(0, TWO, 100);
    bench.wait(1);
    assert_eq!(bench.hosts_out(), [(100, names(&["one", "two"]))]);
}

/// In a replay, a partition counts as paused until its end.
#[test]
fn later_seconds_say_that_a_second_was_read_whatever_the_time() {
    let mut bench = Bench::new(1);
    bench.seconds.pause(&BTreeSet::from([0]), bench.now);
    for second in (100..200).step_by(10) {
        bench.host(0, ONE, second);
        bench.wait(10);
        assert_eq!(bench.out(), [], "{second}");
        bench.host(0, TWO, second);
    }
    bench.host(0, ONE, 200);
    // From now on it is known who has to be there.
    let whole: Vec<_> = (100..200).step_by(10).map(|second| (second, names(&["one", "two"]))).collect();
    assert_eq!(bench.hosts_out(), whole);
    bench.wait(10);
    assert_eq!(bench.out(), []);
    bench.host(0, TWO, 200);
    assert_eq!(bench.hosts_out(), [(200, names(&["one", "two"]))]);
}

#[test]
fn time_in_which_nothing_is_read_is_not_time_to_wait() {
    let all = BTreeSet::from([0]);
    let pauses: [fn(&mut Bench); 2] =
        [|bench| bench.seconds.pause(&BTreeSet::from([0]), bench.now), |bench| assert!(bench.seconds.hold(0))];
    for pause in pauses {
        let mut bench = Bench::new(1);
        assert!(bench.part(0, ONE, 100, "a_stat", 2).is_none());
        pause(&mut bench);
        bench.wait(600);
        assert_eq!(bench.seconds.overdue(bench.now).0.len(), 0, "the rest may be the next message");
    }
    let mut bench = Bench::new(1);
    bench.part(0, ONE, 100, "a_stat", 2);
    bench.seconds.pause(&all, bench.now);
    bench.wait(600);
    bench.seconds.pause(&BTreeSet::new(), bench.now);
    bench.wait(59);
    assert_eq!(bench.seconds.overdue(bench.now).0.len(), 0);
    bench.wait(1);
    assert_eq!(bench.seconds.overdue(bench.now).0.len(), 1);
}

#[test]
fn who_was_stopped_makes_no_roll_up_of_what_came_before() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    bench.wait(600);
    bench.seconds.woke(bench.now);
    assert_eq!(bench.out(), [], "others may have the partition now, and two");
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(110, names(&["one"]))]);
}

#[test]
fn a_contradiction_changes_nothing_and_the_oldest_is_what_is_not_delivered() {
    let mut bench = Bench::new(1);
    bench.seconds.limits.late = 0;
    bench.part(0, ONE, 100, "a_stat", 2);
    let label = |files| Label {
        host: "one".to_owned(),
        cluster: Some("ams".to_owned()),
        time: Epoch(100),
        interval: 10,
        file: "a_info".to_owned(),
        files,
        offset: 0,
        size: 1,
    };
    let taken =
        |bench: &mut Bench, files| bench.seconds.take((0, 1), &label(files), b"x", bench.now, Duration::from_secs(100));
    assert!(taken(&mut bench, 3).is_err());
    assert_eq!(bench.seconds.partitions().collect::<Vec<_>>(), [(0, Some(1))], "it is passed when it is kept");
    assert_eq!(bench.seconds.oldest(), Some(Epoch(100)));
    let whole = taken(&mut bench, 2).unwrap().unwrap();
    bench.store(&whole);
    bench.wait(5);
    assert_eq!((bench.hosts_out().len(), bench.seconds.oldest()), (1, Some(Epoch(100))));
    bench.deliver(100);
    assert_eq!((bench.seconds.oldest(), bench.committed()), (None, vec![(0, 2)]));
}

#[test]
fn a_partition_that_is_assigned_while_a_second_waits_gets_the_full_time() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    bench.wait(4);
    bench.seconds.assigned(1, None);
    bench.host(1, FAR, 110);
    bench.wait(1);
    assert_eq!(bench.out(), [], "the rest of the cluster of far is about to be read");
    bench.host(1, ("fra", "near"), 110);
    bench.wait(4);
    let missing = vec![("ams".to_owned(), 1), ("fra".to_owned(), 0)];
    assert_eq!(bench.out(), [(110, names(&["far", "near", "one"]), vec![], missing)]);
}
