//! Tells when a destination takes lines and confirms none of them.
//!
//! A server that cannot be reached is logged where that is found out. One that accepts every connection, and half-closes it,
//! cuts it off, or never answers, gives no such moment: its snapshots stay on disk, and that has to be said after a while.

use crate::dispatch::Counters;
use crate::looked::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// So long a destination may confirm nothing of what workers hold for it. Longer than any confirmation takes that only has
/// to wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Since when each destination has confirmed nothing.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed {
    spans: BTreeMap<String, Span>,
    /// The last look.
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
    /// It has confirmed nothing for a while, though connections to it are made.
    Nothing {
        /// Which destination.
        dispatcher: String,
        /// How long.
        time: Duration,
        /// Connections that were opened in place of lost ones meanwhile.
        reconnects: u64,
    },
    /// It has confirmed something again.
    Again {
        /// Which destination.
        dispatcher: String,
        /// After so long.
        time: Duration,
    },
}

impl Unconfirmed {
    /// Takes the figures of all destinations, and returns what is to be said. Does nothing more often than once a second. There are
    /// no figures while those who know them do not answer: that time is not held against any destination.
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
            // Where attempts to connect fail, the log says so already.
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
    /// Writes it to the log.
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
        // The next span begins with the confirmation.
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
