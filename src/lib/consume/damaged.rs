//! Sets of messages that cannot be decompressed: finds the partition of a set, and its end.
//!
//! librdkafka reads such a set again and again, and only reports the offset at which it begins. So a second client, on a separate
//! thread, reads one partition at one offset after the other:
//!
//! ```text
//! begins at 20:  partition 0 at 20: a message   1 at 20: the same error   ─► partition 1
//!                partition 1 at 21, 22, 24: the same error, 28: a message, then halves between ─► 20 to 26
//! ```

use super::client::ClientError;
use crate::config::KafkaSource;
use crate::logging::Chain;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time for the brokers to answer each question.
const LIMIT: Duration = Duration::from_secs(10);

/// How long to wait for a message at a time.
const WAIT: Duration = Duration::from_millis(100);

/// Whether librdkafka reports a set that cannot be decompressed.
pub(super) fn is_damage(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::BadMessage)
}

/// Where a set begins, from librdkafka's message about it: `Decompression (codec 0x4) of message at 20 of 99 bytes failed: ...`
pub(super) fn begin(reason: &str) -> Option<i64> {
    let mut words = reason.split(' ').skip_while(|word| *word != "at").skip(1);
    let word = words.next()?;
    let word = if word == "offset" { words.next()? } else { word };
    word.parse().ok().filter(|offset| *offset >= 0)
}

/// Messages that cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) partition: i32,
    pub(super) offsets: Range<i64>,
}

/// A search in progress.
#[derive(Debug)]
pub(super) struct Search {
    found: Receiver<Result<Option<Damage>, String>>,
}

impl Search {
    /// Looks for the set that begins at this offset in these partitions, each with the offset at which reading continues.
    pub(super) fn start(config: &KafkaSource, begin: i64, mut partitions: Vec<(i32, i64)>) -> io::Result<Self> {
        // Most likely it is the partition that is being read there.
        partitions.sort_unstable_by_key(|(_, next)| next.abs_diff(begin));
        let (sender, found) = channel();
        let config = config.clone();
        std::thread::Builder::new().name("kafka-damage".to_owned()).spawn(move || {
            let result = Probe::new(&config).and_then(|mut probe| find(begin, &partitions, &mut probe));
            // Without a receiver, the partition has been revoked.
            let _ = sender.send(result);
        })?;
        Ok(Self { found })
    }

    /// The result; `None` while the search goes on.
    pub(super) fn result(&self) -> Option<Result<Option<Damage>, String>> {
        match self.found.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("a thread panicked".to_owned())),
        }
    }
}

/// What is at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// A message, or the end.
    Good,
    /// A set that cannot be decompressed, and where it begins.
    Damaged(i64),
}

/// Reads single offsets.
trait Look {
    fn look(&mut self, partition: i32, offset: i64) -> Result<Found, String>;
}

fn find(begin: i64, partitions: &[(i32, i64)], probe: &mut impl Look) -> Result<Option<Damage>, String> {
    let mut failed = None;
    for (partition, next) in partitions {
        let first = begin.max(*next);
        let mut is_it = |offset| probe.look(*partition, offset).map(|found| found == Found::Damaged(begin));
        match is_it(first) {
            Ok(true) => {}
            Ok(false) => continue,
            // Another one may be it, while this one has no leader.
            Err(error) => {
                failed.get_or_insert(error);
                continue;
            }
        }
        let (mut last, mut step) = (first, 1);
        while is_it(last.saturating_add(step))? {
            last = last.saturating_add(step);
            step = step.saturating_mul(2);
        }
        let mut end = last.saturating_add(step);
        while end - last > 1 {
            let middle = last + (end - last) / 2;
            if is_it(middle)? {
                last = middle;
            } else {
                end = middle;
            }
        }
        return Ok(Some(Damage { partition: *partition, offsets: first..end }));
    }
    failed.map_or(Ok(None), Err)
}

/// Where the set begins that librdkafka has reported last.
type Said = Arc<Mutex<Option<i64>>>;

struct Context(Said);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, ?level, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code().is_some_and(is_damage) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begin(reason);
        }
    }
}

impl ConsumerContext for Context {}

/// A client that does so without joining the group.
struct Probe {
    consumer: BaseConsumer<Context>,
    topic: String,
    said: Said,
}

impl Probe {
    fn new(config: &KafkaSource) -> Result<Self, String> {
        let words = |error: ClientError| Chain(&error).to_string();
        let properties = config.all_properties().map_err(|error| words(ClientError::Secret(error)))?;
        let mut properties: ClientConfig = properties.into_iter().collect();
        // An offset that is no longer in the topic is not the one in question.
        properties.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
        properties.set("fetch.error.backoff.ms", "10").set("statistics.interval.ms", "0");
        let said = Said::default();
        let context = Context(Arc::clone(&said));
        let consumer = properties.create_with_context(context).map_err(|error| words(ClientError::Refused(error)))?;
        Ok(Self { consumer, topic: config.topic.clone(), said })
    }
}

impl Look for Probe {
    fn look(&mut self, partition: i32, offset: i64) -> Result<Found, String> {
        let words = |error: KafkaError| Chain(&error).to_string();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset)).map_err(words)?;
        self.consumer.assign(&list).map_err(words)?;
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            match self.consumer.poll(WAIT) {
                Some(Ok(message)) if message.partition() == partition && message.offset() >= offset => {
                    return Ok(Found::Good);
                }
                Some(Err(KafkaError::PartitionEOF(of))) if of == partition => return Ok(Found::Good),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if is_damage(code) => {
                        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).take();
                        if let Some(begin) = said.filter(|begin| *begin <= offset) {
                            return Ok(Found::Damaged(begin));
                        }
                    }
                    Some(RDKafkaErrorCode::AutoOffsetReset) => return Ok(Found::Good),
                    _ => {}
                },
                _ => {}
            }
        }
        Err(format!("partition {partition} has not been read at offset {offset} within {} s", LIMIT.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Partitions, each with the sets that are damaged in it.
    struct Sets(Vec<Vec<Range<i64>>>);

    impl Look for Sets {
        fn look(&mut self, partition: i32, offset: i64) -> Result<Found, String> {
            let Some(sets) = self.0.get(usize::try_from(partition).unwrap()) else {
                return Err("no leader".to_owned());
            };
            let of = sets.iter().find(|set| set.contains(&offset));
            Ok(of.map_or(Found::Good, |set| Found::Damaged(set.start)))
        }
    }

    #[test]
    fn librdkafka_says_where_a_set_begins() {
        let said = "Decompression (codec 0x4) of message at 1234 of 99 bytes failed: Local: Invalid compressed data";
        assert_eq!(begin(said), Some(1234));
        assert_eq!(begin("MessageSet at offset 7 (99 bytes) failed CRC32C check"), Some(7));
        assert_eq!((begin("something else"), begin("at"), begin("at home")), (None, None, None));
    }

    #[test]
    fn the_rest_of_a_set_is_found_where_it_is_read_on() {
        let mut sets = Sets(vec![vec![20..30], vec![50..51, 51..90]]);
        let at = |partition, offsets| Ok(Some(Damage { partition, offsets }));
        assert_eq!(find(20, &[(1, 20), (0, 25)], &mut sets), at(0, 25..30));
        assert_eq!(find(51, &[(0, 51), (1, 40)], &mut sets), at(1, 51..90));
        assert_eq!(find(50, &[(1, 50)], &mut sets), at(1, 50..51), "the set behind it is another one");
        assert_eq!(find(60, &[(0, 60), (1, 90)], &mut sets), Ok(None));
        assert_eq!(find(50, &[(2, 50), (1, 50)], &mut sets), at(1, 50..51), "the first one cannot be read");
        assert_eq!(find(60, &[(2, 60), (0, 60)], &mut sets), Err("no leader".to_owned()));
    }

    proptest! {
        #[test]
        fn a_set_is_found_whole_and_nothing_else(
            lengths in proptest::collection::vec((1_i64..70, any::<bool>()), 1..8), which in any::<prop::sample::Index>(),
        ) {
            let mut next = 5;
            let mut damaged = Vec::new();
            for (length, is_damaged) in lengths {
                if is_damaged {
                    damaged.push(next..next + length);
                }
                next += length;
            }
            prop_assume!(!damaged.is_empty());
            let wanted = which.get(&damaged).clone();
            let found = find(wanted.start, &[(0, 0)], &mut Sets(vec![damaged]));
            prop_assert_eq!(found, Ok(Some(Damage { partition: 0, offsets: wanted })));
        }
    }
}
