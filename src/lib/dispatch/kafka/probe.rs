//! The cluster's own account of itself: who is there, and whether the topic is. Asked for all topics, since brokers may make a topic
//! that is asked for by name.

use super::client::{Client, Event};
use super::name::NAME;
use crate::config::{self, KafkaFormat};
use crate::dispatch::probe::Probed;
use crate::logging::Chain;
use crate::topic::{self, Details};
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tracing::Span;

/// Time for the brokers to answer.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn probe(kafka: &config::Kafka) -> Probed {
    let asked = kafka.clone();
    let answer = tokio::task::spawn_blocking(move || metadata(&asked)).await;
    let answer = answer.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    Probed { section: NAME, place: kafka.brokers().to_owned(), tried: "ask for the topic", answer }
}

fn metadata(kafka: &config::Kafka) -> Result<String, String> {
    let (events, mut said) = unbounded_channel();
    let client = Client::new(kafka, events, Span::none()).map_err(|error| Chain(&error).to_string())?;
    let partitions = client.partitions(LIMIT).map_err(|error| {
        // Why there is no connection is said beside it.
        let mut reasons = std::iter::from_fn(|| said.try_recv().ok()).filter_map(|event| match event {
            Event::Trouble(_, reason) => Some(reason),
            _ => None,
        });
        reasons.next().unwrap_or_else(|| Chain(&error).to_string())
    })?;
    let topic = &kafka.topic;
    let Some(count) = partitions else {
        return Err(topic::missing(topic));
    };
    let properties = kafka.all_properties().map_err(|error| Chain(&error).to_string())?;
    let details = Details::ask(&properties, topic, LIMIT);
    let fits = topic::writing(details, kafka.max_message_size.get(), &properties)?;
    let mut words = format!("topic {topic} has {}", topic::partitions(count));
    if kafka.format == KafkaFormat::Snapshot && !kafka.key.is_the_cluster() {
        words.push_str(
            "; to roll up clusters, the members need all hosts of a cluster under the same key: key = {cluster}",
        );
    }
    Ok(format!("{words}; {fits}"))
}
