//! Store to HAProxy: what the list says, set over the Runtime API, without a reload.
//!
//! ```text
//! store ─► follow ─► list ─┬─► link (one for each socket): observe ─► slots, reconcile ─► apply ─► observe ─► …
//! disk (last list, records)┘                                              └─► server-state-file
//! ```
//!
//! Every link goes its own pace: a HAProxy that hangs delays no other. The store may be away; the last list stays in
//! force, also over a restart of this program.

pub mod disk;
pub mod figures;
pub mod follow;
pub mod link;
#[cfg(test)]
mod model;
mod reconcile;
mod record;
mod slots;

use super::context::Context;
use super::report::Side;
use crate::cli::Run;
use crate::logging::Chain;
use disk::Disk;
use figures::{Event, Shown};
use follow::{List, Listed};
use link::{Link, RoundError};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How often a process is looked for that replaces the one of the last round: until its slots are set, a HAProxy that
/// was reloaded has no servers.
const PROBE: Duration = Duration::from_millis(100);

/// Shortest time between two rounds for the steps of a ramp.
const SHORTEST: Duration = Duration::from_millis(50);

/// Why the client ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// One round was asked for, and there is no list.
    #[error("the store has no list; a server writes it (--server --client --dry-run shows what both would do)")]
    NoList,
    /// One round was asked for, and the store cannot be read.
    #[error("the list cannot be read")]
    Store(#[from] super::store::StoreError),
    /// One round was asked for, and it failed for this HAProxy.
    #[error("HAProxy at {socket} does not match the list")]
    Round {
        /// The socket.
        socket: String,
        /// What is wrong.
        source: RoundError,
    },
    /// One round was asked for, and some changes did not take effect.
    #[error("{failures} changes of HAProxy at {socket} did not take effect")]
    Failures {
        /// The socket.
        socket: String,
        /// How many.
        failures: usize,
    },
    /// What a round would do cannot be printed.
    #[error("cannot print")]
    Print(#[source] std::io::Error),
}

/// Keeps HAProxy as the document says, until the program has to end.
///
/// # Errors
/// What no further attempt can mend; for a single round, everything.
pub(crate) async fn run(context: Context) -> Result<(), ClientError> {
    let shown = Shown::default();
    let disk = Disk::new(&context.config.state_dir);
    let client = &context.config.client;
    let links = client.sockets.iter().map(|socket| {
        let duty = context.roll.duty(format!("HAProxy at {socket}"), client.socket_timeout);
        Link::new(client, socket.clone(), disk.clone(), shown.clone(), duty)
    });
    let links: Vec<Link> = links.collect();
    if context.run != Run::Loop {
        return single(&context, links).await;
    }
    let told = shown.clone();
    context.reports.register(move || told.samples());
    let (sender, list) = watch::channel(None);
    // In the program's own set of tasks: connections of the store live there as long as they like.
    let mut tasks = JoinSet::new();
    for link in links {
        tasks.spawn_local(keep(link, list.clone(), context.clone(), shown.clone()));
    }
    tasks.spawn_local(follow::follow(context, disk, sender, shown));
    // Each of them ends when the program has to; one that panics takes the program with it.
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
    Ok(())
}

/// One round, or what it would do.
async fn single(context: &Context, links: Vec<Link>) -> Result<(), ClientError> {
    // What the server beside it would write, or else what is there.
    let planned = context.planned.take().map(|planned| Rc::new(Listed::new(planned, Duration::ZERO)));
    let list = match planned {
        Some(planned) => planned,
        None => follow::once(context).await?.ok_or(ClientError::NoList)?,
    };
    let mut result = Ok(());
    for mut link in links {
        let socket = link.socket().to_string();
        let failed = |source| ClientError::Round { socket: socket.clone(), source };
        if context.run == Run::Dry {
            match link.preview(&list).await {
                Ok(lines) => {
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{}", lines.join("\n")).map_err(ClientError::Print)?;
                }
                Err(error) => result = Err(failed(error)),
            }
            continue;
        }
        match link.round(&list).await {
            Ok(round) if round.failures > 0 => {
                result = Err(ClientError::Failures { socket: socket.clone(), failures: round.failures });
            }
            Ok(round) => {
                tracing::info!(socket, changes = round.changes, commands = round.commands, "HAProxy matches the list");
            }
            Err(error) => result = Err(failed(error)),
        }
    }
    result
}

/// Keeps one HAProxy as the list says.
async fn keep(mut link: Link, mut list: watch::Receiver<List>, context: Context, shown: Shown) {
    let (interval, mut stop) = (context.config.interval, context.stop);
    let mut reachable = None;
    loop {
        link.duty().spring().await;
        let now = list.borrow_and_update().clone();
        if let Some(now) = now {
            let result = tokio::select! {
                // What was sent is read back at the next start: it is noted as ours before.
                () = stop.wait() => return,
                result = link.round(&now) => result,
            };
            let socket = link.socket();
            match result {
                Ok(_) => {
                    shown.count(socket, Event::Round, 1);
                    context.reports.set_weights(Side::Client, shown.weights());
                    if reachable.replace(true) != Some(true) {
                        tracing::info!(%socket, "HAProxy answers");
                    }
                }
                Err(error) => {
                    shown.count(socket, Event::RoundFailure, 1);
                    if reachable.replace(false) != Some(false) {
                        tracing::warn!(%socket, error = %Chain(&error), "cannot bring HAProxy in line with the list; \
                                                                         it is left unchanged");
                    }
                }
            }
        }
        // A step of a ramp that comes before the next round does not wait for it.
        let step = list.borrow().as_ref().and_then(|list| list.next_step()).unwrap_or(interval);
        let next = Instant::now() + step.max(SHORTEST).min(interval);
        while Instant::now() < next {
            link.duty().report(PROBE);
            tokio::select! {
                () = stop.wait() => return,
                changed = list.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                () = sleep_until(next.min(Instant::now() + PROBE)) => {}
            }
            // One that is away is looked for as often as one that may be replaced.
            match (link.is_replaced().await, reachable) {
                (Ok(replaced), Some(up)) if replaced || !up => break,
                (Err(_), Some(true)) => break,
                _ => {}
            }
        }
    }
}
