//! Unpacks snapshots on a separate thread, so that the daemon does not wait for it.

use crate::archive::{ArchiveError, Stored};
use crate::snapshot::origin::Origin;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The size of an unpacked snapshot, or why it could not be unpacked.
pub(super) type Unpacked = Result<u64, ArchiveError>;

/// See the module.
#[derive(Debug)]
pub(super) struct Feeder {
    requests: Sender<Stored>,
    results: UnboundedReceiver<Unpacked>,
    staging: PathBuf,
}

impl Feeder {
    /// Starts the thread, which unpacks into the existing directory `staging`. Snapshots without an origin get `origin`.
    pub(super) fn start(staging: &Path, origin: Origin) -> io::Result<Self> {
        let (requests, wanted) = channel::<Stored>();
        let (sender, results) = unbounded_channel();
        let into = staging.to_owned();
        std::thread::Builder::new().name("replay".to_owned()).spawn(move || {
            // Ends when the feeder is dropped.
            for stored in wanted {
                let unpacked = stored.unpack(&into.join(stored.epoch.to_string()), &origin);
                if sender.send(unpacked).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests, results, staging: staging.to_owned() })
    }

    /// Requests a snapshot; [`Feeder::result`] returns the result.
    pub(super) fn ask(&self, stored: &Stored) {
        // If the thread is gone, there are no more results.
        let _ = self.requests.send(stored.clone());
    }

    /// Path of an unpacked snapshot.
    pub(super) fn path(&self, stored: &Stored) -> PathBuf {
        self.staging.join(stored.epoch.to_string())
    }

    /// The result, if there is one already.
    pub(super) fn result_now(&mut self) -> Option<Unpacked> {
        self.results.try_recv().ok()
    }

    /// Waits for the result. Cancelling it loses nothing.
    pub(super) async fn result(&mut self) -> Option<Unpacked> {
        self.results.recv().await
    }
}
