//! Listings: queries of the source, and what is kept and logged of the answers.

use super::figures::add;
use super::state::Server;
use crate::backoff::{Backoff, jitter};
use crate::discovery::clock::utc_millis;
use crate::discovery::document::State;
use crate::discovery::source::{Listing, SourceError, good};
use crate::logging::Chain;
use tokio::time::Instant;

impl Server {
    /// Asks the source; `None` while it does not answer, or is given a pause.
    pub(super) async fn ask(&mut self, may_wait: bool) -> Option<Listing> {
        if Instant::now() < self.ask_again {
            return None;
        }
        // With servers in doubt the next listing decides; a drain and a ramp go on with time.
        let settled = self.figures.document.borrow().as_ref().is_some_and(|document| {
            let now = utc_millis();
            document.servers().all(|(_, server)| {
                let full = document.weight_at(server, u64::MAX) == document.weight_at(server, now);
                server.state == State::Active && server.doubt.is_none() && full
            })
        });
        let wait = (may_wait && settled && self.failures == 0 && self.source.waits())
            .then(|| self.config.server.lease_time / 3);
        let limit = self.config.server.source_timeout + wait.unwrap_or_default() * 9 / 8;
        self.duty.report(limit);
        let listing = match tokio::time::timeout(limit, self.source.list(wait)).await {
            Ok(listing) => listing,
            Err(_) => Err(SourceError::Timeout(limit)),
        };
        match listing {
            Ok(listing) => {
                if std::mem::take(&mut self.trouble.source) {
                    tracing::info!(instances = listing.instances.len(), "the source answers again");
                }
                self.failures = 0;
                add(&self.figures.listings);
                self.figures.listed.set(listing.taken);
                self.keep(&listing);
                self.look_into(&listing);
                Some(listing)
            }
            Err(error) => {
                add(&self.figures.source_failures);
                self.failures = self.failures.saturating_add(1);
                let longest = self.config.server.longest_pause.max(self.config.interval);
                let pause = Backoff::new(self.config.interval, 2.0, longest).after(self.failures);
                self.ask_again = Instant::now() + jitter(pause, fastrand::f64());
                let text = Chain(&error);
                if std::mem::replace(&mut self.trouble.source, true) {
                    tracing::debug!(error = %text, "the source still fails");
                } else {
                    tracing::error!(error = %text, "cannot list the source: the list is left unchanged");
                }
                None
            }
        }
    }

    /// Tells and counts what a listing lacks.
    pub(super) fn look_into(&mut self, listing: &Listing) {
        if !listing.failed.is_empty() {
            add(&self.figures.source_failures);
        }
        self.figures.instances.set(listing.instances.len() + listing.unusable.len());
        self.figures.unusable.set(listing.unusable.len());
        self.notices.listing(listing);
    }

    /// Keeps a listing on disk where it differs from the one before, and says something about every group.
    pub(super) fn keep(&mut self, listing: &Listing) {
        if self.kept.as_ref() == Some(&listing.instances) || !listing.failed.is_empty() {
            return;
        }
        let directory = &self.config.state_dir;
        match good::keep(directory, listing) {
            Ok(()) => {
                self.kept = Some(listing.instances.clone());
                self.trouble.disk = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.trouble.disk, true) {
                    tracing::warn!(directory = %directory.display(), %error, "cannot save the listing to disk");
                }
            }
        }
    }

    pub(super) async fn list_now(&mut self) -> Result<Listing, SourceError> {
        let limit = self.config.server.source_timeout;
        tokio::time::timeout(limit, self.source.list(None)).await.unwrap_or(Err(SourceError::Timeout(limit)))
    }
}
