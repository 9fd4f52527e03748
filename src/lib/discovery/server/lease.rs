//! The lease: of all servers one maintains the list.

use super::state::Server;
use crate::discovery::store::Lease;
use tokio::time::Instant;

impl Server {
    /// Whether the lease is ours.
    pub(super) async fn elect(&mut self) -> bool {
        let now = Instant::now();
        if self.leased.is_some_and(|until| now < until) && now < self.renew {
            return true;
        }
        let time = self.config.server.lease_time;
        self.turn_to_store();
        // It counts from before the question: the store may have given it then.
        match self.store.lease(&self.name, time).await {
            Ok(Lease::Ours) => {
                if self.leased.is_none() {
                    tracing::info!(server = %self.name, "this server holds the lease: it maintains the list");
                }
                self.leased = Some(now + time);
                self.renew = now + time / 3;
                self.owner = None;
                self.figures.leader.set(true);
                self.store_answers();
                return true;
            }
            Ok(Lease::Theirs(owner)) => {
                if self.owner.as_ref() != Some(&owner) {
                    tracing::info!(holder = %owner, "another server holds the lease: this one is on standby");
                    self.owner = Some(owner);
                }
                self.leased = None;
                self.store_answers();
            }
            Err(error) => {
                self.store_fails(&error);
                if self.leased.is_some_and(|until| Instant::now() < until) {
                    return true;
                }
                if self.leased.take().is_some() {
                    tracing::warn!("the lease could not be renewed in time: this server is on standby");
                }
            }
        }
        self.figures.leader.set(false);
        false
    }
}
