//! The dispatcher: one server, or several of which one is chosen.

use super::error::TlsError;
use super::name::name;
use super::server::Server;
use super::servers::{Servers, keep};
use crate::batch::Output;
use crate::config::{self, Endpoint, Mode};
use crate::dispatch::{Batch, Counters, Dispatcher, Notices};
use crate::encode::graphite::output;
use crate::tls::Tls;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A dispatcher: one server, or several of which one is chosen. Its connections live as long as it does.
#[derive(Debug)]
pub struct Graphite {
    name: &'static str,
    servers: Rc<Servers>,
    output: Output,
    /// Chooses the server, where there is a choice.
    keeper: Option<JoinHandle<()>>,
}

/// Starts to connect: one dispatcher, or where every server has to get something, one for each. To be called inside a
/// tokio `LocalSet`.
///
/// # Errors
/// See [`super::check`].
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

impl Graphite {
    fn start(
        graphite: &config::Graphite,
        name: &'static str,
        endpoints: &[Endpoint],
        tls: &Option<Tls>,
        output: Output,
        notices: Notices,
    ) -> Self {
        let servers = Servers::start(graphite, name, endpoints, tls, notices);
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

    /// Sums over the servers; of several to choose from one is enough.
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

pub(super) fn sum(all: impl Iterator<Item = Counters>) -> Counters {
    let mut sum = Counters::default();
    all.for_each(|counters| sum.add(&counters));
    sum
}
