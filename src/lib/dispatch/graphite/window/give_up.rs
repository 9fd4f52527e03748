//! What is given up: with a connection that breaks, to another server, or to make room.

use super::Window;
use super::entry::{Entry, Gone};
use crate::batch::Batch;
use crate::snapshot::Epoch;
use std::sync::Arc;

/// What a broken connection costs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Lines that go out a second time.
    pub(crate) resent_lines: u64,
    /// Snapshots that are no longer held, and are to be submitted again.
    pub(crate) epochs: Vec<Epoch>,
}

impl Window {
    /// Every connection is gone, and perhaps the peer: all that is held goes back to the start, what settles as well.
    pub(crate) fn lost(&mut self) -> Lost {
        let confirmed = std::mem::take(&mut self.settling_entries);
        self.settling_lines = 0;
        self.settling.clear();
        self.entries.iter_mut().for_each(|entry| entry.skip = entry.firm);
        // They stand directly before those that are awaited, so they are counted with them.
        self.awaiting += confirmed;
        self.lost_unconfirmed()
    }

    /// The connections that carry something are gone, but not the peer: what is not confirmed goes back to the start.
    pub(crate) fn lost_unconfirmed(&mut self) -> Lost {
        let written = self.entries.iter().skip(self.settling_entries).take(self.awaiting + self.written);
        let partly =
            self.entries.get(self.next_index()).map_or(0, |entry| entry.lines_up_to(self.offset, self.framing));
        let again = written.filter(|entry| !entry.void);
        let resent_lines = again.map(|entry| entry.lines(self.framing)).sum::<u64>() + partly;
        (self.awaiting, self.written, self.position) = (0, 0, 0);
        self.awaiting_part = false;
        let epochs = self.drop_forgotten();
        self.unsent = self.entries.iter().skip(self.settling_entries).map(Entry::len).sum();
        self.start_next();
        Lost { resent_lines, epochs }
    }

    /// Lets go of the snapshots of which something is to be sent and has been forgotten.
    pub(super) fn drop_forgotten(&mut self) -> Vec<Epoch> {
        let mut epochs: Vec<Epoch> = Vec::new();
        // Of what was confirmed part by part there is nothing to be sent.
        let forgotten = |entry: &&Entry| !entry.void && entry.batch.is_none() && entry.len() > 0;
        for entry in self.entries.iter().skip(self.settling_entries).filter(forgotten) {
            if !epochs.contains(&entry.epoch) {
                epochs.push(entry.epoch);
            }
        }
        let lost = |entry: &Entry| epochs.contains(&entry.epoch);
        for entry in self.entries.iter_mut().take(self.settling_entries) {
            entry.void |= lost(entry);
        }
        for entry in self.entries.split_off(self.settling_entries) {
            if entry.void || lost(&entry) {
                self.let_go(&entry);
            } else {
                self.entries.push_back(entry);
            }
        }
        self.coming.take_if(|(epoch, _)| epochs.contains(epoch));
        epochs
    }

    /// Takes everything out, oldest first: what is held, and the snapshots that are not held as a whole. The connections are
    /// to be closed.
    pub(crate) fn take_all(&mut self) -> (Vec<Arc<Batch>>, Vec<Epoch>) {
        self.settling_entries = 0;
        self.entries.iter_mut().for_each(|entry| entry.skip = entry.firm);
        let mut epochs = self.drop_forgotten();
        let mut entries = std::mem::take(&mut self.entries);
        // The first pieces of the oldest may have been delivered, and nobody else can know of that; nor of what was confirmed
        // part by part.
        let coming = self.coming.filter(|_| entries.is_empty()).map(|(epoch, _)| epoch);
        let cut = |entry: &&Entry| entry.batch.is_none() || entry.piece > 0;
        if let Some(cut) = coming.or(entries.front().filter(cut).map(|entry| entry.epoch)) {
            entries.retain(|entry| entry.epoch != cut);
            epochs.push(cut);
        }
        let Self { framing, part, kept, pushed, .. } = *self;
        *self = Self { framing, part, kept, pushed, ..Self::default() };
        (entries.into_iter().filter_map(|entry| entry.batch).collect(), epochs)
    }

    /// Gives up the oldest snapshots of which no byte has gone out while more than `most` lines are held; the newest
    /// stays in any case.
    pub(crate) fn drop_oldest(&mut self, most: usize) -> Vec<Gone> {
        let started = self.started();
        let mut first = self.next_index() + usize::from(started);
        // The rest of a snapshot that has begun to go out.
        while first > 0 && self.entries.get(first - 1).is_some_and(|entry| entry.more) {
            first += 1;
        }
        let mut dropped = Vec::new();
        while self.lines() > most
            && let Some(oldest) = self.entries.get(first).map(|entry| entry.epoch)
            && self.entries.back().is_some_and(|newest| newest.epoch != oldest)
        {
            while let Some(entry) = self.entries.get(first).filter(|entry| entry.epoch == oldest)
                && let gone = entry.gone()
                && let Some(entry) = self.entries.remove(first)
            {
                self.let_go(&entry);
                self.unsent -= entry.len();
                dropped.push(gone);
            }
        }
        if !started {
            self.start_next();
        }
        dropped
    }
}
