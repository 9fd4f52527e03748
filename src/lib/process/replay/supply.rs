//! Where the snapshots of a replay come from.

use super::note::NoteError;
use crate::snapshot::Epoch;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Snapshots in the source directory, with the bytes of their files.
pub(super) type Inside = BTreeMap<Epoch, u64>;

/// The result of asking for the next snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// This snapshot was moved into the source directory; its size in bytes.
    Entered(Epoch, u64),
    /// Not ready yet; [`Supply::ready`] waits for it.
    Later,
    /// It is ready, but there is no room for it.
    Full,
    /// There are no more snapshots.
    Exhausted,
}

/// How a replay has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    /// Lines about snapshots that were not sent.
    pub(super) lines: Vec<String>,
    /// What was replayed.
    pub(super) replayed: String,
    /// Whether that was everything.
    pub(super) complete: bool,
}

/// See the module.
pub(super) trait Supply {
    /// Prepares the next snapshot, and moves it into the source directory once `has_room` is true for its size.
    fn next(&mut self, now: Instant, has_room: &dyn Fn(u64) -> bool) -> Offer;

    /// Waits until [`Supply::next`] may have a snapshot. Cancelling it loses nothing.
    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>>;

    /// Writes the progress to the file of `--resume`. Snapshots in `inside` are not done.
    fn save(&mut self, inside: &Inside) -> Result<(), NoteError>;

    /// The time of the first snapshot that is not done.
    fn first_open(&self, inside: &Inside) -> Epoch;

    /// The progress after this time, in words.
    fn progress(&self, inside: &Inside, since: Duration) -> String;

    /// The result; `failed` are the snapshots in quarantine.
    fn end(&self, inside: &Inside, failed: &[Epoch]) -> Summary;
}
