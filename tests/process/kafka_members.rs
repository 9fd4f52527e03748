//! Members of the group and what they find in the topic: more members than partitions, seconds that are far apart on two
//! partitions, and messages of an earlier version.

use crate::harness::fleet::{Fleet, INTERVAL, Writer};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming, snapshots};
use crate::harness::kafka::{Brokers, Points, points_of_lines};
use crate::harness::{Daemon, SOON, poll, root, wait_until};
use crate::through_kafka::{TOPIC, assert_one_value_each, member, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn a_member_more_than_there_are_partitions_waits_for_its_turn() {
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 1);
    let fleet = Fleet::new(4, 2);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let members: Vec<Incoming> =
        (0..2).map(|_| member(&brokers.address(), graphite.port(), "cluster-deadline = 1")).collect();
    let mut daemons: Vec<Daemon> = members.iter().map(Incoming::daemon).collect();
    let mut expected = Points::new();
    let mut write = |tick: u64| {
        writer.hosts(&fleet, 0..4, FIRST + tick * INTERVAL);
        expected.extend(fleet.expected(0..4, FIRST + tick * INTERVAL));
        wait_for(&graphite, &expected, SOON);
    };
    let reader = |daemons: &[Daemon]| {
        let reads = |daemon: &Daemon| daemon.output().contains("partitions={0}");
        daemons.iter().position(reads)
    };
    write(0);
    let first = poll(SOON, || reader(&daemons)).expect("one of them reads the partition");
    write(1);
    assert!(!daemons[1 - first].output().contains("partitions={0}"), "{}", daemons[1 - first].output());
    daemons[first].signal(Signal::SIGKILL);
    daemons[first].wait(SOON);
    write(2);
    daemons[1 - first].wait_for_output("partitions={0}", SOON);
    assert_one_value_each(&graphite);
    daemons[1 - first].stop(SOON);
}

/// As after a pause of a broker: all of one partition comes long before the same seconds of another one, and there in disorder.
#[test]
fn partitions_that_are_far_apart_give_the_same_points() {
    let (brokers, graphite) = (Brokers::start(2), Recorder::start());
    brokers.create_topic(TOPIC, 2);
    let fleet = Fleet::new(6, 2);
    let mut writer = Writer::new(&brokers.address(), TOPIC);
    let member = member(&brokers.address(), graphite.port(), "cluster-deadline = 1");
    let mut daemon = member.daemon();
    let seconds: Vec<u64> = (0..40).map(|tick| FIRST + tick * INTERVAL).collect();
    let mut expected = Points::new();
    // The hosts of a cluster are every other one.
    writer.partition = Some(0);
    for second in &seconds {
        writer.hosts(&fleet, [0, 2, 4], *second);
        expected.extend(fleet.expected([0, 2, 4], *second));
    }
    wait_for(&graphite, &expected, SOON);
    writer.partition = Some(1);
    for pair in seconds.chunks(2) {
        // Hosts of the next second come before the last of this one.
        writer.hosts(&fleet, [5, 1], pair[0]);
        writer.hosts(&fleet, [3], pair[1]);
        writer.hosts(&fleet, [3], pair[0]);
        writer.hosts(&fleet, [1, 5], pair[1]);
        pair.iter().for_each(|second| expected.extend(fleet.expected([1, 3, 5], *second)));
    }
    wait_for(&graphite, &expected, SOON);
    assert_one_value_each(&graphite);
    wait_until(SOON, "an empty directory", || snapshots(&member.path()).is_empty());
    daemon.stop(SOON);
}

/// Snapshots are delivered all the same.
#[test]
fn commits_that_keep_failing_are_logged() {
    use rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED as REFUSED;
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 1);
    brokers.refuse_commits(&[REFUSED; 20]);
    let fleet = Fleet::new(2, 1);
    Writer::new(&brokers.address(), TOPIC).hosts(&fleet, 0..2, FIRST);
    let member = member(&brokers.address(), graphite.port(), "cluster-deadline = 1");
    let mut daemon = member.daemon();
    daemon.wait_for_output("cannot commit offsets; retrying", SOON);
    wait_for(&graphite, &fleet.expected(0..2, FIRST), SOON);
    daemon.stop(SOON);
}

/// Messages as haproxystats-process has written them when the format was at version 1. They stay as they are: a change of the
/// format adds another file.
#[test]
fn recorded_messages_of_version_1_are_understood() {
    let read = |name: &str| std::fs::read_to_string(root().join("tests/data/kafka").join(name)).unwrap();
    let (messages, lines) = (read("version-1.json"), read("version-1.lines"));
    let (brokers, graphite) = (Brokers::start(1), Recorder::start());
    brokers.create_topic(TOPIC, 1);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let messages: Vec<Value> = serde_json::from_str(&messages).unwrap();
    for message in &messages {
        let headers = message["headers"].as_array().unwrap().iter();
        let headers: Vec<(&str, &str)> =
            headers.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
        assert_eq!(headers[0], ("haproxystats", "1"));
        writer.raw(None, message["key"].as_str().unwrap(), &headers, message["payload"].as_str().unwrap().as_bytes());
    }
    writer.flush();
    let member = member(&brokers.address(), graphite.port(), "cluster-deadline = 1");
    let mut daemon = member.daemon();
    let expected = points_of_lines(lines.lines());
    assert!(expected.len() > 100 && messages.len() > 6, "{} points of {} messages", expected.len(), messages.len());
    wait_for(&graphite, &expected, SOON);
    daemon.stop(SOON);
}
