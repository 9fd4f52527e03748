//! The daemon's figures as a page for Prometheus.

use super::figures::Totals;
use crate::exporter::Page;
use crate::queue::Queue;
use crate::telemetry::{DISPATCHER, MESSAGES, MESSAGING, dispatcher_values, message_values};
use std::time::Duration;

/// Prefix of the names.
const PREFIX: &str = "haproxystats_process_";

/// The page at this moment. `now` is the time since the epoch.
#[must_use]
pub fn page(totals: &Totals, queue: &Queue, workers: usize, now: Duration) -> Page {
    let mut page = Page::of("process");
    for (figure, value) in totals.values(now, queue, workers) {
        page.figure(PREFIX, &figure.definition()).sample(&[], value);
    }
    let dispatchers: Vec<_> =
        totals.dispatchers().into_iter().map(|(name, counters)| (name, dispatcher_values(&counters))).collect();
    for (index, definition) in DISPATCHER.iter().enumerate().filter(|_| !dispatchers.is_empty()) {
        let mut family = page.figure(&format!("{PREFIX}dispatcher_"), definition);
        for (name, values) in &dispatchers {
            if let Some(value) = values.get(index) {
                family.sample(&[("dispatcher", name)], *value);
            }
        }
    }
    if let Some(counters) = totals.dispatchers().get(MESSAGING) {
        for (definition, value) in MESSAGES.iter().zip(message_values(counters)) {
            page.figure(&format!("{PREFIX}dispatcher_"), definition).sample(&[("dispatcher", MESSAGING)], value);
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Counters, MessageCounters};
    use crate::queue::Slot;

    #[test]
    fn every_destination_has_its_samples() {
        let mut totals = Totals::default();
        for (name, lines) in [("graphite", 7), ("kafka", 8), ("local-store", 9)] {
            let messages = MessageCounters { sent: lines, ..MessageCounters::default() };
            let counters = Counters { delivered_lines: lines, messages, ..Counters::default() };
            totals.heard(Slot(0), name.to_owned(), counters);
        }
        let text = page(&totals, &Queue::new(), 2, Duration::from_secs(100)).into_text();
        for line in [
            "haproxystats_process_workers 2",
            "haproxystats_process_snapshots_delivered_total 0",
            "# TYPE haproxystats_process_dispatcher_lines_delivered_total counter",
            "haproxystats_process_dispatcher_lines_delivered_total{dispatcher=\"graphite\"} 7",
            "haproxystats_process_dispatcher_lines_delivered_total{dispatcher=\"local-store\"} 9",
            "haproxystats_process_dispatcher_messages_sent_total{dispatcher=\"kafka\"} 8",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
