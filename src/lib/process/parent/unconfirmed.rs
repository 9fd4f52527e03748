//! Detects that a destination accepts lines and confirms none of them.
//!
//! A server that cannot be reached is logged where the connection fails. But if a server accepts every connection, and then
//! half-closes it, cuts it off or never answers, there is no such event. Its snapshots stay on disk, which is logged after a
//! while.

use crate::dispatch::Counters;
use crate::looked::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a destination may confirm nothing of what workers hold for it: longer than any regular confirmation takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the figures are checked.
const EVERY: Duration = Duration::from_secs(1);

/// For each destination, since when it has confirmed nothing.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed {
    spans: BTreeMap<String, Span>,
    /// The last check.
    last: Option<Moment>,
}

#[derive(Debug)]
struct Span {
    begun: Moment,
    at_begin: Counters,
    told: bool,
}

/// Something worth a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// It has confirmed nothing for a while, although connections to it succeed.
    Nothing {
        /// The destination.
        dispatcher: String,
        /// How long.
        time: Duration,
        /// Connections that were opened meanwhile to replace lost ones.
        reconnects: u64,
    },
    /// It has confirmed something again.
    Again {
        /// The destination.
        dispatcher: String,
        /// How long it had confirmed nothing.
        time: Duration,
    },
}

impl Unconfirmed {
    /// Checks the figures of all destinations at most once a second, and returns what to log. `figures` returns `None` while
    /// workers do not answer; that time does not count against any destination.
    pub(crate) fn look(
        &mut self,
        figures: impl FnOnce() -> Option<BTreeMap<String, Counters>>,
        now: Moment,
    ) -> Vec<Word> {
        if self.last.is_some_and(|last| now < last + EVERY) {
            return Vec::new();
        }
        let since = self.last.replace(now);
        let Some(figures) = figures() else {
            let time = since.map_or(Duration::ZERO, |since| now.since(since));
            self.spans.values_mut().for_each(|span| span.begun += time);
            return Vec::new();
        };
        self.spans.retain(|name, _| figures.contains_key(name));
        let mut words = Vec::new();
        for (dispatcher, counters) in figures {
            let span = self.spans.get(&dispatcher);
            let confirmed = span.is_some_and(|span| span.at_begin.delivered_lines != counters.delivered_lines);
            if counters.queued_lines == 0 || confirmed {
                if let Some(span) = self.spans.remove(&dispatcher).filter(|span| span.told) {
                    words.push(Word::Again { dispatcher: dispatcher.clone(), time: now.since(span.begun) });
                }
                if counters.queued_lines == 0 {
                    continue;
                }
            }
            let begin = || Span { begun: now, at_begin: counters, told: false };
            let span = self.spans.entry(dispatcher.clone()).or_insert_with(begin);
            // If attempts to connect fail, that is logged elsewhere.
            if now.since(span.begun) >= PATIENCE && !span.told && counters.retries == span.at_begin.retries {
                span.told = true;
                let reconnects = counters.reconnects.saturating_sub(span.at_begin.reconnects);
                words.push(Word::Nothing { dispatcher, time: now.since(span.begun), reconnects });
            }
        }
        words
    }

    /// Number of destinations that have confirmed nothing for a while, for whatever reason.
    #[must_use]
    pub(crate) fn count(&self, now: Moment) -> usize {
        self.spans.values().filter(|span| now.since(span.begun) >= PATIENCE).count()
    }
}

impl Word {
    /// Writes this to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Nothing { dispatcher, time, reconnects } => tracing::warn!(
                dispatcher,
                seconds = time.as_secs(),
                reconnects,
                "accepts connections but has confirmed nothing for a while: it resets them, half-closes them, or \
                 hangs; snapshots stay on disk"
            ),
            Self::Again { dispatcher, time } => {
                tracing::info!(dispatcher, seconds = time.as_secs(), "confirms data again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[expect(clippy::unnecessary_wraps, reason = "as they come")]
    fn figures(delivered: u64, queued: u64, retries: u64, reconnects: u64) -> Option<BTreeMap<String, Counters>> {
        let counters =
            Counters { delivered_lines: delivered, queued_lines: queued, retries, reconnects, ..Counters::default() };
        Some(BTreeMap::from([("graphite".to_owned(), counters)]))
    }

    #[test]
    fn a_destination_that_confirms_nothing_is_told_once_and_so_is_the_end() {
        let (mut unconfirmed, start) = (Unconfirmed::default(), Moment::now());
        for second in 0..60 {
            assert_eq!(unconfirmed.look(|| figures(5, 100, 0, u64::from(second)), start + second * SECOND), []);
            assert_eq!(unconfirmed.count(start + second * SECOND), 0);
        }
        let words = unconfirmed.look(|| figures(5, 100, 0, 70), start + 60 * SECOND);
        let nothing = Word::Nothing { dispatcher: "graphite".to_owned(), time: 60 * SECOND, reconnects: 70 };
        assert_eq!((words, unconfirmed.count(start + 60 * SECOND)), (vec![nothing], 1));
        assert_eq!(unconfirmed.look(|| figures(5, 100, 0, 80), start + 90 * SECOND), []);
        let again = Word::Again { dispatcher: "graphite".to_owned(), time: 100 * SECOND };
        assert_eq!(unconfirmed.look(|| figures(6, 100, 0, 80), start + 100 * SECOND), [again]);
        assert_eq!(unconfirmed.count(start + 100 * SECOND), 0);
        // The next period starts with the confirmation.
        assert_eq!(unconfirmed.look(|| figures(6, 100, 0, 80), start + 159 * SECOND), []);
        assert_eq!(unconfirmed.look(|| figures(6, 100, 0, 80), start + 160 * SECOND).len(), 1);
    }

    #[test]
    fn one_that_cannot_be_reached_or_has_nothing_to_confirm_is_not_told() {
        let (mut unconfirmed, start) = (Unconfirmed::default(), Moment::now());
        for second in 0..200 {
            let now = start + second * SECOND;
            assert_eq!(unconfirmed.look(|| figures(5, 100, u64::from(second), 0), now), []);
            assert_eq!(unconfirmed.count(now), usize::from(second >= 60));
        }
        for second in 200..400 {
            assert_eq!(unconfirmed.look(|| figures(5, 0, 0, 0), start + second * SECOND), []);
            assert_eq!(unconfirmed.count(start + second * SECOND), 0);
        }
    }

    #[test]
    fn time_without_figures_is_not_held_against_them() {
        let (mut unconfirmed, start) = (Unconfirmed::default(), Moment::now());
        unconfirmed.look(|| figures(5, 100, 0, 0), start);
        for second in 1..100 {
            assert_eq!(unconfirmed.look(|| None, start + second * SECOND), []);
        }
        assert_eq!(unconfirmed.look(|| figures(5, 100, 0, 0), start + 158 * SECOND), []);
        assert_eq!(unconfirmed.look(|| figures(5, 100, 0, 0), start + 159 * SECOND).len(), 1);
    }

    #[test]
    fn it_looks_once_a_second() {
        let (mut unconfirmed, start) = (Unconfirmed::default(), Moment::now());
        unconfirmed.look(|| figures(0, 1, 0, 0), start);
        unconfirmed.look(|| panic!("too soon"), start + SECOND / 2);
    }
}
