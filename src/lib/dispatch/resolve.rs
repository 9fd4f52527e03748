//! From the name of a server to its addresses.

use super::aside;
use crate::looked;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tokio::sync::oneshot;

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The name service knows no such name, or cannot be asked.
    #[error("the name {host} cannot be resolved")]
    Failed {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The name service is still busy.
    #[error("the name {host} was not resolved within {limit:?}")]
    Timeout {
        /// The name.
        host: String,
        /// The time that it was given.
        limit: Duration,
    },
}

type Addresses = io::Result<Vec<SocketAddr>>;

/// Asks the system for the addresses of one server.
#[derive(Debug)]
pub(crate) struct Resolver {
    host: String,
    port: u16,
    /// An answer of the name service that was not waited for; asking again meanwhile would only pile up threads.
    resolving: Option<oneshot::Receiver<Addresses>>,
}

impl Resolver {
    /// For a name, or an address with or without brackets.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, resolving: None }
    }

    /// All addresses that it has now; none where the name exists without one.
    pub(crate) async fn addresses(&mut self, limit: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
        let failed = |source| ResolveError::Failed { host: self.host.clone(), source };
        let literal = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host);
        if let Ok(address) = literal.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let answer = match &mut self.resolving {
            Some(answer) => answer,
            none => {
                let (host, port) = (self.host.clone(), self.port);
                let ask = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
                none.insert(aside::run("resolve", ask).map_err(failed)?)
            }
        };
        let Some(answer) = looked::timeout(limit, answer).await else {
            return Err(ResolveError::Timeout { host: self.host.clone(), limit });
        };
        self.resolving = None;
        answer.unwrap_or_else(|_| Err(io::Error::other("the resolver panicked"))).map_err(failed)
    }
}
