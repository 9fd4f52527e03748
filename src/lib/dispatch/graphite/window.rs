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
//! One exception keeps a peer that breaks every connection after a few bytes from getting the same lines for ever: with
//! [`Window::limit`] a connection carries only some lines of one batch, and these are confirmed by themselves. They settle as
//! batches do; until then they are sent again when the peer proves to be gone.

use super::proof::Receipt;
use crate::config::Protocol;
use crate::dispatch::Batch;
use crate::encode::pickle;
use crate::snapshot::Epoch;
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

/// What a broken connection costs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Lines that go out a second time.
    pub(crate) resent_lines: u64,
    /// Snapshots that are no longer held, and are to be submitted again.
    pub(crate) epochs: Vec<Epoch>,
}

/// A batch that is no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) epoch: Epoch,
    pub(crate) lines: usize,
    /// Whether its snapshot is gone with it: no further piece follows.
    pub(crate) last: bool,
}

/// What a text is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Framing {
    /// Lines.
    #[default]
    Lines,
    /// Frames of several points; what is said of lines holds for these, as far as a connection may end between them.
    Frames,
}

#[derive(Debug)]
struct Entry {
    /// No other entry has or had the same.
    number: u64,
    epoch: Epoch,
    /// Which of the pieces of the snapshot it is.
    piece: usize,
    lines: usize,
    /// Length of the text.
    bytes: usize,
    /// Whether further pieces of the snapshot follow.
    more: bool,
    /// `None` when it has been forgotten.
    batch: Option<Arc<Batch>>,
    /// Whether later pieces of the snapshot were lost after this one had been confirmed: all of it comes again, and this is
    /// never sent again.
    void: bool,
    /// Length of the lines at the start of the text that were confirmed by themselves, and of those of them that have settled.
    skip: usize,
    firm: usize,
    /// Position on the current connection at which this entry begins; meaningful once it is being written.
    begin: u64,
}

impl Entry {
    fn new(number: u64, batch: Arc<Batch>) -> Self {
        let Batch { epoch, piece, lines, more, .. } = *batch;
        let (bytes, batch) = (batch.text.len(), Some(batch));
        Self { number, epoch, piece, lines, bytes, more, batch, void: false, skip: 0, firm: 0, begin: 0 }
    }

    fn len(&self) -> usize {
        self.bytes - self.skip
    }

    fn end(&self) -> u64 {
        self.begin + self.len() as u64
    }

    fn text(&self) -> &[u8] {
        self.batch.as_ref().map(|batch| batch.text.as_slice()).unwrap_or_default()
    }

    fn gone(&self) -> Gone {
        Gone { epoch: self.epoch, lines: self.lines, last: !self.more }
    }

    /// Number of lines after `skip`.
    fn lines(&self, framing: Framing) -> u64 {
        if self.skip == 0 { self.lines as u64 } else { self.lines_up_to(self.bytes, framing) }
    }

    /// Number of lines between `skip` and `offset`.
    fn lines_up_to(&self, offset: usize, framing: Framing) -> u64 {
        if framing == Framing::Frames {
            return pickle::points(self.text(), self.skip, offset, self.lines) as u64;
        }
        memchr::memchr_iter(b'\n', self.text().get(self.skip..offset).unwrap_or_default()).count() as u64
    }

    /// The offset after the last line that ends within `most` bytes, or after the first line if that is longer.
    fn part(&self, most: usize, framing: Framing) -> usize {
        if framing == Framing::Frames {
            return pickle::part(self.text(), self.skip, most);
        }
        let rest = self.text().get(self.skip..).unwrap_or_default();
        let Some(start) = rest.get(..most) else { return self.bytes };
        let end = memchr::memrchr(b'\n', start).or_else(|| memchr::memchr(b'\n', rest));
        self.skip + end.map_or(rest.len(), |newline| newline + 1)
    }
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
    fn drop_forgotten(&mut self) -> Vec<Epoch> {
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
mod tests {
    use super::*;
    use crate::snapshot::Epoch;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;
    use tokio::time::Instant;

    fn batch(epoch: u64, lines: usize) -> Arc<Batch> {
        let text: String = (0..lines).map(|line| format!("batch{epoch}.line{line} 1 {epoch}\n")).collect();
        Arc::new(Batch { epoch: Epoch(epoch), text: text.into_bytes(), lines, ..Batch::default() })
    }

    fn piece(epoch: u64, piece: usize, lines: usize, more: bool, on_disk: bool) -> Arc<Batch> {
        let text: String = (0..lines).map(|line| format!("batch{epoch}.{piece}.line{line} 1 {epoch}\n")).collect();
        let epoch = Epoch(epoch);
        Arc::new(Batch { epoch, piece, more, on_disk, text: text.into_bytes(), lines, ..Batch::default() })
    }

    fn epochs(gone: &[Gone]) -> Vec<u64> {
        gone.iter().map(|gone| gone.epoch.0).collect()
    }

    /// Confirmed at this time, all at once.
    fn at(confirmed: Instant) -> Receipt {
        Receipt { peer: None, opened: confirmed, ended: confirmed, confirmed, chained: false }
    }

    /// Settles what was confirmed up to then.
    fn settle(window: &mut Window, until: Instant) -> Vec<Gone> {
        window.settled(|receipt| receipt.confirmed <= until)
    }

    fn resent(resent_lines: u64) -> Lost {
        Lost { resent_lines, epochs: Vec::new() }
    }

    fn write_all(window: &mut Window) {
        while let Some(chunk) = window.chunk() {
            let length = chunk.len();
            window.wrote(length);
        }
    }

    #[test]
    fn it_says_what_is_on_its_connections() {
        let (mut window, now) = (Window::default(), Instant::now());
        let is = |window: &Window| {
            let states =
                [window.is_used(), window.unacknowledged(), window.awaits(), window.in_flight(), window.at_rest()];
            states.map(u8::from)
        };
        assert_eq!((is(&window), window.snapshots(), window.unsent()), ([0, 0, 0, 0, 1], 0, 0));
        window.push(batch(1, 3));
        window.push(batch(2, 3));
        let length = batch(1, 3).text.len();
        assert_eq!((is(&window), window.snapshots(), window.unsent()), ([0, 0, 0, 0, 1], 2, 2 * length));
        window.wrote(1);
        assert_eq!((is(&window), window.at_boundary(), window.unsent()), ([1, 0, 0, 1, 0], false, 2 * length - 1));
        window.wrote(length - 1);
        assert_eq!((is(&window), window.at_boundary()), ([1, 1, 0, 1, 0], true));
        assert_eq!(window.acknowledged(length as u64 - 1, at(now)), (0, vec![]));
        assert_eq!(window.acknowledged(length as u64, at(now)), (1, vec![Epoch(1)]));
        assert_eq!((is(&window), window.settling(), window.snapshots()), ([1, 0, 0, 1, 0], 1, 2));
        assert_eq!(epochs(&settle(&mut window, now)), [1]);
        assert_eq!((is(&window), window.snapshots()), ([1, 0, 0, 1, 1], 1));
        window.change_over();
        assert_eq!((is(&window), window.at_boundary()), ([0, 0, 0, 0, 1], false), "another connection");
        write_all(&mut window);
        window.end();
        assert_eq!(is(&window), [0, 0, 1, 1, 0]);
        window.confirmed(at(now));
        assert_eq!(is(&window), [0, 0, 0, 1, 0]);
        assert_eq!(epochs(&settle(&mut window, now)), [2]);
        assert_eq!((is(&window), window.is_empty()), ([0, 0, 0, 0, 1], true));
    }

    #[test]
    fn a_batch_is_delivered_after_its_confirmation_has_settled() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.push(batch(1, 3));
        window.push(batch(2, 3));
        write_all(&mut window);
        assert!(window.at_boundary() && window.unsent() == 0);
        window.end();
        assert!(settle(&mut window, now).is_empty(), "nothing is confirmed yet");
        window.confirmed(at(now + Duration::from_secs(1)));
        assert!(settle(&mut window, now).is_empty(), "the confirmation is younger");
        assert_eq!(epochs(&settle(&mut window, now + Duration::from_secs(1))), [1, 2]);
        assert!(window.is_empty() && window.lines() == 0);
    }

    #[test]
    fn a_lost_connection_sends_every_held_batch_again_from_its_beginning() {
        let (mut window, now) = (Window::default(), Instant::now());
        (1..=4).for_each(|epoch| window.push(batch(epoch, 2)));
        for _ in 0..2 {
            let length = window.chunk().unwrap().len();
            window.wrote(length);
            window.end();
            window.confirmed(at(now));
        }
        window.wrote(20); // of the third: one line and a half
        assert_eq!(window.lost(), resent(2 + 2 + 1));
        assert_eq!(window.chunk().unwrap(), batch(1, 2).text);
        assert!(!window.in_flight());
    }

    #[test]
    fn a_limited_connection_carries_some_lines_which_are_confirmed_by_themselves() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.push(batch(1, 3));
        window.push(batch(2, 1));
        let (all, line) = (batch(1, 3).text.clone(), batch(1, 1).text.len());
        window.limit(Some(2 * line + 1));
        assert_eq!(window.chunk().unwrap(), &all[..2 * line]);
        window.wrote(2 * line - 1);
        assert!(!window.at_boundary());
        window.wrote(1);
        window.end();
        assert!(window.awaits() && window.chunk().is_none());
        window.confirmed(at(now));
        assert_eq!(window.chunk().unwrap(), &all[2 * line..]);
        window.wrote(3);
        assert_eq!(window.lost_unconfirmed(), resent(0), "two lines are confirmed, of the third a fragment is lost");
        assert_eq!(window.chunk().unwrap(), &all[2 * line..]);
        assert_eq!(window.lost(), resent(2));
        assert_eq!(window.chunk().unwrap(), &all[..2 * line], "the confirmation is in doubt, and had not settled");
        window.wrote(2 * line);
        window.end();
        window.confirmed(at(now));
        assert!(settle(&mut window, now).is_empty(), "a part is no batch");
        assert_eq!(window.lost(), resent(0));
        assert_eq!(window.chunk().unwrap(), &all[2 * line..], "what has settled is not sent again");
        window.wrote(line);
        assert!(window.at_boundary() && window.chunk().is_none(), "one batch at a time");
        window.end();
        window.confirmed(at(now));
        assert_eq!(window.chunk().unwrap(), batch(2, 1).text, "the next need not wait until it has settled");
        assert_eq!(epochs(&settle(&mut window, now)), [1]);
    }

    #[test]
    fn what_settles_costs_neither_text_nor_room() {
        let (mut window, now) = (Window::new(Protocol::Plaintext, 1_000_000), Instant::now());
        window.push(piece(1, 0, 2, true, true));
        window.push(piece(1, 1, 3, false, true));
        write_all(&mut window);
        assert_eq!((window.batches(), window.lines(), window.settling()), (2, 5, 0));
        window.end();
        assert_eq!(window.confirmed(at(now)), [Epoch(1)]);
        assert_eq!((window.batches(), window.lines(), window.bytes(), window.settling()), (0, 0, 0, 1));
        assert!(!window.is_empty() && window.in_flight());
        assert_eq!(window.lost(), Lost { resent_lines: 5, epochs: vec![Epoch(1)] });
        assert_eq!((window.snapshots(), window.lines()), (0, 0));
    }

    #[test]
    fn a_part_of_a_snapshot_that_was_lost_meanwhile_says_nothing_about_the_next() {
        let (mut window, now) = (Window::new(Protocol::Plaintext, 0), Instant::now());
        let line = piece(1, 0, 1, false, true).text.len();
        window.push(piece(1, 0, 2, false, true));
        window.push(piece(2, 0, 2, false, true));
        window.limit(Some(line));
        window.wrote(line);
        window.end();
        window.confirmed(at(now));
        window.wrote(line);
        assert_eq!(window.lost_unconfirmed().epochs, [Epoch(1)]);
        settle(&mut window, now);
        assert_eq!(window.chunk().unwrap(), &piece(2, 0, 2, false, true).text[..line]);
        window.lost();
        assert_eq!(window.chunk().unwrap(), &piece(2, 0, 2, false, true).text[..line]);
    }

    #[test]
    fn only_what_has_not_begun_to_go_out_is_dropped() {
        let mut window = Window::default();
        (1..=4).for_each(|epoch| window.push(batch(epoch, 10)));
        window.wrote(5);
        assert_eq!(epochs(&window.drop_oldest(20)), [2, 3]);
        assert_eq!(window.lines(), 20);
        assert!(window.drop_oldest(20).is_empty(), "as many as may be");
        window.push(batch(5, 100));
        assert!(window.drop_oldest(120).is_empty(), "as many as may be");
        assert_eq!(epochs(&window.drop_oldest(119)), [4]);
        assert_eq!(window.batches(), 2, "one in flight, and the newest although it is larger than the bound");
    }

    #[test]
    fn a_batch_without_lines_takes_its_turn() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.push(batch(1, 0));
        window.push(batch(2, 1));
        window.push(batch(3, 0));
        write_all(&mut window);
        assert!(window.at_boundary());
        window.end();
        window.confirmed(at(now));
        assert_eq!(epochs(&settle(&mut window, now)), [1, 2, 3]);
    }

    #[test]
    fn what_was_sent_and_forgotten_is_lost_with_the_connection_and_comes_again_as_a_whole() {
        let (mut window, now) = (Window::new(Protocol::Plaintext, 0), Instant::now());
        window.push(piece(1, 0, 2, true, true));
        window.push(piece(1, 1, 2, true, true));
        write_all(&mut window);
        assert_eq!(window.bytes(), 0, "nothing of what was written is kept");
        window.end();
        window.confirmed(at(now));
        assert_eq!(window.lost(), Lost { resent_lines: 4, epochs: vec![Epoch(1)] });
        window.push(piece(1, 2, 2, false, true));
        assert!(window.is_empty(), "a piece of what is lost is not taken");
        window.push(piece(2, 0, 1, false, true));
        window.push(piece(1, 0, 2, false, true));
        write_all(&mut window);
        window.end();
        window.confirmed(at(now));
        assert_eq!(epochs(&settle(&mut window, now)), [2, 1]);
    }

    #[test]
    fn of_what_was_written_as_much_is_kept_as_may_be() {
        let length = piece(1, 0, 2, false, true).text.len();
        let mut window = Window::new(Protocol::Plaintext, 2 * length);
        for epoch in 1..=5 {
            window.push(piece(epoch, 0, 2, false, true));
        }
        // What is yet to be written does not count.
        for (written, bytes) in [(1, 5), (2, 5), (3, 4), (4, 3), (5, 2)] {
            window.wrote(length);
            assert_eq!(window.bytes(), bytes * length, "{written} of 5 are written");
        }
        assert_eq!(window.lost(), Lost { resent_lines: 10, epochs: [1, 2, 3].map(Epoch).to_vec() });
        assert_eq!(window.chunk().unwrap(), piece(4, 0, 2, false, true).text);
    }

    #[test]
    fn a_window_that_was_emptied_is_as_limited_as_before() {
        let mut window = Window::default();
        let (all, line) = (batch(1, 3).text.clone(), batch(1, 1).text.len());
        window.limit(Some(line));
        for _ in 0..2 {
            window.push(batch(1, 3));
            assert_eq!(window.chunk().unwrap(), &all[..line]);
            window.wrote(1);
            assert_eq!(window.take_all(), (vec![batch(1, 3)], vec![]));
            assert!(window.is_empty() && !window.in_flight() && window.chunk().is_none());
        }
    }

    #[test]
    fn what_was_chained_once_stays_so() {
        let (mut window, now) = (Window::default(), Instant::now());
        for epoch in 1..=2 {
            window.push(batch(epoch, 1));
            write_all(&mut window);
            window.end();
            window.confirmed(at(now + Duration::from_secs(epoch)));
        }
        let chained = |window: &Window| window.receipts().map(|receipt| receipt.chained).collect::<Vec<_>>();
        assert_eq!(chained(&window), [false, false]);
        window.chain(|receipt| receipt.confirmed <= now + Duration::from_secs(1));
        assert_eq!(chained(&window), [true, false]);
        window.chain(|_| false);
        assert_eq!(chained(&window), [true, false]);
    }

    #[test]
    fn a_snapshot_whose_first_pieces_are_delivered_does_not_go_on_elsewhere() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.push(piece(1, 0, 2, true, true));
        write_all(&mut window);
        window.end();
        window.confirmed(at(now));
        assert_eq!(settle(&mut window, now), [Gone { epoch: Epoch(1), lines: 2, last: false }]);
        assert_eq!(window.take_all(), (vec![], vec![Epoch(1)]));
        window.push(piece(1, 0, 2, true, true));
        write_all(&mut window);
        window.end();
        window.confirmed(at(now));
        settle(&mut window, now);
        window.push(piece(1, 1, 2, false, true));
        window.push(piece(2, 0, 2, false, true));
        assert_eq!(window.take_all(), (vec![piece(2, 0, 2, false, true)], vec![Epoch(1)]));
    }

    #[derive(Debug, Clone)]
    enum Action {
        /// Another piece of the snapshot that has begun, or the first of the next; so many lines, and whether more follow.
        Push(usize, bool),
        /// The oldest of those that were lost.
        PushAgain,
        Write(usize),
        End,
        Confirm,
        /// A peer that stands between closes, and nobody has read anything: in doubt in time.
        Pretend,
        Acknowledge(f64),
        Tick,
        Settle,
        Lose,
        LoseUnconfirmed,
        Limit(Option<usize>),
        Drop(usize),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let action = prop_oneof![
            4 => (0_usize..6, proptest::bool::weighted(0.4)).prop_map(|(lines, more)| Action::Push(lines, more)),
            2 => Just(Action::PushAgain),
            8 => (1_usize..120).prop_map(Action::Write),
            3 => Just(Action::End),
            3 => Just(Action::Confirm),
            1 => Just(Action::Pretend),
            2 => (0.0..=1.0_f64).prop_map(Action::Acknowledge),
            2 => Just(Action::Tick),
            2 => Just(Action::Settle),
            1 => Just(Action::Lose),
            1 => Just(Action::LoseUnconfirmed),
            2 => proptest::option::of(1_usize..100).prop_map(Action::Limit),
            1 => (0_usize..12).prop_map(Action::Drop),
        ];
        proptest::collection::vec(action, 0..120)
    }

    /// The world as a plain model: what went over each connection, what its peer has read for certain, what became of
    /// each batch.
    #[derive(Default)]
    struct World {
        /// Of each snapshot the lines of its pieces.
        pushed: BTreeMap<u64, Vec<usize>>,
        /// The last snapshot goes on.
        open: bool,
        on_disk: bool,
        lost: BTreeSet<u64>,
        current: Vec<u8>,
        ended: Vec<u8>,
        read: BTreeSet<String>,
        received: Vec<String>,
        gone: Vec<u64>,
        dropped: BTreeSet<u64>,
        resent: u64,
        /// Since when something counts as confirmed that nobody has read.
        pretended: Option<Instant>,
    }

    impl World {
        fn push(&mut self, window: &mut Window, lines: usize, more: bool) {
            let epoch = self.pushed.len() as u64 - u64::from(self.open);
            let pieces = self.pushed.entry(epoch).or_default();
            window.push(piece(epoch, pieces.len(), lines, more, self.on_disk));
            pieces.push(lines);
            self.open = more;
        }

        fn push_again(&mut self, window: &mut Window) {
            if self.open {
                return;
            }
            let Some(epoch) = self.lost.pop_first() else { return };
            let pieces = &self.pushed[&epoch];
            for (number, lines) in pieces.iter().enumerate() {
                window.push(piece(epoch, number, *lines, number + 1 < pieces.len(), self.on_disk));
            }
        }

        /// Every connection breaks, and what was confirmed is in doubt.
        fn doubt(&mut self, window: &mut Window) {
            let lost = window.lost();
            assert!(!window.in_flight());
            self.pretended = None;
            self.lose(lost);
        }

        /// What settles stays so: the peer is there.
        fn break_off(&mut self, window: &mut Window) {
            let lost = window.lost_unconfirmed();
            self.lose(lost);
        }

        fn lose(&mut self, lost: Lost) {
            let (ended, current) = (std::mem::take(&mut self.ended), std::mem::take(&mut self.current));
            self.over(ended);
            self.over(current);
            for Epoch(epoch) in lost.epochs {
                assert!(self.on_disk && !self.gone.contains(&epoch));
                self.lost.insert(epoch);
                if self.open && epoch == self.pushed.len() as u64 - 1 {
                    // It comes again with what there is of it.
                    self.open = false;
                }
            }
        }

        fn whole_lines(bytes: &[u8]) -> Vec<String> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let whole = text.rfind('\n').map_or("", |newline| &text[..=newline]);
            whole.lines().map(str::to_owned).collect()
        }

        fn certainly_read(&mut self, bytes: &[u8]) {
            self.read.extend(Self::whole_lines(bytes));
        }

        fn over(&mut self, connection: Vec<u8>) {
            self.received.extend(Self::whole_lines(&connection));
        }

        fn lines(&self, epoch: u64) -> Vec<String> {
            let pieces = self.pushed[&epoch].iter().enumerate();
            pieces
                .flat_map(|(number, lines)| Self::whole_lines(&piece(epoch, number, *lines, true, true).text))
                .collect()
        }

        fn delivered(&mut self, gone: &[Gone]) {
            for gone in gone.iter().filter(|gone| gone.last) {
                for line in self.lines(gone.epoch.0) {
                    assert!(self.read.contains(&line), "{line} counts as delivered, but nobody has read it");
                }
                assert!(!self.gone.contains(&gone.epoch.0), "once");
                assert!(self.on_disk || self.gone.last().is_none_or(|last| *last < gone.epoch.0), "oldest first");
                self.gone.push(gone.epoch.0);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn whatever_happens_nothing_is_lost_and_no_line_is_broken(
            actions in actions(), kept in 0_usize..400, on_disk: bool,
        ) {
            let (mut window, mut world) = (Window::new(Protocol::Plaintext, kept), World::default());
            world.on_disk = on_disk;
            let mut now = Instant::now();
            let mut acknowledged = 0;
            for action in actions {
                match action {
                    Action::Push(lines, more) => world.push(&mut window, lines, more),
                    Action::PushAgain => world.push_again(&mut window),
                    Action::Write(most) => {
                        let Some(chunk) = window.chunk() else { continue };
                        let taken = chunk[..chunk.len().min(most)].to_vec();
                        window.wrote(taken.len());
                        world.current.extend(taken);
                    }
                    Action::End => {
                        if window.at_boundary() && !window.awaits() {
                            window.end();
                            acknowledged = 0;
                            world.ended = std::mem::take(&mut world.current);
                            prop_assert!(world.ended.is_empty() || world.ended.ends_with(b"\n"));
                        }
                    }
                    Action::Confirm => {
                        window.confirmed(at(now));
                        let ended = std::mem::take(&mut world.ended);
                        world.certainly_read(&ended);
                        world.over(ended);
                    }
                    Action::Pretend => {
                        if window.awaits() {
                            world.pretended.get_or_insert(now);
                        }
                        window.confirmed(at(now));
                        let ended = std::mem::take(&mut world.ended);
                        world.over(ended);
                    }
                    Action::Acknowledge(part) => {
                        if !window.awaits() {
                            let bytes = (window.position as f64 * part) as u64;
                            acknowledged = bytes.max(acknowledged);
                            let read = world.current[..acknowledged as usize].to_vec();
                            world.certainly_read(&read);
                            window.acknowledged(acknowledged, at(now));
                        }
                    }
                    Action::Tick => now += Duration::from_secs(1),
                    Action::Settle => {
                        let until = now - Duration::from_secs(1);
                        if world.pretended.is_some_and(|since| since <= until) {
                            // What the witnesses are for.
                            world.doubt(&mut window);
                            acknowledged = 0;
                        }
                        world.delivered(&settle(&mut window, until));
                    }
                    Action::Lose | Action::LoseUnconfirmed => {
                        if matches!(action, Action::Lose) {
                            world.doubt(&mut window);
                        } else {
                            world.break_off(&mut window);
                        }
                        acknowledged = 0;
                    }
                    Action::Limit(part) => window.limit(part),
                    Action::Drop(most) => {
                        let dropped = window.drop_oldest(most);
                        world.dropped.extend(dropped.iter().filter(|gone| gone.last).map(|gone| gone.epoch.0));
                    }
                }
                let held: usize =
                    window.entries.iter().skip(window.settling_entries).map(|entry| entry.lines).sum();
                prop_assert_eq!(window.lines(), held);
                let bytes: usize = window.entries.iter().map(|entry| entry.text().len()).sum();
                prop_assert_eq!(window.bytes(), bytes);
                let unsent: usize = window.entries.iter().skip(window.next_index()).map(Entry::len).sum();
                let partly = window.entries.get(window.next_index()).map_or(0, |entry| window.offset - entry.skip);
                prop_assert_eq!(window.unsent(), unsent - partly);
                prop_assert!(!on_disk || window.bytes() - window.waiting_bytes() <= kept);
                prop_assert_eq!(window.position, world.current.len() as u64);
            }
            if world.open {
                world.push(&mut window, 1, false);
            }
            // First pieces that were confirmed may settle yet when their snapshot was lost, came again and was dropped.
            let last = window.entries.iter().filter(|entry| !entry.more);
            let rest: BTreeSet<u64> = last.map(|entry| entry.epoch.0).collect();
            // Every snapshot is held, delivered, dropped, or lost and to come again.
            for epoch in world.pushed.keys() {
                let known = [rest.contains(epoch) || world.lost.contains(epoch), world.gone.contains(epoch),
                    world.dropped.contains(epoch)];
                prop_assert_eq!(known.iter().filter(|known| **known).count(), 1, "{}: {:?}", epoch, known);
            }
            // What is left gets through, limited or not.
            world.doubt(&mut window);
            for _ in 0..2000 {
                world.push_again(&mut window);
                while let Some(chunk) = window.chunk().map(<[u8]>::to_vec) {
                    window.wrote(chunk.len());
                    world.current.extend(chunk);
                }
                if window.at_boundary() {
                    window.end();
                }
                window.confirmed(at(now));
                let ended = std::mem::take(&mut world.current);
                world.certainly_read(&ended);
                world.over(ended);
                world.delivered(&settle(&mut window, now));
            }
            prop_assert!(window.is_empty() && window.lines() == 0 && window.unsent() == 0 && window.bytes() == 0);
            prop_assert_eq!(world.gone.len() + world.dropped.len(), world.pushed.len());
            // No line is broken or invented on any connection.
            let known: BTreeSet<String> = world.pushed.keys().flat_map(|epoch| world.lines(*epoch)).collect();
            for line in &world.received {
                prop_assert!(known.contains(line), "{}", line);
            }
        }

        #[test]
        fn the_lines_sent_again_are_the_lines_received_again(
            lines in proptest::collection::vec(0_usize..6, 1..8),
            cuts in proptest::collection::vec(1_usize..400, 0..6),
        ) {
            let (mut window, mut world) = (Window::default(), World::default());
            for (epoch, lines) in lines.iter().enumerate() {
                window.push(batch(epoch as u64, *lines));
            }
            for mut bytes in cuts {
                while let Some(chunk) = window.chunk() {
                    let taken = chunk[..chunk.len().min(bytes)].to_vec();
                    bytes -= taken.len();
                    window.wrote(taken.len());
                    world.current.extend(taken);
                    if bytes == 0 {
                        break;
                    }
                }
                world.resent += window.lost().resent_lines;
                let current = std::mem::take(&mut world.current);
                world.over(current);
            }
            while let Some(chunk) = window.chunk().map(<[u8]>::to_vec) {
                window.wrote(chunk.len());
                world.current.extend(chunk);
            }
            let current = std::mem::take(&mut world.current);
            world.over(current);
            let distinct: BTreeSet<_> = world.received.iter().collect();
            prop_assert_eq!(world.received.len() - distinct.len(), world.resent as usize);
            prop_assert_eq!(distinct.len(), lines.iter().sum::<usize>());
        }
    }
}
