//! What parent and worker say to each other: one message per packet, words separated by single blanks.
//!
//! Parsing is strict: anything that is not exactly a message is an error, and the side that receives one gives up the
//! other, since nothing that it says can be trusted any more.

use crate::dispatch::{Counters, MessageCounters};
use crate::render::line::Skipped;
use crate::snapshot::Epoch;
use std::fmt::Write;
use std::time::Duration;

/// Longest message in bytes. The longest real one, a snapshot with the parent's figures, is a few thousand.
pub const MAX_LEN: usize = 16 * 1024;
/// Longest reason that travels with a failure, in bytes.
const MAX_REASON: usize = 2000;

/// Parent to worker.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// Process this snapshot.
    Take {
        /// Which.
        epoch: Epoch,
        /// The daemon's own figures to send along, and the moment that they describe.
        figures: Option<Figures>,
        /// The newest snapshot that any worker was given before; `None` when it is not to be relied on.
        before: Option<Epoch>,
    },
    /// Answer with [`ToParent::Pong`].
    Ping,
    /// Take nothing more; deliver what you hold, and leave, at the latest after this time.
    Drain(Duration),
}

/// Figures of the daemon as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Timestamp of the figures.
    pub stamp: Epoch,
    /// Name (letters and digits) and finite value.
    pub values: Vec<(String, f64)>,
}

/// Worker to parent.
#[derive(Debug, Clone, PartialEq)]
pub enum ToParent {
    /// One more snapshot can be taken. Said once for each; the first one says that the worker is ready.
    Room,
    /// The snapshot is processed and with the dispatchers.
    Rendered {
        /// Which.
        epoch: Epoch,
        /// Lines of its batch.
        lines: u64,
        /// Rows that were left out.
        refused_rows: u64,
        /// Files that were left out.
        refused_files: u64,
        /// Objects that were left out since a part of theirs could not be read.
        unknown_objects: u64,
        /// What was left out because less is to be sent.
        skipped: Skipped,
    },
    /// Every destination says that it has the snapshot, which is not certain yet; or no longer says so.
    Settles {
        /// Which.
        epoch: Epoch,
        /// Whether they say so.
        settles: bool,
    },
    /// Every dispatcher is done with the snapshot; remove it.
    Done {
        /// Which.
        epoch: Epoch,
        /// A dispatcher gave it up to make room, as it was configured to.
        dropped: bool,
    },
    /// The snapshot is not on disk any more.
    Gone(Epoch),
    /// The snapshot cannot be processed.
    Failed {
        /// Which.
        epoch: Epoch,
        /// Of what kind.
        failure: Failure,
        /// Why, in words.
        reason: String,
    },
    /// Figures of one dispatcher since the worker started.
    Counters {
        /// Which dispatcher.
        dispatcher: String,
        /// The figures.
        counters: Counters,
    },
    /// The answer to [`ToWorker::Ping`].
    Pong,
}

/// Kinds of failures to process a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Something is wrong with this snapshot.
    Snapshot,
    /// The program panicked over it.
    Panic,
    /// The system is short of something, or its disk is; any snapshot would have failed at this moment.
    System,
}

impl Failure {
    fn word(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Panic => "panic",
            Self::System => "system",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Snapshot, Self::Panic, Self::System].into_iter().find(|failure| failure.word() == word)
    }
}

/// Stands for no snapshot.
const NONE: &str = "-";

/// A packet that is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message: {0:?}")]
pub struct MessageError(String);

impl ToWorker {
    /// The packet.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Take { epoch, figures, before } => {
                let before = before.map_or_else(|| NONE.to_owned(), |before| before.to_string());
                let mut packet = format!("take {epoch} {before}");
                if let Some(figures) = figures {
                    let _ = write!(packet, " {}", figures.stamp);
                }
                for (name, value) in figures.iter().flat_map(|figures| &figures.values) {
                    // Writing to a string cannot fail. Display of f64 is exact and has no exponent.
                    let _ = write!(packet, " {name}={value}");
                }
                packet
            }
            Self::Ping => "ping".to_owned(),
            Self::Drain(grace) => format!("drain {}", grace.as_millis()),
        }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// When it is not exactly a message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        decode(packet, |words| match words {
            ["take", epoch, before, figures @ ..] => {
                let before = if *before == NONE { None } else { Some(parse_epoch(before)?) };
                let figures = match figures {
                    [] => None,
                    [stamp, values @ ..] => {
                        let values = values.iter().map(|pair| figure(pair)).collect::<Option<_>>()?;
                        Some(Figures { stamp: parse_epoch(stamp)?, values })
                    }
                };
                Some(Self::Take { epoch: parse_epoch(epoch)?, figures, before })
            }
            ["ping"] => Some(Self::Ping),
            ["drain", millis] => Some(Self::Drain(Duration::from_millis(number(millis)?))),
            _ => None,
        })
    }
}

impl ToParent {
    /// The packet.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Room => "room".to_owned(),
            Self::Rendered {
                epoch,
                lines,
                refused_rows,
                refused_files,
                unknown_objects,
                skipped: Skipped { slots, zeros, unchanged },
            } => {
                let refused = format!("{refused_rows} {refused_files} {unknown_objects}");
                format!("rendered {epoch} {lines} {refused} {slots} {zeros} {unchanged}")
            }
            Self::Settles { epoch, settles } => format!("settles {epoch} {}", u8::from(*settles)),
            Self::Done { epoch, dropped } => format!("done {epoch} {}", u8::from(*dropped)),
            Self::Gone(epoch) => format!("gone {epoch}"),
            Self::Failed { epoch, failure, reason } => {
                format!("failed {epoch} {} {}", failure.word(), one_line(reason))
            }
            Self::Counters { dispatcher, counters } => {
                let mut packet = format!("counters {dispatcher}");
                for number in numbers_of(counters) {
                    // Writing to a string cannot fail.
                    let _ = write!(packet, " {number}");
                }
                packet
            }
            Self::Pong => "pong".to_owned(),
        }
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// When it is not exactly a message.
    pub fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        decode(packet, |words| match words {
            ["room"] => Some(Self::Room),
            ["rendered", epoch, lines, rows, files, objects, slots, zeros, unchanged] => Some(Self::Rendered {
                epoch: parse_epoch(epoch)?,
                lines: number(lines)?,
                refused_rows: number(rows)?,
                refused_files: number(files)?,
                unknown_objects: number(objects)?,
                skipped: Skipped { slots: number(slots)?, zeros: number(zeros)?, unchanged: number(unchanged)? },
            }),
            ["settles", epoch, settles] => Some(Self::Settles { epoch: parse_epoch(epoch)?, settles: flag(settles)? }),
            ["done", epoch, dropped] => Some(Self::Done { epoch: parse_epoch(epoch)?, dropped: flag(dropped)? }),
            ["gone", epoch] => Some(Self::Gone(parse_epoch(epoch)?)),
            ["failed", epoch, failure, reason @ ..] => Some(Self::Failed {
                epoch: parse_epoch(epoch)?,
                failure: Failure::parse(failure)?,
                reason: reason.join(" "),
            }),
            ["counters", dispatcher, numbers @ ..] => {
                let numbers: Vec<u64> = numbers.iter().map(|word| number(word)).collect::<Option<_>>()?;
                let counters = counters_of(numbers.try_into().ok()?);
                Some(Self::Counters { dispatcher: name(dispatcher)?.to_owned(), counters })
            }
            ["pong"] => Some(Self::Pong),
            _ => None,
        })
    }
}

fn decode<T>(packet: &[u8], read: impl Fn(&[&str]) -> Option<T>) -> Result<T, MessageError> {
    let words = std::str::from_utf8(packet).ok().map(|text| text.split(' ').collect::<Vec<_>>());
    words.and_then(|words| read(&words)).ok_or_else(|| {
        let shown = packet.get(..200).unwrap_or(packet);
        MessageError(String::from_utf8_lossy(shown).into_owned())
    })
}

fn numbers_of(counters: &Counters) -> [u64; 18] {
    let (c, m) = (counters, &counters.messages);
    [
        c.delivered_lines,
        c.resent_lines,
        c.dropped_lines,
        c.retries,
        c.reconnects,
        c.stalls,
        c.queued_batches,
        c.queued_lines,
        c.put_off,
        c.settling,
        m.sent,
        m.failed,
        m.retried,
        m.requests_retried,
        m.in_flight,
        m.parked,
        m.queued_bytes,
        m.latency_ms,
    ]
}

fn counters_of(numbers: [u64; 18]) -> Counters {
    let [
        delivered_lines,
        resent_lines,
        dropped_lines,
        retries,
        reconnects,
        stalls,
        queued_batches,
        queued_lines,
        put_off,
        settling,
        sent,
        failed,
        retried,
        requests_retried,
        in_flight,
        parked,
        queued_bytes,
        latency_ms,
    ] = numbers;
    Counters {
        delivered_lines,
        resent_lines,
        dropped_lines,
        retries,
        reconnects,
        stalls,
        queued_batches,
        queued_lines,
        put_off,
        settling,
        messages: MessageCounters {
            sent,
            failed,
            retried,
            requests_retried,
            in_flight,
            parked,
            queued_bytes,
            latency_ms,
        },
    }
}

fn parse_epoch(word: &str) -> Option<Epoch> {
    Epoch::from_name(word)
}

fn number(word: &str) -> Option<u64> {
    // parse() would take a plus sign as well.
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok())?
}

fn flag(word: &str) -> Option<bool> {
    match word {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn name(word: &str) -> Option<&str> {
    let good = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    good.then_some(word)
}

fn figure(pair: &str) -> Option<(String, f64)> {
    let (key, value) = pair.split_once('=')?;
    let value: f64 = value.parse().ok()?;
    value.is_finite().then_some((name(key)?.to_owned(), value))
}

/// A reason as it can travel: no line ends, bounded.
fn one_line(reason: &str) -> String {
    let mut line: String = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > MAX_REASON {
        let end = (0..=MAX_REASON).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPOCH: Epoch = Epoch(1_500_000_000);

    fn counters(seed: u64) -> Counters {
        Counters {
            delivered_lines: seed,
            resent_lines: seed + 1,
            dropped_lines: seed + 2,
            retries: seed + 3,
            reconnects: seed + 4,
            stalls: seed + 5,
            queued_batches: seed + 6,
            queued_lines: u64::MAX,
            put_off: seed + 9,
            settling: seed + 10,
            messages: MessageCounters { sent: seed + 7, latency_ms: seed + 8, ..MessageCounters::default() },
        }
    }

    #[test]
    fn messages_survive_the_way() {
        let values =
            vec![("QueueDepth".to_owned(), 3.0), ("DeliveryLatency".to_owned(), 0.1 + 0.2), ("X".to_owned(), 1e300)];
        for message in [
            ToWorker::Take { epoch: EPOCH, figures: None, before: None },
            ToWorker::Take { epoch: EPOCH, figures: Some(Figures { stamp: Epoch(7), values: vec![] }), before: None },
            ToWorker::Take { epoch: EPOCH, figures: Some(Figures { stamp: Epoch(7), values }), before: Some(Epoch(9)) },
            ToWorker::Ping,
            ToWorker::Drain(Duration::from_millis(12_345)),
        ] {
            let packet = message.encode();
            assert!(packet.len() <= MAX_LEN);
            assert_eq!(ToWorker::decode(packet.as_bytes()), Ok(message));
        }
        for message in [
            ToParent::Room,
            ToParent::Rendered {
                epoch: EPOCH,
                lines: 71_255,
                refused_rows: 1,
                refused_files: 2,
                unknown_objects: 6,
                skipped: Skipped { slots: 3, zeros: 4, unchanged: 5 },
            },
            ToParent::Settles { epoch: EPOCH, settles: true },
            ToParent::Settles { epoch: EPOCH, settles: false },
            ToParent::Done { epoch: EPOCH, dropped: true },
            ToParent::Gone(EPOCH),
            ToParent::Failed {
                epoch: EPOCH,
                failure: Failure::Snapshot,
                reason: "cannot read directory /x: no".to_owned(),
            },
            ToParent::Failed { epoch: EPOCH, failure: Failure::Panic, reason: String::new() },
            ToParent::Failed { epoch: EPOCH, failure: Failure::System, reason: "x".to_owned() },
            ToParent::Counters { dispatcher: "local-store".to_owned(), counters: counters(9) },
            ToParent::Pong,
        ] {
            assert_eq!(ToParent::decode(message.encode().as_bytes()), Ok(message));
        }
    }

    #[test]
    fn a_reason_is_one_bounded_line() {
        let reason = format!("a\nb\t{}", "é".repeat(5000));
        let packet = ToParent::Failed { epoch: EPOCH, failure: Failure::Snapshot, reason }.encode();
        assert!(packet.len() < MAX_LEN);
        assert!(
            matches!(ToParent::decode(packet.as_bytes()), Ok(ToParent::Failed { reason, .. }) if reason.starts_with("a b é"))
        );
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        for packet in [
            "",
            "take",
            "take 1",
            "take x -",
            "take +1 -",
            "take 01 -",
            "take 1 x",
            "take 1 - 2 a",
            "take 1 - 2 a=nan",
            "take 1 - 2 =1",
            "ping ",
            "drain -1",
        ] {
            assert!(ToWorker::decode(packet.as_bytes()).is_err(), "{packet:?}");
        }
        for packet in [
            "",
            "room 1",
            "rendered 1 2 3 4 5 6",
            "done 1 2",
            "done 1",
            "settles 1",
            "settles 1 yes",
            "gone",
            "counters a 1",
            "pong\n",
            "failed 1",
            "failed 1 x y",
        ] {
            assert!(ToParent::decode(packet.as_bytes()).is_err(), "{packet:?}");
        }
        assert!(ToParent::decode(b"gone \xff").is_err());
    }

    proptest! {
        #[test]
        fn no_packet_makes_decoding_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ToWorker::decode(&packet);
            let _ = ToParent::decode(&packet);
        }
    }
}
