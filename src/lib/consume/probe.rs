//! Checks that the topic and the group can be read, without joining the group.

use super::client::ClientError;
use crate::config::KafkaSource;
use crate::logging::Chain;
use crate::topic::{self, Details};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long to wait for the brokers' answer to each request.
const LIMIT: Duration = Duration::from_secs(10);

/// Describes the topic and the group, as the brokers report them.
///
/// # Errors
/// A description of what failed.
pub fn probe(config: &KafkaSource) -> Result<String, String> {
    let said = |error: &dyn std::error::Error| Chain(error).to_string();
    let properties = config.all_properties().map_err(|error| said(&ClientError::Secret(error)))?;
    let client: ClientConfig = properties.clone().into_iter().collect();
    let consumer: BaseConsumer = client.create().map_err(|error| said(&ClientError::Refused(error)))?;
    let topic = &config.topic;
    // Ask for all topics, since brokers may create one that is requested by name.
    let metadata = consumer.fetch_metadata(None, LIMIT).map_err(|error| said(&error))?;
    let found = metadata.topics().iter().find(|one| one.name() == topic);
    let partitions: Vec<i32> =
        found.map(|topic| topic.partitions().iter().map(|one| one.id()).collect()).unwrap_or_default();
    if partitions.is_empty() {
        return Err(topic::missing(topic));
    }
    let group = &config.group;
    let behind = behind(&consumer, topic, &partitions)
        .map_err(|error| format!("group {group} or topic {topic} cannot be read: {}", said(&error)))?;
    let count = partitions.len();
    let fits = topic::reading(Details::ask(&properties, topic, LIMIT), &properties)?;
    let members =
        if count == 1 { "one member reads it".to_owned() } else { format!("at most {count} members share it") };
    let partitions = topic::partitions(count);
    Ok(format!("topic {topic} has {partitions}; group {group} is {behind} messages behind; {members}; {fits}"))
}

/// Number of messages that the group has not committed.
fn behind(consumer: &BaseConsumer, topic: &str, partitions: &[i32]) -> Result<i64, KafkaError> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let mut behind = 0;
    for element in consumer.committed_offsets(list, LIMIT)?.elements() {
        let (first, end) = consumer.fetch_watermarks(topic, element.partition(), LIMIT)?;
        let place = match element.offset() {
            Offset::Offset(offset) => offset.max(first),
            _ => first,
        };
        behind += (end - place).max(0);
    }
    Ok(behind)
}
