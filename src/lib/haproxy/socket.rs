//! A connection to a stats socket: a UNIX path or abstract name, or a TCP host and port.

use super::address::Address;
use nix::sys::socket::{MsgFlags, recv};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

mod ioctl {
    nix::ioctl_read_bad!(
        /// Bytes in the receive queue (unix(7), SIOCINQ, which is FIONREAD).
        inq,
        libc::FIONREAD,
        libc::c_int
    );
}

/// Bytes of the address of a UNIX socket (unix(7), `sun_path`).
const SUN_PATH: usize = 108;
/// Pause before a UNIX socket is tried again whose listen queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host has no address.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name as configured.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The socket does not take connections.
    #[error("cannot connect to {address}")]
    Connect {
        /// Path, or address and port.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// `timeout` went by.
    #[error("{address} did not accept the connection within {} s", limit.as_secs_f64())]
    TimedOut {
        /// Path, address and port, or the name that was not resolved in time.
        address: String,
        /// The configured time.
        limit: Duration,
    },
}

/// An open connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// To a UNIX socket.
    Unix(UnixStream),
    /// To a TCP socket.
    Tcp(TcpStream),
}

/// Connects to a stats socket. `limit` bounds the resolution of a name and the connection to each of its addresses,
/// which are tried in turn. Names are resolved again at every call.
///
/// # Errors
/// No address accepted; the error is that of the last one.
pub(crate) async fn connect(server: &Address, limit: Duration) -> Result<Stream, ConnectError> {
    match server {
        Address::Unix(path) => connect_unix(path, server, limit).await.map(Stream::Unix),
        Address::Abstract { name, ends } => {
            connect_unix(&abstract_path(name, *ends), server, limit).await.map(Stream::Unix)
        }
        Address::Tcp { host, port } => connect_tcp(host, *port, limit).await.map(Stream::Tcp),
    }
}

/// An abstract address as tokio takes it: a path whose first byte is 0.
fn abstract_path(name: &str, ends: bool) -> PathBuf {
    let mut bytes = vec![0];
    bytes.extend_from_slice(name.as_bytes());
    if !ends {
        bytes.resize(SUN_PATH, 0);
    }
    OsString::from_vec(bytes).into()
}

async fn connect_unix(path: &Path, server: &Address, limit: Duration) -> Result<UnixStream, ConnectError> {
    let end = Instant::now() + limit;
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            // A full listen queue, where a blocking connect would wait.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if Instant::now() >= end {
                    return Err(ConnectError::TimedOut { address: server.to_string(), limit });
                }
                sleep(QUEUE_FULL_PAUSE).await;
            }
            Err(source) => return Err(ConnectError::Connect { address: server.to_string(), source }),
        }
    }
}

async fn connect_tcp(host: &str, port: u16, limit: Duration) -> Result<TcpStream, ConnectError> {
    let mut failure = None;
    for address in resolve(host, port, limit).await? {
        failure = Some(match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => ConnectError::Connect { address: address.to_string(), source },
            Err(_) => ConnectError::TimedOut { address: address.to_string(), limit },
        });
    }
    Err(failure.unwrap_or_else(|| ConnectError::Resolve {
        host: host.to_owned(),
        source: io::Error::new(ErrorKind::NotFound, "the name has no address"),
    }))
}

/// The addresses of a host. A literal address needs no resolver (and no thread of its own).
async fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let mut lookup = Lookup(spawn_blocking(move || Ok((name.as_str(), port).to_socket_addrs()?.collect())));
    match timeout(limit, &mut lookup.0).await {
        Ok(Ok(Ok(addresses))) => Ok(addresses),
        Ok(Ok(Err(source))) => Err(ConnectError::Resolve { host: host.to_owned(), source }),
        Ok(Err(error)) => Err(ConnectError::Resolve { host: host.to_owned(), source: io::Error::other(error) }),
        Err(_) => Err(ConnectError::TimedOut { address: host.to_owned(), limit }),
    }
}

/// A look-up in a thread of the runtime. One that nobody waits for any more and that has not begun never will: while
/// the resolver hangs, look-ups must not pile up.
struct Lookup(JoinHandle<io::Result<Vec<SocketAddr>>>);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    /// Waits until there is something to read (or the end).
    ///
    /// # Errors
    /// Those of the event queue.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.readable().await,
            Self::Tcp(stream) => stream.readable().await,
        }
    }

    /// Reads what is there; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, and those of the connection.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read(buffer),
            Self::Tcp(stream) => stream.try_read(buffer),
        }
    }

    /// Waits until this many bytes are there, or the end. `least` must be well below what a socket holds. Given up in the
    /// middle, it leaves bytes of which no event will tell any more; [`Stream::read_now`] finds them.
    ///
    /// # Errors
    /// Those of the event queue.
    pub(crate) async fn gathered(&self, least: usize) -> io::Result<()> {
        let stream = match self {
            Self::Unix(stream) => stream,
            // What is left unread takes away from what the peer may send, and a far one must not be held up.
            Self::Tcp(stream) => return stream.readable().await,
        };
        loop {
            if stream.ready(Interest::READABLE).await?.is_read_closed() {
                return Ok(());
            }
            // To say that reading would block is how an event is forgotten; more bytes make a new one.
            let enough = || if unread(stream)? < least { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) };
            match stream.try_io(Interest::READABLE, enough) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// As [`Stream::try_read`], and where no event is known, it looks.
    ///
    /// # Errors
    /// As [`Stream::try_read`].
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self, self.try_read(buffer)) {
            (Self::Unix(stream), Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                Ok(recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
            }
            (_, result) => result,
        }
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) fn end(&self) -> io::Result<()> {
        let descriptor = match self {
            Self::Unix(stream) => stream.as_raw_fd(),
            Self::Tcp(stream) => stream.as_raw_fd(),
        };
        Ok(nix::sys::socket::shutdown(descriptor, nix::sys::socket::Shutdown::Write)?)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
            };
            match written {
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Bytes that can be read without waiting.
fn unread(stream: &UnixStream) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `stream` lives, and SIOCINQ writes one int into `bytes`.
    unsafe { ioctl::inq(stream.as_raw_fd(), &raw mut bytes) }?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn a_full_listen_queue_is_waited_for_until_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let server = Address::Unix(path);
        block_on(async {
            let first = connect(&server, Duration::from_secs(5)).await.unwrap();
            let error = connect(&server, Duration::from_millis(20)).await.unwrap_err();
            assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
            let (second, ()) = tokio::join!(connect(&server, Duration::from_secs(20)), async {
                listener.accept().unwrap();
            });
            second.unwrap();
            drop(first);
        });
    }

    #[test]
    fn abstract_names_are_reached_in_both_forms() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        let name = format!("haproxystats-test-{}", std::process::id());
        let mut filled = name.clone().into_bytes();
        filled.resize(SUN_PATH - 1, 0);
        for (bytes, ends) in [(filled, false), (name.clone().into_bytes(), true)] {
            let server = Address::Abstract { name: name.clone(), ends };
            let error = block_on(connect(&server, Duration::from_secs(5))).unwrap_err();
            assert_eq!(error.to_string(), format!("cannot connect to {server}"));
            let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(bytes).unwrap()).unwrap();
            block_on(connect(&server, Duration::from_secs(5))).unwrap();
        }
    }

    #[test]
    fn all_addresses_of_a_name_are_tried() {
        // localhost is ::1 and 127.0.0.1, in either order; only one of them listens.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        block_on(connect(&tcp("localhost", port), Duration::from_secs(5))).unwrap();
    }

    #[test]
    fn ipv6_addresses_need_no_resolver() {
        let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
            return println!("skipped: no IPv6 on this machine");
        };
        let port = listener.local_addr().unwrap().port();
        block_on(connect(&tcp("::1", port), Duration::from_secs(5))).unwrap();
    }

    #[test]
    fn little_gathers_until_it_is_much_or_the_end() {
        use std::io::Write;
        block_on(async {
            let (mut peer, ours) = std::os::unix::net::UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let stream = Stream::Unix(UnixStream::from_std(ours).unwrap());
            let soon = |least| timeout(Duration::from_millis(50), stream.gathered(least));
            let buffer = &mut [0; 8000];
            // Little, and nothing follows: it is there when waiting stops.
            peer.write_all(&[1; 500]).unwrap();
            soon(1000).await.unwrap_err();
            assert_eq!(stream.read_now(buffer).unwrap(), 500);
            assert_eq!(stream.read_now(buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
            // In pieces.
            peer.write_all(&[1; 500]).unwrap();
            soon(1000).await.unwrap_err();
            peer.write_all(&[1; 500]).unwrap();
            soon(1000).await.unwrap().unwrap();
            assert_eq!(stream.read_now(buffer).unwrap(), 1000);
            // Little, and the end.
            peer.write_all(&[1; 500]).unwrap();
            drop(peer);
            timeout(Duration::from_secs(20), stream.gathered(1000)).await.unwrap().unwrap();
            assert_eq!(stream.read_now(buffer).unwrap(), 500);
            assert_eq!(stream.read_now(buffer).unwrap(), 0);
        });
    }

    #[test]
    fn errors_name_what_was_tried() {
        let missing = Address::Unix(PathBuf::from("/nonexistent/haproxy.sock"));
        let error = block_on(connect(&missing, Duration::from_secs(1))).unwrap_err();
        assert_eq!(error.to_string(), "cannot connect to /nonexistent/haproxy.sock");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = block_on(connect(&tcp("127.0.0.1", port), Duration::from_secs(1))).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot connect to 127.0.0.1:{port}"));
        let error = block_on(connect(&tcp("no such host", 1), Duration::from_secs(20))).unwrap_err();
        assert_eq!(error.to_string(), "cannot resolve no such host");
        assert_eq!(tcp("fe80::1", 44).to_string(), "[fe80::1]:44");
    }
}
