//! What parent and worker say to each other: one message per packet, as JSON. The same program stands at both ends.
//!
//! Anything that is not exactly a message is an error, and the side that receives one gives up the other, since nothing that
//! it says can be trusted any more.

use crate::dispatch::Counters;
use crate::encode::sink::Skipped;
use crate::snapshot::Epoch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest message in bytes. The longest real one, a snapshot with the parent's figures, is a few thousand.
pub(crate) const MAX_LEN: usize = 16 * 1024;
/// Longest reason that travels with a failure, in bytes.
const MAX_REASON: usize = 2000;

/// Parent to worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum ToWorker {
    /// Process this snapshot.
    Take {
        /// Which.
        epoch: Epoch,
        /// The daemon's own figures to send along, and the moment that they describe.
        figures: Option<Figures>,
        /// The newest snapshot that any worker was given before; `None` when it is not to be relied on.
        before: Option<Epoch>,
        /// Dispatchers that have it already.
        had: Vec<String>,
    },
    /// All snapshots before this one are delivered to this dispatcher, or will not be: it may be sent.
    Go {
        /// Which dispatcher.
        dispatcher: String,
        /// Which snapshot.
        epoch: Epoch,
    },
    /// Answer with [`ToParent::Pong`].
    Ping,
    /// Take nothing more; deliver what you hold, and leave, at the latest after this time.
    Drain(Duration),
}

/// Figures of the daemon as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Timestamp of the figures.
    pub stamp: Epoch,
    /// Name (letters and digits) and finite value.
    pub values: Vec<(String, f64)>,
}

/// Worker to parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum ToParent {
    /// One more snapshot can be taken. Said once for each; the first one says that the worker is ready.
    Room,
    /// The snapshot is processed and with the dispatchers.
    Rendered(Rendered),
    /// Every destination says that it has the snapshot, which is not certain yet; or no longer says so.
    Settles {
        /// Which.
        epoch: Epoch,
        /// Whether they say so.
        settles: bool,
    },
    /// This dispatcher, which sends snapshots in the order of their time, has delivered the snapshot; others have not.
    Delivered {
        /// Which dispatcher.
        dispatcher: String,
        /// Which snapshot.
        epoch: Epoch,
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
        counters: Box<Counters>,
    },
    /// The answer to [`ToWorker::Ping`].
    Pong,
}

/// A snapshot that is processed and with the dispatchers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rendered {
    /// Which.
    pub epoch: Epoch,
    /// Lines of its batch.
    pub lines: u64,
    /// Rows that were left out.
    pub refused_rows: u64,
    /// Files that were left out.
    pub refused_files: u64,
    /// Objects that were left out since a part of theirs could not be read.
    pub unknown_objects: u64,
    /// Lines of replies about families that were not understood.
    pub unknown_lines: u64,
    /// What was left out because less is to be sent.
    pub skipped: Skipped,
}

/// Kinds of failures to process a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// Something is wrong with this snapshot.
    Snapshot,
    /// The program panicked over it.
    Panic,
    /// The system is short of something, or its disk is; any snapshot would have failed at this moment.
    System,
}

/// A packet that is not a message.
#[derive(Debug, thiserror::Error)]
#[error("not a message: {shown:?}")]
pub(crate) struct MessageError {
    shown: String,
    source: serde_json::Error,
}

impl ToWorker {
    /// The packet.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
        encode(self)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// When it is not exactly a message.
    pub(crate) fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        decode(packet)
    }
}

impl ToParent {
    /// A failure, with a reason that is one line of bounded length.
    #[must_use]
    pub(crate) fn failed(epoch: Epoch, failure: Failure, reason: &str) -> Self {
        Self::Failed { epoch, failure, reason: one_line(reason) }
    }

    /// The packet.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
        encode(self)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// When it is not exactly a message.
    pub(crate) fn decode(packet: &[u8]) -> Result<Self, MessageError> {
        decode(packet)
    }
}

fn encode(message: &impl Serialize) -> String {
    // Numbers, texts and structs of them: nothing that could fail.
    serde_json::to_string(message).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(packet: &[u8]) -> Result<T, MessageError> {
    serde_json::from_slice(packet).map_err(|source| {
        let shown = packet.get(..200).unwrap_or(packet);
        MessageError { shown: String::from_utf8_lossy(shown).into_owned(), source }
    })
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
            stalls: seed + 5,
            queued_lines: u64::MAX,
            messages_sent: seed + 7,
            acknowledge_time: seed + 8,
            ..Counters::default()
        }
    }

    #[test]
    fn messages_survive_the_way() {
        let values =
            vec![("QueueDepth".to_owned(), 3.0), ("DeliveryLatency".to_owned(), 0.1 + 0.2), ("X".to_owned(), 1e300)];
        for message in [
            ToWorker::Take { epoch: EPOCH, figures: None, before: None, had: Vec::new() },
            ToWorker::Take {
                epoch: EPOCH,
                figures: Some(Figures { stamp: Epoch(7), values }),
                before: Some(Epoch(9)),
                had: vec!["otlp".to_owned()],
            },
            ToWorker::Go { dispatcher: "otlp".to_owned(), epoch: EPOCH },
            ToWorker::Ping,
            ToWorker::Drain(Duration::from_millis(12_345)),
        ] {
            let packet = message.encode();
            assert!(packet.len() <= MAX_LEN);
            assert_eq!(ToWorker::decode(packet.as_bytes()).unwrap(), message);
        }
        for message in [
            ToParent::Room,
            ToParent::Rendered(Rendered {
                epoch: EPOCH,
                lines: 71_255,
                refused_rows: 1,
                refused_files: 2,
                unknown_objects: 6,
                unknown_lines: 7,
                skipped: Skipped { slots: 3, zeros: 4, unchanged: 5 },
            }),
            ToParent::Settles { epoch: EPOCH, settles: true },
            ToParent::Settles { epoch: EPOCH, settles: false },
            ToParent::Delivered { dispatcher: "otlp".to_owned(), epoch: EPOCH },
            ToParent::Done { epoch: EPOCH, dropped: true },
            ToParent::Gone(EPOCH),
            ToParent::Failed {
                epoch: EPOCH,
                failure: Failure::Snapshot,
                reason: "cannot read directory /x: no".to_owned(),
            },
            ToParent::Failed { epoch: EPOCH, failure: Failure::Panic, reason: String::new() },
            ToParent::Failed { epoch: EPOCH, failure: Failure::System, reason: "x".to_owned() },
            ToParent::Counters { dispatcher: "local-store".to_owned(), counters: Box::new(counters(9)) },
            ToParent::Pong,
        ] {
            assert_eq!(ToParent::decode(message.encode().as_bytes()).unwrap(), message);
        }
    }

    #[test]
    fn a_reason_is_one_bounded_line() {
        let reason = format!("a\nb\t{}", "é".repeat(5000));
        let packet = ToParent::failed(EPOCH, Failure::Snapshot, &reason).encode();
        assert!(packet.len() < MAX_LEN);
        assert!(
            matches!(ToParent::decode(packet.as_bytes()), Ok(ToParent::Failed { reason, .. }) if reason.starts_with("a b é"))
        );
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        for packet in ["", "Ping", "\"ping\"", "{\"Drain\":1}", "{\"Take\":{\"before\":null}}", "\"Ping\" 1"] {
            assert!(ToWorker::decode(packet.as_bytes()).is_err(), "{packet:?}");
        }
        for packet in ["", "{\"Gone\":-1}", "{\"Gone\":1,\"x\":1}", "{\"Done\":{\"epoch\":1,\"dropped\":true,\"x\":1}}"]
        {
            assert!(ToParent::decode(packet.as_bytes()).is_err(), "{packet:?}");
        }
        assert!(ToParent::decode(b"\"Pong\xff\"").is_err());
        let figures = Figures { stamp: EPOCH, values: vec![("X".to_owned(), f64::NAN)] };
        let packet = ToWorker::Take { epoch: EPOCH, figures: Some(figures), before: None, had: Vec::new() }.encode();
        assert!(ToWorker::decode(packet.as_bytes()).is_err(), "a figure has a finite value");
    }

    proptest! {
        #[test]
        fn no_packet_makes_decoding_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ToWorker::decode(&packet);
            let _ = ToParent::decode(&packet);
        }
    }
}
