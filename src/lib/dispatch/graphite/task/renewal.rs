//! The connection that takes the place of a lasting one.

use super::opening::Opening;
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Link, Stream};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// By so much of its length, more or less, the life of a connection varies, so that not all workers of all hosts come at once.
const SPREAD: f64 = 0.1;

/// The next connection in place of one that stands.
pub(super) struct Renewal {
    pub(super) lifetime: Duration,
    /// When the present connection has stood for long enough.
    pub(super) at: Option<Instant>,
    pub(super) opening: Option<Opening>,
    /// It stands, and takes over as soon as nothing is under way on the other.
    pub(super) fresh: Option<Link>,
}

impl Renewal {
    /// No lifetime: never.
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, at: None, opening: None, fresh: None }
    }

    /// A connection was opened: its life begins.
    pub(super) fn begin(&mut self, now: Instant) {
        let spread = 1.0 + SPREAD * (2.0 * fastrand::f64() - 1.0);
        self.at = (!self.lifetime.is_zero()).then(|| now + self.lifetime.mul_f64(spread));
        (self.opening, self.fresh) = (None, None);
    }

    /// Whether nothing more is to be written to the present connection.
    pub(super) fn is_due(&self) -> bool {
        self.fresh.is_some()
    }

    /// When there is something to do.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.at.filter(|_| self.opening.is_none() && self.fresh.is_none())
    }

    /// Ready with the result of opening the next connection.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Connector, Result<Stream, ConnectError>)> {
        let Some(opening) = &mut self.opening else { return Poll::Pending };
        let opened = opening.as_mut().poll(context);
        if opened.is_ready() {
            self.opening = None;
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_as_long_as_configured_within_the_spread() {
        let (now, lifetime) = (Instant::now(), Duration::from_secs(1000));
        let mut renewal = Renewal::new(lifetime);
        assert_eq!(renewal.next_look(), None, "nothing is open");
        let lives: Vec<Duration> = std::iter::repeat_with(|| {
            renewal.begin(now);
            renewal.next_look().unwrap() - now
        })
        .take(1000)
        .collect();
        let (shortest, longest) = (*lives.iter().min().unwrap(), *lives.iter().max().unwrap());
        assert!(shortest >= lifetime.mul_f64(0.9) && longest <= lifetime.mul_f64(1.1), "{shortest:?} to {longest:?}");
        // Of a thousand, some are near both ends.
        assert!(shortest < lifetime.mul_f64(0.95) && longest > lifetime.mul_f64(1.05), "{shortest:?} to {longest:?}");
    }

    #[test]
    fn without_a_lifetime_nothing_is_renewed() {
        let mut renewal = Renewal::new(Duration::ZERO);
        renewal.begin(Instant::now());
        assert_eq!(renewal.next_look(), None);
    }
}
