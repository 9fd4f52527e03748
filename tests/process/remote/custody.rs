//! What becomes of a snapshot, whatever the receiver answers.

use super::{BOTH, alone, assert_complete, expected, milliseconds, refused};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming};
use crate::harness::receiver::{Fault, Receiver};
use crate::harness::{SOON, names, wait_for};
use haproxystats::prometheus::request::Protocol;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn every_sample_arrives_once_and_in_order() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..20);
        let receiver = Receiver::start(protocol);
        let setup = alone(&receiver, "max-samples-per-request = 10");
        let mut daemon = setup.daemon();
        setup.publish(0..20);
        assert_complete(&setup, &receiver, &wanted);
        let taken = receiver.taken();
        assert_eq!((taken.again, taken.statuses.len()), (0, 1), "{:?}", taken.statuses);
        assert!(taken.requests >= wanted.len() / 10 && taken.largest <= 10, "{} {}", taken.requests, taken.largest);
        // Of two workers with four requests each at a time.
        assert!(taken.connections <= 8, "{} connections", taken.connections);
        let head = taken.head.to_ascii_lowercase();
        for header in match protocol {
            Protocol::RemoteWrite => vec![
                "post /api/v1/write http/1.1",
                "content-encoding: snappy",
                "content-type: application/x-protobuf",
                "x-prometheus-remote-write-version: 0.1.0",
            ],
            Protocol::Otlp => {
                vec!["post /v1/metrics http/1.1", "content-encoding: gzip", "content-type: application/x-protobuf"]
            }
        } {
            assert!(head.lines().any(|line| line == header), "{header} is not in {head}");
        }
        daemon.stop(SOON);
    }
}

#[test]
fn what_is_not_accepted_now_is_sent_until_it_is() {
    let html = || Fault::Answer(200, "Content-Type: text/html\r\n".to_owned(), b"<html>Welcome!</html>".to_vec());
    let large = || Fault::Answer(200, "Content-Type: text/plain\r\n".to_owned(), vec![b'x'; 2 << 20]);
    let redirect = || Fault::Answer(307, "Location: http://127.0.0.1:1/\r\n".to_owned(), Vec::new());
    let wanted = expected(Protocol::RemoteWrite, 0..6);
    for (fault, words) in [
        (Fault::status(429), "status 429"),
        (Fault::status(500), "status 500"),
        (Fault::status(503), "status 503"),
        (Fault::status(401), "check bearer-token-file"),
        (Fault::status(403), "allow this client to write"),
        (Fault::status(404), "check the path in url"),
        (redirect(), "redirects to http://127.0.0.1:1/"),
        (html(), "something else answers there"),
        (large(), "no answer from"),
        (Fault::Garbage, "no answer from"),
        (Fault::Close, "no answer from"),
        (Fault::TakeAndClose, "no answer from"),
        (Fault::Hang, "within 500ms"),
    ] {
        let receiver = Receiver::start(Protocol::RemoteWrite);
        let section = receiver.section().replace("request-timeout = 20", "request-timeout = 0.5");
        let setup = Incoming::without_graphite(&format!("workers = 2\n{section}"));
        let mut daemon = setup.daemon();
        setup.publish(0..3);
        setup.wait_until_empty();
        receiver.behave(|behaviour| behaviour.always = Some(fault.clone()));
        setup.publish(3..6);
        daemon.wait_for_output("requests are not accepted; snapshots wait on disk", SOON);
        daemon.wait_for_output(words, SOON);
        assert_eq!(setup.waiting().len(), 3, "{fault:?}");
        receiver.behave(|behaviour| behaviour.always = None);
        assert_complete(&setup, &receiver, &wanted);
        daemon.wait_for_output("accepts requests again", SOON);
        daemon.stop(SOON);
    }
}

#[test]
fn a_receiver_says_when_to_come_back() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..2);
        let receiver = Receiver::start(protocol);
        let setup = alone(&receiver, "");
        receiver.behave(|behaviour| {
            let pause = Fault::Answer(429, "Retry-After: 2\r\n".to_owned(), Vec::new());
            behaviour.next.push_back(pause);
        });
        let mut daemon = setup.daemon();
        setup.publish(0..2);
        let first = wait_for(SOON, "the first request", || receiver.taken().answered);
        receiver.wait_for_requests(2);
        let pause = receiver.taken().answered.unwrap() - first;
        assert!(pause >= Duration::from_secs(2), "{pause:?}");
        assert_complete(&setup, &receiver, &wanted);
        daemon.stop(SOON);
    }
}

#[test]
fn what_is_refused_is_found_counted_told_and_kept_and_the_rest_goes() {
    for protocol in BOTH {
        let all = expected(protocol, 0..4);
        let pattern = "\"app\"";
        let wanted: BTreeSet<String> = all.iter().filter(|sample| !sample.contains(pattern)).cloned().collect();
        let receiver = Receiver::start(protocol);
        receiver.behave(|behaviour| behaviour.refuses = Some(pattern.to_owned()));
        // Each worker tells it once.
        let setup = Incoming::without_graphite(&format!("workers = 1\n{}", receiver.section()));
        let mut daemon = setup.daemon();
        setup.publish(0..4);
        assert_complete(&setup, &receiver, &wanted);
        let output = daemon.output();
        assert_eq!(output.matches("the receiver refuses some samples").count(), 1, "{output}");
        assert!(output.contains("invalid metric name"), "{output}");

        let mut kept = BTreeSet::new();
        for name in names(&refused(&setup, protocol)) {
            let text = std::fs::read_to_string(refused(&setup, protocol).join(&name)).unwrap();
            assert!(text.starts_with("# status 400: invalid metric name\n"), "{text}");
            kept.extend(text.lines().filter(|line| !line.starts_with('#')).map(|line| line.replacen("} ", " ", 1)));
        }
        let refused: BTreeSet<String> = all.difference(&wanted).cloned().collect();
        assert!(!refused.is_empty(), "nothing was to be refused");
        let different: Vec<_> = kept.symmetric_difference(&refused).collect();
        assert!(different.is_empty(), "{} are kept of {}: {different:?}", kept.len(), refused.len());

        receiver.behave(|behaviour| behaviour.refuses = None);
        setup.publish(4..6);
        setup.wait_until_empty();
        daemon.wait_for_output("samples are no longer refused", SOON);
        daemon.stop(SOON);
    }
}

#[test]
fn what_is_too_large_is_divided() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..4);
        let receiver = Receiver::start(protocol);
        receiver.behave(|behaviour| behaviour.most = Some(7));
        let setup = alone(&receiver, "");
        let mut daemon = setup.daemon();
        setup.publish(0..4);
        assert_complete(&setup, &receiver, &wanted);
        assert!(receiver.taken().largest <= 7);
        daemon.wait_for_output("lower max-samples-per-request", SOON);
        // What was learnt is heeded.
        receiver.behave(|behaviour| behaviour.most = Some(7));
        let before = receiver.taken().statuses.get(&413).copied();
        setup.publish(4..8);
        setup.wait_until_empty();
        let after = receiver.taken().statuses.get(&413).copied();
        assert!(after.unwrap_or_default() - before.unwrap_or_default() <= 8, "{before:?} {after:?}");
        daemon.stop(SOON);
    }
}

#[test]
fn a_partial_success_is_told_and_not_sent_again() {
    let wanted = expected(Protocol::Otlp, 0..3);
    let receiver = Receiver::start(Protocol::Otlp);
    receiver.behave(|behaviour| behaviour.rejects = Some(2));
    let setup = alone(&receiver, "");
    let mut daemon = setup.daemon();
    setup.publish(0..3);
    assert_complete(&setup, &receiver, &wanted);
    daemon.wait_for_output("not today", SOON);
    assert_eq!(receiver.taken().again, 0);
    daemon.stop(SOON);
}

#[test]
fn a_receiver_that_is_away_does_not_hold_up_graphite_and_gets_all_when_it_is_back() {
    for protocol in BOTH {
        let wanted = expected(protocol, 0..30);
        let receiver = Receiver::start(protocol);
        let graphite = Recorder::start();
        let setup = Incoming::new(graphite.port(), &format!("workers = 3\n{}", receiver.section()));
        let mut daemon = setup.daemon();
        let mut published = setup.publish(0..3);
        setup.wait_until_empty();
        receiver.go_away();
        published.extend(setup.publish(3..30));
        setup.assert_arrived(&graphite, &published);
        daemon.wait_for_output("requests are not accepted; snapshots wait on disk", SOON);
        let waiting: Vec<String> = setup.waiting().into_iter().filter(|name| !name.starts_with('.')).collect();
        assert_eq!(waiting, published[3..]);
        receiver.come_back();
        setup.wait_until_empty_but_for(1);
        assert_complete_with_record(&setup, &receiver, &wanted);
        daemon.stop(SOON);
    }
}

/// The record of what one destination has and another lacks stays in the source directory.
#[track_caller]
pub(super) fn assert_complete_with_record(setup: &Incoming, receiver: &Receiver, wanted: &BTreeSet<String>) {
    crate::harness::wait_until(SOON, "no snapshot", || setup.waiting().iter().all(|name| name.starts_with('.')));
    let found = receiver.of_haproxy();
    assert_eq!(found.difference(wanted).next(), None);
    assert_eq!(wanted.difference(&found).next(), None);
    assert_eq!(receiver.taken().out_of_order, 0);
}

#[test]
fn a_sample_is_of_the_moment_of_its_snapshot() {
    let receiver = Receiver::start(Protocol::RemoteWrite);
    let setup = alone(&receiver, "");
    let mut daemon = setup.daemon();
    setup.publish([7]);
    setup.wait_until_empty();
    let taken = receiver.taken();
    let times: BTreeSet<i64> = taken
        .samples
        .iter()
        .filter(|(series, _)| crate::harness::receiver::is_of_haproxy(series))
        .flat_map(|(_, values)| values.keys().copied())
        .collect();
    assert_eq!(times, [milliseconds(7)].into());
    let sessions = taken
        .samples
        .iter()
        .find(|(series, _)| series.starts_with("haproxy_frontend_sessions_total") && series.contains("proxy=\"www\""));
    let number = (FIRST + 7) % 1000;
    let (series, values) = sessions.unwrap_or_else(|| panic!("{:?}", taken.samples.keys()));
    assert_eq!(values.get(&milliseconds(7)), Some(&number.to_string()), "{series}");
    daemon.stop(SOON);
}
