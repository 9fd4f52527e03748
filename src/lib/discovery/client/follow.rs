//! From the store to the links: the last list that was read, whatever becomes of the store.

use super::disk::Disk;
use super::figures::Shown;
use crate::discovery::clock::utc_millis;
use crate::discovery::context::Context;
use crate::discovery::document::Document;
use crate::discovery::store::Revision;
use crate::logging::Chain;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// The list that is in force; `None` until there is one.
pub type List = Option<Rc<Listed>>;

/// A list, and the time that has passed since it was written: clocks of other machines may differ from ours, durations
/// do not.
#[derive(Debug)]
pub struct Listed {
    document: Document,
    read: Instant,
    /// How old it was when it was read.
    age: Duration,
}

impl Listed {
    /// A list that is read now, and was `age` old then.
    #[must_use]
    pub fn new(document: Document, age: Duration) -> Self {
        Self { document, read: Instant::now(), age }
    }

    /// The time by the clock of its writer, UTC milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        let written = self.document.written_at();
        if written == 0 {
            // Rows of HSDO do not say when.
            return utc_millis();
        }
        let passed = self.age.saturating_add(self.read.elapsed());
        written.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long until the weight of a server grows.
    #[must_use]
    pub(crate) fn next_step(&self) -> Option<Duration> {
        let now = self.now();
        self.document.next_step(now).map(|step| Duration::from_millis(step - now))
    }
}

impl Deref for Listed {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

/// Time beyond that of the store itself after which a request is given up.
const GRACE: Duration = Duration::from_secs(2);

/// Reads the list once.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn once(context: &Context) -> Result<List, crate::discovery::store::StoreError> {
    let document = context.store.load().await?.document;
    let disk = Disk::new(&context.config.state_dir);
    Ok(document.map(|document| {
        let age = disk.age(&document).unwrap_or_default();
        Rc::new(Listed::new(document, age))
    }))
}

/// Keeps `list` as the store has it, until the program has to end. While the store is away, or has no list any more, the
/// last one stays in force; at the start it is that of the disk.
pub(crate) async fn follow(mut context: Context, disk: Disk, list: watch::Sender<List>, shown: Shown) {
    let pause = context.config.interval;
    let limit = context.config.store.timeout + GRACE;
    let duty = context.roll.duty("list", limit);
    let mut state = State { disk, list, shown, reachable: None, revision: None };
    loop {
        duty.report(limit);
        duty.spring().await;
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
        // What is watched to the end of its time may fail, and is given a pause then.
        duty.report(limit + pause + pause);
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
                tracing::error!("the store no longer has a list; the last one remains in use");
            } else {
                tracing::warn!("the store has no list yet; HAProxy is left unchanged");
            }
            return;
        };
        tracing::debug!(version = document.version, "new list");
        // One that was read before a restart of ours has its time since then behind it.
        let age = self.disk.age(&document);
        if age.is_none()
            && let Err(error) = self.disk.keep_list(&document)
        {
            tracing::warn!(error = %Chain(&error),
                "cannot save the list to disk, for use while the store is unavailable");
        }
        self.shown.list(&document);
        self.list.send_replace(Some(Rc::new(Listed::new(document, age.unwrap_or_default()))));
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
                    tracing::warn!(error, version, written, "cannot read the store; using the list saved on disk");
                    self.shown.list(&document);
                    let age = self.disk.age(&document).unwrap_or_default();
                    self.list.send_replace(Some(Rc::new(Listed::new(document, age))));
                }
                Ok(None) => tracing::error!(
                    error,
                    "cannot read the store, and no list is saved on disk; HAProxy is left unchanged"
                ),
                Err(disk) => {
                    let disk = Chain(&disk);
                    tracing::error!(error, disk = %disk, "cannot read the store, nor the list saved on disk; HAProxy \
                                                          is left unchanged");
                }
            }
        } else {
            tracing::warn!(error, "cannot read the store; the last list remains in use");
        }
    }
}
