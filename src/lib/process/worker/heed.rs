//! Notices of dispatchers, and what is reported to the parent.

use super::destination::Destination;
use super::error::WorkerError;
use super::state::{Worker, go};
use crate::dispatch::Notice;
use crate::process::wire::message::{ToParent, ToWorker};
use crate::snapshot::Epoch;
use std::time::Instant;

impl Worker {
    /// Acts on what a dispatcher says.
    pub(super) async fn heed(&mut self, notice: Notice) -> Result<(), WorkerError> {
        self.idle_since = Some(Instant::now());
        let (dispatcher, epoch, dropped) = match notice {
            Notice::Delivered { dispatcher, epoch } => (dispatcher, epoch, false),
            Notice::Dropped { dispatcher, epoch } => (dispatcher, epoch, true),
            Notice::Confirmed { dispatcher, epoch } => return self.confirmed(dispatcher, epoch, true).await,
            Notice::Lost { dispatcher, epoch } => {
                self.lost(dispatcher, epoch);
                return self.confirmed(dispatcher, epoch, false).await;
            }
            Notice::Room { .. } => return Ok(()),
        };
        self.gave_up |= dropped;
        let Some(open) = self.open.get_mut(&epoch) else { return Ok(()) };
        open.confirmed.insert(dispatcher);
        open.waiting_for = open.waiting_for.saturating_sub(1);
        open.dropped |= dropped;
        if open.waiting_for > 0 {
            if self.ordered.contains(dispatcher) {
                let dispatcher = dispatcher.to_owned();
                self.say(&ToParent::Delivered { dispatcher, epoch }).await?;
            }
            return self.tell_settles(epoch).await;
        }
        let dropped = open.dropped;
        self.open.remove(&epoch);
        self.tell_counters().await?;
        self.say(&ToParent::Done { epoch, dropped }).await
    }

    /// A dispatcher says that it has a snapshot, or that it has not, although it had said so.
    async fn confirmed(&mut self, dispatcher: &'static str, epoch: Epoch, confirmed: bool) -> Result<(), WorkerError> {
        let Some(open) = self.open.get_mut(&epoch) else { return Ok(()) };
        if confirmed {
            open.confirmed.insert(dispatcher);
        } else {
            open.confirmed.remove(dispatcher);
        }
        self.tell_settles(epoch).await
    }

    /// Tells the parent whether all say that they have it, where that has changed.
    async fn tell_settles(&mut self, epoch: Epoch) -> Result<(), WorkerError> {
        let Some(open) = self.open.get_mut(&epoch) else { return Ok(()) };
        let settles = open.confirmed.len() >= open.destinations;
        if std::mem::replace(&mut open.settles, settles) == settles {
            return Ok(());
        }
        self.say(&ToParent::Settles { epoch, settles }).await
    }

    /// A dispatcher has lost a snapshot that it had: it gets it again.
    fn lost(&mut self, dispatcher: &str, epoch: Epoch) {
        let Some(destination) = self.destinations.iter_mut().find(|one| one.dispatcher.name() == dispatcher) else {
            return;
        };
        if self.current.is_some_and(|current| current.epoch == epoch) {
            destination.takes = false;
        }
        destination.put_off.insert(epoch);
    }

    /// Reports to the parent the figures that have changed, before what they count is reported as done: should this
    /// process die, the parent has them.
    pub(super) async fn tell_counters(&mut self) -> Result<(), WorkerError> {
        for Destination { dispatcher, put_off, .. } in &self.destinations {
            let (name, mut counters) = (dispatcher.name(), dispatcher.counters());
            counters.put_off = put_off.len() as u64;
            if self.told.insert(name, counters) != Some(counters) {
                self.say(&ToParent::Counters { dispatcher: name.to_owned(), counters: Box::new(counters) }).await?;
            }
        }
        Ok(())
    }

    /// Delivers what can be delivered until `deadline`.
    pub(super) async fn drain(&mut self, deadline: tokio::time::Instant) -> Result<(), WorkerError> {
        // Out of the worker, so that it can go on hearing while they drain.
        let destinations = std::mem::take(&mut self.destinations);
        let all = async {
            // One after the other, but each drains by itself meanwhile.
            for Destination { dispatcher, .. } in &destinations {
                dispatcher.drain(deadline).await;
            }
        };
        tokio::pin!(all);
        loop {
            tokio::select! {
                () = &mut all => break,
                Some(notice) = self.notices.recv() => self.heed(notice).await?,
                packet = self.channel.receive() => match packet.map_err(WorkerError::Channel)? {
                    None => return Ok(()),
                    Some(packet) => match ToWorker::decode(&packet)? {
                        ToWorker::Ping => self.say(&ToParent::Pong).await?,
                        ToWorker::Go { dispatcher, epoch } => go(&destinations, &dispatcher, epoch),
                        ToWorker::Take { .. } | ToWorker::Drain(_) => {}
                    },
                },
            }
        }
        while let Ok(notice) = self.notices.try_recv() {
            self.heed(notice).await?;
        }
        Ok(())
    }
}
