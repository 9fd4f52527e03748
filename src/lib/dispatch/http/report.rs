//! Logs each change once.

use super::name::name;
use super::verdict;
use crate::logging::Chain;
use crate::prometheus::request::Protocol;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::time::Duration;
use tracing::{Span, error_span};

/// Whether two messages are the same except for the times, values and request numbers in them.
fn is_same(one: &str, other: &str) -> bool {
    let without_numbers = |text: &str| text.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    one == other || without_numbers(one) == without_numbers(other)
}

/// What was logged last.
#[derive(Debug)]
pub(super) struct Report {
    /// Names the dispatcher in each line. At the highest level, so that it is present at every log level.
    of_dispatcher: Span,
    url: String,
    /// Why nothing is accepted; `None` if all is well.
    trouble: RefCell<Option<String>>,
    /// Why samples are refused; reset when a snapshot is delivered without a refusal.
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

    /// A request got no answer.
    pub(super) fn fails(&self, error: &dyn Error, pause: Duration) {
        self.trouble(&Chain(error).to_string(), "", pause);
    }

    /// The receiver does not accept requests now. `advice` is for the operator.
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

    /// Samples are refused permanently.
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

    /// A snapshot was delivered without a refusal.
    pub(super) fn nothing_refused(&self) {
        if self.refused.take().is_some() {
            tracing::info!(parent: &self.of_dispatcher, "samples are no longer refused");
        }
    }

    /// A request was divided because it was too large.
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

    /// Refused samples can be kept again.
    pub(super) fn can_keep(&self) {
        self.not_kept.set(false);
    }

    /// Whether nothing is accepted at present.
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
