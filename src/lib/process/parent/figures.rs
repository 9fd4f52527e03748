//! The daemon's figures about itself: summed over all workers, living and dead, since the parent started, and sent along with a
//! snapshot from time to time.

use crate::dispatch::Counters;
use crate::process::wire::message::{Figures, Rendered};
use crate::queue::{Queue, Slot};
use crate::snapshot::Epoch;
use crate::telemetry::{as_f64, figures, size};
use std::collections::BTreeMap;
use std::time::Duration;

figures! {
    /// A figure of the process daemon as a whole; its name is the last element of the metric's path.
    pub enum Figure {
        QueueDepth "snapshots" Gauge
            "Complete snapshots in src-dir that are waiting for a worker.";
        QueueOldestAge "seconds" Gauge
            "Age of the oldest snapshot that at least one destination does not have yet; 0 if there is none.";
        SnapshotsInFlight "snapshots" Gauge
            "Snapshots that workers are processing or delivering, not counting those that are settling.";
        SnapshotsStuck "snapshots" Gauge
            "Snapshots that are finished but still in src-dir: delivered, but not removed yet (tried again every 10 \
             seconds), or impossible to process, but not moved to failed/ yet (tried again every few minutes).";
        SnapshotsUnreadable "snapshots" Gauge
            "Snapshots whose last attempt failed with an error of the disk or the system. They stay, and are tried \
             again within a minute.";
        SnapshotsDelivered "snapshots" Counter
            "Snapshots whose metrics have been delivered to every destination.";
        SnapshotsDropped "snapshots" Counter
            "Snapshots of which a destination's queue dropped metrics to make room (queue-full = drop-oldest).";
        SnapshotsVanished "snapshots" Counter
            "Snapshots that another program removed from src-dir before they were processed.";
        SnapshotsQuarantined "snapshots" Counter
            "Snapshots that could not be processed and were moved to failed/.";
        QuarantineRefusals "attempts" Counter
            "Attempts to move a snapshot to failed/ that failed, because it holds 360 snapshots already or is not \
             writable. Nothing is deleted: the snapshot stays in src-dir.";
        SnapshotsFailed "attempts" Counter
            "Attempts to process a snapshot that failed because of its contents.";
        SnapshotsPostponed "attempts" Counter
            "Attempts to process a snapshot that failed with an error of the disk or the system; it is tried again.";
        SnapshotsPanicked "attempts" Counter
            "Attempts to process a snapshot that ended in a panic, which is a bug in haproxystats.";
        RefusedRows "rows" Counter
            "Rows of statistics that were left out because they could not be read.";
        RefusedFiles "files" Counter
            "Files of statistics that were left out because nothing in them was readable.";
        UnknownObjects "objects" Counter
            "Frontends, backends and servers that were left out of snapshots although some processes reported them, \
             because the part of another process could not be read.";
        UnknownLines "lines" Counter
            "Lines and columns of replies for families that were left out because this version does not know them.";
        LinesRendered "lines" Counter
            "Lines that workers generated from snapshots, including repeated attempts.";
        SlotsSkipped "servers" Counter
            "Servers that were left out of snapshots as unused slots (skip-unused-slots), including repeated attempts.";
        ZerosSkipped "lines" Counter
            "Lines that were left out because the counter is 0 (skip-zero), including repeated attempts.";
        UnchangedSkipped "lines" Counter
            "Lines that were left out because the value has not changed since the previous snapshot \
             (send-unchanged-every).";
        DeliveryLatency "seconds" Gauge
            "Longest time from a pull to the acknowledgement by every destination, among the snapshots delivered since \
             this metric was last sent. Not sent if there were none.";
        DestinationsUnconfirmed "destinations" Gauge
            "Destinations that have confirmed nothing for a minute although workers hold data for them.";
        Workers "processes" Gauge
            "Worker processes that run.";
        WorkerRestartsExit "restarts" Counter
            "Workers replaced because they exited by themselves.";
        WorkerRestartsSignal "restarts" Counter
            "Workers replaced because a signal killed them.";
        WorkerRestartsHang "restarts" Counter
            "Workers replaced because they did not respond for worker-timeout.";
        WatchRescues "events" Counter
            "Times that src-dir was replaced or the kernel lost events, so that the whole directory had to be scanned.";
        SourceUp "state" Gauge
            "1 while snapshots can be read from Kafka, otherwise 0. This metric and the following ones are only sent with \
             source = kafka.";
        SourcePartitions "partitions" Gauge
            "Partitions of the topic that are assigned to this member of the group.";
        SourcePartitionsPaused "partitions" Gauge
            "Assigned partitions that are not read at present: because destinations do not have what was read, because many \
             seconds wait for their hosts, because the disk cannot be written, or because their committed offsets are not \
             known yet.";
        SourcePartitionsHeld "partitions" Gauge
            "Assigned partitions that are stopped at a message of a later version of the format, until the members are \
             upgraded.";
        SourceLag "messages" Gauge
            "Messages of the assigned partitions that are not committed. A message is committed when it and everything before \
             it is delivered.";
        SourceOldestAge "seconds" Gauge
            "Age of the oldest snapshot that was read from the assigned partitions and that at least one destination does \
             not have yet; 0 if there is none.";
        SourceAssembling "snapshots" Gauge
            "Seconds that wait for files or hosts.";
        SourceBufferedBytes "bytes" Gauge
            "Memory for incomplete files.";
        SourceAssembled "hosts" Counter
            "Snapshots of hosts that were assembled from messages, including repetitions.";
        SourceIncomplete "hosts" Counter
            "Snapshots of hosts with missing files. They are processed without these files, but dropped if a part of another \
             file is missing.";
        SourceLate "snapshots" Counter
            "Seconds that were sent again because a host arrived late.";
        SourceRefused "messages" Counter
            "Messages that were refused and set aside in failed/kafka-source/: from another program, damaged, contradicting \
             others, too large, or impossible to decompress.";
        SourceRebalances "events" Counter
            "Times that partitions were assigned to this member or revoked from it.";
    }
}

/// Figures about reading snapshots from Kafka.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Consumed {
    pub(super) up: u64,
    pub(super) partitions: u64,
    pub(super) paused: u64,
    pub(super) held: u64,
    pub(super) lag: u64,
    pub(super) oldest_age: u64,
    pub(super) assembling: u64,
    pub(super) buffered: u64,
    pub(super) assembled: u64,
    pub(super) incomplete: u64,
    pub(super) late: u64,
    pub(super) refused: u64,
    pub(super) rebalances: u64,
}

impl Consumed {
    fn get(&self, figure: Figure) -> Option<u64> {
        Some(match figure {
            Figure::SourceUp => self.up,
            Figure::SourcePartitions => self.partitions,
            Figure::SourcePartitionsPaused => self.paused,
            Figure::SourcePartitionsHeld => self.held,
            Figure::SourceLag => self.lag,
            Figure::SourceOldestAge => self.oldest_age,
            Figure::SourceAssembling => self.assembling,
            Figure::SourceBufferedBytes => self.buffered,
            Figure::SourceAssembled => self.assembled,
            Figure::SourceIncomplete => self.incomplete,
            Figure::SourceLate => self.late,
            Figure::SourceRefused => self.refused,
            Figure::SourceRebalances => self.rebalances,
            _ => return None,
        })
    }
}

/// The counters of the daemon and its workers.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    counts: BTreeMap<Figure, u64>,
    /// Counters of dead workers.
    dead: BTreeMap<String, Counters>,
    /// The last reported counters of living workers.
    live: BTreeMap<(Slot, String), Counters>,
    /// Destinations that have confirmed nothing for a while.
    pub unconfirmed: usize,
    /// Figures about reading snapshots from Kafka, if they are read from there.
    pub consumed: Option<Consumed>,
    /// Longest delivery since the last report.
    latency: Option<Duration>,
}

impl Totals {
    /// Adds to a counter.
    pub(crate) fn add(&mut self, figure: Figure, count: u64) {
        let value = self.counts.entry(figure).or_default();
        *value = value.saturating_add(count);
    }

    /// A snapshot was rendered.
    pub(crate) fn rendered(&mut self, rendered: &Rendered) {
        self.add(Figure::LinesRendered, rendered.lines);
        self.add(Figure::RefusedRows, rendered.refused_rows);
        self.add(Figure::RefusedFiles, rendered.refused_files);
        self.add(Figure::UnknownObjects, rendered.unknown_objects);
        self.add(Figure::UnknownLines, rendered.unknown_lines);
        self.add(Figure::SlotsSkipped, rendered.skipped.slots);
        self.add(Figure::ZerosSkipped, rendered.skipped.zeros);
        self.add(Figure::UnchangedSkipped, rendered.skipped.unchanged);
    }

    /// The value of a counter.
    #[must_use]
    pub(crate) fn get(&self, figure: Figure) -> u64 {
        self.counts.get(&figure).copied().unwrap_or_default()
    }

    /// Takes a worker's counters for one of its dispatchers.
    pub(crate) fn heard(&mut self, slot: Slot, dispatcher: String, counters: Counters) {
        self.live.insert((slot, dispatcher), counters);
    }

    /// Keeps the counters of a worker that is gone.
    pub(crate) fn died(&mut self, slot: Slot) {
        let of_slot: Vec<(Slot, String)> = self.live.keys().filter(|(of, _)| *of == slot).cloned().collect();
        for key in of_slot {
            if let Some(counters) = self.live.remove(&key) {
                self.dead.entry(key.1).or_default().add(&counters.lasting());
            }
        }
    }

    /// A snapshot was delivered this long after its pull.
    pub(crate) fn delivered(&mut self, latency: Duration) {
        self.add(Figure::SnapshotsDelivered, 1);
        self.latency = self.latency.max(Some(latency));
    }

    /// The figures to send. Resets the longest delivery.
    pub(crate) fn report(&mut self, stamp: Epoch, now: Duration, queue: &Queue, workers: usize) -> Figures {
        let named = |(figure, value): (Figure, f64)| (figure.definition().name.to_owned(), value);
        let mut values: Vec<_> = self.values(now, queue, workers).into_iter().map(named).collect();
        self.latency = None;
        for (name, counters) in self.dispatchers() {
            values.extend(counters.named(&name));
        }
        Figures { stamp, values }
    }

    /// The daemon's current figures, without those that have no value.
    #[must_use]
    pub(crate) fn values(&self, now: Duration, queue: &Queue, workers: usize) -> Vec<(Figure, f64)> {
        let value = |figure: Figure| match figure {
            Figure::QueueDepth => Some(size(queue.depth())),
            Figure::QueueOldestAge => Some(oldest_age(queue, now).as_secs_f64().floor()),
            Figure::SnapshotsInFlight => Some(size(queue.in_flight() - queue.settling())),
            Figure::SnapshotsStuck => Some(size(queue.done_with())),
            Figure::SnapshotsUnreadable => Some(size(queue.unreadable())),
            Figure::DestinationsUnconfirmed => Some(size(self.unconfirmed)),
            Figure::Workers => Some(size(workers)),
            Figure::DeliveryLatency => self.latency.map(|latency| (latency.as_secs_f64() * 1000.0).round() / 1000.0),
            figure if Consumed::default().get(figure).is_some() => self.consumed?.get(figure).map(as_f64),
            counter => Some(as_f64(self.get(counter))),
        };
        Figure::ALL.iter().filter_map(|figure| Some((*figure, value(*figure)?))).collect()
    }

    /// Destinations that are unavailable according to all workers that have reported on them.
    #[must_use]
    pub(crate) fn unavailable(&self) -> Vec<String> {
        let known = |name: &String| self.live.keys().any(|(_, of)| of == name);
        self.dispatchers().into_iter().filter(|(name, sum)| sum.up == 0 && known(name)).map(|(name, _)| name).collect()
    }

    /// Sums over all workers, by dispatcher.
    #[must_use]
    pub(crate) fn dispatchers(&self) -> BTreeMap<String, Counters> {
        let mut sums = self.dead.clone();
        for ((_, name), counters) in &self.live {
            sums.entry(name.clone()).or_default().add(counters);
        }
        sums
    }
}

/// Age of the oldest snapshot that some destination does not have.
#[must_use]
pub fn oldest_age(queue: &Queue, now: Duration) -> Duration {
    queue.oldest().map_or(Duration::ZERO, |oldest| now.saturating_sub(Duration::from_secs(oldest.0)))
}

/// The timestamp of figures that are sent along with the snapshot `epoch`; `None` if they are not due.
///
/// Figures describe the moment when they are taken, so a backlog must not put them into last night's graph. With a fresh
/// snapshot, less than one interval old, they get its timestamp, and are on the same grid as everything else. With an older one
/// they get the present time, once per interval.
#[must_use]
pub fn stamp(epoch: Epoch, now: Duration, interval: Duration, last: Option<Epoch>) -> Option<Epoch> {
    let now = now.as_secs();
    let interval = interval.as_secs().max(1);
    let fresh = epoch.0 <= now && now - epoch.0 < interval;
    let stamp = if fresh { epoch.0 } else { now };
    let due = match last {
        None => true,
        // The clock was set back.
        Some(Epoch(last)) if last > now => true,
        Some(Epoch(last)) if fresh => stamp > last,
        Some(Epoch(last)) => stamp >= last + interval,
    };
    due.then_some(Epoch(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn value(figures: &Figures, name: &str) -> Option<f64> {
        figures.values.iter().find(|(of, _)| of == name).map(|(_, value)| *value)
    }

    #[test]
    fn counters_outlive_their_worker_and_gauges_do_not() {
        let mut totals = Totals::default();
        let counters = Counters { delivered_lines: 10, queued_lines: 4, ..Counters::default() };
        totals.heard(Slot(0), "graphite".to_owned(), counters);
        totals.heard(Slot(1), "graphite".to_owned(), counters);
        totals.heard(Slot(1), "graphite".to_owned(), Counters { delivered_lines: 15, ..counters });
        totals.died(Slot(0));
        totals.heard(Slot(0), "graphite".to_owned(), Counters { delivered_lines: 1, ..Counters::default() });
        let sums = totals.dispatchers();
        assert_eq!(sums.get("graphite").map(|sum| (sum.delivered_lines, sum.queued_lines)), Some((26, 4)));
    }

    #[test]
    fn a_report_has_every_figure_and_begins_a_new_span() {
        let mut totals = Totals::default();
        let mut queue = Queue::new();
        queue.arrived(Epoch(100));
        queue.arrived(Epoch(110));
        queue.claim(Slot(0), Instant::now());
        totals.heard(Slot(0), "graphite".to_owned(), Counters::default());
        totals.delivered(Duration::from_millis(1500));
        totals.delivered(Duration::from_millis(300));

        let first = totals.report(Epoch(130), at(130), &queue, 4);
        let of_source = Figure::ALL.iter().filter(|figure| Consumed::default().get(**figure).is_some()).count();
        assert_eq!(first.values.len(), Figure::ALL.len() - of_source + Counters::DISPATCHER.len());
        for (name, expected) in [
            ("QueueDepth", 1.0),
            ("QueueOldestAge", 30.0),
            ("SnapshotsInFlight", 1.0),
            ("SnapshotsDelivered", 2.0),
            ("DeliveryLatency", 1.5),
            ("Workers", 4.0),
        ] {
            assert_eq!(value(&first, name), Some(expected), "{name}");
        }
        let second = totals.report(Epoch(140), at(140), &queue, 4);
        assert_eq!(value(&second, "DeliveryLatency"), None);
        assert_eq!(value(&second, "SnapshotsDelivered"), Some(2.0));
    }

    #[test]
    fn fresh_snapshots_carry_the_figures_on_their_own_grid() {
        assert_eq!(stamp(Epoch(1000), at(1001), INTERVAL, None), Some(Epoch(1000)));
        assert_eq!(stamp(Epoch(1010), at(1011), INTERVAL, Some(Epoch(1000))), Some(Epoch(1010)));
        assert_eq!(stamp(Epoch(1010), at(1012), INTERVAL, Some(Epoch(1010))), None);
    }

    #[test]
    fn a_backlog_does_not_write_to_the_past_and_not_too_often() {
        assert_eq!(stamp(Epoch(500), at(1001), INTERVAL, None), Some(Epoch(1001)));
        assert_eq!(stamp(Epoch(510), at(1002), INTERVAL, Some(Epoch(1001))), None);
        assert_eq!(stamp(Epoch(900), at(1011), INTERVAL, Some(Epoch(1001))), Some(Epoch(1011)));
        assert_eq!(stamp(Epoch(2000), at(1011), INTERVAL, None), Some(Epoch(1011)), "nor to the future");
    }

    #[test]
    fn a_clock_that_went_back_does_not_silence_the_figures() {
        assert_eq!(stamp(Epoch(1000), at(1001), INTERVAL, Some(Epoch(4600))), Some(Epoch(1000)));
    }
}
