//! Logs each change once.

use crate::parcel::Refused;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::error::Error;

/// How many refused messages are logged individually.
const REFUSALS_TOLD: u64 = 10;

/// After how many failed commits in a row a warning is logged.
const FAILURES_TOLD: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Report {
    brokers: String,
    topic: String,
    group: String,
    trouble: Option<String>,
    disk: bool,
    /// Number of failures in a row.
    commits_failed: u32,
    refused: u64,
    full: bool,
    not_unpacked: bool,
}

impl Report {
    pub(super) fn new(brokers: &str, topic: &str, group: &str) -> Self {
        let [brokers, topic, group] = [brokers, topic, group].map(ToOwned::to_owned);
        Self {
            brokers,
            topic,
            group,
            trouble: None,
            disk: false,
            commits_failed: 0,
            refused: 0,
            full: false,
            not_unpacked: false,
        }
    }

    /// Whether the brokers answer.
    pub(super) fn is_well(&self) -> bool {
        self.trouble.is_none()
    }

    /// A message was read: clears and logs the end of any trouble.
    pub(super) fn well(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(brokers = self.brokers, topic = self.topic, "reading snapshots from Kafka again");
        }
    }

    /// Nothing can be read.
    pub(super) fn trouble(&mut self, code: RDKafkaErrorCode, reason: &str) {
        if code == RDKafkaErrorCode::AllBrokersDown && self.trouble.is_some() {
            return;
        }
        let (brokers, topic, group) = (&self.brokers, &self.topic, &self.group);
        let error = code.to_string();
        if self.trouble.as_ref() == Some(&error) {
            tracing::debug!(error, reason, "still the same");
            return;
        }
        tracing::error!(
            brokers,
            topic,
            group,
            error,
            reason,
            advice = advice(code),
            "cannot read snapshots from Kafka; retrying, they stay in the topic"
        );
        self.trouble = Some(error);
    }

    /// The client cannot be created.
    pub(super) fn no_client(&mut self, error: &(dyn Error + 'static)) {
        let error = crate::logging::Chain(error).to_string();
        if self.trouble.as_ref() != Some(&error) {
            tracing::error!(brokers = self.brokers, error, "cannot read snapshots from Kafka; retrying");
        }
        self.trouble = Some(error);
    }

    /// A snapshot cannot be written to disk.
    pub(super) fn disk(&mut self, error: &(dyn Error + 'static)) {
        if std::mem::replace(&mut self.disk, true) {
            tracing::debug!(error, "still cannot write snapshots to src-dir");
        } else {
            tracing::error!(error, "cannot write snapshots to src-dir; reading is suspended, retrying");
        }
    }

    /// The disk can be written again.
    pub(super) fn disk_is_well(&mut self) {
        if std::mem::replace(&mut self.disk, false) {
            tracing::info!("src-dir can be written again; reading resumes");
        }
    }

    /// Offsets were not committed, so another member would start further back.
    pub(super) fn not_committed(&mut self, error: &str) {
        self.commits_failed = self.commits_failed.saturating_add(1);
        // A few fail with every rebalance.
        if self.commits_failed == FAILURES_TOLD {
            tracing::warn!(group = self.group, error, "cannot commit offsets; retrying");
        } else {
            tracing::debug!(error, "offsets were not committed");
        }
    }

    /// Offsets were committed.
    pub(super) fn committed(&mut self) {
        self.commits_failed = 0;
    }

    /// A message is skipped.
    pub(super) fn refused(&mut self, partition: i32, offset: i64, reason: &(dyn Error + 'static)) {
        self.refused += 1;
        let (topic, refused) = (&self.topic, self.refused);
        if refused <= REFUSALS_TOLD || refused.is_power_of_two() {
            tracing::error!(topic, partition, offset, reason, refused, "message skipped");
        } else {
            tracing::debug!(topic, partition, offset, reason, "message skipped");
        }
    }

    /// A set of messages that cannot be unpacked stops its partition.
    pub(super) fn not_unpacked(&mut self, error: &(dyn Error + 'static)) {
        if std::mem::replace(&mut self.not_unpacked, true) {
            tracing::debug!(error, "messages still cannot be unpacked");
        } else {
            tracing::error!(
                topic = self.topic,
                group = self.group,
                error,
                "messages cannot be unpacked, or are larger than librdkafka.receive.message.max.bytes: their partition is read no \
                 further; skip them with kafka-consumer-groups.sh --reset-offsets while no member runs"
            );
        }
    }

    /// A message of a later version stops its partition.
    pub(super) fn held(&self, partition: i32, offset: i64, reason: &Refused) {
        let reason = reason as &dyn Error;
        tracing::error!(
            topic = self.topic,
            partition,
            offset,
            reason,
            "partition stopped at this message until the group has a member that understands it"
        );
    }

    /// Some files of a host never arrived; the others are processed.
    pub(super) fn incomplete(&self, host: &str, second: u64) {
        tracing::warn!(
            host,
            second,
            "snapshot still incomplete after assemble-timeout; processing the files that arrived"
        );
    }

    /// The incomplete files of some hosts are dropped.
    pub(super) fn given_up(&self, hosts: u64) {
        tracing::error!(hosts, "incomplete files of snapshots dropped; see assemble-timeout and buffer-size");
    }

    /// Partitions were assigned or revoked.
    pub(super) fn partitions(&self, partitions: &BTreeSet<i32>) {
        tracing::info!(topic = self.topic, group = self.group, ?partitions, "partitions assigned");
    }

    /// `full` says whether as many snapshots as allowed wait for destinations.
    pub(super) fn full(&mut self, full: bool) {
        if std::mem::replace(&mut self.full, full) != full {
            if full {
                tracing::warn!("src-dir holds queue-size snapshots; partitions paused until they are delivered");
            } else {
                tracing::info!("src-dir has room again; partitions resumed");
            }
        }
    }
}

/// What to do about the error.
fn advice(code: RDKafkaErrorCode) -> &'static str {
    match code {
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition => "create the topic",
        RDKafkaErrorCode::TopicAuthorizationFailed => "allow this client to read the topic",
        RDKafkaErrorCode::GroupAuthorizationFailed => "allow this client to read the group",
        _ => "see the log of the brokers",
    }
}
