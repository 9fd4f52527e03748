//! Hosts and ports.

use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// A host without the brackets that an IPv6 address has in front of a port.
#[must_use]
pub(crate) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

/// Listens at an address. A restart need not wait for the connections of the run before. `backlog`: connections that the
/// kernel keeps until they are accepted.
///
/// # Errors
/// The address is not this host's, is taken, or must not be used.
pub fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}
