//! The next document: planned, written, and logged.

use super::figures::add;
use super::state::Server;
use crate::discovery::clock::utc_millis;
use crate::discovery::document::{Document, Reason, State, What};
use crate::discovery::files::spare_slots;
use crate::discovery::plan::plan;
use crate::discovery::source::{Listing, good};
use crate::discovery::store::{Revision, StoreError, Stored};
use tokio::time::Instant;

/// How often a round plans again because another server has written meanwhile.
const ATTEMPTS: usize = 5;

/// Most reasons that a document carries; the log has all of them.
const REASONS: usize = 50;

/// Most changes of a kind that have a line each in the log.
const LINES: usize = 20;

impl Server {
    /// Plans and writes; again if another server has written meanwhile.
    pub(super) async fn advance(&mut self, listing: Option<&Listing>) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            self.turn_to_store();
            let Stored { document: mut present, revision } = self.store.load().await?;
            if let Some(document) = &mut present
                && let Some(passed) = self.seen_for(document.version)
            {
                document.catch_up(passed, utc_millis());
            }
            let kept = if present.is_none() && listing.is_none() { good::last(&self.config.state_dir) } else { None };
            if present.is_none() && listing.is_none() && kept.is_none() {
                // Nothing is known: an empty list would say that there is nobody.
                return Ok(());
            }
            let next = plan(present.as_ref(), listing.or(kept.as_ref()), utc_millis(), &self.config.server.plan);
            if present.as_ref().is_some_and(|present| present.is_same(&next) && present.version > 0) {
                self.show(present);
                return Ok(());
            }
            if self.leased.is_none_or(|until| Instant::now() >= until) {
                // The store was slow: somebody else may have the lease by now.
                return Ok(());
            }
            match self.write(next, &revision).await {
                Err(StoreError::Conflict) => add(&self.figures.conflicts),
                other => return other,
            }
        }
        Err(StoreError::Conflict)
    }

    pub(super) async fn write(&mut self, mut next: Document, revision: &Revision) -> Result<(), StoreError> {
        next.version += 1;
        next.set_written(utc_millis());
        next.by.clone_from(&self.name);
        let reasons = next.reasons.clone();
        // Values of a store have a largest size.
        next.reasons.truncate(REASONS);
        self.turn_to_store();
        self.store.compare_and_set(&next, revision).await?;
        add(&self.figures.writes);
        self.figures.count(&reasons);
        log(&reasons);
        self.tell_full(&next);
        self.show(Some(next));
        Ok(())
    }

    /// Tells when the last slot is taken: then servers can be replaced only where others leave.
    fn tell_full(&mut self, document: &Document) {
        let slots = self.config.list_size.get();
        let servers = document.servers().filter(|(_, server)| server.state == State::Active).count();
        let full = servers >= slots;
        if full && !self.trouble.full {
            let wanted = servers + spare_slots(servers);
            tracing::warn!(
                servers,
                slots,
                wanted,
                "no spare slots: a server can be replaced only after it has drained; increase \
                 haproxy-backend-servers-list-size"
            );
        }
        self.trouble.full = full;
    }
}

/// One line for each change, or sums where there are many of a kind.
fn log(reasons: &[Reason]) {
    let mut sums: Vec<(What, Vec<&Reason>)> = Vec::new();
    for reason in reasons {
        match sums.iter_mut().find(|(what, _)| *what == reason.what) {
            Some((_, of)) => of.push(reason),
            None => sums.push((reason.what, vec![reason])),
        }
    }
    for (what, of) in sums {
        let many = of.len() > LINES;
        for reason in &of {
            let (slot, instance, why) = (reason.slot, reason.instance.as_str(), reason.why.as_str());
            match what {
                _ if many => tracing::debug!(slot, server = instance, why, "{what}"),
                What::Held | What::Unplaced => tracing::warn!(slot, server = instance, why, "{what}"),
                _ => tracing::info!(slot, server = instance, why, "{what}"),
            }
        }
        if let (true, Some(first)) = (many, of.first()) {
            let (servers, slot, instance, why) = (of.len(), first.slot, first.instance.as_str(), first.why.as_str());
            match what {
                What::Held | What::Unplaced => {
                    tracing::warn!(servers, first = instance, slot, why, "{what}");
                }
                _ => tracing::info!(servers, first = instance, slot, why, "{what}"),
            }
        }
    }
}
