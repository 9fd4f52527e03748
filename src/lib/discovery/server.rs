//! Source to store: asks the source, plans, and writes the next document, for as long as it has the lease.

pub(crate) mod figures;

use super::document::{Document, Reason, State, What};
use super::files::spare_slots;
use super::notices::{self, Notices};
use super::plan::plan;
use super::report::{Reports, ServerWeight, Side};
use super::source::{self, Instance, Listing, Source, SourceError, good};
use super::store::{Lease, Revision, Store, StoreError, Stored};
use super::{Context, Stop, utc_millis};
use crate::backoff::{Backoff, jitter};
use crate::cli::Run;
use crate::config;
use crate::daemon::host;
use crate::logging::Chain;
use figures::{Figures, add};
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a round plans anew because somebody else wrote in between.
const ATTEMPTS: usize = 5;

/// Most reasons that a document carries; the log has all of them.
const REASONS: usize = 50;

/// Most changes of a kind that have a line each in the log.
const LINES: usize = 20;

/// Why the server ends.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The source cannot be set up, or (with --once) has no listing.
    #[error("the source cannot be used")]
    Source(#[from] SourceError),
    /// With --once: the store cannot be used.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// With --once: another server is at work.
    #[error("{0} has the lease")]
    Elsewhere(String),
    /// Nobody reads what --dry-run prints.
    #[error("the plan cannot be printed")]
    Print(#[source] std::io::Error),
}

/// What is told once, when it begins and when it is over.
#[derive(Default)]
struct Trouble {
    source: bool,
    /// No slot is left.
    full: bool,
    store: bool,
    disk: bool,
}

struct Server {
    config: Rc<config::Discovery>,
    store: Rc<dyn Store>,
    source: Box<dyn Source>,
    name: String,
    figures: Rc<Figures>,
    reports: Rc<Reports>,
    trouble: Trouble,
    notices: Notices,
    /// Until when the lease is surely ours.
    leased: Option<Instant>,
    /// When it has to be renewed.
    renew: Instant,
    owner: Option<String>,
    failures: u32,
    /// When the source may be asked again.
    ask_again: Instant,
    /// What is on disk.
    kept: Option<Vec<Instance>>,
    /// The version that was seen last, and when it was first seen: the clock of another server may differ from ours.
    seen: Option<(u64, Instant)>,
    stop: Stop,
    /// Where --dry-run leaves its plan.
    planned: Rc<RefCell<Option<Document>>>,
}

/// Keeps the list until the program has to end.
///
/// # Errors
/// The source cannot be set up; with one round alone, whatever kept it from its end.
pub async fn run(context: Context) -> Result<(), ServerError> {
    let Context { config, store, run, stop, reports, planned } = context;
    let Some(source) = source::open(&config).await? else { return Ok(()) };
    let name = config.server.name.clone().unwrap_or_else(|| {
        let host = host::name();
        format!("{host}/{}", std::process::id())
    });
    let figures = Rc::new(Figures::default());
    let (told, skipped) = (Rc::clone(&figures), Rc::downgrade(&reports));
    reports.register(move || told.samples(skipped.upgrade().map_or(0, |reports| reports.skipped())));
    let now = Instant::now();
    let mut server = Server {
        config,
        store,
        source,
        name,
        figures,
        reports,
        trouble: Trouble::default(),
        notices: Notices::default(),
        leased: None,
        renew: now,
        owner: None,
        failures: 0,
        ask_again: now,
        kept: None,
        seen: None,
        stop,
        planned,
    };
    match run {
        Run::Dry => server.print().await,
        Run::Once => server.once().await,
        Run::Loop => {
            server.serve().await;
            Ok(())
        }
    }
}

impl Server {
    async fn serve(&mut self) {
        tracing::info!(server = %self.name, "the server of haproxystats-discovery is running");
        let mut stop = self.stop.clone();
        while !stop.stopped() {
            tokio::select! {
                () = stop.wait() => break,
                () = self.round() => {}
            }
            if !stop.sleep(jitter(self.config.interval, fastrand::f64())).await {
                break;
            }
        }
        if self.leased.is_some() {
            let limit = self.config.store.timeout;
            let released = tokio::time::timeout(limit, self.store.release(&self.name)).await;
            if let Ok(Err(error)) = released {
                tracing::debug!(error = %Chain(&error), "the lease ends by itself");
            }
        }
    }

    /// One round: lease, listing, plan, write.
    async fn round(&mut self) {
        if !self.elect().await {
            self.look().await;
            return;
        }
        let listing = self.ask(true).await;
        if !self.elect().await {
            return;
        }
        match self.advance(listing.as_ref()).await {
            Ok(()) => self.store_answers(),
            Err(error) => self.store_fails(&error),
        }
    }

    /// Whether the lease is ours.
    async fn elect(&mut self) -> bool {
        let now = Instant::now();
        if self.leased.is_some_and(|until| now < until) && now < self.renew {
            return true;
        }
        let time = self.config.server.lease_time;
        // It counts from before the question: the store may have given it then.
        match self.store.lease(&self.name, time).await {
            Ok(Lease::Ours) => {
                if self.leased.is_none() {
                    tracing::info!(server = %self.name, "this server holds the lease: it maintains the list");
                }
                self.leased = Some(now + time);
                self.renew = now + time / 3;
                self.owner = None;
                self.figures.leader.set(true);
                self.store_answers();
                return true;
            }
            Ok(Lease::Theirs(owner)) => {
                if self.owner.as_ref() != Some(&owner) {
                    tracing::info!(holder = %owner, "another server holds the lease: this one is on standby");
                    self.owner = Some(owner);
                }
                self.leased = None;
                self.store_answers();
            }
            Err(error) => {
                self.store_fails(&error);
                if self.leased.is_some_and(|until| Instant::now() < until) {
                    return true;
                }
                if self.leased.take().is_some() {
                    tracing::warn!("the lease could not be renewed in time: this server is on standby");
                }
            }
        }
        self.figures.leader.set(false);
        false
    }

    /// Reads the list for the figures alone.
    async fn look(&mut self) {
        match self.store.load().await {
            Ok(stored) => self.show(stored.document),
            Err(error) => self.store_fails(&error),
        }
    }

    /// Asks the source; `None` while it does not answer, or is given a pause.
    async fn ask(&mut self, may_wait: bool) -> Option<Listing> {
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
                    tracing::error!(error = %text, "the source has no listing: the list stays as it is");
                }
                None
            }
        }
    }

    /// Tells and counts what a listing lacks.
    fn look_into(&mut self, listing: &Listing) {
        if !listing.failed.is_empty() {
            add(&self.figures.source_failures);
        }
        self.figures.instances.set(listing.instances.len() + listing.unusable.len());
        self.figures.unusable.set(listing.unusable.len());
        self.notices.listing(listing);
    }

    /// Keeps a listing on disk where it differs from the one before, and says something about every group.
    fn keep(&mut self, listing: &Listing) {
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
                    tracing::warn!(directory = %directory.display(), %error, "the listing cannot be saved to disk");
                }
            }
        }
    }

    /// Plans and writes, again where somebody else wrote in between.
    async fn advance(&mut self, listing: Option<&Listing>) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
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

    async fn write(&mut self, mut next: Document, revision: &Revision) -> Result<(), StoreError> {
        next.version += 1;
        next.set_written(utc_millis());
        next.by.clone_from(&self.name);
        let reasons = next.reasons.clone();
        // Values of a store have a largest size.
        next.reasons.truncate(REASONS);
        self.store.compare_and_set(&next, revision).await?;
        add(&self.figures.writes);
        self.figures.count(&reasons);
        log(&reasons);
        self.tell_full(&next);
        self.show(Some(next));
        Ok(())
    }

    fn show(&mut self, document: Option<Document>) {
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
    fn seen_for(&mut self, version: u64) -> Option<Duration> {
        match self.seen {
            Some((seen, at)) if seen == version => Some(at.elapsed()),
            _ => {
                self.seen = Some((version, Instant::now()));
                None
            }
        }
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
                "no slot is spare: a server is replaced only when its predecessor has left; make \
                 haproxy-backend-servers-list-size larger"
            );
        }
        self.trouble.full = full;
    }

    fn store_answers(&mut self) {
        if std::mem::take(&mut self.trouble.store) {
            tracing::info!("the store answers again");
        }
    }

    fn store_fails(&mut self, error: &StoreError) {
        add(&self.figures.store_failures);
        let text = Chain(error);
        if std::mem::replace(&mut self.trouble.store, true) {
            tracing::debug!(error = %text, "the store still fails");
        } else {
            tracing::error!(error = %text, "the store cannot be used: the list stays as it is");
        }
    }

    /// One round, whose failure ends the program.
    async fn once(&mut self) -> Result<(), ServerError> {
        let listing = self.list_now().await?;
        let now = Instant::now();
        match self.store.lease(&self.name, self.config.server.lease_time).await? {
            Lease::Ours => self.leased = Some(now + self.config.server.lease_time),
            Lease::Theirs(owner) => return Err(ServerError::Elsewhere(owner)),
        }
        self.look_into(&listing);
        self.keep(&listing);
        let advanced = self.advance(Some(&listing)).await;
        // The lease is given back in any case; of two failures the first is the reason.
        let released = self.store.release(&self.name).await;
        Ok(advanced.and(released)?)
    }

    async fn list_now(&mut self) -> Result<Listing, SourceError> {
        let limit = self.config.server.source_timeout;
        tokio::time::timeout(limit, self.source.list(None)).await.unwrap_or(Err(SourceError::Timeout(limit)))
    }

    /// Prints the plan, and changes nothing.
    async fn print(&mut self) -> Result<(), ServerError> {
        let listing = self.list_now().await?;
        let present = self.store.load().await?.document;
        let mut next = plan(present.as_ref(), Some(&listing), utc_millis(), &self.config.server.plan);
        next.set_written(utc_millis());
        let mut text = String::new();
        for reason in &next.reasons {
            text.push_str(&format!("{reason}\n"));
        }
        if next.reasons.is_empty() {
            text.push_str("nothing changes\n");
        }
        for line in notices::lacks(&listing).into_iter().chain(notices::misfit(&next)) {
            text.push_str(&format!("warning: {line}\n"));
        }
        for (id, server) in next.servers() {
            let address = server.address().map_or_else(String::new, |address| address.to_string());
            let port = server.port.map_or_else(String::new, |port| format!(" port {port}"));
            let state = if server.state == State::Active { "active" } else { "draining" };
            let group = if server.group.is_empty() { "-" } else { &server.group };
            text.push_str(&format!(
                "  {id} {} {address}{port} group {group} weight {} {state}\n",
                server.instance, server.weight
            ));
        }
        self.planned.replace(Some(next));
        std::io::stdout().write_all(text.as_bytes()).map_err(ServerError::Print)
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
