//! From the name of a server to an open connection.

use super::link::Stream;
use super::session::Session;
use crate::config::Endpoint;
use crate::dispatch::resolve::{ResolveError, Resolver};
use crate::looked;
use crate::tls::Tls;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name service knows no such name, or does not answer.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The name exists, without an address.
    #[error("the name {host} has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// The last address refused; earlier ones failed too.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The last address did not answer; earlier ones failed too.
    #[error("{address} did not accept a connection within {limit:?}")]
    ConnectTimeout {
        /// The address.
        address: SocketAddr,
        /// `connect-timeout`
        limit: Duration,
    },
    /// The server accepted, and there is no TLS session.
    #[error("TLS handshake with {host} at {address} failed")]
    Handshake {
        /// The name that it has to prove.
        host: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server accepted, and the handshake of TLS does not get on.
    #[error("{address} did not finish the TLS handshake within {limit:?}")]
    HandshakeTimeout {
        /// The address.
        address: SocketAddr,
        /// `connect-timeout`
        limit: Duration,
    },
}

/// Where to connect to, and how.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Name and port.
    pub(crate) endpoint: Endpoint,
    /// TLS, if that is wanted.
    pub(crate) tls: Option<Tls>,
}

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    host: String,
    resolver: Resolver,
    tls: Option<Tls>,
    limit: Duration,
}

impl Connector {
    /// `limit` holds for each address, for the name service, and for the handshake of TLS.
    pub(crate) fn new(target: Target, limit: Duration) -> Self {
        let Endpoint { host, port, .. } = target.endpoint;
        Self { resolver: Resolver::new(&host, port), host, tls: target.tls, limit }
    }

    /// Resolves the name again and tries its addresses in turn.
    pub(crate) async fn connect(&mut self) -> Result<Stream, ConnectError> {
        let mut failure = ConnectError::NoAddress { host: self.host.clone() };
        for address in self.resolver.addresses(self.limit).await? {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Tries this address alone.
    pub(crate) async fn connect_to(&self, address: SocketAddr) -> Result<Stream, ConnectError> {
        let limit = self.limit;
        match looked::timeout(limit, TcpStream::connect(address)).await {
            Some(Ok(stream)) => self.secure(stream, address).await,
            Some(Err(source)) => Err(ConnectError::Connect { address, source }),
            None => Err(ConnectError::ConnectTimeout { address, limit }),
        }
    }

    /// Begins TLS, if that is wanted.
    async fn secure(&self, tcp: TcpStream, address: SocketAddr) -> Result<Stream, ConnectError> {
        let Some(tls) = &self.tls else { return Ok(Stream { tcp, session: None }) };
        let failed = |source| ConnectError::Handshake { host: self.host.clone(), address, source };
        let (connector, name) = tls.to(&self.host).map_err(failed)?;
        let limit = self.limit;
        match looked::timeout(limit, connector.connect(name, tcp)).await {
            Some(Ok(stream)) => {
                let (tcp, session) = stream.into_inner();
                Ok(Stream { tcp, session: Some(Session::new(session)) })
            }
            Some(Err(source)) => Err(failed(source)),
            None => Err(ConnectError::HandshakeTimeout { address, limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn connector(host: &str, port: u16) -> Connector {
        let endpoint = Endpoint { host: host.to_owned(), port, instance: None };
        Connector::new(Target { endpoint, tls: None }, Duration::from_secs(20))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn names_and_literal_addresses_are_reached() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            for host in ["127.0.0.1", "localhost"] {
                let stream = connector(host, port).connect().await.unwrap();
                assert_eq!(stream.tcp.peer_addr().unwrap().port(), port, "{host}");
            }
            let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
            let port = listener.local_addr().unwrap().port();
            for host in ["::1", "[::1]"] {
                connector(host, port).connect().await.unwrap();
            }
        });
    }

    #[test]
    fn a_closed_port_and_an_unknown_name_are_told_apart() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let refused = connector("127.0.0.1", port).connect().await.unwrap_err();
            assert!(matches!(refused, ConnectError::Connect { .. }), "{refused:?}");
            let unknown = connector("no-such-host.invalid", port).connect().await;
            assert!(matches!(unknown, Err(ConnectError::Resolve(_))), "{unknown:?}");
        });
    }
}
