//! Metrics to Graphite over TCP, in its plaintext or its pickle protocol, to one server or to several.
//!
//! TCP says what the peer's *kernel* has; what its program has read, it does not say, and a relay that is restarted or
//! killed takes with it what lay unread in its buffers. So the end of each connection is used as the acknowledgement
//! that the protocol lacks:
//!
//! ```text
//! write batches ─► end our side ─► the peer reads up to our end, closes its side ─► confirmed ─► settle ─► delivered
//!                                └► it resets, or breaks, or hangs: all that is held is sent again
//! ```
//!
//! A peer's side that closes in order, after ours and with our whole stream acknowledged, proves that the peer has read
//! every byte: a kernel that closes a connection with unread data resets it instead. The next connection is opened in
//! the same moment as one is ended. It stands idle until the next batch, so the loss of the peer is noticed at once, and
//! a batch counts as delivered only when that has not happened for a short while (`settle`) after its confirmation:
//! a relay that dies then has probably not passed on what it had read.
//!
//! A peer that reads but never closes (some simple listeners do) is found out once; from then on, for as long as it
//! stays, what its kernel has acknowledged counts as confirmed. `acknowledge = kernel` asks for that from the start, on
//! one lasting connection.
//!
//! ```text
//! batch ─► tags ─► ring (who gets what) ─► pickle ─► server: window ─► task ─► link ─► session (TLS)
//! ```
//!
//! `failover` chooses among several servers. Each `server` has a `window`, which knows its batches and where they are; its
//! `task` does what is to be done, `progress` tells when a peer is too slow, `connect` opens a `link`, which is a socket,
//! and `report` tells of it.

mod connect;
mod failover;
mod link;
mod pickle;
mod progress;
mod report;
mod ring;
mod server;
mod session;
mod tags;
mod task;
mod tls;
mod window;

use super::{Batch, Counters, Dispatcher, Notice, Notices};
use crate::config::{Config, Mode, Protocol};
use crate::snapshot::Epoch;
use connect::Target;
use failover::Failover;
use ring::Ring;
use server::{Server, Word};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tags::Tags;
use tls::Tls;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use tls::TlsError;

/// Name of this dispatcher.
pub const NAME: &str = "graphite";

/// The dispatcher; its connections live as long as it does.
#[derive(Debug)]
pub struct Graphite {
    fleet: Rc<Fleet>,
    tags: Option<Tags>,
    protocol: Protocol,
    /// Chooses the server, where there is a choice.
    keeper: Option<JoinHandle<()>>,
}

/// The servers.
#[derive(Debug)]
struct Fleet {
    servers: Vec<Server>,
    share: Share,
    /// Batches of which several servers have a part.
    open: RefCell<BTreeMap<Epoch, Open>>,
    notices: Notices,
}

/// Who gets what.
#[derive(Debug)]
enum Share {
    /// One server, this one, everything.
    Chosen(Cell<usize>, RefCell<Failover>, Rc<Notify>),
    /// All servers everything.
    All,
    /// Each its part.
    Parts(Ring),
}

#[derive(Debug, Clone, Copy)]
struct Open {
    waiting_for: usize,
    dropped: bool,
}

/// Checks what is read at the start beside the configuration: the files for TLS.
///
/// # Errors
/// A file that cannot be used.
pub fn check(config: &Config) -> Result<(), TlsError> {
    let tls = config.graphite.tls.as_ref().filter(|_| config.graphite.enabled);
    tls.map_or(Ok(()), |tls| Tls::open(tls).map(drop))
}

impl Graphite {
    /// Starts to connect. To be called inside a tokio `LocalSet`.
    ///
    /// # Errors
    /// See [`check`].
    pub fn start(config: &Config, notices: Notices) -> Result<Self, TlsError> {
        let graphite = &config.graphite;
        let tls = graphite.tls.as_ref().map(Tls::open).transpose()?;
        let share = match graphite.mode {
            _ if graphite.servers.len() < 2 => Share::chosen(config),
            Mode::Failover => Share::chosen(config),
            Mode::Duplicate => Share::All,
            Mode::Hash => Share::Parts(Ring::new(&graphite.servers)),
        };
        let fleet = Rc::new_cyclic(|fleet: &Weak<Fleet>| {
            let start = |(index, endpoint): (usize, &crate::config::Endpoint)| {
                let fleet = Weak::clone(fleet);
                let listener = move |word| {
                    if let Some(fleet) = fleet.upgrade() {
                        fleet.heard(index, word);
                    }
                };
                let target = Target { endpoint: endpoint.clone(), tls: tls.clone() };
                Server::start(graphite, target, Box::new(listener))
            };
            Fleet {
                servers: graphite.servers.iter().enumerate().map(start).collect(),
                share,
                open: RefCell::default(),
                notices,
            }
        });
        let keeper = match &fleet.share {
            Share::Chosen(_, _, wake) if fleet.servers.len() > 1 => {
                Some(tokio::task::spawn_local(keep(Rc::downgrade(&fleet), Rc::clone(wake))))
            }
            _ => None,
        };
        let tags = graphite.tagged.then(|| Tags::new(config));
        Ok(Self { fleet, tags, protocol: graphite.protocol, keeper })
    }

    /// As it goes over the wire.
    fn encoded(&self, batch: Arc<Batch>) -> Arc<Batch> {
        match self.protocol {
            Protocol::Plaintext => batch,
            Protocol::Pickle => Arc::new(wire(&batch, pickle::encode(&batch.text))),
        }
    }
}

impl Dispatcher for Graphite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn submit(&self, batch: Arc<Batch>) {
        let batch = match &self.tags {
            Some(tags) => Arc::new(wire(&batch, tags.tag(&batch.text))),
            None => batch,
        };
        match &self.fleet.share {
            Share::Chosen(current, ..) => {
                if let Some(server) = self.fleet.servers.get(current.get()) {
                    server.submit(self.encoded(batch));
                }
            }
            Share::All => {
                let batch = self.encoded(batch);
                self.fleet.opened(batch.epoch, self.fleet.servers.len());
                for server in &self.fleet.servers {
                    server.submit(Arc::clone(&batch));
                }
            }
            Share::Parts(ring) => {
                let parts = split(&batch, ring, self.fleet.servers.len());
                self.fleet.opened(batch.epoch, parts.iter().filter(|part| part.lines > 0).count());
                for (server, part) in self.fleet.servers.iter().zip(parts) {
                    if part.lines > 0 {
                        server.submit(self.encoded(Arc::new(part)));
                    }
                }
            }
        }
    }

    /// There is room when the server that gets the next batch has some. Where several get it, one that is in trouble may
    /// fill its queue while the others go on, and then holds them up.
    fn has_room(&self) -> bool {
        self.fleet.has_room()
    }

    /// Sums over the servers.
    fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for counters in self.fleet.servers.iter().map(Server::counters) {
            sum.delivered_lines += counters.delivered_lines;
            sum.resent_lines += counters.resent_lines;
            sum.dropped_lines += counters.dropped_lines;
            sum.retries += counters.retries;
            sum.reconnects += counters.reconnects;
            sum.stalls += counters.stalls;
            sum.queued_batches += counters.queued_batches;
            sum.queued_lines += counters.queued_lines;
        }
        sum
    }

    /// Does not wait for servers that cannot be reached.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            for server in &self.fleet.servers {
                server.drain(deadline).await;
            }
        })
    }
}

impl Drop for Graphite {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

impl Share {
    fn chosen(config: &Config) -> Self {
        let graphite = &config.graphite;
        let failover = Failover::new(graphite.servers.len(), graphite.delay);
        Self::Chosen(Cell::new(0), RefCell::new(failover), Rc::default())
    }
}

impl Fleet {
    fn has_room(&self) -> bool {
        match &self.share {
            Share::Chosen(current, ..) => self.servers.get(current.get()).is_some_and(Server::has_room),
            Share::All | Share::Parts(_) => {
                self.servers.iter().any(Server::has_room)
                    && self.servers.iter().all(|server| server.has_room() || server.can_wait())
            }
        }
    }

    /// So many servers are to get a part of this batch.
    fn opened(&self, epoch: Epoch, parts: usize) {
        if parts == 0 {
            return self.tell(Notice::Delivered { dispatcher: NAME, epoch });
        }
        self.open.borrow_mut().insert(epoch, Open { waiting_for: parts, dropped: false });
    }

    fn heard(&self, index: usize, word: Word) {
        match (word, &self.share) {
            (Word::Delivered(epoch), Share::Chosen(_, failover, _)) => {
                failover.borrow_mut().delivered(index);
                self.tell(Notice::Delivered { dispatcher: NAME, epoch });
            }
            (Word::Dropped(epoch), Share::Chosen(..)) => self.tell(Notice::Dropped { dispatcher: NAME, epoch }),
            (Word::Delivered(epoch), _) => self.part(epoch, false),
            (Word::Dropped(epoch), _) => self.part(epoch, true),
            (Word::Room, _) => self.tell_room(),
            (Word::Condition, Share::Chosen(_, _, wake)) => wake.notify_one(),
            (Word::Condition, _) => self.tell_room(),
        }
    }

    /// One server is done with its part of a batch.
    fn part(&self, epoch: Epoch, dropped: bool) {
        let mut all = self.open.borrow_mut();
        let Some(open) = all.get_mut(&epoch) else { return };
        open.waiting_for = open.waiting_for.saturating_sub(1);
        open.dropped |= dropped;
        if open.waiting_for > 0 {
            return;
        }
        let dropped = open.dropped;
        all.remove(&epoch);
        drop(all);
        self.tell(if dropped {
            Notice::Dropped { dispatcher: NAME, epoch }
        } else {
            Notice::Delivered { dispatcher: NAME, epoch }
        });
    }

    fn tell_room(&self) {
        if self.has_room() {
            self.tell(Notice::Room { dispatcher: NAME });
        }
    }

    fn tell(&self, notice: Notice) {
        // Without a receiver the worker is on its way out.
        let _ = self.notices.send(notice);
    }

    /// Looks how the servers are doing, and moves what they hold to the one that is chosen. Returns when to look again.
    fn choose(&self, current: &Cell<usize>, failover: &RefCell<Failover>, now: Instant) -> Option<Instant> {
        let conditions: Vec<_> = self.servers.iter().map(|server| server.condition(now)).collect();
        let before = current.get();
        let (chosen, wake) = failover.borrow_mut().choose(before, &conditions, now);
        current.set(chosen);
        let Some(server) = self.servers.get(chosen) else { return wake };
        if chosen != before {
            tracing::warn!(dispatcher = NAME, server = server.name(), "metrics go to this server now");
        }
        if matches!(conditions.get(chosen), Some(server::Condition::Up(_))) {
            for (index, other) in self.servers.iter().enumerate() {
                if index != chosen && conditions.get(index) == Some(&server::Condition::Down) && !other.is_empty() {
                    other.recall().into_iter().for_each(|batch| server.submit(batch));
                }
            }
        }
        if chosen != before {
            self.tell_room();
        }
        let changes = self.servers.iter().filter_map(Server::next_change).filter(|at| *at > now);
        changes.chain(wake).min()
    }
}

/// Chooses a server whenever a condition changes.
async fn keep(fleet: Weak<Fleet>, wake: Rc<Notify>) {
    loop {
        let next = {
            let Some(fleet) = fleet.upgrade() else { return };
            let Share::Chosen(current, failover, _) = &fleet.share else { return };
            fleet.choose(current, failover, Instant::now())
        };
        match next {
            Some(next) => {
                let _ = tokio::time::timeout_at(next, wake.notified()).await;
            }
            None => wake.notified().await,
        }
    }
}

/// A batch with another text of the same lines.
fn wire(batch: &Batch, text: Vec<u8>) -> Batch {
    Batch { epoch: batch.epoch, lines: batch.lines, text, ..Batch::default() }
}

/// The parts of a batch, by server.
fn split(batch: &Batch, ring: &Ring, servers: usize) -> Vec<Batch> {
    let room = batch.text.len() / servers.max(1) + batch.text.len() / 16;
    let empty = || Batch { epoch: batch.epoch, text: Vec::with_capacity(room), ..Batch::default() };
    let mut parts: Vec<Batch> = std::iter::repeat_with(empty).take(servers).collect();
    for line in batch.text.split_inclusive(|byte| *byte == b'\n') {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        let server = ring.server(line.get(..end).unwrap_or(line));
        if let Some(part) = parts.get_mut(server) {
            part.text.extend_from_slice(line);
            part.lines += 1;
        }
    }
    parts.iter_mut().for_each(|part| part.text.shrink_to_fit());
    parts
}
