//! The daemon's figures about itself: added up over all workers since the parent started, living and dead, and sent
//! along with a snapshot now and then.

use super::message::Figures;
use crate::dispatch::{Counters, MessageCounters};
use crate::queue::{Queue, Slot};
use crate::snapshot::Epoch;
use crate::telemetry::{Figure, as_f64, of_dispatcher};
use std::collections::BTreeMap;
use std::time::Duration;

/// The counters.
#[derive(Debug, Default)]
pub struct Totals {
    counts: BTreeMap<Figure, u64>,
    /// What dead workers had counted.
    dead: BTreeMap<String, Counters>,
    /// What living workers have counted, as far as they have said.
    live: BTreeMap<(Slot, String), Counters>,
    /// Destinations that have confirmed nothing for a while.
    pub unconfirmed: usize,
    /// Longest delivery since the last report.
    latency: Option<Duration>,
}

impl Totals {
    /// Adds to a counter.
    pub fn add(&mut self, figure: Figure, count: u64) {
        let value = self.counts.entry(figure).or_default();
        *value = value.saturating_add(count);
    }

    /// The value of a counter.
    #[must_use]
    pub fn get(&self, figure: Figure) -> u64 {
        self.counts.get(&figure).copied().unwrap_or_default()
    }

    /// A worker's figures about one of its dispatchers.
    pub fn heard(&mut self, slot: Slot, dispatcher: String, counters: Counters) {
        self.live.insert((slot, dispatcher), counters);
    }

    /// The worker is gone; what it had counted stays.
    pub fn died(&mut self, slot: Slot) {
        let of_slot: Vec<(Slot, String)> = self.live.keys().filter(|(of, _)| *of == slot).cloned().collect();
        for key in of_slot {
            if let Some(counters) = self.live.remove(&key) {
                let messages =
                    MessageCounters { in_flight: 0, parked: 0, queued_bytes: 0, latency_ms: 0, ..counters.messages };
                let kept =
                    Counters { queued_batches: 0, queued_lines: 0, put_off: 0, settling: 0, messages, ..counters };
                add(self.dead.entry(key.1).or_default(), &kept);
            }
        }
    }

    /// A snapshot was delivered this long after its pull.
    pub fn delivered(&mut self, latency: Duration) {
        self.add(Figure::SnapshotsDelivered, 1);
        self.latency = self.latency.max(Some(latency));
    }

    /// The figures as they are to be sent. Begins a new span for the longest delivery.
    pub fn report(&mut self, stamp: Epoch, now: Duration, queue: &Queue, workers: usize) -> Figures {
        let named = |(figure, value): (Figure, f64)| (figure.definition().name.to_owned(), value);
        let mut values: Vec<_> = self.values(now, queue, workers).into_iter().map(named).collect();
        self.latency = None;
        for (name, counters) in self.dispatchers() {
            values.extend(of_dispatcher(&name, &counters));
        }
        Figures { stamp, values }
    }

    /// The daemon's own figures at this moment; one that there is not is left out.
    #[must_use]
    pub fn values(&self, now: Duration, queue: &Queue, workers: usize) -> Vec<(Figure, f64)> {
        let value = |figure: Figure| match figure {
            Figure::QueueDepth => Some(count(queue.depth())),
            Figure::QueueOldestAge => Some(oldest_age(queue, now).as_secs_f64().floor()),
            Figure::SnapshotsInFlight => Some(count(queue.in_flight() - queue.settling())),
            Figure::SnapshotsStuck => Some(count(queue.done_with())),
            Figure::SnapshotsUnreadable => Some(count(queue.unreadable())),
            Figure::DestinationsUnconfirmed => Some(count(self.unconfirmed)),
            Figure::Workers => Some(count(workers)),
            Figure::DeliveryLatency => self.latency.map(|latency| (latency.as_secs_f64() * 1000.0).round() / 1000.0),
            counter => Some(as_f64(self.get(counter))),
        };
        Figure::ALL.iter().filter_map(|figure| Some((*figure, value(*figure)?))).collect()
    }

    /// Sums over all workers, by dispatcher.
    #[must_use]
    pub fn dispatchers(&self) -> BTreeMap<String, Counters> {
        let mut sums = self.dead.clone();
        for ((_, name), counters) in &self.live {
            add(sums.entry(name.clone()).or_default(), counters);
        }
        sums
    }
}

fn count(number: usize) -> f64 {
    as_f64(u64::try_from(number).unwrap_or(u64::MAX))
}

/// How old the oldest snapshot is that some destination does not have.
#[must_use]
pub fn oldest_age(queue: &Queue, now: Duration) -> Duration {
    queue.oldest().map_or(Duration::ZERO, |oldest| now.saturating_sub(Duration::from_secs(oldest.0)))
}

fn add(sum: &mut Counters, more: &Counters) {
    sum.delivered_lines += more.delivered_lines;
    sum.resent_lines += more.resent_lines;
    sum.dropped_lines += more.dropped_lines;
    sum.retries += more.retries;
    sum.reconnects += more.reconnects;
    sum.stalls += more.stalls;
    sum.queued_batches += more.queued_batches;
    sum.queued_lines += more.queued_lines;
    sum.put_off += more.put_off;
    sum.settling += more.settling;
    let (sum, more) = (&mut sum.messages, &more.messages);
    sum.sent += more.sent;
    sum.failed += more.failed;
    sum.retried += more.retried;
    sum.requests_retried += more.requests_retried;
    sum.in_flight += more.in_flight;
    sum.parked += more.parked;
    sum.queued_bytes += more.queued_bytes;
    sum.latency_ms = sum.latency_ms.max(more.latency_ms);
}

/// Which timestamp figures get that travel with the snapshot `epoch`, or `None` when they are not due.
///
/// Figures describe the moment at which they are taken, so a backlog must not write them to last night's graph. A
/// snapshot that is fresh, less than one interval old, carries them with its own timestamp: they then lie on the same
/// grid as everything else. With an older one they get the present time, once per interval.
#[must_use]
pub fn stamp(epoch: Epoch, now: Duration, interval: Duration, last: Option<Epoch>) -> Option<Epoch> {
    let now = now.as_secs();
    let interval = interval.as_secs().max(1);
    let fresh = epoch.0 <= now && now - epoch.0 < interval;
    let stamp = if fresh { epoch.0 } else { now };
    let due = match last {
        None => true,
        // The clock went back.
        Some(Epoch(last)) if last > now => true,
        Some(Epoch(last)) if fresh => stamp > last,
        Some(Epoch(last)) => stamp >= last + interval,
    };
    due.then_some(Epoch(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::DISPATCHER;
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
        assert_eq!(first.values.len(), Figure::ALL.len() + DISPATCHER.len());
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
