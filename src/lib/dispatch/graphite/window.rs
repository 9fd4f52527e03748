//! Which batches are held, and how far each has come. Pure: no socket, no clock.
//!
//! The batches stand in one row, oldest first, and a batch only ever moves forward or, when a connection breaks, back
//! to the start:
//!
//! ```text
//!  oldest                                                                          newest
//! ├─ settling ──┼─ awaiting ──────────┼─ written ─────────┼─ partly ─┼─ waiting ───────────┤
//!  confirmed,    on a connection that   wholly handed to     being     no byte of them has
//!  for a short   we have ended; its     the current          written   gone out
//!  while yet     end is awaited         connection
//! ```
//!
//! Whatever breaks, all of them are sent again from their beginning: what a dead connection got of them counts for
//! nothing, and no line is ever continued on another connection.
//!
//! One exception keeps a peer that breaks every connection after a few bytes from getting the same lines for ever: with
//! [`Window::limit`] a connection carries only some lines of one batch, and these are confirmed by themselves.

use super::pickle;
use crate::config::Protocol;
use crate::dispatch::Batch;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// The batches that one dispatcher holds.
#[derive(Debug, Default)]
pub(crate) struct Window {
    framing: Framing,
    entries: VecDeque<Entry>,
    /// Confirmations, oldest first: when, and how many of the first entries.
    settling: VecDeque<(Instant, usize)>,
    /// Sum of the counts in `settling`.
    settling_entries: usize,
    awaiting: usize,
    /// The connection whose end is awaited carried the lines of the oldest entry up to `stop`, and no more.
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
    batch: Arc<Batch>,
    /// Length of the lines at the start of the text that were confirmed by themselves.
    skip: usize,
    /// Position on the current connection at which this entry begins; meaningful once it is being written.
    begin: u64,
}

impl Entry {
    fn len(&self) -> usize {
        self.batch.text.len() - self.skip
    }

    fn end(&self) -> u64 {
        self.begin + self.len() as u64
    }

    /// Number of lines after `skip`.
    fn lines(&self, framing: Framing) -> u64 {
        self.lines_up_to(self.batch.text.len(), framing)
    }

    /// Number of lines between `skip` and `offset`.
    fn lines_up_to(&self, offset: usize, framing: Framing) -> u64 {
        if framing == Framing::Frames {
            return pickle::points(&self.batch.text, self.skip, offset, self.batch.lines) as u64;
        }
        memchr::memchr_iter(b'\n', self.batch.text.get(self.skip..offset).unwrap_or_default()).count() as u64
    }

    /// The offset after the last line that ends within `most` bytes, or after the first line if that is longer.
    fn part(&self, most: usize, framing: Framing) -> usize {
        if framing == Framing::Frames {
            return pickle::part(&self.batch.text, self.skip, most);
        }
        let rest = self.batch.text.get(self.skip..).unwrap_or_default();
        let Some(start) = rest.get(..most) else { return self.batch.text.len() };
        let end = memchr::memrchr(b'\n', start).or_else(|| memchr::memchr(b'\n', rest));
        self.skip + end.map_or(rest.len(), |newline| newline + 1)
    }
}

impl Window {
    /// An empty one, for texts of this protocol.
    pub(crate) fn new(protocol: Protocol) -> Self {
        let framing = if protocol == Protocol::Pickle { Framing::Frames } else { Framing::Lines };
        Self { framing, ..Self::default() }
    }

    /// Number of batches held.
    pub(crate) fn batches(&self) -> usize {
        self.entries.len()
    }

    /// Number of lines held.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Bytes of all that is held.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.batch.text.len()).sum()
    }

    /// Bytes that are yet to be handed to a connection.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a byte of what is held has been handed to a connection that still counts.
    pub(crate) fn in_flight(&self) -> bool {
        self.settling_entries > 0 || self.awaits() || self.position > 0
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

    /// Puts a batch at the end of the row.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        self.lines += batch.lines;
        self.unsent += batch.text.len();
        let next = self.next_index() == self.entries.len();
        self.entries.push_back(Entry { batch, skip: 0, begin: 0 });
        if next {
            self.start_next();
        }
    }

    /// From the next batch on, a connection carries at most so many bytes (though at least one line) of one batch, and
    /// nothing is written while a confirmation is awaited or settles. `None` is the normal state.
    pub(crate) fn limit(&mut self, part: Option<usize>) {
        self.part = part;
        if !self.started() {
            self.start_next();
        }
    }

    /// The bytes to hand to the current connection next; never empty.
    pub(crate) fn chunk(&self) -> Option<&[u8]> {
        let wait = self.part.is_some() && (self.settling_entries > 0 || self.awaits() || self.written > 0);
        let entry = self.entries.get(self.next_index()).filter(|_| !wait && !self.awaiting_part)?;
        entry.batch.text.get(self.offset..self.stop).filter(|rest| !rest.is_empty())
    }

    /// The current connection has taken the first `bytes` of [`Window::chunk`].
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.offset += bytes;
        self.position += bytes as u64;
        self.unsent -= bytes;
        if self.entries.get(self.next_index()).is_some_and(|entry| self.offset >= entry.batch.text.len()) {
            self.written += 1;
            self.start_next();
        }
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

    /// All that was awaited is confirmed.
    pub(crate) fn confirmed(&mut self, now: Instant) {
        if std::mem::take(&mut self.awaiting_part) {
            if let Some(entry) = self.entries.front_mut() {
                entry.skip = self.stop;
            }
            self.start_next();
        }
        let count = std::mem::take(&mut self.awaiting);
        self.settle(count, now);
    }

    /// The first `bytes` on the current connection count as confirmed (no end is awaited). Returns whether that
    /// completes a batch.
    pub(crate) fn acknowledged(&mut self, bytes: u64, now: Instant) -> bool {
        debug_assert!(!self.awaits());
        let written = self.entries.iter().skip(self.settling_entries).take(self.written);
        let count = written.take_while(|entry| entry.end() <= bytes).count();
        self.written -= count;
        self.settle(count, now);
        count > 0
    }

    /// Since when the oldest unsettled confirmation stands.
    pub(crate) fn settling_since(&self) -> Option<Instant> {
        self.settling.front().map(|(at, _)| *at)
    }

    /// Takes out the batches that were confirmed at `until` or before, oldest first: they are delivered.
    pub(crate) fn settled(&mut self, until: Instant) -> Vec<Arc<Batch>> {
        let mut count = 0;
        while let Some((_, entries)) = self.settling.pop_front_if(|(at, _)| *at <= until) {
            count += entries;
        }
        self.settling_entries -= count;
        let taken: Vec<_> = self.entries.drain(..count).map(|entry| entry.batch).collect();
        self.lines -= taken.iter().map(|batch| batch.lines).sum::<usize>();
        taken
    }

    /// Every connection is gone: all that is held goes back to the start. Returns the number of lines that will be sent
    /// a second time.
    pub(crate) fn lost(&mut self) -> u64 {
        let confirmed = std::mem::take(&mut self.settling_entries);
        self.settling.clear();
        // They stand directly before those that are awaited, so they are counted with them.
        self.awaiting += confirmed;
        self.lost_unconfirmed()
    }

    /// Every connection is gone, but not the peer: what is not confirmed goes back to the start.
    pub(crate) fn lost_unconfirmed(&mut self) -> u64 {
        let written = self.entries.iter().skip(self.settling_entries).take(self.awaiting + self.written);
        let partly =
            self.entries.get(self.next_index()).map_or(0, |entry| entry.lines_up_to(self.offset, self.framing));
        let resent = written.map(|entry| entry.lines(self.framing)).sum::<u64>() + partly;
        (self.awaiting, self.written, self.position) = (0, 0, 0);
        self.awaiting_part = false;
        self.unsent = self.entries.iter().skip(self.settling_entries).map(Entry::len).sum();
        self.start_next();
        resent
    }

    /// Takes everything out, oldest first. The connections are to be closed.
    pub(crate) fn take_all(&mut self) -> Vec<Arc<Batch>> {
        let entries = std::mem::take(&mut self.entries);
        let (framing, part) = (self.framing, self.part);
        *self = Self { framing, part, ..Self::default() };
        entries.into_iter().map(|entry| entry.batch).collect()
    }

    /// Gives up the oldest batches of which no byte has gone out while more than `most` lines are held; the newest
    /// stays in any case.
    pub(crate) fn drop_oldest(&mut self, most: usize) -> Vec<Arc<Batch>> {
        let started = self.started();
        let first = self.next_index() + usize::from(started);
        let mut dropped = Vec::new();
        while self.lines > most && first + 1 < self.entries.len() {
            let Some(entry) = self.entries.remove(first) else { break };
            self.lines -= entry.batch.lines;
            self.unsent -= entry.len();
            dropped.push(entry.batch);
        }
        if !started {
            self.start_next();
        }
        dropped
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
                self.stop = self.part.map_or(entry.batch.text.len(), |most| entry.part(most, self.framing));
                break;
            }
            self.written += 1;
        }
    }

    fn settle(&mut self, count: usize, now: Instant) {
        if count > 0 {
            self.settling.push_back((now, count));
            self.settling_entries += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Epoch;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    fn batch(epoch: u64, lines: usize) -> Arc<Batch> {
        let text: String = (0..lines).map(|line| format!("batch{epoch}.line{line} 1 {epoch}\n")).collect();
        Arc::new(Batch { epoch: Epoch(epoch), text: text.into_bytes(), lines, ..Batch::default() })
    }

    fn epochs(batches: &[Arc<Batch>]) -> Vec<u64> {
        batches.iter().map(|batch| batch.epoch.0).collect()
    }

    fn write_all(window: &mut Window) {
        while let Some(chunk) = window.chunk() {
            let length = chunk.len();
            window.wrote(length);
        }
    }

    #[test]
    fn a_batch_is_delivered_after_its_confirmation_has_settled() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.push(batch(1, 3));
        window.push(batch(2, 3));
        write_all(&mut window);
        assert!(window.at_boundary() && window.unsent() == 0);
        window.end();
        assert!(window.settled(now).is_empty(), "nothing is confirmed yet");
        window.confirmed(now + Duration::from_secs(1));
        assert!(window.settled(now).is_empty(), "the confirmation is younger");
        assert_eq!(epochs(&window.settled(now + Duration::from_secs(1))), [1, 2]);
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
            window.confirmed(now);
        }
        window.wrote(20); // of the third: one line and a half
        assert_eq!(window.lost(), 2 + 2 + 1);
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
        window.confirmed(now);
        assert!(window.settled(now).is_empty());
        assert_eq!(window.chunk().unwrap(), &all[2 * line..]);
        window.wrote(3);
        assert_eq!(window.lost(), 0, "two lines are confirmed, of the third a fragment is lost");
        assert_eq!(window.chunk().unwrap(), &all[2 * line..]);
        window.wrote(line);
        assert!(window.at_boundary() && window.chunk().is_none(), "one batch at a time");
        window.end();
        window.confirmed(now);
        assert!(window.chunk().is_none(), "not before it has settled");
        assert_eq!(epochs(&window.settled(now)), [1]);
        assert_eq!(window.chunk().unwrap(), batch(2, 1).text);
    }

    #[test]
    fn only_what_has_not_begun_to_go_out_is_dropped() {
        let mut window = Window::default();
        (1..=4).for_each(|epoch| window.push(batch(epoch, 10)));
        window.wrote(5);
        assert_eq!(epochs(&window.drop_oldest(20)), [2, 3]);
        assert_eq!(window.lines(), 20);
        window.push(batch(5, 100));
        assert_eq!(epochs(&window.drop_oldest(20)), [4]);
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
        window.confirmed(now);
        assert_eq!(epochs(&window.settled(now)), [1, 2, 3]);
    }

    #[derive(Debug, Clone)]
    enum Action {
        Push(usize),
        Write(usize),
        End,
        Confirm,
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
            4 => (0_usize..6).prop_map(Action::Push),
            8 => (1_usize..120).prop_map(Action::Write),
            3 => Just(Action::End),
            3 => Just(Action::Confirm),
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
        pushed: BTreeMap<u64, Arc<Batch>>,
        current: Vec<u8>,
        ended: Vec<u8>,
        read: BTreeSet<String>,
        received: Vec<String>,
        gone: Vec<u64>,
        dropped: BTreeSet<u64>,
        resent: u64,
    }

    impl World {
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

        fn delivered(&mut self, batches: &[Arc<Batch>]) {
            for batch in batches {
                for line in Self::whole_lines(&batch.text) {
                    assert!(self.read.contains(&line), "{line} counts as delivered, but nobody has read it");
                }
                assert!(self.gone.last().is_none_or(|last| *last < batch.epoch.0), "oldest first, and once");
                self.gone.push(batch.epoch.0);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn whatever_happens_nothing_is_lost_and_no_line_is_broken(actions in actions()) {
            let (mut window, mut world) = (Window::default(), World::default());
            let mut now = Instant::now();
            let mut acknowledged = 0;
            for action in actions {
                match action {
                    Action::Push(lines) => {
                        let epoch = world.pushed.len() as u64;
                        world.pushed.insert(epoch, batch(epoch, lines));
                        window.push(batch(epoch, lines));
                    }
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
                        window.confirmed(now);
                        let ended = std::mem::take(&mut world.ended);
                        world.certainly_read(&ended);
                        world.over(ended);
                    }
                    Action::Acknowledge(part) => {
                        if !window.awaits() {
                            let bytes = (window.position as f64 * part) as u64;
                            acknowledged = bytes.max(acknowledged);
                            let read = world.current[..acknowledged as usize].to_vec();
                            world.certainly_read(&read);
                            window.acknowledged(acknowledged, now);
                        }
                    }
                    Action::Tick => now += Duration::from_secs(1),
                    Action::Settle => world.delivered(&window.settled(now - Duration::from_secs(1))),
                    Action::Lose | Action::LoseUnconfirmed => {
                        if matches!(action, Action::Lose) {
                            window.lost();
                            prop_assert!(!window.in_flight());
                        } else {
                            window.lost_unconfirmed();
                        }
                        let (ended, current) = (std::mem::take(&mut world.ended), std::mem::take(&mut world.current));
                        world.over(ended);
                        world.over(current);
                        acknowledged = 0;
                    }
                    Action::Limit(part) => window.limit(part),
                    Action::Drop(most) => {
                        let dropped = epochs(&window.drop_oldest(most));
                        world.dropped.extend(dropped);
                    }
                }
                let held: usize = window.entries.iter().map(|entry| entry.batch.lines).sum();
                prop_assert_eq!(window.lines(), held);
                prop_assert_eq!(window.position, world.current.len() as u64);
            }
            let rest: Vec<_> = window.entries.iter().map(|entry| entry.batch.epoch.0).collect();
            // Every batch is held, delivered or dropped: one of them, in order.
            let accounted: BTreeSet<u64> =
                rest.iter().chain(&world.gone).chain(&world.dropped).copied().collect();
            prop_assert_eq!(accounted.len(), rest.len() + world.gone.len() + world.dropped.len());
            prop_assert_eq!(accounted.len(), world.pushed.len());
            prop_assert!(rest.is_sorted());
            // What is left gets through, limited or not.
            window.lost();
            for _ in 0..2000 {
                write_all(&mut window);
                if window.at_boundary() {
                    window.end();
                }
                window.confirmed(now);
                window.settled(now);
            }
            prop_assert!(window.is_empty() && window.lines() == 0 && window.unsent() == 0);
            // No line is broken or invented on any connection.
            for line in &world.received {
                let known = world.pushed.values().any(|batch| World::whole_lines(&batch.text).contains(line));
                prop_assert!(known, "{}", line);
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
                world.resent += window.lost();
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
