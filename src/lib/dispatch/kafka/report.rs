//! Tells of changes, once each.

use rdkafka::error::RDKafkaErrorCode;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tracing::{Span, error_span};

use super::files::ReadError;
use super::name::NAME;

/// What was told last.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whose lines they are. Of the highest level, so that no log level is without.
    of_dispatcher: Span,
    /// Why nothing is delivered; `None` while something is.
    trouble: RefCell<Option<String>>,
    divided: Cell<bool>,
    /// The files of a snapshot cannot be read.
    unreadable: Cell<bool>,
    brokers: String,
    topic: String,
}

impl Report {
    pub(crate) fn new(brokers: &str, topic: &str) -> Self {
        let of_dispatcher = error_span!("dispatcher", dispatcher = NAME);
        let (trouble, divided, unreadable) = (RefCell::default(), Cell::default(), Cell::default());
        Self { of_dispatcher, trouble, divided, unreadable, brokers: brokers.to_owned(), topic: topic.to_owned() }
    }

    /// The dispatcher, for lines that come from elsewhere.
    pub(crate) fn of_dispatcher(&self) -> &Span {
        &self.of_dispatcher
    }

    /// Something was delivered.
    pub(crate) fn well(&self) {
        if self.trouble.take().is_some() {
            tracing::info!(parent: &self.of_dispatcher, brokers = self.brokers, topic = self.topic, "messages are \
                                                                                                     delivered again");
        }
    }

    /// Brokers cannot be reached, or refuse us.
    pub(crate) fn trouble(&self, code: RDKafkaErrorCode, reason: &str) {
        // That no connection is left says less than why, which was told: both come again with each attempt.
        if code == RDKafkaErrorCode::AllBrokersDown && self.is_troubled() {
            tracing::debug!(parent: &self.of_dispatcher, reason, "still no connection");
            return;
        }
        self.fails(&code.to_string(), &|error| {
            tracing::error!(
                parent: &self.of_dispatcher,
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
        tracing::debug!(parent: &self.of_dispatcher, error = %code, reason, "broker error");
    }

    /// A message was refused.
    pub(crate) fn refused(&self, code: RDKafkaErrorCode, delay: Duration) {
        self.fails(&code.to_string(), &|error| {
            tracing::error!(
                parent: &self.of_dispatcher,
                topic = self.topic,
                error,
                advice = advice(code),
                retry_s = delay.as_secs_f64(),
                "messages are refused; they are kept and sent again"
            );
        });
    }

    /// A message was divided since it was too large.
    pub(crate) fn too_large(&self, bytes: usize) {
        if !self.divided.replace(true) {
            tracing::warn!(
                parent: &self.of_dispatcher,
                topic = self.topic,
                bytes,
                "messages are larger than the topic allows and are split; lower max-message-size and \
                 librdkafka.batch.size, or raise max.message.bytes of the topic"
            );
        }
    }

    /// Nothing comes back.
    pub(crate) fn stalled(&self, limit: Duration) {
        self.fails("no acknowledgement", &|error| {
            tracing::error!(
                parent: &self.of_dispatcher,
                brokers = self.brokers,
                topic = self.topic,
                error,
                limit_s = limit.as_secs_f64(),
                "Kafka acknowledges nothing; snapshots wait on disk"
            );
        });
    }

    /// The files of a snapshot cannot be read.
    pub(crate) fn unreadable(&self, error: &ReadError) {
        let error = error as &dyn std::error::Error;
        if self.unreadable.replace(true) {
            tracing::debug!(parent: &self.of_dispatcher, error, "the files still cannot be read");
        } else {
            tracing::error!(parent: &self.of_dispatcher, error, "the files of a snapshot are not sent; trying again");
        }
    }

    /// They can.
    pub(crate) fn readable(&self) {
        if self.unreadable.replace(false) {
            tracing::info!(parent: &self.of_dispatcher, "the files of snapshots can be read again");
        }
    }

    /// There is no client, or a new one is needed.
    pub(crate) fn no_client(&self, error: &dyn std::error::Error) {
        let error = crate::logging::Chain(error).to_string();
        self.fails(&error, &|error| {
            tracing::error!(parent: &self.of_dispatcher, error, "cannot deliver to Kafka; trying again");
        });
    }

    /// Whether something is wrong.
    pub(crate) fn is_troubled(&self) -> bool {
        self.trouble.borrow().is_some()
    }

    fn fails(&self, error: &str, tell: &dyn Fn(&str)) {
        let mut trouble = self.trouble.borrow_mut();
        if trouble.as_deref() == Some(error) {
            tracing::debug!(parent: &self.of_dispatcher, error, "still failing");
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
            "allow this client IdempotentWrite on the cluster, or set librdkafka.enable.idempotence = false"
        }
        RDKafkaErrorCode::MessageSizeTooLarge => "raise max.message.bytes of the topic",
        _ => "see the brokers' logs",
    }
}
