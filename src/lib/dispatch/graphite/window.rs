//! Which batches are held, and how far each has come. Pure: no socket, no clock.
//!
//! The batches stand in one row, oldest first, and a batch only ever moves forward or, when a connection breaks, back
//! to the start:
//!
//! ```text
//!  oldest                                                                          newest
//! ├─ settling ──┼─ awaiting ──────────┼─ written ─────────┼─ partly ─┼─ waiting ───────────┤
//!  confirmed,    on a connection that   wholly handed to     being     no byte of them has
//!  not long      we have ended; its     the current          written   gone out
//!  enough yet    end is awaited         connection
//! ```
//!
//! Whatever breaks, all of them are sent again from their beginning: what a dead connection got of them counts for
//! nothing, and no line is ever continued on another connection.
//!
//! The lines of what was written are kept up to a bound. Beyond it, those that can be rendered again are forgotten, and
//! when they would have to be sent again, their whole snapshot is [`Lost`]: it is let go, and comes once more. Of what settles
//! nothing is kept that can be rendered again, and nothing of it counts as held: it may take long, and is rarely in vain.
//!
//! One exception keeps a peer that breaks every connection after a few bytes from getting the same lines forever: with
//! [`Window::limit`] a connection carries only some lines of one batch, and these are confirmed by themselves. They settle as
//! batches do; until then they are sent again when the peer proves to be gone.

mod entry;
mod give_up;

use super::proof::Receipt;
use crate::batch::Batch;
use crate::config::Protocol;
use crate::snapshot::Epoch;
pub(crate) use entry::Gone;
use entry::{Entry, Framing};
pub(crate) use give_up::Lost;
use std::collections::VecDeque;
use std::sync::Arc;

/// The batches that one dispatcher holds.
#[derive(Debug, Default)]
pub(crate) struct Window {
    framing: Framing,
    entries: VecDeque<Entry>,
    /// Number of the newest entry.
    pushed: u64,
    /// Confirmations, oldest first.
    settling: VecDeque<Settling>,
    /// Sum of the entries in `settling`, and of their lines.
    settling_entries: usize,
    settling_lines: usize,
    awaiting: usize,
    /// The connection whose end is awaited carried the lines of the oldest entry that is not confirmed up to `stop`, and no
    /// more.
    awaiting_part: bool,
    written: usize,
    /// How far the entry after the written ones is written, and up to where the current connection shall carry it:
    /// offsets in its text, both at the start of a line when nothing of it is written yet.
    offset: usize,
    stop: usize,
    /// Bytes handed to the current connection.
    position: u64,
    /// Most bytes per connection.
    part: Option<usize>,
    lines: usize,
    unsent: usize,
    /// Bytes of the texts held, and up to which of them those that were written are kept.
    bytes: usize,
    kept: usize,
    /// The snapshot whose pieces are coming, and the number of the next.
    coming: Option<(Epoch, usize)>,
}

/// What was confirmed at one time: so many entries, or a part of one, up to this offset.
#[derive(Debug)]
struct Settling {
    receipt: Receipt,
    entries: usize,
    part: Option<(u64, usize)>,
}

impl Window {
    /// An empty one, for texts of this protocol, that keeps so many bytes of what was written.
    pub(crate) fn new(protocol: Protocol, kept: usize) -> Self {
        let framing = if protocol == Protocol::Pickle { Framing::Frames } else { Framing::Lines };
        Self { framing, kept, ..Self::default() }
    }

    /// Number of batches held, without those that settle.
    pub(crate) fn batches(&self) -> usize {
        self.entries.len() - self.settling_entries
    }

    /// Number of lines held, without those that settle.
    pub(crate) fn lines(&self) -> usize {
        self.lines - self.settling_lines
    }

    /// Number of snapshots that settle.
    pub(crate) fn settling(&self) -> usize {
        self.entries.iter().take(self.settling_entries).filter(|entry| !entry.more).count()
    }

    /// Number of snapshots, those that settle included.
    pub(crate) fn snapshots(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.more).count()
    }

    /// Bytes of all texts that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that are yet to be handed to a connection.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Whether nothing is held, and nothing settles.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a byte of what is held has been handed to a connection that still counts.
    pub(crate) fn in_flight(&self) -> bool {
        !self.settling.is_empty() || self.awaits() || self.position > 0
    }

    /// Whether another connection can take the place of the current one: all that it carried was carried whole, is confirmed,
    /// and has settled.
    pub(crate) fn at_rest(&self) -> bool {
        self.settling.is_empty() && !self.awaits() && self.written == 0 && !self.started()
    }

    /// Another connection has taken the place of the current one.
    pub(crate) fn change_over(&mut self) {
        debug_assert!(self.at_rest());
        self.position = 0;
        self.start_next();
    }

    /// Whether the current connection has carried something, whatever became of it.
    pub(crate) fn is_used(&self) -> bool {
        self.position > 0
    }

    /// Whether the current connection carries whole batches that are not confirmed.
    pub(crate) fn unacknowledged(&self) -> bool {
        self.written > 0
    }

    /// Whether the confirmation of an ended connection is awaited.
    pub(crate) fn awaits(&self) -> bool {
        self.awaiting > 0 || self.awaiting_part
    }

    /// Whether the current connection could be ended here: it has carried something, and all of it whole.
    pub(crate) fn at_boundary(&self) -> bool {
        if self.started() { self.offset == self.stop && !self.awaiting_part } else { self.written > 0 }
    }

    /// Puts a batch at the end of the row. A piece that does not follow the one before it, since that was lost, is not taken.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        if batch.piece > 0 && self.coming != Some((batch.epoch, batch.piece)) {
            return;
        }
        self.coming = batch.more.then_some((batch.epoch, batch.piece + 1));
        self.lines += batch.lines;
        self.unsent += batch.text.len();
        self.bytes += batch.text.len();
        let next = self.next_index() == self.entries.len();
        self.pushed += 1;
        self.entries.push_back(Entry::new(self.pushed, batch));
        if next {
            self.start_next();
        }
    }

    /// From the next batch on, a connection carries at most so many bytes (though at least one line) of one batch, and
    /// nothing is written while a confirmation is awaited. `None` is the normal state.
    pub(crate) fn limit(&mut self, part: Option<usize>) {
        self.part = part;
        if !self.started() {
            self.start_next();
        }
    }

    /// The bytes to hand to the current connection next; never empty.
    pub(crate) fn chunk(&self) -> Option<&[u8]> {
        let wait = self.part.is_some() && (self.awaits() || self.written > 0);
        let entry = self.entries.get(self.next_index()).filter(|_| !wait && !self.awaiting_part)?;
        entry.text().get(self.offset..self.stop).filter(|rest| !rest.is_empty())
    }

    /// The current connection has taken the first `bytes` of [`Window::chunk`].
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.offset += bytes;
        self.position += bytes as u64;
        self.unsent -= bytes;
        if self.entries.get(self.next_index()).is_some_and(|entry| self.offset >= entry.bytes) {
            self.written += 1;
            self.start_next();
            self.forget();
        }
    }

    /// Forgets texts that were written, oldest first, while they are more than are kept.
    fn forget(&mut self) {
        let (next, mut written) = (self.next_index(), self.bytes - self.waiting_bytes());
        for entry in self.entries.iter_mut().take(next) {
            if written <= self.kept {
                break;
            }
            let Some(batch) = entry.batch.take_if(|batch| batch.on_disk && !batch.text.is_empty()) else { continue };
            written -= batch.text.len();
            self.bytes -= batch.text.len();
        }
    }

    /// Bytes of the texts of which not all is written.
    fn waiting_bytes(&self) -> usize {
        self.entries.iter().skip(self.next_index()).map(|entry| entry.bytes).sum()
    }

    /// The current connection is ended, at a boundary, with no other end awaited; its peer will confirm it.
    pub(crate) fn end(&mut self) {
        debug_assert!(self.at_boundary() && !self.awaits());
        self.position = 0;
        if self.started() {
            self.awaiting_part = true;
        } else {
            self.awaiting = std::mem::take(&mut self.written);
            self.start_next();
        }
    }

    /// All that was awaited is confirmed. Returns the snapshots of which that was the last.
    pub(crate) fn confirmed(&mut self, receipt: Receipt) -> Vec<Epoch> {
        if std::mem::take(&mut self.awaiting_part) {
            if let Some(entry) = self.entries.get_mut(self.settling_entries) {
                entry.skip = self.stop;
                self.settling.push_back(Settling { receipt, entries: 0, part: Some((entry.number, self.stop)) });
            }
            self.start_next();
            self.forget();
        }
        let count = std::mem::take(&mut self.awaiting);
        self.settle(count, receipt)
    }

    /// The first `bytes` on the current connection count as confirmed (no end is awaited). Returns how many batches that
    /// completes, and the snapshots of which those were the last.
    pub(crate) fn acknowledged(&mut self, bytes: u64, receipt: Receipt) -> (usize, Vec<Epoch>) {
        debug_assert!(!self.awaits());
        let written = self.entries.iter().skip(self.settling_entries).take(self.written);
        let count = written.take_while(|entry| entry.end() <= bytes).count();
        self.written -= count;
        (count, self.settle(count, receipt))
    }

    /// The confirmations that have not settled, oldest first.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.settling.iter().map(|settling| &settling.receipt)
    }

    /// The idle connections that these confirmations rest on were closed by a time-out, see [`Receipt::chained`].
    pub(crate) fn chain(&mut self, rests: impl Fn(&Receipt) -> bool) {
        for settling in &mut self.settling {
            settling.receipt.chained |= rests(&settling.receipt);
        }
    }

    /// Lets go of the batches whose confirmation has settled, oldest first: they are delivered.
    pub(crate) fn settled(&mut self, has_settled: impl Fn(&Receipt) -> bool) -> Vec<Gone> {
        let mut taken = Vec::new();
        while let Some(Settling { entries, part, .. }) =
            self.settling.pop_front_if(|settling| has_settled(&settling.receipt))
        {
            for _ in 0..entries {
                let Some(entry) = self.entries.pop_front() else { break };
                self.settling_entries -= 1;
                self.settling_lines -= entry.lines;
                self.let_go(&entry);
                taken.push(entry.gone());
            }
            // Unless it was lost in the meantime, and comes again as a whole.
            if let Some((number, end)) = part
                && let Some(entry) = self.entries.front_mut().filter(|entry| entry.number == number)
            {
                entry.firm = end;
            }
        }
        taken
    }

    fn let_go(&mut self, entry: &Entry) {
        self.lines -= entry.lines;
        self.bytes -= entry.text().len();
    }

    /// Index of the entry that is being written or will be next.
    fn next_index(&self) -> usize {
        self.settling_entries + self.awaiting + self.written
    }

    /// Whether a part of the entry at [`Self::next_index`] has been written.
    fn started(&self) -> bool {
        self.entries.get(self.next_index()).is_some_and(|entry| self.offset > entry.skip)
    }

    /// Makes the entry at [`Self::next_index`] ready to be written; entries without text are written already.
    fn start_next(&mut self) {
        (self.offset, self.stop) = (0, 0);
        while let Some(entry) = self.entries.get_mut(self.settling_entries + self.awaiting + self.written) {
            entry.begin = self.position;
            if entry.len() > 0 {
                self.offset = entry.skip;
                self.stop = self.part.map_or(entry.bytes, |most| entry.part(most, self.framing));
                break;
            }
            self.written += 1;
        }
    }

    /// The first entries that have not settled are confirmed. Their texts go, where they can be rendered again.
    fn settle(&mut self, count: usize, receipt: Receipt) -> Vec<Epoch> {
        if count == 0 {
            return Vec::new();
        }
        let mut last = Vec::new();
        for entry in self.entries.iter_mut().skip(self.settling_entries).take(count) {
            if let Some(batch) = entry.batch.take_if(|batch| batch.on_disk && !batch.text.is_empty()) {
                self.bytes -= batch.text.len();
            }
            self.settling_lines += entry.lines;
            if !entry.more && !entry.void {
                last.push(entry.epoch);
            }
        }
        self.settling.push_back(Settling { receipt, entries: count, part: None });
        self.settling_entries += count;
        last
    }
}

#[cfg(test)]
mod tests;
