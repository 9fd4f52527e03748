//! What pull counts about itself. Each snapshot carries the figures in a hidden file, and process sends them on under
//! `haproxystats.`.

use super::{Definition, Kind, as_f64, definitions};
use crate::snapshot::Epoch;
use std::fmt::Write as _;
use std::time::Duration;

macro_rules! counters {
    ($($variant:ident $name:literal $unit:literal $kind:ident $about:literal;)*) => {
        /// The figures of pull, in the order of [`TABLE`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter {
            $(#[doc = $about] $variant,)*
        }

        /// All figures of pull.
        pub const TABLE: &[Definition] = &[
            $(Definition { name: $name, unit: $unit, kind: Kind::$kind, about: $about },)*
        ];
    };
}

counters! {
    Ticks "PullTicks" "pulls" Counter
        "Pulls started.";
    Published "PullPublished" "snapshots" Counter
        "Snapshots published, including the one that carries this metric.";
    FailedTicks "PullFailedTicks" "pulls" Counter
        "Pulls that published nothing: a socket failed, there were no sockets, or writing failed.";
    SkippedTicks "PullSkippedTicks" "ticks" Counter
        "Ticks without a pull because the previous one took too long, the program was stopped, or the clock was set.";
    SuspendedTicks "PullSuspendedTicks" "ticks" Counter
        "Ticks without a pull because dst-dir already held queue-size snapshots.";
    ExistingSnapshots "PullExistingSnapshots" "snapshots" Counter
        "Snapshots discarded because dst-dir already had one for the same second: the clock went back.";
    ClockSet "PullClockSet" "events" Counter
        "Times that the wall clock was set by half an interval or more.";
    Sockets "PullSockets" "sockets" Gauge
        "Sockets that this pull queried, including those of a process that another socket answered for.";
    DuplicateSockets "PullDuplicateSockets" "sockets" Gauge
        "Sockets of this pull that belong to a HAProxy process for which another socket answered; it is counted once.";
    LeftOutSockets "PullLeftOutSockets" "sockets" Gauge
        "Sockets in socket-dir that are not stats sockets, and are not pulled.";
    OldWorkers "PullOldWorkers" "workers" Gauge
        "HAProxy workers that are leaving after a reload and were queried through their masters (master-sockets).";
    DamagedStates "PullDamagedStates" "files" Counter
        "State files of continuous-counters and latency-table that could not be read at startup and were set aside.";
    UnsavedStates "PullUnsavedStates" "files" Counter
        "State files of continuous-counters and latency-table that could not be saved: after a restart, counters may decrease.";
    FailedMasters "PullFailedMasters" "sockets" Counter
        "Masters, and workers that are leaving, that exist but did not answer.";
    Resets "PullResets" "objects" Counter
        "Frontends, backends, servers and processes whose counters had decreased (continuous-counters).";
    CarriedProcesses "PullCarriedProcesses" "processes" Gauge
        "Processes that are gone, but whose counters the snapshot still includes (continuous-counters).";
    EndedObjects "PullEndedObjects" "objects" Counter
        "Frontends, backends and servers that were in the previous snapshot and no longer exist (mark-ended).";
    LatencyTables "PullLatencyTables" "tables" Gauge
        "Tables of response times that this pull has read (latency-table).";
    FullLatencyTables "PullLatencyFullTables" "tables" Gauge
        "Of PullLatencyTables: those without room for another server; HAProxy drops rows, so requests are missing.";
    RefusedLatencyRows "PullLatencyRefusedRows" "rows" Counter
        "Rows of such tables that were left out: made by other rules, with invalid bounds, or truncated.";
    LatencyResets "PullLatencyResets" "rows" Counter
        "Rows of such tables that started over although their process had not: HAProxy had dropped them.";
    SlowSockets "PullSlowSockets" "sockets" Counter
        "Sockets that had not answered after 20 seconds, counted again each time the wait doubles; only without \
         pull-timeout.";
    FailedSockets "PullFailedSockets" "sockets" Counter
        "Sockets whose pull failed, summed over all pulls.";
    FailedConnect "PullFailedSocketsConnect" "sockets" Counter
        "Of PullFailedSockets: no connection, after all retries.";
    FailedTimeout "PullFailedSocketsTimeout" "sockets" Counter
        "Of PullFailedSockets: not finished within pull-timeout.";
    FailedEmpty "PullFailedSocketsEmpty" "sockets" Counter
        "Of PullFailedSockets: closed or reset before the first byte of an answer, after all retries.";
    FailedRefused "PullFailedSocketsRefused" "sockets" Counter
        "Of PullFailedSockets: the answer was an error message or not HAProxy's.";
    FailedTruncated "PullFailedSocketsTruncated" "sockets" Counter
        "Of PullFailedSockets: closed or reset before the end of the answer.";
    FailedTooLarge "PullFailedSocketsTooLarge" "sockets" Counter
        "Of PullFailedSockets: an answer was longer than max-reply-size.";
    FailedCorrupt "PullFailedSocketsCorrupt" "sockets" Counter
        "Of PullFailedSockets: unexpected data after the end of the answer.";
    FurtherReplies "PullFurtherReplies" "replies" Counter
        "Replies to commands other than show info and show stat, as required by families.";
    RefusedQuestions "PullRefusedQuestions" "questions" Counter
        "Of those commands, the ones that HAProxy refused: the socket's level is too low, or HAProxy does not know the \
         command.";
    FailedQuestions "PullFailedQuestions" "questions" Counter
        "Of those commands, the ones that were not answered in time, or not completely.";
    UnknownFields "PullUnknownFields" "fields" Gauge
        "Columns of show stat and lines of show info that this version of haproxystats does not know; unknown-fields = send sends them.";
    Retries "PullRetries" "attempts" Counter
        "Attempts to query a socket again after one that received no byte of an answer.";
    Bytes "PullBytes" "bytes" Counter
        "Bytes of complete answers.";
    Duration "PullDuration" "seconds" Gauge
        "Time from the first connection of this pull until its last answer was on disk.";
    Waiting "PullWaitingSnapshots" "snapshots" Gauge
        "Snapshots in dst-dir when this pull started.";
}

definitions! {
    /// On the page of haproxystats-pull alone, of each socket.
    pub(crate) static SOCKET {
        SOCKET_UP "PullSocketUp" "state" Gauge
            "1 if the socket, or another one of the same process, answered at the last pull; otherwise 0.";
    }
}

/// The figures since the start of the program.
#[derive(Debug, Clone)]
pub struct Counters {
    counts: [u64; TABLE.len()],
    duration: Duration,
}

impl Default for Counters {
    fn default() -> Self {
        Self { counts: [0; TABLE.len()], duration: Duration::ZERO }
    }
}

impl Counters {
    /// Adds to a counter.
    pub fn add(&mut self, counter: Counter, count: u64) {
        if let Some(value) = self.counts.get_mut(counter as usize) {
            *value = value.saturating_add(count);
        }
    }

    /// Sets a gauge.
    pub fn set(&mut self, counter: Counter, count: u64) {
        if let Some(value) = self.counts.get_mut(counter as usize) {
            *value = count;
        }
    }

    /// Sets [`Counter::Duration`].
    pub(crate) fn set_duration(&mut self, duration: Duration) {
        self.duration = duration;
    }

    /// The value of a figure; [`Counter::Duration`] is in whole seconds here.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        match counter {
            Counter::Duration => self.duration.as_secs(),
            _ => self.counts.get(counter as usize).copied().unwrap_or_default(),
        }
    }

    /// The content of [`crate::snapshot::PULL_COUNTERS`]: one `name value` line for each figure.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(TABLE.len() * 32);
        for (index, definition) in TABLE.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = match self.counts.get(index) {
                Some(_) if index == Counter::Duration as usize => {
                    writeln!(text, "{} {:.6}", definition.name, self.duration.as_secs_f64())
                }
                Some(count) => writeln!(text, "{} {count}", definition.name),
                None => Ok(()),
            };
        }
        text
    }

    /// The figures with their values.
    pub fn values(&self) -> impl Iterator<Item = (&'static Definition, f64)> {
        TABLE.iter().zip(&self.counts).enumerate().map(|(index, (definition, count))| {
            let seconds = index == Counter::Duration as usize;
            (definition, if seconds { self.duration.as_secs_f64() } else { as_f64(*count) })
        })
    }

    /// One line for `systemctl status`.
    #[must_use]
    pub fn status(&self, last: Option<Epoch>) -> String {
        let last = last.map_or_else(|| "none yet".to_owned(), |epoch| epoch.to_string());
        format!(
            "last snapshot {last}, {} sockets in {:.3} s; {} published, {} failed, {} suspended, {} skipped; {} waiting",
            self.get(Counter::Sockets),
            self.duration.as_secs_f64(),
            self.get(Counter::Published),
            self.get(Counter::FailedTicks),
            self.get(Counter::SuspendedTicks),
            self.get(Counter::SkippedTicks),
            self.get(Counter::Waiting),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_a_leaf_of_a_metric_path_and_unique() {
        let names: HashSet<_> = TABLE.iter().map(|definition| definition.name).collect();
        assert_eq!(names.len(), TABLE.len());
        assert!(names.iter().all(|name| name.starts_with("Pull") && name.bytes().all(|b| b.is_ascii_alphabetic())));
        assert!(TABLE.iter().all(|definition| definition.about.ends_with('.')));
    }

    #[test]
    fn counters_are_rendered_one_a_line() {
        let mut counters = Counters::default();
        counters.add(Counter::Ticks, 2);
        counters.add(Counter::Ticks, 1);
        counters.set(Counter::Waiting, 7);
        counters.set_duration(Duration::from_micros(90_250));
        let text = counters.render();
        assert_eq!(text.lines().count(), TABLE.len());
        for line in ["PullTicks 3", "PullWaitingSnapshots 7", "PullDuration 0.090250", "PullFailedTicks 0"] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert_eq!((counters.get(Counter::Ticks), counters.get(Counter::Duration)), (3, 0));
        let value = |name| counters.values().find(|(definition, _)| definition.name == name).map(|(_, value)| value);
        assert_eq!((value("PullTicks"), value("PullDuration")), (Some(3.0), Some(0.090_25)));
    }
}
