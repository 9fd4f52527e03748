//! Which messages wait, which are under way, and which snapshots are delivered. Decides, and does nothing.
//!
//! ```text
//! waiting ─► under way ─► delivered
//!              ├► refused: waits until everything is tried again
//!              └► too large: under way once more by itself ─► delivered, or divided in two halves
//! ```
//!
//! A message that is too large is sent by itself first, because brokers limit the whole batch that a message travels in.

use crate::batch::messages::{Half, Message, halves_of};
use crate::config::KafkaFormat;
use crate::dispatch::Batch;
use crate::snapshot::Epoch;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Says which message a delivery report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counts the times that everything under way was given up.
    generation: u32,
    serial: u64,
    index: usize,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every replica that was asked for has it.
    Delivered,
    /// Not taken, for a reason that may pass.
    Refused,
    /// Larger than what the broker takes, perhaps together with others.
    TooLarge,
    /// Larger than what is taken, by itself.
    MuchTooLarge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Flying,
    FlyingAlone,
    Refused,
    Large,
    Done,
}

#[derive(Debug)]
struct Held {
    batch: Arc<Batch>,
    /// Halves of messages that were too large; their places follow those of the batch.
    halves: Vec<(Vec<u8>, Half, Epoch)>,
    states: Vec<State>,
    /// Everything before this place has been sent.
    next: usize,
    left: usize,
    since: Option<Instant>,
}

impl Held {
    fn message(&self, index: usize) -> Option<Message<'_>> {
        match index.checked_sub(self.batch.messages.len()) {
            None => self.batch.messages.get(index),
            Some(half) => {
                let (key, (headers, payload), stamp) = self.halves.get(half)?;
                Some(Message { key, payload, stamp: *stamp, samples: 0, headers })
            }
        }
    }
}

/// A snapshot, or a piece of one, that was delivered.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) batch: Arc<Batch>,
    /// When the first message of the snapshot was sent; none where it had none, or further pieces follow.
    pub(crate) since: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Window {
    format: KafkaFormat,
    /// Oldest first; delivered ones stay as `None` until those before them are gone.
    held: VecDeque<Option<Held>>,
    /// Serial number of the first of them.
    first: u64,
    /// Serial number of the first of which something may wait.
    next: u64,
    generation: u32,
    /// To be sent by themselves.
    large: VecDeque<(u64, usize)>,
    flying: usize,
    alone: bool,
    refused: usize,
    lines: usize,
    bytes: usize,
    unsent: usize,
    /// The snapshot of which a piece was delivered last, and when its first message was sent.
    begun: Option<(Epoch, Instant)>,
}

impl Window {
    pub(crate) fn new(format: KafkaFormat) -> Self {
        Self {
            format,
            held: VecDeque::new(),
            first: 0,
            next: 0,
            generation: 0,
            large: VecDeque::new(),
            flying: 0,
            alone: false,
            refused: 0,
            lines: 0,
            bytes: 0,
            unsent: 0,
            begun: None,
        }
    }

    /// Takes a batch.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        let count = batch.messages.len();
        self.lines += batch.lines;
        self.bytes += batch.messages.bytes();
        self.unsent += batch.messages.bytes();
        let states = vec![State::Waiting; count];
        self.held.push_back(Some(Held { batch, halves: Vec::new(), states, next: 0, left: count, since: None }));
    }

    /// The message to be sent now, if any.
    pub(crate) fn next(&mut self) -> Option<(Token, Message<'_>)> {
        if self.alone {
            return None;
        }
        let (serial, index) = match self.waiting() {
            Some(place) => place,
            // By themselves: when nothing else is under way.
            None => *self.large.front().filter(|_| self.flying == 0)?,
        };
        let token = Token { generation: self.generation, serial, index };
        self.held(serial)?.message(index).map(|message| (token, message))
    }

    /// The next message that waits.
    fn waiting(&mut self) -> Option<(u64, usize)> {
        self.next = self.next.max(self.first);
        loop {
            let place = usize::try_from(self.next - self.first).ok()?;
            if let Some(held) = self.held.get_mut(place)? {
                let waits = |state: &State| *state == State::Waiting;
                match held.states.get(held.next..).and_then(|rest| rest.iter().position(waits)) {
                    Some(further) => {
                        held.next += further;
                        return Some((self.next, held.next));
                    }
                    None => held.next = held.states.len(),
                }
            }
            self.next += 1;
        }
    }

    /// The message that [`Window::next`] gave is under way.
    pub(crate) fn sent(&mut self, token: Token, now: Instant) {
        let large = self.large.front() == Some(&(token.serial, token.index));
        if large {
            self.large.pop_front();
            self.alone = true;
        }
        if let Some(held) = self.held_mut(token.serial) {
            held.since.get_or_insert(now);
            let size = |message: Message<'_>| message.key.len() + message.payload.len() + message.headers.len();
            let bytes = held.message(token.index).map_or(0, size);
            if let Some(state) = held.states.get_mut(token.index) {
                *state = if large { State::FlyingAlone } else { State::Flying };
            }
            self.flying += 1;
            if !large {
                self.unsent = self.unsent.saturating_sub(bytes);
            }
        }
    }

    /// What became of a message. True when it was news: reports of what was given up are not.
    pub(crate) fn report(&mut self, token: Token, outcome: Outcome) -> bool {
        if token.generation != self.generation {
            return false;
        }
        let Some(held) = self.held_mut(token.serial) else { return false };
        let Some(state) = held.states.get_mut(token.index) else { return false };
        let alone = *state == State::FlyingAlone;
        if !alone && *state != State::Flying {
            return false;
        }
        let outcome = if alone && outcome == Outcome::TooLarge { Outcome::MuchTooLarge } else { outcome };
        match outcome {
            Outcome::Delivered => {
                *state = State::Done;
                held.left -= 1;
            }
            Outcome::Refused => *state = State::Refused,
            Outcome::TooLarge => *state = State::Large,
            // Divided, or refused where that is not possible.
            Outcome::MuchTooLarge => *state = State::Refused,
        }
        self.flying -= 1;
        if alone {
            self.alone = false;
        }
        match outcome {
            Outcome::Delivered => {}
            Outcome::Refused => self.refused += 1,
            Outcome::TooLarge => self.large.push_back((token.serial, token.index)),
            Outcome::MuchTooLarge => {
                if !self.divide(token) {
                    self.refused += 1;
                }
            }
        }
        true
    }

    fn divide(&mut self, token: Token) -> bool {
        let format = self.format;
        let Some(held) = self.held_mut(token.serial) else { return false };
        let Some(message) = held.message(token.index) else { return false };
        let (key, stamp) = (message.key.to_vec(), message.stamp);
        let Some(halves) = halves_of(format, &message) else { return false };
        let places = [held.states.len(), held.states.len() + 1];
        held.halves.extend(halves.map(|half| (key.clone(), half, stamp)));
        held.states.extend([State::Large; 2]);
        if let Some(state) = held.states.get_mut(token.index) {
            *state = State::Done;
        }
        // One message less, two more.
        held.left += 1;
        self.large.extend(places.map(|place| (token.serial, place)));
        true
    }

    /// Snapshots of which every message is delivered, and pieces; they are forgotten here. The last piece of a snapshot comes
    /// after all others of it.
    pub(crate) fn delivered(&mut self) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        // Snapshots of which an earlier piece is not delivered.
        let mut open: Vec<Epoch> = Vec::new();
        for place in &mut self.held {
            let Some(held) = place else { continue };
            let Batch { epoch, more, .. } = *held.batch;
            if held.left > 0 || (!more && open.contains(&epoch)) {
                if more && !open.contains(&epoch) {
                    open.push(epoch);
                }
                continue;
            }
            let Some(held) = place.take() else { continue };
            self.lines -= held.batch.lines;
            self.bytes -= held.batch.messages.bytes();
            let first = self.begun.take_if(|(of, _)| *of == epoch).map(|(_, since)| since);
            let since = first.into_iter().chain(held.since).min();
            if more {
                self.begun = since.map(|since| (epoch, since));
            }
            delivered.push(Delivered { batch: held.batch, since: since.filter(|_| !more) });
        }
        while self.held.front().is_some_and(Option::is_none) {
            self.held.pop_front();
            self.first += 1;
        }
        delivered
    }

    /// What was refused waits again.
    pub(crate) fn try_again(&mut self) -> usize {
        let again = std::mem::take(&mut self.refused);
        if again > 0 {
            self.again(State::Refused);
        }
        again
    }

    /// Everything under way is given up, and waits again; reports of it will not be news. Returns how many that were.
    pub(crate) fn give_up(&mut self) -> usize {
        let again = std::mem::take(&mut self.flying);
        self.generation = self.generation.wrapping_add(1);
        self.alone = false;
        self.again(State::Flying);
        self.again(State::FlyingAlone);
        again
    }

    fn again(&mut self, from: State) {
        for held in self.held.iter_mut().flatten() {
            for state in held.states.iter_mut().filter(|state| **state == from) {
                *state = State::Waiting;
            }
            held.next = 0;
        }
        self.next = self.first;
    }

    /// Lines of the snapshots held.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Bytes of the messages held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of messages that were never sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Snapshots held.
    pub(crate) fn batches(&self) -> usize {
        self.held.iter().flatten().count()
    }

    /// Messages under way.
    pub(crate) fn flying(&self) -> usize {
        self.flying
    }

    /// Messages that were refused and wait until they are tried again.
    pub(crate) fn refused(&self) -> usize {
        self.refused
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn held(&self, serial: u64) -> Option<&Held> {
        self.held.get(usize::try_from(serial.checked_sub(self.first)?).ok()?)?.as_ref()
    }

    fn held_mut(&mut self, serial: u64) -> Option<&mut Held> {
        self.held.get_mut(usize::try_from(serial.checked_sub(self.first)?).ok()?)?.as_mut()
    }
}

#[cfg(test)]
mod tests;
