//! Kafka as a second destination: the same invariant, read by kcat.

use crate::faults::KAFKA;
use crate::harness::kafka::{Brokers, Reader, alone, missing, points_of, points_of_lines};
use crate::report::Report;
use crate::scenes::{forbid_in_ci, try_each};
use crate::world::{Setting, World};
use rdkafka::types::RDKafkaRespErr;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// The topic.
pub const TOPIC: &str = "faults";

/// Time for kcat to read what is there.
const READ: Duration = Duration::from_secs(30);

/// Brokers and a reader; `None` where there is no kcat.
pub fn cluster() -> Option<(Brokers, Reader)> {
    let brokers = Brokers::start(2);
    brokers.create_topic(TOPIC, 8);
    let reader = Reader::start(&brokers.address(), TOPIC)?;
    Some((brokers, reader))
}

/// In haste. Keys that spread, because a partition of the mock cluster keeps no more than a few megabytes.
pub fn section(brokers: &Brokers) -> String {
    format!(
        "[kafka]\nbrokers = {}\ntopic = {TOPIC}\nkey = {{proxy}}/{{server}}\ndelay = 0.3\nstall-timeout = 1\n\
         queue-size = {queue}\nlibrdkafka.reconnect.backoff.ms = 50\nlibrdkafka.reconnect.backoff.max.ms = 200\n\
         librdkafka.topic.metadata.refresh.interval.ms = 300\nlibrdkafka.topic.metadata.propagation.max.ms = 500\n",
        brokers.address(),
        queue = crate::world::QUEUE_SIZE,
    )
}

/// Everything in order again.
pub fn heal(brokers: &Brokers) {
    brokers.accept();
    brokers.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
}

/// Each fault of Kafka by itself, on a thread of its own because of its network.
pub fn singly() -> Report {
    std::thread::scope(|scope| scope.spawn(each).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn each() -> Report {
    alone();
    let mut world = World::new(0, &Setting { kafka: true, pieces: true, ..Setting::default() });
    if world.kafka.is_none() {
        world.report.note("not tried: Kafka: kcat is not installed");
        forbid_in_ci(&mut world.report, "Kafka");
        return world.finish();
    }
    // A worker that dies while a destination is away has put off more than it holds in memory.
    world.allow(1_000);
    try_each(world, KAFKA)
}

impl World {
    /// The invariant, for what kcat has read.
    pub fn compare_kafka(&mut self, expected: &HashMap<String, (&'static str, u64)>) {
        let Some((_, reader)) = &self.kafka else { return };
        let expected = points_of_lines(expected.keys().map(String::as_str));
        let end = Instant::now() + READ;
        let (lost, foreign, again) = loop {
            let arrived = points_of(&reader.messages(), "lb");
            let lost: Vec<String> = missing(&expected, &arrived).into_iter().cloned().collect();
            if lost.is_empty() || Instant::now() > end {
                let unknown = |point: &&String| !point.contains(".haproxystats.") && !expected.contains_key(*point);
                let again: u64 = arrived.values().map(|(_, times)| u64::from(*times) - 1).sum();
                break (lost, arrived.keys().find(unknown).cloned(), again);
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let keys: BTreeSet<String> = reader.messages().into_iter().map(|message| message.key).collect();
        if let Some(key) = keys.iter().find(|key| key.contains(char::is_control)) {
            self.report.fail(format!("Kafka: a key with control characters: {key:?}"));
        }
        self.report.note(format!(
            "Kafka: {} points expected, {} lost, {again} arrived again",
            expected.len(),
            lost.len()
        ));
        if let Some(first) = lost.first() {
            self.report.fail(format!("Kafka: {} points lost, such as {first}", lost.len()));
        }
        if let Some(point) = foreign {
            self.report.fail(format!("Kafka: a point that no snapshot implies: {point}"));
        }
    }
}
