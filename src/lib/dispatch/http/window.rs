//! Which snapshots are held, which of their requests wait or are under way, and whose turn it is. Decides, and does nothing.
//!
//! ```text
//! waiting ─► under way ─► accepted
//!    ▲         ├► not now: waits again, before all others
//!    └─────────┴► refused, or too large: two halves in its place, down to a single sample ─► put aside
//! ```
//!
//! Requests are sent of one snapshot at a time, the one whose turn it is: a receiver takes no sample that is older than one of
//! the same series that it has. Snapshots that are held before their turn come to nothing but what they hold in memory, and are
//! given up where that becomes too much.

use super::body::Body;
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// So many refusals of one snapshot, with nothing of it accepted in between, say that there is nothing to be found by dividing.
const IN_A_ROW: u32 = 100;

/// So many requests of one snapshot are divided, and no more: a receiver that refuses one sample in ten would get thousands of
/// requests for each snapshot.
const DIVISIONS: u32 = 1000;

/// Says which request an answer is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

/// What was put aside: samples that the receiver refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) body: Body,
    /// Why, in the receiver's words.
    pub(super) words: String,
}

/// A snapshot of which every request was accepted, or put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) epoch: Epoch,
    pub(super) lines: usize,
    /// When its first request was sent; none where it had none.
    pub(super) since: Option<Instant>,
}

/// What became of a piece that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Kept,
    /// It goes on with what is not held any more.
    Ignored,
    /// Its snapshot was given up: there is too much of it to wait for its turn in memory.
    TooMuch,
}

/// A piece of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) epoch: Epoch,
    pub(super) number: usize,
    pub(super) more: bool,
    pub(super) lines: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// The number of the next piece.
    next: usize,
    complete: bool,
    waiting: VecDeque<Body>,
    flying: BTreeMap<Token, Body>,
    aside: Vec<Aside>,
    lines: usize,
    /// Bytes that were handed over, sent or not.
    handed: usize,
    since: Option<Instant>,
    /// Refusals since something was accepted.
    refusals: u32,
    divisions: u32,
}

impl Held {
    fn bytes(&self) -> usize {
        self.waiting.iter().chain(self.flying.values()).map(|body| body.bytes.len()).sum()
    }

    fn is_done(&self) -> bool {
        self.complete && self.waiting.is_empty() && self.flying.is_empty() && self.aside.is_empty()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    held: BTreeMap<Epoch, Held>,
    turn: Option<Epoch>,
    /// Given up since they were too large to wait in memory.
    given_up: BTreeSet<Epoch>,
    /// Snapshots are as large at present: none is to be held before its turn.
    large: bool,
    /// The snapshot whose pieces are coming.
    coming: Option<Epoch>,
    last: u64,
    /// Bytes of a snapshot that waits for its turn.
    most: usize,
}

impl Window {
    /// A snapshot whose turn has not come may hold so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { held: BTreeMap::new(), turn: None, given_up: BTreeSet::new(), large: false, coming: None, last: 0, most }
    }

    /// Takes a piece. The first of a snapshot takes the place of what is held of it.
    pub(super) fn push(&mut self, piece: Piece, bodies: Vec<Body>) -> Pushed {
        let Piece { epoch, number, more, lines } = piece;
        if number == 0 {
            self.held.insert(epoch, Held::default());
            self.given_up.remove(&epoch);
        }
        let Some(held) = self.held.get_mut(&epoch).filter(|held| held.next == number && !held.complete) else {
            return Pushed::Ignored;
        };
        held.next += 1;
        held.complete = !more;
        held.lines += lines;
        held.handed += bodies.iter().map(|body| body.bytes.len()).sum::<usize>();
        held.waiting.extend(bodies);
        self.coming = more.then_some(epoch);
        let large = held.handed > self.most;
        if self.turn != Some(epoch) && large {
            self.held.remove(&epoch);
            self.given_up.insert(epoch);
            (self.large, self.coming) = (true, None);
            return Pushed::TooMuch;
        }
        if !more {
            self.large = large;
        }
        Pushed::Kept
    }

    /// From now on requests of this snapshot are sent.
    pub(super) fn go(&mut self, epoch: Epoch) {
        self.turn = Some(epoch);
        self.given_up.remove(&epoch);
    }

    /// The request to be sent now, if any.
    pub(super) fn send(&mut self, now: Instant) -> Option<(Token, Body)> {
        let held = self.held.get_mut(&self.turn?)?;
        let body = held.waiting.pop_front()?;
        self.last += 1;
        let token = Token(self.last);
        held.since.get_or_insert(now);
        held.flying.insert(token, body.clone());
        Some((token, body))
    }

    /// Samples of a request that is under way.
    pub(super) fn samples(&self, token: Token) -> Option<usize> {
        self.held.values().find_map(|held| held.flying.get(&token)).map(|body| body.samples)
    }

    /// It was accepted. Nothing comes of an answer to what is not held any more.
    pub(super) fn accepted(&mut self, token: Token) -> Option<Body> {
        let (held, body) = self.landed(token)?;
        held.refusals = 0;
        Some(body)
    }

    /// It is to be sent again, before all others.
    pub(super) fn again(&mut self, token: Token) -> bool {
        self.landed(token).map(|(held, body)| held.waiting.push_front(body)).is_some()
    }

    /// Something in it is not taken, or it is too large: it is divided, or put aside where that is not possible or leads to
    /// nothing. Returns how many samples were put aside; `None` for an answer to what is not held any more.
    pub(super) fn refused(
        &mut self,
        token: Token,
        words: &str,
        halves: impl FnOnce(&Body) -> Option<[Body; 2]>,
    ) -> Option<usize> {
        let (held, body) = self.landed(token)?;
        held.refusals = held.refusals.saturating_add(1);
        let divides = held.refusals <= IN_A_ROW && held.divisions < DIVISIONS;
        if let Some([one, other]) = Some(&body).filter(|_| divides).and_then(halves) {
            held.divisions += 1;
            held.waiting.push_front(other);
            held.waiting.push_front(one);
            return Some(0);
        }
        let samples = body.samples;
        held.aside.push(Aside { body, words: words.to_owned() });
        Some(samples)
    }

    /// Nothing is kept of it, though it was refused: the receiver has it from before.
    pub(super) fn had(&mut self, token: Token) -> Option<Body> {
        let (held, body) = self.landed(token)?;
        held.refusals = 0;
        Some(body)
    }

    /// What was put aside of the present snapshot; it is to be said when that is kept.
    pub(super) fn put_aside(&self) -> Option<(Epoch, &[Aside])> {
        let epoch = self.turn?;
        self.held.get(&epoch).map(|held| (epoch, held.aside.as_slice())).filter(|(_, aside)| !aside.is_empty())
    }

    /// So much of that is kept.
    pub(super) fn kept(&mut self, epoch: Epoch, count: usize) {
        if let Some(held) = self.held.get_mut(&epoch) {
            held.aside.drain(..count.min(held.aside.len()));
        }
    }

    /// The snapshot whose turn it is, if all of it is done. It is forgotten, and no other has its turn yet.
    pub(super) fn finished(&mut self) -> Option<Finished> {
        let epoch = self.turn?;
        let held = self.held.get(&epoch).filter(|held| held.is_done())?;
        let (lines, since) = (held.lines, held.since);
        self.held.remove(&epoch);
        self.turn = None;
        Some(Finished { epoch, lines, since })
    }

    /// Whether another snapshot should be handed over, which may or may not be the next in turn: one to be sent, and one that
    /// waits for its turn meanwhile.
    pub(super) fn has_room(&self, well: bool) -> bool {
        let turn = self.turn.filter(|turn| self.held.contains_key(turn));
        let before_their_turn = self.held.len() - usize::from(turn.is_some()) + self.given_up.len();
        before_their_turn == 0 && !self.large && (turn.is_none() || well)
    }

    /// Whether this snapshot should be handed over now. There is always room for the one whose turn it is.
    pub(super) fn has_room_for(&self, epoch: Epoch, well: bool) -> bool {
        self.turn == Some(epoch) || (!self.given_up.contains(&epoch) && self.has_room(well))
    }

    /// Bytes that wait of the snapshot whose pieces are coming, if it is its turn. Another one waits for no piece.
    pub(super) fn unsent(&self) -> usize {
        let coming = self.coming.filter(|coming| self.turn == Some(*coming)).and_then(|epoch| self.held.get(&epoch));
        coming.map_or(0, |held| held.waiting.iter().map(|body| body.bytes.len()).sum())
    }

    /// Lines of what is held.
    pub(super) fn lines(&self) -> usize {
        self.held.values().map(|held| held.lines).sum()
    }

    /// Bytes of requests that are held.
    pub(super) fn bytes(&self) -> usize {
        self.held.values().map(Held::bytes).sum()
    }

    /// Snapshots that are held.
    pub(super) fn snapshots(&self) -> usize {
        self.held.len()
    }

    /// Requests under way.
    pub(super) fn flying(&self) -> usize {
        self.held.values().map(|held| held.flying.len()).sum()
    }

    /// Whether a snapshot is held whose turn it is.
    pub(super) fn has_turn(&self) -> bool {
        self.turn.is_some_and(|turn| self.held.contains_key(&turn))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// A request is not under way any more.
    fn landed(&mut self, token: Token) -> Option<(&mut Held, Body)> {
        self.held.values_mut().find_map(|held| held.flying.remove(&token).map(|body| (held, body)))
    }
}

#[cfg(test)]
mod tests;
