//! librdkafka: its configuration, and the events it reports.

use super::window::{Outcome, Token};
use crate::batch::messages::Message;
use crate::config;
use crate::config::kafka::SecretError;
use crate::parcel;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tracing::Span;

/// How often librdkafka says how it is doing.
const STATISTICS_MS: &str = "5000";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("authentication failed")]
    Secret(#[from] SecretError),
    #[error("librdkafka refuses its configuration")]
    Refused(#[source] KafkaError),
}

/// What comes from the threads of librdkafka.
#[derive(Debug)]
pub(crate) enum Event {
    /// What became of a message, and why if it was not delivered.
    Report(Token, Outcome, Option<RDKafkaErrorCode>),
    /// Something is wrong with a connection, or with all of them.
    Trouble(RDKafkaErrorCode, String),
    /// Requests that were sent again so far.
    Retries(u64),
}

/// Hands what librdkafka says to the task.
pub(crate) struct Context {
    events: UnboundedSender<Event>,
    /// Whose lines in the log they are.
    of_dispatcher: Span,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as an event as well, and is told once; the rest repeats itself for as long as it lasts.
        if facility == "CONFWARN" {
            tracing::warn!(parent: &self.of_dispatcher, facility, "{message}");
        } else {
            tracing::debug!(parent: &self.of_dispatcher, facility, ?level, "{message}");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        self.tell(Event::Trouble(code, reason.to_owned()));
    }

    fn stats(&self, statistics: Statistics) {
        let retries = statistics.brokers.values().map(|broker| broker.txretries).sum();
        self.tell(Event::Retries(retries));
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Token>;

    fn delivery(&self, result: &DeliveryResult<'_>, token: Box<Token>) {
        let (outcome, code) = match result {
            Ok(_) => (Outcome::Delivered, None),
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                (outcome(code), Some(code))
            }
        };
        self.tell(Event::Report(*token, outcome, code));
    }
}

impl Context {
    fn tell(&self, event: Event) {
        // Without a receiver the dispatcher is on its way out.
        let _ = self.events.send(event);
    }
}

fn outcome(code: RDKafkaErrorCode) -> Outcome {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge => Outcome::TooLarge,
        _ => Outcome::Refused,
    }
}

/// What became of the attempt to hand over a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A report will follow.
    Yes,
    /// librdkafka holds as much as it may.
    Full,
    /// Not taken.
    Refused(Outcome, RDKafkaErrorCode),
}

/// A client of the cluster.
pub(crate) struct Client {
    producer: ThreadedProducer<Context>,
    topic: String,
}

impl Client {
    /// Starts its threads; they connect by themselves.
    pub(crate) fn new(
        config: &config::Kafka,
        events: UnboundedSender<Event>,
        of_dispatcher: Span,
    ) -> Result<Self, ClientError> {
        let mut properties: ClientConfig = config.all_properties()?.into_iter().collect();
        if properties.get("statistics.interval.ms").is_none() {
            properties.set("statistics.interval.ms", STATISTICS_MS);
        }
        properties.set_log_level(RDKafkaLogLevel::Debug);
        let producer =
            properties.create_with_context(Context { events, of_dispatcher }).map_err(ClientError::Refused)?;
        Ok(Self { producer, topic: config.topic.clone() })
    }

    /// Waits for the cluster to say how many partitions the topic has; `None` where it has no such topic.
    pub(crate) fn partitions(&self, limit: Duration) -> Result<Option<usize>, KafkaError> {
        let metadata = self.producer.client().fetch_metadata(None, limit)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        Ok(topic.map(|topic| topic.partitions().len()).filter(|partitions| *partitions > 0))
    }

    /// Hands over a message; never waits.
    pub(crate) fn send(&self, token: Token, message: &Message<'_>) -> Sent {
        let Message { key, payload, stamp, headers, .. } = *message;
        let milliseconds = i64::try_from(stamp.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        let mut record =
            BaseRecord::with_opaque_to(&self.topic, Box::new(token)).key(key).payload(payload).timestamp(milliseconds);
        if !headers.is_empty() {
            let add = |all: OwnedHeaders, (key, value)| all.insert(Header { key, value: Some(value) });
            record = record.headers(parcel::pairs(headers).fold(OwnedHeaders::new(), add));
        }
        match self.producer.send(record) {
            Ok(()) => Sent::Yes,
            Err((error, _)) => match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
                RDKafkaErrorCode::QueueFull => Sent::Full,
                // By itself, since nothing else was looked at.
                code @ RDKafkaErrorCode::MessageSizeTooLarge => Sent::Refused(Outcome::MuchTooLarge, code),
                code => Sent::Refused(outcome(code), code),
            },
        }
    }
}
