//! Keeps track of which snapshots are held, which of their requests wait or are in flight, and whose turn it is. Has no side
//! effects.
//!
//! ```text
//! waiting ─► in flight ─► accepted
//!    ▲         ├► not now: waits again, before all others
//!    └─────────┴► refused, or too large: replaced by two halves, down to a single sample ─► set aside
//! ```
//!
//! Only requests of the snapshot whose turn it is are sent, since receivers refuse samples that are older than others of the same
//! series. Snapshots that are held before their turn only take memory, and are dropped if they take too much; they can be
//! rendered again.

use super::body::Body;
use crate::snapshot::Epoch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// After this many refusals of a snapshot of which nothing has been accepted yet, dividing requests further is pointless. Later ones do
/// not count: fifty refused samples next to each other take a hundred requests to find.
const AT_FIRST: u32 = 100;

/// How many requests of one snapshot are divided at most: a receiver that refuses one sample in ten would otherwise get thousands
/// of requests per snapshot.
const DIVISIONS: u32 = 1000;

/// Identifies the request that an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

/// A body that was set aside: samples that the receiver refuses permanently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aside {
    pub(super) body: Body,
    /// The reason, in the receiver's words.
    pub(super) words: String,
}

/// A snapshot whose requests were all accepted or set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) epoch: Epoch,
    pub(super) lines: usize,
    /// When its first request was sent, if it had any.
    pub(super) since: Option<Instant>,
}

/// What happened to a piece that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Kept,
    /// It continues a snapshot that is no longer held.
    Ignored,
    /// Its snapshot was dropped: it is too large to wait for its turn in memory.
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
    /// Bytes that were handed over, whether sent or not.
    handed: usize,
    since: Option<Instant>,
    refusals: u32,
    /// Whether something was accepted.
    any: bool,
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
    /// Snapshots that were dropped because they were too large to wait in memory.
    given_up: BTreeSet<Epoch>,
    /// Whether snapshots are that large at present, so that none should be held before its turn.
    large: bool,
    /// The snapshot whose pieces are being handed over.
    coming: Option<Epoch>,
    last: u64,
    /// Maximum number of bytes of a snapshot that waits for its turn.
    most: usize,
}

impl Window {
    /// A snapshot may hold at most `most` bytes before its turn.
    pub(super) fn new(most: usize) -> Self {
        Self { held: BTreeMap::new(), turn: None, given_up: BTreeSet::new(), large: false, coming: None, last: 0, most }
    }

    /// Takes a piece. The first piece of a snapshot replaces whatever is held of it.
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

    /// Gives this snapshot its turn: its requests may be sent from now on.
    pub(super) fn go(&mut self, epoch: Epoch) {
        self.turn = Some(epoch);
        self.given_up.remove(&epoch);
    }

    /// The request to send now, if any.
    pub(super) fn send(&mut self, now: Instant) -> Option<(Token, Body)> {
        let held = self.held.get_mut(&self.turn?)?;
        let body = held.waiting.pop_front()?;
        self.last += 1;
        let token = Token(self.last);
        held.since.get_or_insert(now);
        held.flying.insert(token, body.clone());
        Some((token, body))
    }

    /// Number of samples in a request that is in flight.
    pub(super) fn samples(&self, token: Token) -> Option<usize> {
        self.held.values().find_map(|held| held.flying.get(&token)).map(|body| body.samples)
    }

    /// Notes that a request was accepted; `None` if it is no longer held.
    pub(super) fn accepted(&mut self, token: Token) -> Option<Body> {
        let (held, body) = self.landed(token)?;
        held.any = true;
        Some(body)
    }

    /// Puts a request back, to be sent again before all others; false if it is no longer held.
    pub(super) fn again(&mut self, token: Token) -> bool {
        self.landed(token).map(|(held, body)| held.waiting.push_front(body)).is_some()
    }

    /// Handles a request that was refused or too large: divides it, or sets it aside if it cannot be divided or that is
    /// pointless. Returns the number of samples that were set aside; `None` if the request is no longer held.
    pub(super) fn refused(
        &mut self,
        token: Token,
        words: &str,
        halves: impl FnOnce(&Body) -> Option<[Body; 2]>,
    ) -> Option<usize> {
        let (held, body) = self.landed(token)?;
        held.refusals = held.refusals.saturating_add(1);
        let divides = (held.any || held.refusals <= AT_FIRST) && held.divisions < DIVISIONS;
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

    /// Notes that a refused request is done, because the receiver already had its samples; `None` if it is no longer held.
    pub(super) fn had(&mut self, token: Token) -> Option<Body> {
        let (held, body) = self.landed(token)?;
        held.any = true;
        Some(body)
    }

    /// What was set aside of the present snapshot; call [`Self::kept`] when it is on disk.
    pub(super) fn put_aside(&self) -> Option<(Epoch, &[Aside])> {
        let epoch = self.turn?;
        self.held.get(&epoch).map(|held| (epoch, held.aside.as_slice())).filter(|(_, aside)| !aside.is_empty())
    }

    /// Notes that the first `count` of the bodies set aside are on disk.
    pub(super) fn kept(&mut self, epoch: Epoch, count: usize) {
        if let Some(held) = self.held.get_mut(&epoch) {
            held.aside.drain(..count.min(held.aside.len()));
        }
    }

    /// Removes and returns the snapshot whose turn it is, if it is done. No other snapshot has its turn yet.
    pub(super) fn finished(&mut self) -> Option<Finished> {
        let epoch = self.turn?;
        let held = self.held.get(&epoch).filter(|held| held.is_done())?;
        let (lines, since) = (held.lines, held.since);
        self.held.remove(&epoch);
        self.turn = None;
        Some(Finished { epoch, lines, since })
    }

    /// Whether another snapshot should be handed over, whether or not it is next in turn. At most one is held to be sent, and one
    /// more that waits for its turn.
    pub(super) fn has_room(&self, well: bool) -> bool {
        let turn = self.turn.filter(|turn| self.held.contains_key(turn));
        let before_their_turn = self.held.len() - usize::from(turn.is_some()) + self.given_up.len();
        before_their_turn == 0 && !self.large && (turn.is_none() || well)
    }

    /// Whether this snapshot should be handed over now. There is always room for the one whose turn it is.
    pub(super) fn has_room_for(&self, epoch: Epoch, well: bool) -> bool {
        self.turn == Some(epoch) || (!self.given_up.contains(&epoch) && self.has_room(well))
    }

    /// Waiting bytes of the snapshot whose pieces are being handed over, if it is its turn; otherwise 0, since its pieces need
    /// not be delayed.
    pub(super) fn unsent(&self) -> usize {
        let coming = self.coming.filter(|coming| self.turn == Some(*coming)).and_then(|epoch| self.held.get(&epoch));
        coming.map_or(0, |held| held.waiting.iter().map(|body| body.bytes.len()).sum())
    }

    /// Number of lines of the held snapshots.
    pub(super) fn lines(&self) -> usize {
        self.held.values().map(|held| held.lines).sum()
    }

    /// Bytes of the held requests.
    pub(super) fn bytes(&self) -> usize {
        self.held.values().map(Held::bytes).sum()
    }

    /// Number of held snapshots.
    pub(super) fn snapshots(&self) -> usize {
        self.held.len()
    }

    /// Number of requests in flight.
    pub(super) fn flying(&self) -> usize {
        self.held.values().map(|held| held.flying.len()).sum()
    }

    /// Whether the snapshot whose turn it is is held.
    pub(super) fn has_turn(&self) -> bool {
        self.turn.is_some_and(|turn| self.held.contains_key(&turn))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Removes a request from those in flight.
    fn landed(&mut self, token: Token) -> Option<(&mut Held, Body)> {
        self.held.values_mut().find_map(|held| held.flying.remove(&token).map(|body| (held, body)))
    }
}

#[cfg(test)]
mod tests;
