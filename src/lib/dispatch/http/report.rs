//! Tells of changes, once each.

use super::name::name;
use super::verdict;
use crate::logging::Chain;
use crate::prometheus::request::Protocol;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::time::Duration;
use tracing::{Span, error_span};

/// Whether two messages say the same: receivers put times, values and numbers of requests into them.
fn is_same(one: &str, other: &str) -> bool {
    let without_numbers = |text: &str| text.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    one == other || without_numbers(one) == without_numbers(other)
}

/// What the log said last.
#[derive(Debug)]
pub(super) struct Report {
    /// Whose lines they are. Of the highest level, so that no log level is without.
    of_dispatcher: Span,
    url: String,
    /// Why nothing is accepted; `None` while something is.
    trouble: RefCell<Option<String>>,
    /// Why samples are refused; forgotten when a snapshot passes without a refusal.
    refused: RefCell<Option<String>>,
    divided: Cell<bool>,
    not_kept: Cell<bool>,
}

impl Report {
    pub(super) fn new(protocol: Protocol, url: &str) -> Self {
        Self {
            of_dispatcher: error_span!("dispatcher", dispatcher = name(protocol)),
            url: url.to_owned(),
            trouble: RefCell::default(),
            refused: RefCell::default(),
            divided: Cell::default(),
            not_kept: Cell::default(),
        }
    }

    /// Something was accepted.
    pub(super) fn well(&self) {
        if self.trouble.take().is_some() {
            tracing::info!(parent: &self.of_dispatcher, url = self.url, "accepts requests again");
        }
    }

    /// There is no answer.
    pub(super) fn fails(&self, error: &dyn Error, pause: Duration) {
        self.trouble(&Chain(error).to_string(), "", pause);
    }

    /// The receiver does not accept a request now. `advice` is for a human.
    pub(super) fn trouble(&self, error: &str, advice: &str, pause: Duration) {
        let mut trouble = self.trouble.borrow_mut();
        let retry_s = pause.as_secs_f64();
        if trouble.as_deref().is_some_and(|told| is_same(told, error)) {
            tracing::debug!(parent: &self.of_dispatcher, error, retry_s, "still not accepted");
            return;
        }
        let (parent, url) = (&self.of_dispatcher, &self.url);
        if advice.is_empty() {
            tracing::error!(parent: parent, url, error, retry_s, "requests are not accepted; snapshots wait on disk");
        } else {
            tracing::error!(parent: parent, url, error, advice, retry_s, "requests are not accepted; snapshots wait on disk");
        }
        *trouble = Some(error.to_owned());
    }

    /// Samples are refused for good.
    pub(super) fn refused(&self, samples: u64, words: &str) {
        let mut told = self.refused.borrow_mut();
        if told.as_deref().is_some_and(|told| is_same(told, words)) {
            tracing::debug!(parent: &self.of_dispatcher, samples, error = words, "samples refused");
            return;
        }
        let advice = if verdict::is_late(words) {
            "the receiver has newer samples; configure it to accept older ones (Prometheus: \
             storage.tsdb.out_of_order_time_window)"
        } else {
            "see the receiver's log"
        };
        tracing::error!(
            parent: &self.of_dispatcher,
            url = self.url,
            samples,
            error = words,
            advice,
            "the receiver refuses some samples: they are not sent again, the others are"
        );
        *told = Some(words.to_owned());
    }

    /// A snapshot went without a refusal.
    pub(super) fn nothing_refused(&self) {
        if self.refused.take().is_some() {
            tracing::info!(parent: &self.of_dispatcher, "samples are no longer refused");
        }
    }

    /// A request was divided since it was too large.
    pub(super) fn too_large(&self, samples: usize, words: &str) {
        if !self.divided.replace(true) {
            tracing::warn!(
                parent: &self.of_dispatcher,
                samples,
                error = words,
                "requests are too large for the receiver and are split; lower max-samples-per-request"
            );
        }
    }

    /// Refused samples cannot be kept as text.
    pub(super) fn cannot_keep(&self, error: &dyn Error) {
        let error = Chain(error).to_string();
        if self.not_kept.replace(true) {
            tracing::debug!(parent: &self.of_dispatcher, error, "refused samples still cannot be saved");
        } else {
            tracing::error!(parent: &self.of_dispatcher, error, "cannot save refused samples for inspection");
        }
    }

    /// They can.
    pub(super) fn can_keep(&self) {
        self.not_kept.set(false);
    }

    /// Whether something is wrong.
    pub(super) fn is_troubled(&self) -> bool {
        self.trouble.borrow().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_no_news() {
        let words = |number: u32| format!("duplicate sample for timestamp {number}; existing {number}.5");
        assert!(is_same(&words(1), &words(20)) && !is_same("out of order sample", "out of bounds"));
    }
}
