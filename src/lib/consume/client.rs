//! librdkafka as a member of a consumer group: its configuration, and the events it reports.

use super::aside::Content;
use super::places::{Position, note, read_note};
use crate::config::KafkaSource;
use crate::config::kafka::{SecretError, Start};
use crate::parcel::{Label, Refused};
use crate::snapshot::Epoch;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// How often librdkafka reports the end offsets of the partitions.
const STATISTICS_MS: &str = "2000";

/// How long to wait for the brokers to return committed offsets, or to describe the topic.
const ASK: Duration = Duration::from_secs(5);

/// Properties of a client that reads without joining the group.
const BESIDE: [(&str, &str); 3] = [
    // Report the end of a partition when it is reached, and end offsets soon after the start.
    ("enable.partition.eof", "true"),
    ("statistics.interval.ms", "500"),
    // If the brokers have deleted messages meanwhile, continue with the oldest that is left.
    ("auto.offset.reset", "earliest"),
];

/// Why a client cannot be created.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("cannot log in")]
    Secret(#[from] SecretError),
    #[error("librdkafka refuses its configuration")]
    Refused(#[source] KafkaError),
}

/// What librdkafka reports while it is polled for messages.
#[derive(Debug)]
pub(super) enum Event {
    Assigned(Vec<i32>),
    Revoked(Vec<i32>),
    /// A connection failed, or all of them.
    Trouble(RDKafkaErrorCode, String),
    /// End offsets of the partitions, and whether any broker is connected.
    Ends(BTreeMap<i32, i64>, bool),
    /// Offsets were not committed.
    NotCommitted(String),
}

/// What to commit when a partition is revoked.
type Positions = Arc<Mutex<Vec<Position>>>;

struct Context {
    events: Sender<Event>,
    positions: Positions,
    topic: String,
}

impl Context {
    fn tell(&self, event: Event) {
        // Without a receiver, the program is shutting down.
        let _ = self.events.send(event);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match facility {
            "CONFWARN" => tracing::warn!(facility, "{message}"),
            // What is committed with `rd_kafka_commit` without waiting has no callback. This is the only report of a failure.
            "COMMITFAIL" => self.tell(Event::NotCommitted(message.to_owned())),
            _ => tracing::debug!(facility, ?level, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        self.tell(Event::Trouble(code, reason.to_owned()));
    }

    fn stats(&self, statistics: Statistics) {
        let connected = statistics.brokers.values().any(|broker| broker.state == "UP");
        let partitions = statistics.topics.get(&self.topic).map(|topic| topic.partitions.iter());
        let ends = partitions.into_iter().flatten().filter(|(number, of)| **number >= 0 && of.hi_offset >= 0);
        self.tell(Event::Ends(ends.map(|(number, of)| (*number, of.hi_offset)).collect(), connected));
    }
}

impl ConsumerContext for Context {
    /// What the trait does by default, except that partitions are not started at their committed offsets: see [`Client::begin`].
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let incremental = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let done = if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = list
                .set_all_offsets(Offset::Beginning)
                .and_then(|()| if incremental { consumer.incremental_assign(list) } else { consumer.assign(list) });
            self.tell(Event::Assigned(numbers(list)));
            assigned
        } else {
            self.revoked(consumer, list);
            if incremental { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            tracing::debug!(%error, "rebalance");
        }
    }
}

impl Context {
    /// Commits what is to be committed before another member gets these partitions.
    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let revoked = numbers(list);
        // The next owner continues there. If the commit fails, it starts further back.
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let of: Vec<Position> =
            positions.iter().filter(|position| revoked.contains(&position.partition)).cloned().collect();
        drop(positions);
        if !of.is_empty()
            && let Err(error) = commit(consumer, &self.topic, &of, CommitMode::Sync)
        {
            tracing::debug!(%error, "offsets not committed when partitions were revoked");
        }
        self.tell(Event::Revoked(revoked));
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}

fn commit(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    positions: &[Position],
    mode: CommitMode,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        let mut element = list.add_partition(topic, position.partition);
        element.set_offset(Offset::Offset(position.offset))?;
        element.set_metadata(note(position.settled));
    }
    consumer.commit(&list, mode)
}

/// What the group has committed of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    /// `None` if nothing is committed.
    pub(super) offset: Option<i64>,
    /// The last settled second.
    pub(super) settled: Option<Epoch>,
}

/// What the brokers say about each partition, and [`Client::ask`] therefore returns.
pub(super) type Answer = Result<Vec<(i32, Result<Committed, KafkaError>)>, KafkaError>;

fn committed(consumer: &BaseConsumer<Context>, topic: &str, partitions: &[i32]) -> Answer {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    let answer = consumer.committed_offsets(list, ASK)?;
    let read = |one: &TopicPartitionListElem<'_>| {
        one.error()?;
        let offset = if let Offset::Offset(offset) = one.offset() { Some(offset) } else { None };
        // rdkafka panics if this is not UTF-8. Any program may have written it.
        let settled = catch_unwind(AssertUnwindSafe(|| read_note(one.metadata()))).unwrap_or_default();
        Ok(Committed { offset, settled })
    };
    Ok(answer.elements().iter().map(|one| (one.partition(), read(one))).collect())
}

/// A message, with its label if that is valid.
pub(super) struct Read<'a> {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) label: Result<Label, Refused>,
    message: BorrowedMessage<'a>,
}

impl Read<'_> {
    pub(super) fn payload(&self) -> &[u8] {
        self.message.payload().unwrap_or_default()
    }

    /// What is kept of a message that is not taken.
    pub(super) fn content(&self) -> Content {
        let headers = || {
            let headers = self.message.headers().into_iter().flat_map(Headers::iter);
            headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
        };
        // See [`Client::poll`].
        Content::new(catch_unwind(AssertUnwindSafe(headers)).unwrap_or_default(), self.payload())
    }
}

/// A member of the group.
pub(super) struct Client {
    consumer: Arc<BaseConsumer<Context>>,
    events: Receiver<Event>,
    positions: Positions,
    topic: String,
    /// Where to begin if nothing is committed.
    start: Offset,
    paused: BTreeSet<i32>,
}

impl Client {
    /// Joins the group. librdkafka connects in the background.
    pub(super) fn new(config: &KafkaSource) -> Result<Self, ClientError> {
        let client = Self::open(config, &[])?;
        client.consumer.subscribe(&[&client.topic]).map_err(ClientError::Refused)?;
        Ok(client)
    }

    /// A client that neither joins the group nor commits. [`Client::read_from`] starts it.
    pub(super) fn beside(config: &KafkaSource) -> Result<Self, ClientError> {
        Self::open(config, &BESIDE)
    }

    fn open(config: &KafkaSource, more: &[(&str, &str)]) -> Result<Self, ClientError> {
        let mut properties: ClientConfig = config.all_properties()?.into_iter().collect();
        if properties.get("statistics.interval.ms").is_none() {
            properties.set("statistics.interval.ms", STATISTICS_MS);
        }
        for (name, value) in more {
            properties.set(*name, *value);
        }
        properties.set_log_level(RDKafkaLogLevel::Debug);
        let (sender, events) = channel();
        let positions = Positions::default();
        let (topic, kept) = (config.topic.clone(), Arc::clone(&positions));
        let context = Context { events: sender, positions: kept, topic: topic.clone() };
        let consumer = Arc::new(properties.create_with_context(context).map_err(ClientError::Refused)?);
        let start = match config.start {
            Start::Earliest => Offset::Beginning,
            Start::Latest => Offset::End,
        };
        Ok(Self { consumer, events, positions, topic, start, paused: BTreeSet::new() })
    }

    /// The partitions of the topic (none if there is no topic), each with the position of the first message from this time on.
    pub(super) fn find(&self, moment: Option<Epoch>) -> Result<BTreeMap<i32, Offset>, KafkaError> {
        // All topics: asking for one by name may create it.
        let metadata = self.consumer.fetch_metadata(None, ASK)?;
        let topic = metadata.topics().iter().find(|one| one.name() == self.topic);
        let partitions = topic.into_iter().flat_map(|topic| topic.partitions()).map(|one| one.id());
        let mut all: BTreeMap<i32, Offset> = partitions.map(|number| (number, Offset::Beginning)).collect();
        let Some(moment) = moment.filter(|_| !all.is_empty()) else { return Ok(all) };
        let milliseconds = i64::try_from(moment.0.saturating_mul(1000)).unwrap_or(i64::MAX);
        let mut list = TopicPartitionList::new();
        for number in all.keys() {
            list.add_partition_offset(&self.topic, *number, Offset::Offset(milliseconds))?;
        }
        for found in self.consumer.offsets_for_times(list, ASK)?.elements() {
            found.error()?;
            all.insert(found.partition(), found.offset());
        }
        Ok(all)
    }

    /// Starts reading these partitions at these positions.
    pub(super) fn read_from(&self, places: &BTreeMap<i32, Offset>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (number, place) in places {
            list.add_partition_offset(&self.topic, *number, *place)?;
        }
        self.consumer.assign(&list)
    }

    /// The next message, if one arrives within this time. [`Client::event`] returns what else librdkafka has reported.
    pub(super) fn poll(&self, time: Duration) -> Option<Result<Read<'_>, KafkaError>> {
        let message = match self.consumer.poll(time)? {
            Ok(message) => message,
            Err(error) => return Some(Err(error)),
        };
        // rdkafka panics if the name of a header is not UTF-8.
        let label = catch_unwind(AssertUnwindSafe(|| label(&message))).unwrap_or(Err(Refused::Foreign));
        Some(Ok(Read { partition: message.partition(), offset: message.offset(), label, message }))
    }

    /// The next event that librdkafka has reported, if any.
    pub(super) fn event(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Asks what is committed of these partitions. A thread waits for the answer, since that can take long.
    pub(super) fn ask(&self, partitions: Vec<i32>) -> io::Result<Receiver<Answer>> {
        let (sender, answer) = channel();
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        thread::Builder::new().name("kafka-committed".to_owned()).spawn(move || {
            let committed = committed(&consumer, &topic, &partitions);
            // The client leaves the group on the thread that drops it last, which should not be this one.
            drop(consumer);
            // Without a receiver, partitions were assigned or revoked meanwhile.
            let _ = sender.send(committed);
        })?;
        Ok(answer)
    }

    /// Sets what is committed if a partition is revoked.
    pub(super) fn note(&self, positions: &[Position]) {
        positions.clone_into(&mut self.positions.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Commits these positions; with `wait`, returns when the brokers have answered.
    pub(super) fn commit(&self, positions: &[Position], wait: bool) -> Result<(), KafkaError> {
        let mode = if wait { CommitMode::Sync } else { CommitMode::Async };
        if positions.is_empty() { Ok(()) } else { commit(&self.consumer, &self.topic, positions, mode) }
    }

    /// Pauses these partitions, and resumes all others.
    pub(super) fn pause(&mut self, wanted: &BTreeSet<i32>) -> Result<(), KafkaError> {
        let list = |partitions: &BTreeSet<i32>, but: &BTreeSet<i32>| {
            let mut list = TopicPartitionList::new();
            for partition in partitions.difference(but) {
                list.add_partition(&self.topic, *partition);
            }
            list
        };
        let (pause, resume) = (list(wanted, &self.paused), list(&self.paused, wanted));
        if pause.count() > 0 {
            self.consumer.pause(&pause)?;
        }
        if resume.count() > 0 {
            self.consumer.resume(&resume)?;
        }
        self.paused.clone_from(wanted);
        Ok(())
    }

    /// Reads a partition on at this offset.
    pub(super) fn skip_to(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        self.consumer.seek(&self.topic, partition, Offset::Offset(offset), ASK)
    }

    /// Begins to read a partition that was assigned at what is committed of it. librdkafka would ask for that itself, at another moment:
    /// the offset and the last settled second must be from the same commit.
    pub(super) fn begin(&self, partition: i32, committed: Committed) -> Result<(), KafkaError> {
        let place = committed.offset.map_or(self.start, Offset::Offset);
        self.consumer.seek(&self.topic, partition, place, ASK)
    }

    /// Pauses partitions that were just assigned.
    pub(super) fn hold(&mut self, partitions: &[i32]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        self.consumer.pause(&list)?;
        self.paused.extend(partitions);
        Ok(())
    }

    /// Forgets that a partition is paused, since it was revoked.
    pub(super) fn forget(&mut self, partition: i32) {
        self.paused.remove(&partition);
    }
}

fn label(message: &BorrowedMessage<'_>) -> Result<Label, Refused> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let pairs = headers.map(|header| (header.key, header.value.unwrap_or_default()));
    Label::parse(pairs, message.payload().map_or(0, <[u8]>::len))
}

/// Whether nothing can be read while this error lasts.
pub(super) fn is_trouble(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::Fatal
    )
}
