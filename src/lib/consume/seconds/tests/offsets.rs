//! What may be committed, across assignments and revocations.

use super::*;

#[test]
fn offsets_follow_what_is_delivered() {
    let mut bench = Bench::new(1);
    bench.seconds.limits.late = 0;
    bench.host(0, ONE, 100);
    bench.host(0, TWO, 100);
    bench.host(0, ONE, 110);
    assert_eq!(bench.committed(), [(0, 0)]);
    bench.wait(5);
    assert_eq!(bench.hosts_out().len(), 2);
    assert_eq!(bench.committed(), [(0, 0)], "nothing is delivered");
    bench.deliver(110);
    assert_eq!(bench.committed(), [(0, 0)]);
    bench.deliver(100);
    assert_eq!(bench.committed(), [(0, 3)]);
    bench.seconds.pass(0, 3);
    assert_eq!(bench.committed(), [(0, 4)]);
}

#[test]
fn a_new_owner_makes_no_roll_up_of_a_rest() {
    let mut bench = Bench::new(0);
    bench.seconds.assigned(0, Some(Epoch(100)));
    bench.host(0, TWO, 100);
    bench.host(0, ONE, 110);
    assert_eq!(bench.out(), [(100, names(&["two"]), vec![], vec![])]);
    bench.wait(5);
    assert_eq!(bench.out(), [(110, names(&["one"]), vec![], vec![("ams".to_owned(), 1)])]);
}

#[test]
fn what_is_given_up_with_a_partition_counts_no_more() {
    let mut bench = Bench::new(2);
    bench.host(0, ONE, 100);
    bench.host(1, FAR, 100);
    let before = bench.part(0, TWO, 100, "a_stat", 2);
    assert!(before.is_none());
    let half = bench.seconds.bytes();
    assert!(half > 0);
    let void = bench.seconds.revoked(0);
    assert_eq!(void.iter().map(|(_, host)| host.name.as_str()).collect::<Vec<_>>(), ["one"]);
    assert_eq!(bench.seconds.bytes(), 0);
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far"]))]);
    // What was published during the previous assignment does not count in the new one.
    bench.seconds.revoked(1);
    bench.seconds.assigned(1, None);
    bench.offset = 0;
    bench.host(1, FAR, 100);
    bench.deliver(100);
    assert_eq!(bench.committed(), [(1, 0)]);
}

#[test]
fn a_message_of_a_later_version_stops_its_partition() {
    let mut bench = Bench::new(2);
    assert!(bench.seconds.hold(0) && !bench.seconds.hold(0));
    bench.host(0, ONE, 100);
    bench.host(1, FAR, 100);
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far"]))]);
    bench.deliver(100);
    bench.seconds.limits.late = 0;
    assert_eq!(bench.committed(), [(1, 2)], "nothing of it is committed");
    assert_eq!(bench.seconds.full(), BTreeSet::from([0]));
}

#[test]
fn a_host_on_two_partitions_is_done_when_one_of_them_is_revoked() {
    let mut bench = Bench::new(2);
    bench.seconds.limits.late = 0;
    assert!(bench.part(0, ONE, 100, "a_stat", 2).is_none());
    let whole = bench.part(1, ONE, 100, "a_info", 2).unwrap();
    bench.store(&whole);
    assert!(bench.part(0, TWO, 100, "a_stat", 3).is_none() && bench.part(1, TWO, 100, "a_info", 3).is_none());
    assert_eq!(bench.seconds.revoked(0).len(), 1);
    assert_eq!((bench.committed(), bench.seconds.waiting()), (vec![(1, 4)], 0), "nothing of it can be delivered");
}

#[test]
fn a_host_that_waits_for_the_disk_is_not_wanted_after_a_revocation() {
    let mut bench = Bench::new(2);
    bench.seconds.limits.late = 0;
    assert!(bench.part(0, ONE, 100, "a_stat", 2).is_none());
    let whole = bench.part(1, ONE, 100, "a_info", 2).unwrap();
    bench.host(1, FAR, 100);
    bench.seconds.revoked(0);
    assert!(!bench.seconds.wants(&whole));
    bench.seconds.dropped(&whole);
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(100, names(&["far"]))]);
    bench.deliver(100);
    assert_eq!(bench.committed(), [(1, 3)]);
}

#[test]
fn nothing_is_taken_before_it_is_known_what_is_settled() {
    let mut bench = Bench::new(0);
    bench.seconds.awaited(0);
    bench.host(0, TWO, 100);
    bench.seconds.pass(0, 1);
    assert_eq!((bench.committed(), bench.seconds.waiting()), (vec![], 0));
    assert_eq!(bench.seconds.full(), BTreeSet::from([0]), "it is paused");
    assert_eq!(bench.seconds.partitions().collect::<Vec<_>>(), [(0, None)]);
    bench.seconds.assigned(0, Some(Epoch(100)));
    bench.host(0, TWO, 100);
    assert_eq!(bench.out(), [(100, names(&["two"]), vec![], vec![])]);
    assert_eq!(bench.seconds.full(), BTreeSet::new());
}
