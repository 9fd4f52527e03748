//! The daemon's figures as a metrics page for Prometheus.

use super::figures::Totals;
use crate::dispatch::Counters;
use crate::exporter::{Page, Scrape};
use crate::process::statistics::Statistics;
use crate::queue::Queue;
use crate::telemetry::{Kind, as_f64};
use std::path::Path;
use std::time::Duration;

/// Prefix of the names.
const PREFIX: &str = "haproxystats_process_";

/// The current page. `now` is the time since the epoch.
#[must_use]
pub(crate) fn page(totals: &Totals, queue: &Queue, workers: usize, now: Duration) -> Page {
    let mut page = Page::of("process");
    for (figure, value) in totals.values(now, queue, workers) {
        page.figure(PREFIX, figure.definition()).sample(&[], value);
    }
    let dispatchers = totals.dispatchers();
    for definition in Counters::definitions() {
        let of = |(name, counters): (&String, &Counters)| {
            let (_, value) = counters.values_of(name).find(|(of, _)| *of == definition)?;
            Some((name.clone(), value))
        };
        let samples: Vec<(String, f64)> = dispatchers.iter().filter_map(of).collect();
        if samples.is_empty() {
            continue;
        }
        let mut family = page.figure(&format!("{PREFIX}dispatcher_"), definition);
        for (name, value) in samples {
            family.sample(&[("dispatcher", &name)], value);
        }
    }
    page
}

/// Answers a scrape with the page, followed by the statistics of HAProxy if they are enabled.
pub(super) fn answer(scrape: Scrape, mut page: Page, statistics: Option<&Path>) {
    let Some(src_dir) = statistics else { return scrape.answer(page) };
    match Statistics::open(src_dir) {
        Ok(None) => scrape.answer(page),
        Ok(Some(statistics)) => {
            let about = "Time at which the statistics on this page were pulled, in seconds since the epoch.";
            let name = format!("{PREFIX}statistics_time_seconds");
            page.family(&name, Kind::Gauge, about).sample(&[], as_f64(statistics.epoch().0));
            scrape.answer_with(page, statistics);
        }
        Err(error) => {
            tracing::error!(directory = %src_dir.display(), %error, "cannot read the statistics for the metrics page");
            scrape.answer(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Slot;

    #[test]
    fn every_destination_has_its_samples() {
        let mut totals = Totals::default();
        for (name, lines) in [("graphite", 7), ("kafka", 8), ("local-store", 9)] {
            let counters = Counters { delivered_lines: lines, messages_sent: lines, ..Counters::default() };
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
