//! A server at work: what it has, and what it tells about the list and the store.

use super::figures::{Figures, add};
use crate::config;
use crate::daemon::duty::Duty;
use crate::discovery::clock::utc_millis;
use crate::discovery::document::{Document, State};
use crate::discovery::notices::Notices;
use crate::discovery::report::{Reports, ServerWeight, Side};
use crate::discovery::source::{Instance, Source};
use crate::discovery::stop::Stop;
use crate::discovery::store::{Store, StoreError, longest};
use crate::logging::Chain;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// What is logged once when it begins, and once when it is over.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) source: bool,
    /// No slot is left.
    pub(super) full: bool,
    pub(super) store: bool,
    pub(super) disk: bool,
}

pub(super) struct Server {
    pub(super) config: Rc<config::Discovery>,
    pub(super) store: Rc<dyn Store>,
    pub(super) source: Box<dyn Source>,
    pub(super) name: String,
    pub(super) figures: Rc<Figures>,
    pub(super) reports: Rc<Reports>,
    pub(super) trouble: Trouble,
    pub(super) notices: Notices,
    /// Until when the lease is surely ours.
    pub(super) leased: Option<Instant>,
    /// When it has to be renewed.
    pub(super) renew: Instant,
    pub(super) owner: Option<String>,
    pub(super) failures: u32,
    /// When the source may be asked again.
    pub(super) ask_again: Instant,
    /// What is on disk.
    pub(super) kept: Option<Vec<Instance>>,
    /// The version that was seen last, and when it was first seen: the clock of another server may differ from ours.
    pub(super) seen: Option<(u64, Instant)>,
    pub(super) stop: Stop,
    /// Reported to before each wait.
    pub(super) duty: Duty,
    /// Where --dry-run leaves its plan.
    pub(super) planned: Rc<RefCell<Option<Document>>>,
}

impl Server {
    /// The store is used next.
    pub(super) fn turn_to_store(&self) {
        self.duty.report(longest(self.config.store.timeout));
    }

    pub(super) fn show(&mut self, document: Option<Document>) {
        let now = utc_millis();
        if let Some(document) = &document {
            self.seen_for(document.version);
            self.notices.weights(document);
        }
        let weights = document.iter().flat_map(|document| {
            let active = document.servers().filter(|(_, server)| server.state == State::Active);
            active.map(|(id, server)| ServerWeight {
                id,
                name: server.name.clone(),
                ip: server.address().map_or_else(String::new, |address| address.to_string()),
                asg: server.group.clone(),
                weight: document.weight_at(server, now),
            })
        });
        self.reports.set_weights(Side::Server, weights.collect());
        self.figures.document.replace(document);
    }

    /// For how long a version of the list has been known; `None` when it is seen for the first time: how old it is then, only
    /// its clock can say.
    pub(super) fn seen_for(&mut self, version: u64) -> Option<Duration> {
        match self.seen {
            Some((seen, at)) if seen == version => Some(at.elapsed()),
            _ => {
                self.seen = Some((version, Instant::now()));
                None
            }
        }
    }

    pub(super) fn store_answers(&mut self) {
        if std::mem::take(&mut self.trouble.store) {
            tracing::info!("the store answers again");
        }
    }

    pub(super) fn store_fails(&mut self, error: &StoreError) {
        add(&self.figures.store_failures);
        let text = Chain(error);
        if std::mem::replace(&mut self.trouble.store, true) {
            tracing::debug!(error = %text, "the store still fails");
        } else {
            tracing::error!(error = %text, "the store failed: the list is left unchanged");
        }
    }
}
