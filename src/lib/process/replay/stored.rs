//! Snapshots of an archive or a directory, in order, each unpacked while the one before it is processed.

use super::feeder::{Feeder, Unpacked};
use super::note::{Note, NoteError};
use super::settings::src_dir;
use super::supply::{Inside, Offer, Summary, Supply};
use super::tell;
use crate::archive::{Scratch, Stored};
use crate::logging::Chain;
use crate::snapshot::moment::{Rfc3339, Span};
use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, disk};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// Keyword before the first snapshot that is not done, in the file of `--resume`.
const NEXT: &str = "next ";

/// Pause before a snapshot that did not fit on the disk is retried.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Snapshots {
    src_dir: PathBuf,
    feeder: Feeder,
    note: Note,
    /// In order. Those from `next` on are not in the source directory yet.
    snapshots: Vec<Stored>,
    next: usize,
    /// The stage of the snapshot at `next`.
    stage: Stage,
    /// A result of the feeder that was received while waiting.
    result: Option<Unpacked>,
    bad: Vec<Epoch>,
    /// Whether a failure to unpack was reported.
    complained: bool,
}

/// How far the next snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Packed { not_before: Instant },
    Unpacking,
    Unpacked { bytes: u64 },
}

/// The first snapshot that is not done, if an earlier replay has made progress.
pub(super) fn begun(note: &Note) -> Result<Option<Epoch>, NoteError> {
    let Some(text) = note.found() else { return Ok(None) };
    let next = text.lines().find_map(|line| line.strip_prefix(NEXT)).and_then(Epoch::from_name);
    // An earlier version wrote 0 at the start.
    next.map(|next| Some(next).filter(|next| next.0 > 0)).ok_or_else(|| note.foreign())
}

/// The rest of a span.
pub(super) fn rest(span: Span, begun: Option<Epoch>) -> Span {
    Span { from: span.from.max(begun), ..span }
}

impl Snapshots {
    pub(super) fn new(scratch: &Scratch, snapshots: Vec<Stored>, origin: Origin, note: Note) -> io::Result<Self> {
        let staging = scratch.path().join("staging");
        disk::make(&staging)?;
        Ok(Self {
            src_dir: src_dir(scratch),
            feeder: Feeder::start(&staging, origin)?,
            note,
            snapshots,
            next: 0,
            stage: Stage::Packed { not_before: Instant::now() },
            result: None,
            bad: Vec::new(),
            complained: false,
        })
    }

    fn done(&self, inside: &Inside) -> usize {
        self.next - inside.len()
    }

    /// Handles a result of the feeder. A bad archive is skipped.
    fn unpacked(&mut self, unpacked: Unpacked, now: Instant) {
        self.stage = match unpacked {
            Ok(bytes) => Stage::Unpacked { bytes },
            Err(error) if error.is_of_the_system() => {
                if !std::mem::replace(&mut self.complained, true) {
                    tell(&format!("{}; retrying", Chain(&error)));
                }
                Stage::Packed { not_before: now + RETRY }
            }
            Err(error) => {
                tell(&format!("skipped: {}", Chain(&error)));
                self.bad.extend(self.snapshots.get(self.next).map(|stored| stored.epoch));
                self.next += 1;
                Stage::Packed { not_before: now }
            }
        };
    }

    /// Moves the unpacked snapshot into the source directory.
    fn enter(&mut self, bytes: u64, now: Instant) -> Offer {
        let Some(stored) = self.snapshots.get(self.next) else { return Offer::Exhausted };
        let (from, to) = (self.feeder.path(stored), self.src_dir.join(stored.epoch.to_string()));
        if let Err(error) = disk::rename_new(&from, &to) {
            tell(&format!("cannot move {} to {}: {error}", from.display(), to.display()));
            let _ = disk::remove_directory(&from);
            self.stage = Stage::Packed { not_before: now + RETRY };
            return Offer::Later;
        }
        let epoch = stored.epoch;
        self.next += 1;
        self.stage = Stage::Packed { not_before: now };
        Offer::Entered(epoch, bytes)
    }
}

impl Supply for Snapshots {
    fn next(&mut self, now: Instant, has_room: &dyn Fn(u64) -> bool) -> Offer {
        if self.stage == Stage::Unpacking
            && let Some(unpacked) = self.result.take().or_else(|| self.feeder.result_now())
        {
            self.unpacked(unpacked, now);
        }
        match (self.stage, self.snapshots.get(self.next)) {
            (_, None) => return Offer::Exhausted,
            (Stage::Packed { not_before }, Some(stored)) if not_before <= now => {
                self.feeder.ask(stored);
                self.stage = Stage::Unpacking;
            }
            (Stage::Unpacked { bytes }, Some(_)) if has_room(bytes) => return self.enter(bytes, now),
            (Stage::Unpacked { .. }, Some(_)) => return Offer::Full,
            (Stage::Packed { .. } | Stage::Unpacking, Some(_)) => {}
        }
        Offer::Later
    }

    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            match self.feeder.result().await {
                Some(unpacked) => self.result = Some(unpacked),
                // The thread has ended, which only a panic could cause.
                None => std::future::pending().await,
            }
        })
    }

    fn save(&mut self, inside: &Inside) -> Result<(), NoteError> {
        let next = self.first_open(inside);
        self.note.save(&format!("{NEXT}{next}\n"))
    }

    fn first_open(&self, inside: &Inside) -> Epoch {
        let next = self.snapshots.get(self.next).map(|stored| stored.epoch);
        let last = self.snapshots.last().map_or(0, |stored| stored.epoch.0);
        inside.keys().next().copied().or(next).unwrap_or(Epoch(last + 1))
    }

    fn progress(&self, inside: &Inside, since: Duration) -> String {
        let (done, all) = (self.done(inside), self.snapshots.len());
        let mut line = format!("{done} of {all} snapshots, up to {}", Rfc3339(self.first_open(inside)));
        if !self.bad.is_empty() {
            line.push_str(&format!(", {} skipped", self.bad.len()));
        }
        if let (Ok(done @ 1..), Ok(left)) = (u32::try_from(done), u32::try_from(all - done)) {
            line.push_str(&format!("; about {} s left", (since / done * left).as_secs()));
        }
        line
    }

    fn end(&self, inside: &Inside, failed: &[Epoch]) -> Summary {
        let (done, all) = (self.done(inside), self.snapshots.len());
        let first = self.bad.first();
        let bad = first.map(|first| {
            format!("{} snapshots could not be read, the first of them {first} ({})", self.bad.len(), Rfc3339(*first))
        });
        let sent = done.saturating_sub(self.bad.len() + failed.len());
        let replayed = format!("{sent} of {all} snapshots");
        Summary { lines: bad.into_iter().collect(), replayed, complete: sent == all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_what_was_not_done() {
        let dir = tempfile::tempdir().unwrap();
        let file = Some(dir.path().join("resume"));
        let open = || Note::open(file.clone(), "/here".to_owned(), "a:1".to_owned()).unwrap();
        assert_eq!(begun(&open()).unwrap(), None);
        open().save(&format!("{NEXT}20\n")).unwrap();
        let begun_at = begun(&open()).unwrap();
        assert_eq!(begun_at, Some(Epoch(20)));
        let span = |from: Option<u64>, to: Option<u64>| Span { from: from.map(Epoch), to: to.map(Epoch) };
        assert_eq!(rest(span(None, Some(30)), begun_at), span(Some(20), Some(30)));
        assert_eq!(rest(span(Some(25), None), begun_at), span(Some(25), None));
        open().save("partition 0 5\n").unwrap();
        assert!(matches!(begun(&open()), Err(NoteError::Foreign { .. })));
    }
}
