//! Partitions that a member gets while the brokers do not say what is committed of them: nothing of them may be read before that.

use crate::harness::fleet::{Fleet, INTERVAL, Writer};
use crate::harness::graphite::Recorder;
use crate::harness::incoming::FIRST;
use crate::harness::kafka::{Brokers, Points};
use crate::harness::{SOON, run, wait_until, with_config};
use crate::through_kafka::{TOPIC, member, wait_for};
use rdkafka::types::RDKafkaRespErr;
use serde_json::Value;
use std::collections::BTreeMap;

const SECOND: u64 = FIRST + INTERVAL;

/// Points that came with two values.
fn changed(graphite: &Recorder) -> Vec<String> {
    let mut values: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for line in graphite.record().lines.keys().filter(|line| !line.contains(".haproxystats.")) {
        let words: Vec<&str> = line.split(' ').collect();
        values.entry((words[0].to_owned(), words[2].to_owned())).or_default().push(words[1].to_owned());
    }
    values
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .map(|(point, values)| format!("{point:?} {values:?}"))
        .collect()
}

/// Two hosts in a cluster. The first message that is not delivered is one of the second that follows, and after it comes the second
/// host of a settled second: a member that begins there must know that.
fn a_rest_is_no_roll_up(brokers: &Brokers, errors: &[RDKafkaRespErr], options: &str) {
    let graphite = Recorder::start();
    brokers.create_topic(TOPIC, 1);
    let fleet = Fleet::new(2, 1);
    let writer = Writer::new(&brokers.address(), TOPIC);
    let options = format!("cluster-deadline = 1\nlate = 0\nassemble-timeout = 600\n{options}");
    let member = member(&brokers.address(), graphite.port(), &options);
    let status = || {
        let mut command = with_config(crate::harness::process(), member.config());
        command.args(["--status", "--json"]);
        serde_json::from_str::<Value>(&run(command, SOON).1).unwrap()["group"].clone()
    };
    writer.hosts(&fleet, [0], FIRST);
    let mut next = fleet.messages(0, SECOND, 1_000_000);
    let (label, payload) = next.remove(0);
    writer.part(&label, &payload);
    writer.hosts(&fleet, [1], FIRST);
    let mut expected = fleet.expected(0..2, FIRST);
    let mut daemon = member.daemon();
    wait_for(&graphite, &expected, SOON);
    wait_until(SOON, "a commit", || status()["lag"] == 1 + fleet.messages(1, FIRST, 1_000_000).len());
    daemon.stop(SOON);
    brokers.refuse_committed(errors);
    let mut daemon = member.daemon();
    if errors.first() != Some(&NO_ERROR) {
        daemon.wait_for_output("cannot get the committed offsets of partitions that were assigned", SOON);
        wait_until(SOON, "the partition is paused", || status()["partitions_paused"] == 1);
        assert_eq!(status()["partitions"], serde_json::json!([0]));
        daemon.wait_for_output("committed offsets are known", SOON);
    }
    for (label, payload) in next {
        writer.part(&label, &payload);
    }
    writer.hosts(&fleet, [1], SECOND);
    for second in [SECOND + INTERVAL, SECOND + 2 * INTERVAL] {
        writer.hosts(&fleet, 0..2, second);
        expected.extend(fleet.expected(0..2, second));
    }
    expected.extend(fleet.expected(0..2, SECOND));
    let arrived: Points = wait_for(&graphite, &expected, SOON);
    assert!(arrived.values().any(|(_, times)| *times > 1), "the rest came again");
    assert_eq!(changed(&graphite), Vec::<String>::new());
    daemon.stop(SOON);
}

const NO_ERROR: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
const REFUSED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;

#[test]
fn nothing_is_read_while_questions_for_committed_offsets_fail() {
    for strategy in ["range", "cooperative-sticky"] {
        let options = format!("librdkafka.partition.assignment.strategy = {strategy}");
        a_rest_is_no_roll_up(&Brokers::start(1), &[REFUSED; 4], &options);
    }
}

/// librdkafka also asks for the committed offset, unless a start offset is set; in this test, its request would succeed.
#[test]
fn the_offset_and_the_settled_second_are_of_the_same_answer() {
    a_rest_is_no_roll_up(&Brokers::start(1), &[NO_ERROR, REFUSED, REFUSED, REFUSED], "");
}

/// Before version 2 of the request there are only errors of single partitions.
#[test]
fn an_error_of_one_partition_is_no_answer() {
    for errors in [&[REFUSED; 4][..], &[NO_ERROR, REFUSED]] {
        let brokers = Brokers::start(1);
        brokers.limit_committed(1);
        a_rest_is_no_roll_up(&brokers, errors, "");
    }
}
