//! What each destination counts about itself.

use crate::telemetry::{Definition, counters};

counters! {
    /// Figures of one dispatcher since the worker started.
    pub struct Counters {
        /// Of each destination; the name is put behind that of the destination, as in `GraphiteLinesDelivered`.
        DISPATCHER {
            delivered_lines "LinesDelivered" "lines" Counter
                "Lines whose delivery the destination has confirmed.";
            up "Up" "state" Gauge
                "1 while the destination accepts data from at least one worker, 0 while it is unavailable to all of \
                 them.";
            resent_lines "LinesResent" "lines" Counter
                "Lines sent again because a connection was lost before everything sent on it had been acknowledged.";
            dropped_lines "LinesDropped" "lines" Counter
                "Lines dropped to make room (queue-full = drop-oldest).";
            retries "Retries" "attempts" Counter
                "Attempts to connect that failed.";
            reconnects "Reconnects" "connections" Counter
                "Connections opened in place of one that was lost.";
            stalls "Stalls" "events" Counter
                "Times that the destination accepted no data for write-timeout.";
            queued_batches "QueuedBatches" "snapshots" Gauge
                "Snapshots whose lines workers hold in memory for this destination.";
            queued_lines "QueuedLines" "lines" Gauge
                "Lines that workers hold in memory for this destination.";
            put_off "SnapshotsPutOff" "snapshots" Gauge
                "Snapshots that the other destinations have, and that stay on disk until this one accepts them.";
            settling "SnapshotsSettling" "snapshots" Gauge
                "Snapshots that this destination has acknowledged, and that stay on disk until that is certain \
                 (`[graphite] settle`).";
        }
        /// Besides those, of the archive.
        ARCHIVE {
            stored_bytes "BytesStored" "bytes" Counter
                "Bytes of archived snapshots, compressed.";
            expired_snapshots "SnapshotsExpired" "snapshots" Counter
                "Archived snapshots that were removed because of keep or min-free.";
        }
        /// Besides those, of a destination that takes messages.
        MESSAGES {
            messages_sent "MessagesSent" "messages" Counter
                "Messages that the brokers have acknowledged.";
            messages_failed "MessagesFailed" "messages" Counter
                "Messages that the brokers refused, or that were too large; they are kept and sent again.";
            messages_retried "MessagesRetried" "messages" Counter
                "Messages sent again after a failure, or after the client had to be replaced.";
            requests_retried "RequestsRetried" "requests" Counter
                "Requests that librdkafka sent again by itself.";
            messages_in_flight "MessagesInFlight" "messages" Gauge
                "Messages handed to librdkafka that are not acknowledged yet.";
            messages_parked "MessagesParked" "messages" Gauge
                "Refused messages that are waiting to be sent again.";
            queued_bytes "QueuedBytes" "bytes" Gauge
                "Bytes of messages that workers hold in memory for this destination, before compression.";
            acknowledge_time "AcknowledgeTime" "seconds" Gauge
                "Time from the first message of a snapshot until all of its messages were acknowledged; the latest \
                 of each worker, and the longest of those.";
        }
        /// Besides those of every destination, of one that takes requests.
        REQUESTS {
            requests_accepted "RequestsAccepted" "requests" Counter
                "Requests that the receiver has accepted.";
            requests_failed "RequestsFailed" "requests" Counter
                "Requests that the receiver answered but did not accept; they are sent again.";
            requests_divided "RequestsDivided" "requests" Counter
                "Requests that were refused or too large, and were split in two and sent again.";
            requests_in_flight "RequestsInFlight" "requests" Gauge
                "Requests that have been sent and not answered yet.";
            samples_refused "SamplesRefused" "samples" Counter
                "Samples that the receiver refuses permanently; they are not sent again.";
            samples_duplicate "SamplesDuplicate" "samples" Counter
                "Samples for which the receiver already has another value with the same timestamp, from before a \
                 restart.";
            sent_bytes "SentBytes" "bytes" Counter
                "Bytes of the bodies of accepted requests, after compression.";
            held_bytes "HeldBytes" "bytes" Gauge
                "Bytes of the bodies of requests that workers hold in memory for this destination, after compression.";
            send_time "SendTime" "seconds" Gauge
                "Time from the first request of a snapshot until all of its requests were accepted; the latest of each worker, \
                 and the longest of those.";
        }
    }
}

/// The destination that takes messages.
const MESSAGING: &str = "kafka";

/// The archive.
const ARCHIVING: &str = "archive";

/// The destinations that take requests.
const REQUESTING: [&str; 2] = ["otlp", "remote-write"];

impl Counters {
    /// The definitions that a destination of this name has.
    pub(crate) fn definitions_of(name: &str) -> impl Iterator<Item = &'static Definition> {
        let own = match name {
            MESSAGING => Self::MESSAGES,
            ARCHIVING => Self::ARCHIVE,
            name if REQUESTING.contains(&name) => Self::REQUESTS,
            _ => &[],
        };
        Self::DISPATCHER.iter().chain(own)
    }

    /// The figures of a destination of this name.
    pub fn values_of(&self, name: &str) -> impl Iterator<Item = (&'static Definition, f64)> {
        let own: Vec<&'static str> = Self::definitions_of(name).map(|definition| definition.name).collect();
        Self::definitions()
            .zip(self.numbers())
            .filter(move |(definition, _)| own.contains(&definition.name))
            .map(|(definition, number)| (definition, definition.value(number)))
    }

    /// The definition of a figure by its name in Graphite, and the destination.
    #[must_use]
    pub fn find(name: &str) -> Option<(&'static Definition, String)> {
        let found =
            Self::definitions().filter_map(|definition| Some((definition, name.strip_suffix(definition.name)?)));
        // The longest name leaves the shortest rest, which is the destination.
        let (definition, destination) = found.min_by_key(|(_, rest)| rest.len())?;
        (!destination.is_empty()).then(|| (definition, kebab_case(destination)))
    }

    /// The figures of a destination, with their names in Graphite.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<(String, f64)> {
        let prefix = camel_case(name);
        self.values_of(name).map(|(definition, value)| (format!("{prefix}{}", definition.name), value)).collect()
    }
}

/// `LocalStore` becomes `local-store`.
fn kebab_case(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        let digit_after_letter = letter.is_ascii_digit() && words.ends_with(|c: char| c.is_ascii_alphabetic());
        if !words.is_empty() && (letter.is_ascii_uppercase() || digit_after_letter) {
            words.push('-');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// `local-store` becomes `LocalStore`.
fn camel_case(name: &str) -> String {
    name.split('-')
        .filter_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destinations_name_becomes_a_part_of_the_metrics_name() {
        let counters = Counters { delivered_lines: 7, settling: 4, acknowledge_time: 2_500, ..Counters::default() };
        let figures = counters.named("local-store");
        assert_eq!(figures.len(), Counters::DISPATCHER.len());
        assert_eq!(figures.first(), Some(&("LocalStoreLinesDelivered".to_owned(), 7.0)));
        assert_eq!(figures.last(), Some(&("LocalStoreSnapshotsSettling".to_owned(), 4.0)));
        assert_eq!(counters.named("kafka").last(), Some(&("KafkaAcknowledgeTime".to_owned(), 0.0025)));
        let counters = Counters { send_time: 1_500_000, ..counters };
        let figures = counters.named("remote-write");
        assert_eq!(figures.len(), Counters::DISPATCHER.len() + Counters::REQUESTS.len());
        assert_eq!(figures.last(), Some(&("RemoteWriteSendTime".to_owned(), 1.5)));
        for (name, destination) in [("local-store", "local-store"), ("graphite-12", "graphite-12"), ("kafka", "kafka")]
        {
            for (definition, (named, _)) in Counters::definitions_of(name).zip(counters.named(name)) {
                assert_eq!(Counters::find(&named), Some((definition, destination.to_owned())));
            }
        }
        assert_eq!((Counters::find("QueueDepth"), Counters::find("Retries")), (None, None));
    }

    #[test]
    fn counts_are_added_times_are_not_and_gauges_end_with_who_counted() {
        let one = Counters { retries: 3, queued_lines: 4, acknowledge_time: 5, ..Counters::default() };
        let mut sum = one;
        sum.add(&Counters { retries: 1, queued_lines: 1, acknowledge_time: 2, ..Counters::default() });
        assert_eq!(sum, Counters { retries: 4, queued_lines: 5, acknowledge_time: 5, ..Counters::default() });
        assert_eq!(one.lasting(), Counters { retries: 3, ..Counters::default() });
    }
}
