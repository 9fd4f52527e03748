//! Unpacks snapshots on a thread of its own: the daemon must not wait for that.

use crate::archive::{ArchiveError, Stored};
use crate::snapshot::origin::Origin;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A snapshot that is unpacked, and its size; or why it is not.
pub(super) type Unpacked = Result<u64, ArchiveError>;

/// See the module.
#[derive(Debug)]
pub(super) struct Feeder {
    requests: Sender<Stored>,
    results: UnboundedReceiver<Unpacked>,
    staging: PathBuf,
}

impl Feeder {
    /// Unpacks into `staging`, which exists. Snapshots that do not say where they come from are of `origin`.
    pub(super) fn start(staging: &Path, origin: Origin) -> io::Result<Self> {
        let (requests, wanted) = channel::<Stored>();
        let (sender, results) = unbounded_channel();
        let into = staging.to_owned();
        std::thread::Builder::new().name("replay".to_owned()).spawn(move || {
            // It ends with the one who asks.
            for stored in wanted {
                let unpacked = stored.unpack(&into.join(stored.epoch.to_string()), &origin);
                if sender.send(unpacked).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests, results, staging: staging.to_owned() })
    }

    /// Asks for a snapshot; [`Feeder::result`] follows.
    pub(super) fn ask(&self, stored: &Stored) {
        // Should the thread be gone, its results end.
        let _ = self.requests.send(stored.clone());
    }

    /// Where an unpacked snapshot is.
    pub(super) fn path(&self, stored: &Stored) -> PathBuf {
        self.staging.join(stored.epoch.to_string())
    }

    /// The result, if it is there.
    pub(super) fn result_now(&mut self) -> Option<Unpacked> {
        self.results.try_recv().ok()
    }

    /// Waits for the result. Cancelling it loses nothing.
    pub(super) async fn result(&mut self) -> Option<Unpacked> {
        self.results.recv().await
    }
}
