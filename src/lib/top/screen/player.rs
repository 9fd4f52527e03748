//! Moves through stored snapshots.

use super::draw::Origin;
use super::feed::Feed;
use super::view::{Effect, View};
use crate::config::Hosts;
use crate::snapshot::moment::Span;
use crate::top::source::{Shelf, ShelfError};
use std::path::Path;

/// See the module.
#[derive(Debug)]
pub(super) struct Player {
    shelf: Shelf,
    index: usize,
}

impl Player {
    /// Opens the snapshots in this period at `path`.
    ///
    /// # Errors
    /// There are no snapshots.
    pub(super) fn open(path: &Path, span: Span, hosts: Hosts, own: String) -> Result<Self, ShelfError> {
        Ok(Self { shelf: Shelf::open(path, span, hosts, own)?, index: 0 })
    }

    /// The present position.
    pub(super) fn origin(&self) -> Origin {
        Origin::Replay { number: self.index + 1, of: self.shelf.len() }
    }

    /// Performs the effect of a key.
    ///
    /// # Errors
    /// The snapshot is damaged; the position does not change.
    pub(super) fn follow(&mut self, effect: Effect, feed: &mut Feed, view: &View) -> Result<(), ShelfError> {
        match effect {
            Effect::Step(by) => {
                let index = self.index.cast_signed().saturating_add(isize::try_from(by).unwrap_or_default());
                self.go(usize::try_from(index).unwrap_or_default(), feed, view)
            }
            Effect::First => self.go(0, feed, view),
            Effect::Last => self.go(usize::MAX, feed, view),
            Effect::Seek(epoch) => self.go(self.shelf.at(epoch), feed, view),
            Effect::Mark => {
                let mark = match feed.mark() {
                    None => self.shelf.read(self.index)?,
                    Some(_) => None,
                };
                feed.compare_with(mark, view);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Goes to the snapshot with this index.
    ///
    /// # Errors
    /// The snapshot is damaged.
    pub(super) fn go(&mut self, index: usize, feed: &mut Feed, view: &View) -> Result<(), ShelfError> {
        let index = index.min(self.shelf.len().saturating_sub(1));
        // A snapshot that was deleted meanwhile counts as damaged.
        let Some(now) = self.shelf.read(index)? else { return Ok(()) };
        let before = match index.checked_sub(1) {
            // If the one before is damaged, that is reported when the user goes to it.
            Some(before) => self.shelf.read(before).unwrap_or_default(),
            None => None,
        };
        self.index = index;
        feed.replace(before, now, view);
        Ok(())
    }
}
