//! Metrics to receivers of OTLP and of Prometheus remote write: the real program, and receivers with everything that can be wrong
//! with one. Nothing is lost, nothing is sent backwards, and what is refused for good costs nothing but itself.

mod custody;
mod order;
mod peers;
mod secrets;

use crate::harness::SOON;
use crate::harness::incoming::{FIRST, Incoming};
use crate::harness::receiver::Receiver;
use haproxystats::prometheus::request::Protocol;
use std::collections::BTreeSet;
use std::path::PathBuf;

const BOTH: [Protocol; 2] = [Protocol::RemoteWrite, Protocol::Otlp];

/// A daemon's surroundings, with this receiver and nothing else.
fn alone(receiver: &Receiver, options: &str) -> Incoming {
    let section = receiver.section();
    Incoming::without_graphite(&format!("workers = 2\nliveness-check-interval = 0.3\n{section}{options}\n"))
}

/// What snapshots of these seconds stand for, as a receiver has it with which nothing is wrong.
#[track_caller]
fn expected(protocol: Protocol, seconds: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    let receiver = Receiver::start(protocol);
    let setup = alone(&receiver, "");
    let mut daemon = setup.daemon();
    let published = setup.publish(seconds);
    setup.wait_until_empty();
    daemon.stop(SOON);
    let samples = receiver.of_haproxy();
    assert!(samples.len() > 10 * published.len(), "the snapshots say too little to prove anything");
    samples
}

/// Waits until nothing is left on disk, and holds what has arrived against what was published.
#[track_caller]
fn assert_complete(setup: &Incoming, receiver: &Receiver, expected: &BTreeSet<String>) {
    setup.wait_until_empty();
    let found = receiver.of_haproxy();
    let lost: Vec<_> = expected.difference(&found).collect();
    assert!(lost.is_empty(), "{} of {} samples are lost: {:?}", lost.len(), expected.len(), lost.first());
    let foreign: Vec<_> = found.difference(expected).collect();
    assert!(foreign.is_empty(), "{} samples are none of ours: {:?}", foreign.len(), foreign.first());
    assert_eq!(receiver.taken().out_of_order, 0, "samples were sent backwards");
}

/// Files with refused samples.
fn refused(setup: &Incoming, protocol: Protocol) -> PathBuf {
    setup.failed().join(match protocol {
        Protocol::Otlp => "otlp",
        Protocol::RemoteWrite => "remote-write",
    })
}

/// The timestamp of a second of [`FIRST`], in milliseconds.
fn milliseconds(second: u64) -> i64 {
    i64::try_from((FIRST + second) * 1000).unwrap()
}
