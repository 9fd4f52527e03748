//! Faults of Kafka, and of Kafka and others at the same time.

use super::content::injected;
use super::processes::PROCESSES;
use super::{During, Fault, burst, fault, moment};
use crate::harness::kafka::Brokers;
use crate::kafka::TOPIC;
use crate::world::World;
use rdkafka::types::RDKafkaRespErr;
use std::time::Duration;

/// Faults of Kafka.
pub const KAFKA: &[Fault] = &[
    fault("Kafka: brokers down", |world, name, during| {
        world.begin(name);
        burst(world, 2);
        while_down(world, during);
    }),
    fault("Kafka: brokers come and go", |world, name, during| {
        world.begin(name);
        for _ in 0..4 {
            burst(world, 1);
            moment(world, 150);
            while_down(world, &mut |world| moment(world, 300));
        }
        during(world);
    }),
    fault("Kafka: brokers down, memory full", |world, name, during| {
        world.begin(name);
        while_down(world, &mut |world| {
            burst(world, 12);
            world.go_on(Duration::from_millis(3_500), 5.0);
            during(world);
        });
    }),
    fault("Kafka: brokers down, then Graphite away", |world, name, during| {
        world.begin(name);
        while_down(world, &mut |world| {
            world.go_on(Duration::from_millis(2_500), 5.0);
            world.recorder.vanish();
            during(world);
        });
        world.go_on(Duration::from_millis(2_500), 5.0);
        world.recorder.come_back();
    }),
    fault("Kafka: brokers down, a worker killed", |world, name, during| {
        world.begin(name);
        while_down(world, &mut |world| {
            world.go_on(Duration::from_millis(2_500), 5.0);
            kill_with(world, "kill -9 of a worker", during);
        });
    }),
    fault("Kafka: brokers down, the parent killed", |world, name, during| {
        world.begin(name);
        while_down(world, &mut |world| {
            world.go_on(Duration::from_millis(2_500), 5.0);
            kill_with(world, "kill -9 of the parent", during);
        });
    }),
    fault("Kafka: brokers down, SIGTERM", |world, name, during| {
        world.begin(name);
        while_down(world, &mut |world| kill_with(world, "SIGTERM", during));
    }),
    fault("Kafka: Graphite away", |world, name, during| {
        world.begin(name);
        world.recorder.vanish();
        world.go_on(Duration::from_millis(3_500), 5.0);
        during(world);
        world.recorder.come_back();
    }),
    fault("Kafka: no right to write", |world, name, during| {
        refused(world, name, during, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    }),
    fault("Kafka: messages too large", |world, name, during| {
        refused(world, name, during, RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    }),
    fault("Kafka: too few replicas", |world, name, during| {
        refused(world, name, during, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    }),
    fault("Kafka: not the leader", |world, name, during| {
        refused(world, name, during, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    }),
    fault("Kafka: sequence of messages broken", |world, name, during| {
        refused(world, name, during, RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    }),
    fault("Kafka: names with control characters", |world, name, during| {
        world.begin(name);
        injected(world);
        burst(world, 2);
        during(world);
    }),
    fault("Kafka: no topic", |world, name, during| {
        world.begin(name);
        topic(world, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
        burst(world, 2);
        world.go_on(Duration::from_millis(1_500), 5.0);
        during(world);
        topic(world, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    }),
];

fn with_brokers(world: &World, act: impl FnOnce(&Brokers)) {
    if let Some((brokers, _)) = &world.kafka {
        act(brokers);
    }
}

fn while_down(world: &mut World, during: During<'_>) {
    with_brokers(world, Brokers::down);
    during(world);
    with_brokers(world, Brokers::up);
}

fn topic(world: &World, error: RDKafkaRespErr) {
    with_brokers(world, |brokers| brokers.topic_error(TOPIC, error));
}

fn refused(world: &mut World, name: &'static str, during: During<'_>, error: RDKafkaRespErr) {
    world.begin(name);
    let count = world.rng.usize(1..8);
    with_brokers(world, |brokers| brokers.refuse(&vec![error; count]));
    burst(world, 3);
    moment(world, 500);
    during(world);
}

/// One of the faults of processes besides.
fn kill_with(world: &mut World, name: &str, during: During<'_>) {
    let fault = PROCESSES.iter().find(|fault| fault.name == name).expect("there is such a fault");
    (fault.inject)(world, fault.name, during);
}
