//! Tells of changes, once each.

use rdkafka::error::RDKafkaErrorCode;
use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::name::NAME;

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Why nothing is delivered; `None` while something is.
    trouble: RefCell<Option<String>>,
    divided: Cell<bool>,
    brokers: String,
    topic: String,
}

impl Report {
    pub(crate) fn new(brokers: &str, topic: &str) -> Self {
        Self { brokers: brokers.to_owned(), topic: topic.to_owned(), ..Self::default() }
    }

    /// Something was delivered.
    pub(crate) fn well(&self) {
        if self.trouble.take().is_some() {
            tracing::info!(dispatcher = NAME, brokers = self.brokers, topic = self.topic, "delivers again");
        }
    }

    /// Brokers cannot be reached, or refuse us.
    pub(crate) fn trouble(&self, code: RDKafkaErrorCode, reason: &str) {
        // That no connection is left says less than why, which was told: both come again with each attempt.
        if code == RDKafkaErrorCode::AllBrokersDown && self.is_troubled() {
            tracing::debug!(dispatcher = NAME, reason, "still no connection");
            return;
        }
        self.fails(&code.to_string(), &|error| {
            tracing::error!(
                dispatcher = NAME,
                brokers = self.brokers,
                topic = self.topic,
                error,
                reason,
                "Kafka does not accept messages; snapshots wait on disk"
            );
        });
    }

    /// One connection of several is lost.
    pub(crate) fn uneasy(&self, code: RDKafkaErrorCode, reason: &str) {
        tracing::debug!(dispatcher = NAME, error = %code, reason, "broker error");
    }

    /// A message was refused.
    pub(crate) fn refused(&self, code: RDKafkaErrorCode, delay: Duration) {
        self.fails(&code.to_string(), &|error| {
            tracing::error!(
                dispatcher = NAME,
                topic = self.topic,
                error,
                advice = advice(code),
                retry_s = delay.as_secs_f64(),
                "messages are refused; they are kept, and tried again"
            );
        });
    }

    /// A message was divided since it was too large.
    pub(crate) fn too_large(&self, bytes: usize) {
        if !self.divided.replace(true) {
            tracing::warn!(
                dispatcher = NAME,
                topic = self.topic,
                bytes,
                "messages are larger than the topic allows, and are sent in parts; lower max-message-size and \
                 librdkafka.batch.size, or raise max.message.bytes of the topic"
            );
        }
    }

    /// Nothing comes back.
    pub(crate) fn stalled(&self, limit: Duration) {
        self.fails("no acknowledgement", &|error| {
            tracing::error!(
                dispatcher = NAME,
                brokers = self.brokers,
                topic = self.topic,
                error,
                limit_s = limit.as_secs_f64(),
                "Kafka acknowledges nothing; snapshots wait on disk"
            );
        });
    }

    /// There is no client, or a new one is needed.
    pub(crate) fn no_client(&self, error: &dyn std::error::Error) {
        let error = crate::logging::Chain(error).to_string();
        self.fails(&error, &|error| {
            tracing::error!(dispatcher = NAME, error, "cannot deliver to Kafka; trying again");
        });
    }

    /// Whether something is wrong.
    pub(crate) fn is_troubled(&self) -> bool {
        self.trouble.borrow().is_some()
    }

    fn fails(&self, error: &str, tell: &dyn Fn(&str)) {
        let mut trouble = self.trouble.borrow_mut();
        if trouble.as_deref() == Some(error) {
            tracing::debug!(dispatcher = NAME, error, "still the same");
        } else {
            tell(error);
            *trouble = Some(error.to_owned());
        }
    }
}

/// What helps.
fn advice(code: RDKafkaErrorCode) -> &'static str {
    match code {
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition => "create the topic",
        RDKafkaErrorCode::TopicAuthorizationFailed => "allow this client to write to the topic",
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "allow this client IdempotentWrite on the cluster, or write librdkafka.enable.idempotence = false"
        }
        RDKafkaErrorCode::MessageSizeTooLarge => "raise max.message.bytes of the topic",
        _ => "see the log of the brokers",
    }
}
