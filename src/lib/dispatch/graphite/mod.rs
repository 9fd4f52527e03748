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
//! the same moment as one is ended, and stands ready for the next batch.
//!
//! The peer may be a proxy with nothing behind it, which reads and closes as well, or a relay that dies with what it has read. So
//! a confirmation settles: connections that carry nothing, the witnesses, have to stand by it, see `proof`. What settles is
//! held as a name alone, and counts nowhere.
//!
//! A peer that does not close is one that hangs, unless it proves that it reads; from then on, for as long as it
//! stays, what its kernel has acknowledged counts as confirmed. `acknowledge = kernel` asks for that from the start, on
//! one lasting connection, which is renewed from time to time.
//!
//! ```text
//! batch ─► server: window ─► task ─► link ─► session (TLS)
//! ```
//!
//! Where every server has to get something there is a dispatcher for each, so that one that is away does not hold up the
//! others; `failover` chooses among several servers of one dispatcher. Each `server` has a `window`, which knows its batches and where they are; its
//! `task` does what is to be done, `proof` tells when a confirmation counts, `progress` when a peer is too slow, `connect` opens a `link`, which is a socket,
//! and `report` tells of it.

mod connect;
mod failover;
mod link;
mod progress;
mod proof;
mod report;
mod reports;
mod server;
mod session;
mod task;
mod window;

use super::{Batch, Counters, Dispatcher, Notice, Notices};
use crate::batch::Output;
use crate::config::{self, Config, Endpoint, Mode};
use crate::encode::graphite::output;
use crate::looked::{self, Moment};
use crate::tls::{self, Tls};
use connect::Target;
use failover::Failover;
pub use reports::Reports;
use server::{Condition, Server, Word};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Name of this dispatcher.
pub const NAME: &str = "graphite";

/// A dispatcher: one server, or several of which one is chosen. Its connections live as long as it does.
#[derive(Debug)]
pub struct Graphite {
    name: &'static str,
    servers: Rc<Servers>,
    output: Output,
    /// Chooses the server, where there is a choice.
    keeper: Option<JoinHandle<()>>,
}

/// Servers of which one, the chosen, gets everything.
#[derive(Debug)]
struct Servers {
    name: &'static str,
    all: Vec<Server>,
    chosen: Cell<usize>,
    /// The server that gets the pieces of the present snapshot: the one that was chosen when the first of them came, since one
    /// server's word is good for what it got itself.
    present: Cell<usize>,
    failover: RefCell<Failover>,
    /// Wakes the keeper.
    wake: Rc<Notify>,
    notices: Notices,
}

/// Why the connections cannot be encrypted: that of [`tls`], whose options stand in several sections, with the section.
#[derive(Debug)]
pub struct TlsError(tls::TlsError);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[graphite] {}", self.0)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Checks what is read at the start beside the configuration: the files for TLS.
///
/// # Errors
/// A file that cannot be used.
pub fn check(config: &Config) -> Result<(), TlsError> {
    let tls = config.graphite.tls.as_ref().filter(|_| config.graphite.enabled);
    tls.map_or(Ok(()), |tls| Tls::open(tls).map(drop)).map_err(TlsError)
}

/// Starts to connect: one dispatcher, or where every server has to get something, one for each. To be called inside a
/// tokio `LocalSet`.
///
/// # Errors
/// See [`check`].
pub fn start(graphite: &config::Graphite, notices: &Notices) -> Result<Vec<Graphite>, TlsError> {
    let tls = graphite.tls.as_ref().map(Tls::open).transpose().map_err(TlsError)?;
    let one = |index, endpoints: &[Endpoint]| {
        Graphite::start(graphite, name(index), endpoints, &tls, output(graphite, index), notices.clone())
    };
    if graphite.mode == Mode::Failover {
        return Ok(vec![one(0, &graphite.servers)]);
    }
    let each = graphite.servers.iter().enumerate();
    Ok(each.map(|(index, endpoint)| one(index, std::slice::from_ref(endpoint))).collect())
}

/// The name of the dispatcher of one of several servers: graphite, graphite-2, ...
fn name(index: usize) -> &'static str {
    if index == 0 { NAME } else { Box::leak(format!("{NAME}-{}", index + 1).into_boxed_str()) }
}

impl Graphite {
    fn start(
        graphite: &config::Graphite,
        name: &'static str,
        endpoints: &[Endpoint],
        tls: &Option<Tls>,
        output: Output,
        notices: Notices,
    ) -> Self {
        let servers = Rc::new_cyclic(|servers: &Weak<Servers>| {
            let start = |(index, endpoint): (usize, &Endpoint)| {
                let servers = Weak::clone(servers);
                let listener = move |word| {
                    if let Some(servers) = servers.upgrade() {
                        servers.heard(index, word);
                    }
                };
                let target = Target { endpoint: endpoint.clone(), tls: tls.clone() };
                Server::start(graphite, target, Box::new(listener))
            };
            Servers {
                name,
                all: endpoints.iter().enumerate().map(start).collect(),
                chosen: Cell::new(0),
                present: Cell::new(0),
                failover: RefCell::new(Failover::new(endpoints.len(), graphite.delay)),
                wake: Rc::default(),
                notices,
            }
        });
        let keeper = (endpoints.len() > 1)
            .then(|| tokio::task::spawn_local(keep(Rc::downgrade(&servers), Rc::clone(&servers.wake))));
        Self { name, servers, output, keeper }
    }
}

impl Dispatcher for Graphite {
    fn name(&self) -> &'static str {
        self.name
    }

    fn output(&self) -> Output {
        self.output
    }

    fn submit(&self, batch: Arc<Batch>) {
        self.servers.submit(batch);
    }

    fn has_room(&self) -> bool {
        self.servers.has_room()
    }

    fn takes_more(&self) -> bool {
        self.servers.takes_more()
    }

    /// Sums over the servers.
    fn counters(&self) -> Counters {
        sum(self.servers.all.iter().map(Server::counters))
    }

    /// Does not wait for servers that cannot be reached.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            for server in &self.servers.all {
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

fn sum(all: impl Iterator<Item = Counters>) -> Counters {
    let mut sum = Counters::default();
    all.for_each(|counters| sum.add(&counters));
    sum
}

impl Servers {
    fn has_room(&self) -> bool {
        self.all.get(self.chosen.get()).is_some_and(Server::has_room)
    }

    fn takes_more(&self) -> bool {
        self.all.get(self.present.get()).is_none_or(Server::takes_more)
    }

    fn submit(&self, batch: Arc<Batch>) {
        if batch.piece == 0 {
            self.present.set(self.chosen.get());
        }
        if let Some(server) = self.all.get(self.present.get()) {
            server.submit(batch);
        }
        if self.present.get() != self.chosen.get() {
            // Should that one be down, it is to go to the other.
            self.wake.notify_one();
        }
    }

    fn heard(&self, index: usize, word: Word) {
        let dispatcher = self.name;
        match word {
            Word::Delivered(epoch) => {
                self.failover.borrow_mut().delivered(index);
                self.tell(Notice::Delivered { dispatcher, epoch });
            }
            Word::Confirmed(epoch) => self.tell(Notice::Confirmed { dispatcher, epoch }),
            Word::Dropped(epoch) => self.tell(Notice::Dropped { dispatcher, epoch }),
            Word::Lost(epoch) => self.tell(Notice::Lost { dispatcher, epoch }),
            Word::Room => self.tell(Notice::Room { dispatcher }),
            Word::Condition => self.wake.notify_one(),
        }
    }

    fn tell(&self, notice: Notice) {
        // Without a receiver the worker is on its way out.
        let _ = self.notices.send(notice);
    }

    /// Looks how the servers are doing, and moves what they hold to the one that is chosen. Returns when to look again.
    fn choose(&self, now: Moment) -> Option<Moment> {
        let conditions: Vec<_> = self.all.iter().map(|server| server.condition(now)).collect();
        let before = self.chosen.get();
        let (chosen, wake) = self.failover.borrow_mut().choose(before, &conditions, now);
        self.chosen.set(chosen);
        let server = self.all.get(chosen)?;
        if matches!(conditions.get(chosen), Some(Condition::Up(_))) {
            for (index, other) in self.all.iter().enumerate() {
                if index != chosen && conditions.get(index) == Some(&Condition::Down) && !other.is_empty() {
                    other.recall().into_iter().for_each(|batch| server.submit(batch));
                    if self.present.get() == index {
                        self.present.set(chosen);
                    }
                }
            }
        }
        if chosen != before {
            tracing::warn!(dispatcher = self.name, server = server.name(), "now sending metrics to this server");
            self.tell(Notice::Room { dispatcher: self.name });
        }
        let changes = self.all.iter().filter_map(Server::next_change).filter(|at| *at > now);
        changes.chain(wake).min()
    }
}

/// Chooses a server whenever a condition changes.
async fn keep(servers: Weak<Servers>, wake: Rc<Notify>) {
    loop {
        let Some(next) = servers.upgrade().map(|servers| servers.choose(Moment::now())) else { return };
        match next {
            Some(next) => tokio::select! {
                () = wake.notified() => {}
                () = looked::sleep_until(next) => {}
            },
            None => wake.notified().await,
        }
    }
}
