//! A replay: puts snapshots into the source directory from within the daemon, and ends it when all are done.

use super::figures::Figure;
use super::{GRACE, Parent};
use crate::looked::Moment;
use crate::snapshot::Epoch;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// See the module.
pub(crate) trait Feed {
    /// Looks at the progress of the snapshots so far, and decides what is next.
    fn turn(&mut self, now: Instant, seen: Seen) -> Turn;

    /// Waits until [`Feed::turn`] may have something to do. Cancelling it loses nothing.
    fn ready(&mut self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// What the daemon knows about the snapshots. Those that are done are no longer in the source directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Snapshots that no worker has taken yet.
    pub waiting: usize,
    /// Lines that workers have rendered so far.
    pub lines: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// This snapshot was put into the source directory, and is complete.
    Fed(Epoch),
    /// There is nothing to do until then.
    Wait(Instant),
    /// All snapshots are done.
    Finished,
}

impl Parent<'_> {
    /// Takes what the feed has; returns when to call this again.
    pub(super) fn feed(&mut self, now: Instant) -> Option<Instant> {
        let feed = self.feed.as_deref_mut().filter(|_| !self.leaving)?;
        loop {
            let seen = Seen { waiting: self.custody.queue().depth(), lines: self.totals.get(Figure::LinesRendered) };
            match feed.turn(now, seen) {
                Turn::Fed(epoch) => self.custody.announce(epoch),
                Turn::Wait(until) => return Some(until),
                Turn::Finished => break,
            }
        }
        self.leaving = true;
        self.supervisor.drain(Moment::now(), GRACE);
        self.pool.drain(GRACE);
        Some(now)
    }
}

/// Waits until the feed, if there is one, has something to do.
pub(super) async fn ready(feed: &mut Option<&mut dyn Feed>) {
    match feed {
        Some(feed) => feed.ready().await,
        None => std::future::pending().await,
    }
}
