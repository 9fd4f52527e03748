//! Logs each change once.

use super::aside::{Kept, Refusal};
use crate::parcel::Refused;
use crate::snapshot::quarantine::MOST;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::error::Error;
use std::time::{Duration, Instant};

/// How many refusals are logged individually.
const REFUSALS_LOGGED: u64 = 10;

/// After how many failed commits in a row a warning is logged. A few fail with every rebalance.
const FAILURES_LOGGED: u32 = 6;

/// After how many questions in a row for committed offsets that were not answered a warning is logged.
const QUESTIONS_LOGGED: u32 = 3;

/// For how long src-dir must have had room. While a backlog is delivered, it has room for a moment after each snapshot.
const ROOM: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Report {
    brokers: String,
    topic: String,
    group: String,
    trouble: Option<String>,
    disk: bool,
    /// Number of failed commits in a row.
    commits_failed: u32,
    /// Number of questions for committed offsets in a row that were not answered.
    not_begun: u32,
    /// Number of refused messages, and of refusals, each of which is a message or a set of messages.
    refused: u64,
    refusals: u64,
    not_kept: bool,
    /// When src-dir was full last, unless it has had room for a while since.
    full: Option<Instant>,
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
            not_begun: 0,
            refused: 0,
            refusals: 0,
            not_kept: false,
            full: None,
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

    /// A broker is connected again, although there may be no new messages.
    pub(super) fn connected(&mut self) {
        if self.trouble.as_ref().is_some_and(|error| *error == RDKafkaErrorCode::AllBrokersDown.to_string()) {
            self.well();
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
            tracing::debug!(error, reason, "still cannot read snapshots from Kafka");
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
        if self.commits_failed == FAILURES_LOGGED {
            tracing::warn!(group = self.group, error, "cannot commit offsets; retrying");
        } else {
            tracing::debug!(error, "offsets were not committed");
        }
    }

    /// The brokers have committed offsets.
    pub(super) fn committed(&mut self) {
        self.commits_failed = 0;
    }

    /// Partitions that were assigned are not read yet, since it is not known what is committed of them.
    pub(super) fn not_begun(&mut self, error: &str) {
        self.not_begun = self.not_begun.saturating_add(1);
        if self.not_begun == QUESTIONS_LOGGED {
            tracing::warn!(
                topic = self.topic,
                group = self.group,
                error,
                "cannot get the committed offsets of partitions that were assigned; they are not read until then, retrying"
            );
        } else {
            tracing::debug!(error, "committed offsets are not known yet");
        }
    }

    /// All partitions that were assigned are read.
    pub(super) fn begun(&mut self) {
        if std::mem::replace(&mut self.not_begun, 0) >= QUESTIONS_LOGGED {
            tracing::info!(topic = self.topic, "committed offsets are known; partitions that were assigned are read");
        }
    }

    /// Messages are refused. `None` if nothing is set aside, as in a replay.
    pub(super) fn refused(&mut self, refusal: &Refusal, kept: Option<&Kept>) {
        self.refused += refusal.count();
        let (topic, refused) = (&self.topic, self.refused);
        let (partition, offset, last) =
            (refusal.partition, refusal.offsets.start, refusal.offsets.end.saturating_sub(1));
        let reason = &refusal.reason;
        if self.refusals >= REFUSALS_LOGGED && !self.refusals.is_power_of_two() {
            tracing::debug!(topic, partition, offset, last, reason, "message refused");
        } else {
            match kept {
                None => tracing::error!(topic, partition, offset, last, reason, refused, "message refused"),
                Some(Kept::At(file)) => {
                    let file = file.display();
                    tracing::error!(topic, partition, offset, last, reason, refused, %file, "message refused and set aside");
                }
                Some(Kept::Full(place)) => {
                    let place = place.display();
                    tracing::error!(topic, partition, offset, last, reason, refused, %place,
                        "message refused but not set aside: the directory already contains {MOST} files; inspect and remove them");
                }
            }
        }
        self.refusals += 1;
    }

    /// A message that is refused cannot be set aside.
    pub(super) fn not_kept(&mut self, error: &(dyn Error + 'static)) {
        let error = crate::logging::Chain(error).to_string();
        if std::mem::replace(&mut self.not_kept, true) {
            tracing::debug!(error, "refused messages still cannot be set aside");
        } else {
            tracing::error!(
                topic = self.topic,
                error,
                "cannot set aside a refused message; its partition is stopped, retrying"
            );
        }
    }

    /// Refused messages can be set aside again.
    pub(super) fn can_keep(&mut self) {
        if std::mem::replace(&mut self.not_kept, false) {
            tracing::info!(topic = self.topic, "refused messages can be set aside again");
        }
    }

    /// A set of messages that cannot be decompressed stops its partition, and was not located.
    pub(super) fn not_unpacked(&mut self, error: &str) {
        if std::mem::replace(&mut self.not_unpacked, true) {
            tracing::debug!(error, "messages that cannot be decompressed are still not located");
        } else {
            tracing::error!(
                topic = self.topic,
                group = self.group,
                error,
                "messages cannot be decompressed, or exceed librdkafka.receive.message.max.bytes, and cannot be located; \
                 their partition is stopped, retrying; to skip them, stop all members and use \
                 kafka-consumer-groups.sh --reset-offsets"
            );
        }
    }

    /// The set was located.
    pub(super) fn found(&mut self) {
        self.not_unpacked = false;
    }

    /// A message of a later version stops its partition.
    pub(super) fn held(&self, partition: i32, offset: i64, reason: &Refused) {
        let reason = reason as &dyn Error;
        tracing::error!(
            topic = self.topic,
            partition,
            offset,
            reason,
            "partition stopped at this message until the group has a member that understands it: upgrade the members"
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
    pub(super) fn full(&mut self, full: bool, now: Instant) {
        if full {
            if self.full.replace(now).is_none() {
                tracing::warn!("src-dir holds queue-size snapshots; partitions paused until they are delivered");
            }
        } else if self.full.take_if(|last| now.duration_since(*last) >= ROOM).is_some() {
            tracing::info!("src-dir has room again; partitions resumed");
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
