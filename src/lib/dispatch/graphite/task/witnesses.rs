//! The idle connections to a server whose standing is proof.

use super::opening::Opening;
use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::{Link, Stream};
use crate::dispatch::graphite::proof::IdleEnds;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The witnesses of a server.
pub(super) struct Witnesses {
    /// Oldest first.
    pub(super) links: Vec<Link>,
    /// One that is being opened.
    pub(super) calling: Option<Opening>,
    /// Not before then another one.
    pub(super) not_before: Instant,
    /// Attempts in a row that failed.
    pub(super) failures: u32,
    pub(super) ends: IdleEnds,
    /// After about so long the peer seems to close idle connections. More of them are opened for that; nothing is proved by it.
    pub(super) time_out: Option<Duration>,
}

impl Witnesses {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            links: Vec::new(),
            calling: None,
            not_before: now,
            failures: 0,
            ends: IdleEnds::default(),
            time_out: None,
        }
    }

    /// Those of this peer.
    pub(super) fn of(&self, peer: SocketAddr) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |link| link.peer == peer)
    }

    pub(super) fn has(&self, peer: SocketAddr) -> bool {
        self.of(peer).next().is_some()
    }

    /// When the last of them was opened.
    pub(super) fn youngest(&self, peer: SocketAddr) -> Option<Instant> {
        self.of(peer).map(|link| link.opened).max()
    }

    pub(super) fn close(&mut self) {
        self.links.clear();
        self.calling = None;
        self.ends.clear();
    }

    /// Ready when one of them has said something or is gone, or with the result of opening another.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<(Connector, Result<Stream, ConnectError>)>> {
        if let Some(calling) = &mut self.calling
            && let Poll::Ready(called) = calling.as_mut().poll(context)
        {
            self.calling = None;
            return Poll::Ready(Some(called));
        }
        // Each is asked, so that each wakes us.
        let ready = self.links.iter().filter(|link| link.poll_ready(context).is_ready()).count();
        if ready > 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}
