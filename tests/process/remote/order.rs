//! No series goes backwards: with several workers, through crashes, whatever is slow.

use super::custody::assert_complete_with_record;
use super::{BOTH, alone, assert_complete, expected};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, workers};
use crate::harness::receiver::{Fault, Receiver};
use crate::harness::{SOON, wait_until};
use haproxystats::prometheus::request::Protocol;
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

#[test]
fn a_backlog_drains_in_the_order_of_time_with_several_workers() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..60);
        let receiver = Receiver::start(protocol);
        receiver.behave(|behaviour| behaviour.always = Some(Fault::Slow(Duration::from_millis(5))));
        let section = receiver.section();
        let setup = Incoming::without_graphite(&format!("workers = 4\n{section}"));
        setup.publish((0..60).rev());
        let mut daemon = setup.daemon();
        assert_complete(&setup, &receiver, &wanted);
        let statuses = receiver.taken().statuses;
        assert!(statuses.keys().all(|status| *status < 300), "{statuses:?}");
        daemon.stop(SOON);
    }
}

#[test]
fn large_snapshots_go_in_order_too() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..40);
        let receiver = Receiver::start(protocol);
        let section = receiver.section();
        let setup = Incoming::without_graphite(&format!("workers = 3\n{section}max-samples-per-request = 5\n"));
        setup.publish(0..40);
        // Every snapshot is too large to wait for its turn in memory.
        let mut daemon = setup.daemon_with("HAPROXYSTATS_TEST_BOUNDS", "100");
        assert_complete(&setup, &receiver, &wanted);
        assert!(receiver.taken().statuses.keys().all(|status| *status < 300));
        daemon.stop(SOON);
    }
}

#[test]
fn kills_of_workers_lose_nothing_and_send_nothing_backwards() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..100);
        let receiver = Receiver::start(protocol);
        receiver.behave(|behaviour| behaviour.always = Some(Fault::Slow(Duration::from_millis(10))));
        let setup = alone(&receiver, "max-samples-per-request = 20");
        let mut daemon = setup.daemon();
        for round in 0..5 {
            setup.publish(round * 20..(round + 1) * 20);
            let victims = workers(&daemon, 2);
            kill(victims[usize::from(round % 2 == 1)], Signal::SIGKILL).unwrap();
            wait_until(SOON, "a replacement", || workers(&daemon, 2) != victims);
        }
        assert_complete(&setup, &receiver, &wanted);
        let again = receiver.taken().again;
        assert!(again <= 5 * wanted.len() / 100, "{again} samples came twice: more than a snapshot for each kill");
        daemon.stop(SOON);
    }
}

#[test]
fn a_restart_sends_nothing_again_that_is_there_although_graphite_lacks_it() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..30);
        let receiver = Receiver::start(protocol);
        let mut graphite = Recorder::away();
        let setup = Incoming::new(graphite.port(), &format!("workers = 3\n{}", receiver.section()));
        let mut published = Vec::new();
        for round in 0..3 {
            let mut daemon = setup.daemon();
            published.extend(setup.publish(round * 10..(round + 1) * 10));
            let enough = wanted.len() / 30 * published.len();
            wait_until(SOON, "the receiver has all", || receiver.of_haproxy().len() >= enough);
            // Until the last of them is written down.
            wait_until(SOON, "a record", || {
                let record = std::fs::read_to_string(setup.path().join(".delivered")).unwrap_or_default();
                published.iter().all(|name| record.contains(name.as_str()))
            });
            daemon.signal(Signal::SIGKILL);
            daemon.wait(SOON);
        }
        let taken = receiver.taken();
        assert_eq!((taken.again, taken.out_of_order), (0, 0));
        graphite.come_back();
        let mut daemon = setup.daemon();
        assert_complete_with_record(&setup, &receiver, &wanted);
        setup.assert_arrived(&graphite, &published);
        let taken = receiver.taken();
        assert_eq!((taken.again, taken.out_of_order), (0, 0));
        assert!(taken.statuses.keys().all(|status| *status < 300), "{:?}", taken.statuses);
        daemon.stop(SOON);
    }
}

#[test]
fn a_snapshot_that_fails_at_first_is_waited_for() {
    let wanted = expected(Protocol::RemoteWrite, 0..10);
    let receiver = Receiver::start(Protocol::RemoteWrite);
    let setup = alone(&receiver, "");
    setup.publish(0..10);
    // It crashes a worker twice, and goes to quarantine; from there it comes back, late.
    let mut daemon = setup.daemon_with("HAPROXYSTATS_TEST_TRAP", &format!("abort:{}", FIRST + 4));
    setup.wait_until_empty();
    let without: std::collections::BTreeSet<String> =
        wanted.iter().filter(|sample| !sample.ends_with(&format!(" {}", super::milliseconds(4)))).cloned().collect();
    assert_complete(&setup, &receiver, &without);
    daemon.stop(SOON);
    let mut daemon = setup.daemon();
    let name = (FIRST + 4).to_string();
    std::fs::rename(setup.failed().join(&name), setup.path().join(&name)).unwrap();
    setup.wait_until_empty();
    // The receiver has newer samples and takes no older ones: they are kept as text, all of them, with few requests.
    daemon.wait_for_output("out_of_order_time_window", SOON);
    let kept =
        std::fs::read_to_string(super::refused(&setup, Protocol::RemoteWrite).join(format!("{name}.txt"))).unwrap();
    let kept: std::collections::BTreeSet<String> = kept
        .lines()
        .filter(|line| !line.starts_with('#') && crate::harness::receiver::is_of_haproxy(line))
        .map(|line| line.replacen("} ", " ", 1))
        .collect();
    assert_eq!(kept, wanted.difference(&without).cloned().collect());
    let refusals = receiver.taken().statuses[&400];
    assert!(refusals < 400, "{refusals} requests for a snapshot that is refused as a whole");
    setup.publish(20..22);
    setup.wait_until_empty();
    daemon.stop(SOON);
}
