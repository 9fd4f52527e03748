//! Late hosts, and the roll-ups that are repeated for them.

use super::*;

/// As after a rebalance: a backlog is read faster than it is delivered.
#[test]
fn what_is_read_after_a_late_host_does_not_make_it_too_late() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE), (0, TWO)], &[100]);
    bench.host(0, ONE, 110);
    bench.wait(5);
    assert_eq!(bench.hosts_out(), [(110, names(&["one"]))]);
    bench.host(0, TWO, 110);
    for second in (120..=240).step_by(10) {
        bench.host(0, ONE, second);
        bench.host(0, TWO, second);
    }
    assert_eq!(bench.seconds.forget(), [Epoch(100)], "the other second is still wanted");
    bench.deliver(110);
    let whole = vec![("ams".to_owned(), 0)];
    assert_eq!(bench.out().first(), Some(&(110, names(&["two"]), names(&["one"]), whole)));
    assert_eq!(
        bench.seconds.forget(),
        [Epoch(110), Epoch(120), Epoch(130), Epoch(140), Epoch(150), Epoch(160), Epoch(170)]
    );
}

#[test]
fn a_late_host_makes_its_cluster_again_and_no_other() {
    let mut bench = Bench::new(2);
    bench.begin(&[(0, ONE), (0, TWO), (1, FAR)], &[100]);
    bench.host(0, ONE, 110);
    bench.host(1, FAR, 110);
    bench.wait(5);
    let missing = vec![("ams".to_owned(), 1), ("fra".to_owned(), 0)];
    assert_eq!(bench.out(), [(110, names(&["far", "one"]), vec![], missing)]);
    bench.host(0, TWO, 110);
    assert_eq!(bench.out(), [], "the first is not delivered");
    bench.deliver(110);
    let whole = vec![("ams".to_owned(), 0)];
    assert_eq!(bench.out(), [(110, names(&["two"]), names(&["one"]), whole)]);
    bench.deliver(110);
    bench.begin(&[(0, ONE), (0, TWO)], &[200]);
    assert_eq!(bench.seconds.forget(), [], "the other partition is behind");
    bench.host(0, ("ams", "three"), 110);
    assert_eq!(bench.out(), [(110, names(&["three"]), vec![], vec![])], "too late for a roll-up, not for itself");
    bench.begin(&[(1, FAR)], &[200]);
    assert_eq!(bench.seconds.forget(), [Epoch(100), Epoch(110)]);
}

#[test]
fn a_partition_that_is_behind_another_rolls_up_again_all_the_same() {
    let mut bench = Bench::new(2);
    bench.host(0, ("ahead", "a"), 1000);
    bench.host(1, ("behind", "b"), 10);
    bench.wait(5);
    assert_eq!(bench.hosts_out().len(), 2);
    assert!(bench.seconds.forget().is_empty());
    bench.deliver(10);
    bench.host(1, ("behind", "c"), 10);
    let all = vec![(10, vec!["c".to_owned()], vec!["b".to_owned()], vec![("behind".to_owned(), 0)])];
    assert_eq!(bench.out(), all);
    bench.host(1, ("behind", "b"), 71);
    assert_eq!(bench.seconds.forget(), [Epoch(10)]);
}

/// Otherwise the roll-up of two hosts would replace that of all.
#[test]
fn the_rest_of_a_settled_second_is_never_rolled_up() {
    let mut bench = Bench::new(0);
    bench.seconds.assigned(0, Some(Epoch(100)));
    for host in [ONE, TWO, ONE] {
        bench.host(0, host, 100);
        assert_eq!(bench.out(), [(100, names(&[host.1]), vec![], vec![])]);
        bench.deliver(100);
    }
}

#[test]
fn a_second_is_settled_when_no_host_can_be_late_for_it_any_more() {
    let mut bench = Bench::new(1);
    bench.begin(&[(0, ONE)], &[100, 160]);
    assert_eq!(bench.committed(), [(0, 0)], "the next owner would need all of it for a host that comes now");
    bench.host(0, TWO, 100);
    assert_eq!(bench.out(), [(100, names(&["two"]), names(&["one"]), vec![("ams".to_owned(), 0)])]);
    bench.deliver(100);
    bench.begin(&[(0, ONE)], &[170]);
    assert_eq!(bench.committed(), [(0, 1)]);
}
