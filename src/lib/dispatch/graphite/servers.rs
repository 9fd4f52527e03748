//! Several servers of which one, the chosen, gets everything.

use super::connect::Target;
use super::failover::Failover;
use super::server::Server;
use super::shared::{Condition, Word};
use crate::config::{self, Endpoint};
use crate::dispatch::{Batch, Notice, Notices};
use crate::looked::{self, Moment};
use crate::tls::Tls;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::sync::Notify;

/// Servers of which one, the chosen, gets everything.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) name: &'static str,
    pub(super) all: Vec<Server>,
    pub(super) chosen: Cell<usize>,
    /// The server that gets the pieces of the present snapshot: the one that was chosen when the first of them came, since one
    /// server's word is good for what it got itself.
    pub(super) present: Cell<usize>,
    pub(super) failover: RefCell<Failover>,
    /// Wakes the keeper.
    pub(super) wake: Rc<Notify>,
    pub(super) notices: Notices,
}

impl Servers {
    pub(super) fn start(
        graphite: &config::Graphite,
        name: &'static str,
        endpoints: &[Endpoint],
        tls: &Option<Tls>,
        notices: Notices,
    ) -> Rc<Self> {
        Rc::new_cyclic(|servers: &Weak<Servers>| {
            let start = |(index, endpoint): (usize, &Endpoint)| {
                let servers = Weak::clone(servers);
                let listener = move |word| {
                    if let Some(servers) = servers.upgrade() {
                        servers.heard(index, word);
                    }
                };
                let target = Target { endpoint: endpoint.clone(), tls: tls.clone() };
                Server::start(graphite, name, target, Box::new(listener))
            };
            Self {
                name,
                all: endpoints.iter().enumerate().map(start).collect(),
                chosen: Cell::new(0),
                present: Cell::new(0),
                failover: RefCell::new(Failover::new(endpoints.len(), graphite.delay)),
                wake: Rc::default(),
                notices,
            }
        })
    }

    pub(super) fn has_room(&self) -> bool {
        self.all.get(self.chosen.get()).is_some_and(Server::has_room)
    }

    pub(super) fn takes_more(&self) -> bool {
        self.all.get(self.present.get()).is_none_or(Server::takes_more)
    }

    pub(super) fn submit(&self, batch: Arc<Batch>) {
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
pub(super) async fn keep(servers: Weak<Servers>, wake: Rc<Notify>) {
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
