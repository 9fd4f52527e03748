//! Source to store: asks the source, plans, and writes the next document, for as long as it has the lease.

pub(crate) mod figures;
mod lease;
mod listing;
mod state;
mod writing;

use super::clock::utc_millis;
use super::context::Context;
use super::document::State;
use super::notices::{self, Notices};
use super::plan::plan;
use super::source::{self, SourceError};
use super::store::{Lease, StoreError};
use crate::backoff::jitter;
use crate::cli::Run;
use crate::daemon::host;
use crate::logging::Chain;
use figures::Figures;
use state::{Server, Trouble};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Why the server ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The source cannot be set up, or (with --once) has no listing.
    #[error("cannot set up the source")]
    Source(#[from] SourceError),
    /// With --once: the store cannot be used.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// With --once: another server is at work.
    #[error("another server, {0}, has the lease")]
    Elsewhere(String),
    /// The output of --dry-run cannot be written.
    #[error("cannot print the plan")]
    Print(#[source] std::io::Error),
}

/// Keeps the list until the program has to end.
///
/// # Errors
/// The source cannot be set up; with one round alone, whatever kept it from its end.
pub(crate) async fn run(context: Context) -> Result<(), ServerError> {
    let Context { config, store, run, stop, reports, roll, planned } = context;
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
        duty: roll.duty("server", Duration::ZERO),
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
        tracing::info!(server = %self.name, "haproxystats-discovery --server is running");
        let mut stop = self.stop.clone();
        while !stop.stopped() {
            tokio::select! {
                () = stop.wait() => break,
                () = self.round() => {}
            }
            let pause = jitter(self.config.interval, fastrand::f64());
            self.duty.report(pause);
            if !stop.sleep(pause).await {
                break;
            }
        }
        if self.leased.is_some() && !stop.keeps() {
            self.turn_to_store();
            let limit = self.config.store.timeout;
            let released = tokio::time::timeout(limit, self.store.release(&self.name)).await;
            if let Ok(Err(error)) = released {
                tracing::debug!(error = %Chain(&error), "cannot release the lease; it will expire");
            }
        }
    }

    /// One round: lease, listing, plan, write.
    async fn round(&mut self) {
        self.duty.spring().await;
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

    /// Reads the list for the figures alone.
    async fn look(&mut self) {
        self.turn_to_store();
        match self.store.load().await {
            Ok(stored) => self.show(stored.document),
            Err(error) => self.store_fails(&error),
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
