//! When the confirmation of a peer counts. Pure: no socket, no clock.
//!
//! A proxy between us and Graphite reads what we send before it knows whether there is a Graphite behind it; when its attempts to
//! connect have failed, it closes our connection in order, which looks like the close of a Graphite that has read everything.
//! What tells them apart is a *witness*: a connection to the same address that stands idle. A proxy treats it as it treats the
//! others: it tries to connect for it as well, gives up after the same time, and passes on the end of the Graphite behind it.
//!
//! ```text
//!  an elder witness ├──────────────────────────────────────► stands from before the first byte until `margin` after the close
//!  the connection       ├─ lines ─┤ended ··· closed: confirmed
//!  a younger witness               ├── settle ──────────────► opened after our end, stands for `settle`: delivered
//! ```
//!
//! The elder one, opened before the connection, excludes that Graphite came back between the proxy's last attempt for our connection and
//! its next one for the younger, and that Graphite ended with what it had not read. The younger one excludes that there is no
//! Graphite.
//!
//! Where a proxy closes idle connections sooner than that, no witness ever stands for `settle`. An idle connection that was closed in
//! order after a much longer time than the peer took to answer our end has met such a time-out; then the time goes on with
//! those that come after it. A death of the peer does not look like that: it ends all connections at one moment, whenever they were
//! opened.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// The end of a peer takes so long to show on its idle connections at the most; where `settle` is shorter, that.
const MARGIN: Duration = Duration::from_secs(1);

/// Connections that end within the first of these times of each other have ended together; if they were opened further apart than the
/// second, that was no time-out.
const TOGETHER: (Duration, Duration) = (Duration::from_millis(250), Duration::from_millis(500));

/// An idle connection that stood for so many times as long as the peer takes to answer our end, and a margin, has met a time-out
/// for idle connections.
const IDLE: u32 = 4;

/// What is known of the confirmation of some batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Address of the peer that closed the connection; `None` when its kernel's word counts, on a connection that lasts.
    pub(crate) peer: Option<SocketAddr>,
    /// When the connection was opened that carried them,
    pub(crate) opened: Instant,
    /// was ended by us,
    pub(crate) ended: Instant,
    /// and was closed by the peer.
    pub(crate) confirmed: Instant,
    /// Whether idle connections were closed by a time-out since.
    pub(crate) chained: bool,
}

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) settle: Duration,
}

impl Rules {
    /// For so long after a confirmation every connection of the peer has to stand.
    pub(super) fn margin(self) -> Duration {
        self.settle.min(MARGIN)
    }

    /// Between the openings of two witnesses, where batches follow each other: so there are few of them, and a batch waits not much
    /// longer than it must. Where the peer closes idle connections, there are enough that an elder one always stands.
    pub(super) fn spacing(self, time_out: Option<Duration>) -> Duration {
        time_out.map_or(self.settle / 2, |limit| (limit / 6).min(self.settle / 2))
    }

    /// Whether a batch was confirmed so short a time ago that the elder witness has to stand.
    pub(super) fn is_fresh(self, receipt: &Receipt, now: Instant) -> bool {
        receipt.confirmed + self.margin() > now
    }

    /// When a batch is delivered, if no connection breaks, on the word of a witness that was opened at this time and still
    /// stands. `None` when that was before the end of its connection.
    pub(super) fn due(self, receipt: &Receipt, witness: Instant) -> Option<Instant> {
        if witness < receipt.ended {
            return None;
        }
        let whole = (receipt.confirmed + self.margin()).max(witness + self.settle);
        let short = (receipt.confirmed + self.settle).max(witness + idle(receipt));
        Some(if receipt.chained { whole.min(short) } else { whole })
    }

    /// The same for a batch whose connection lasts: that one is the witness.
    pub(super) fn due_lasting(self, receipt: &Receipt, opened: Instant) -> Instant {
        (receipt.confirmed + self.margin()).max(opened + self.settle)
    }

    /// Whether the orderly end of an idle connection of this age says nothing against the confirmation.
    pub(super) fn excuses(self, receipt: &Receipt, age: Duration, now: Instant) -> bool {
        receipt.peer.is_some() && !self.is_fresh(receipt, now) && age >= idle(receipt)
    }
}

/// Age from which on an orderly end of an idle connection is a time-out.
fn idle(receipt: &Receipt) -> Duration {
    IDLE * receipt.confirmed.saturating_duration_since(receipt.ended) + MARGIN
}

/// Ends of idle connections that were taken for time-outs a moment ago: when each was seen, and when the connection was opened.
#[derive(Debug, Default)]
pub(super) struct IdleEnds(Vec<(Instant, Instant)>);

impl IdleEnds {
    /// Takes note of one. False when connections of different ages end at the same time, which no time-out does.
    pub(super) fn note(&mut self, opened: Instant, now: Instant) -> bool {
        self.0.retain(|(seen, _)| *seen + TOGETHER.0 > now);
        let apart = |other: Instant| other.max(opened) - other.min(opened) > TOGETHER.1;
        let alone = !self.0.iter().any(|(_, other)| apart(*other));
        self.0.push((now, opened));
        alone
    }

    /// Until when another end would make the last one the death of the peer.
    pub(super) fn pending(&self, now: Instant) -> Option<Instant> {
        self.0.iter().map(|(seen, _)| *seen + TOGETHER.0).max().filter(|until| *until > now)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RULES: Rules = Rules { settle: Duration::from_secs(30) };

    /// Opened at 0, ended and closed at these seconds.
    fn receipt(start: Instant, ended: f64, confirmed: f64) -> Receipt {
        let at = |seconds| start + Duration::from_secs_f64(seconds);
        let peer = Some("127.0.0.1:2003".parse().unwrap());
        Receipt { peer, opened: start, ended: at(ended), confirmed: at(confirmed), chained: false }
    }

    #[test]
    fn only_a_witness_that_was_opened_after_the_end_counts_and_only_when_it_has_stood_for_settle() {
        let start = Instant::now();
        let receipt = receipt(start, 5.0, 5.5);
        assert_eq!(RULES.due(&receipt, start + 4 * SECOND), None);
        assert_eq!(RULES.due(&receipt, start + 6 * SECOND), Some(start + 36 * SECOND));
        assert_eq!(RULES.due_lasting(&receipt, start), start + 30 * SECOND);
        assert_eq!(Rules { settle: SECOND }.due_lasting(&receipt, start), start + Duration::from_millis(6500));
    }

    #[test]
    fn after_a_time_out_for_idle_connections_the_time_goes_on_with_the_next_witness() {
        let start = Instant::now();
        let mut receipt = receipt(start, 0.0, 0.5);
        receipt.chained = true;
        assert_eq!(RULES.due(&receipt, start + 10 * SECOND), Some(start + Duration::from_millis(30_500)));
        assert_eq!(RULES.due(&receipt, start + 30 * SECOND), Some(start + 33 * SECOND));
    }

    #[test]
    fn an_idle_connection_that_ends_as_soon_as_one_with_data_is_no_time_out() {
        let start = Instant::now();
        // A proxy that cannot connect treats both alike: 3 seconds with retries that are refused, 20 without an answer.
        for seconds in [0.001, 3.0, 20.0] {
            let receipt = receipt(start, 0.001, seconds);
            let late = start + 100 * SECOND;
            assert!(!RULES.excuses(&receipt, Duration::from_secs_f64(seconds), late), "{seconds}");
        }
        let receipt = receipt(start, 0.0, 0.1);
        assert!(RULES.excuses(&receipt, 2 * SECOND, start + 2 * SECOND));
        assert!(!RULES.excuses(&receipt, 2 * SECOND, start + SECOND), "too soon after the confirmation");
    }

    #[test]
    fn connections_of_different_ages_that_end_at_the_same_time_have_met_a_death() {
        let start = Instant::now();
        let mut ends = IdleEnds::default();
        assert!(ends.note(start, start + 50 * SECOND));
        assert!(ends.note(start + SECOND / 100, start + 50 * SECOND), "opened together, ended together");
        assert_eq!(ends.pending(start + 50 * SECOND), Some(start + 50 * SECOND + TOGETHER.0));
        assert!(!ends.note(start + 10 * SECOND, start + 50 * SECOND));
        assert!(ends.note(start + 15 * SECOND, start + 65 * SECOND), "that was long ago");
        assert_eq!(ends.pending(start + 66 * SECOND), None);
    }
}
