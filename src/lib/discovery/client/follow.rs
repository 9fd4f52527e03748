//! From the store to the links: the last list that was read, whatever becomes of the store.

use super::disk::Disk;
use super::figures::Shown;
use crate::discovery::Context;
use crate::discovery::document::Document;
use crate::discovery::store::Revision;
use crate::logging::Chain;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The list that is in force; `None` until there is one.
pub type List = Option<Rc<Document>>;

/// Time beyond that of the store itself after which a request is given up.
const GRACE: Duration = Duration::from_secs(2);

/// Reads the list once.
///
/// # Errors
/// The store cannot be read.
pub async fn once(context: &Context) -> Result<List, crate::discovery::store::StoreError> {
    Ok(context.store.load().await?.document.map(Rc::new))
}

/// Keeps `list` as the store has it, until the program has to end. While the store is away, or has no list any more, the
/// last one stays in force; at the start it is that of the disk.
pub async fn follow(mut context: Context, disk: Disk, list: watch::Sender<List>, shown: Shown) {
    let pause = context.config.interval;
    let limit = context.config.store.timeout + GRACE;
    let mut state = State { disk, list, shown, reachable: None, revision: None };
    loop {
        let loaded = timeout(limit, context.store.load()).await;
        match loaded {
            Ok(Ok(stored)) => state.take(stored.document, stored.revision),
            Ok(Err(error)) => state.lost(&Chain(&error).to_string()),
            Err(_) => state.lost("no answer in time"),
        }
        let reachable = state.reachable == Some(true);
        let wait = async {
            match &state.revision {
                Some(revision) if reachable => {
                    // Blocking queries last longer than a round; a list that did not change is read again after it.
                    let watched = timeout(limit + pause, context.store.watch(revision, pause)).await;
                    if !matches!(watched, Ok(Ok(()))) {
                        tokio::time::sleep(pause).await;
                    }
                }
                _ => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            () = context.stop.wait() => return,
            () = wait => {}
        }
    }
}

struct State {
    disk: Disk,
    list: watch::Sender<List>,
    shown: Shown,
    /// `None` before the first attempt.
    reachable: Option<bool>,
    revision: Option<Revision>,
}

impl State {
    fn take(&mut self, document: Option<Document>, revision: Revision) {
        self.shown.store(true);
        if self.reachable.replace(true) == Some(false) {
            tracing::info!("the store answers again");
        }
        if self.revision.as_ref() == Some(&revision) {
            return;
        }
        self.revision = Some(revision);
        let Some(document) = document else {
            if self.list.borrow().is_some() {
                tracing::error!("the store has no list any more; the last one stays in force");
            } else {
                tracing::warn!("the store has no list yet; HAProxy stays as it is");
            }
            return;
        };
        tracing::debug!(version = document.version, "new list");
        if let Err(error) = self.disk.keep_list(&document) {
            tracing::warn!(error = %Chain(&error), "the list cannot be kept for a time without the store");
        }
        self.shown.list(&document);
        self.list.send_replace(Some(Rc::new(document)));
    }

    fn lost(&mut self, error: &str) {
        self.shown.store(false);
        if self.reachable.replace(false) == Some(false) {
            return;
        }
        if self.list.borrow().is_none() {
            match self.disk.list() {
                Ok(Some(document)) => {
                    let (version, written) = (document.version, document.written);
                    tracing::warn!(
                        error,
                        version,
                        written,
                        "the store cannot be read; the list of the disk is in force"
                    );
                    self.shown.list(&document);
                    self.list.send_replace(Some(Rc::new(document)));
                }
                Ok(None) => tracing::error!(error, "the store cannot be read, and there is no list on the disk"),
                Err(disk) => {
                    let disk = Chain(&disk);
                    tracing::error!(error, disk = %disk, "the store cannot be read, nor the list on the disk");
                }
            }
        } else {
            tracing::warn!(error, "the store cannot be read; the last list stays in force");
        }
    }
}
