//! The line between parent and worker: a pair of sequential-packet sockets. A packet arrives whole or not at all, in
//! order; the end of the one process is the end of file of the other.

use super::message::MAX_LEN;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::net::UnixDatagram;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    // The calls on a datagram socket are those that a sequential-packet socket needs: whole packets, no SIGPIPE.
    socket: UnixDatagram,
}

/// Two connected ends, both closed when another program is executed.
///
/// # Errors
/// When the system is out of descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

impl Channel {
    /// Takes over one end. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the descriptor cannot be made non-blocking or watched.
    pub(crate) fn new(end: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(end);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)? })
    }

    /// The next packet; `None` when the other side has ended. Cancelling it loses nothing.
    ///
    /// # Errors
    /// When the system refuses, or a packet is longer than any message.
    pub(crate) async fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; MAX_LEN + 1];
        loop {
            match self.socket.recv(&mut buffer).await {
                // An empty packet is never sent.
                Ok(0) => return Ok(None),
                Ok(len) if len > MAX_LEN => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "packet longer than any message"));
                }
                Ok(len) => {
                    buffer.truncate(len);
                    return Ok(Some(buffer));
                }
                // A peer that died with packets unread resets the line. The kernel says so once, before it hands out
                // what that peer had sent; after that comes the end of file.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a packet, waiting while the other side is behind with reading.
    ///
    /// # Errors
    /// When the other side has ended.
    pub(crate) async fn send(&self, packet: &str) -> io::Result<()> {
        self.socket.send(packet.as_bytes()).await.map(|_| ())
    }

    /// Sends a packet now, or fails with [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// When the other side has ended or does not read.
    pub(crate) fn send_now(&self, packet: &str) -> io::Result<()> {
        // Past tokio, whose own attempt fails until the reactor has looked at the socket once.
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        Ok(send(self.socket.as_raw_fd(), packet.as_bytes(), flags).map(|_| ())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (Channel, Channel) {
        let (one, other) = pair().unwrap();
        (Channel::new(one).unwrap(), Channel::new(other).unwrap())
    }

    #[tokio::test]
    async fn packets_keep_their_bounds_and_the_end_is_seen() {
        let (parent, worker) = ends();
        parent.send("take 1500000000").await.unwrap();
        parent.send_now("ping").unwrap();
        drop(parent);
        assert_eq!(worker.receive().await.unwrap(), Some(b"take 1500000000".to_vec()));
        assert_eq!(worker.receive().await.unwrap(), Some(b"ping".to_vec()));
        assert_eq!(worker.receive().await.unwrap(), None);
        assert_eq!(worker.send("room").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_arrives_although_something_was_unread() {
        let (parent, worker) = ends();
        parent.send("ping").await.unwrap();
        worker.send("done 1500000000 0").await.unwrap();
        drop(worker);
        let mut seen = Vec::new();
        while let Some(packet) = parent.receive().await.unwrap() {
            seen.push(packet);
        }
        assert_eq!(seen, vec![b"done 1500000000 0".to_vec()]);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_blocks_nobody_for_ever() {
        let (parent, _worker) = ends();
        parent.send_now("ping").unwrap();
        let error = loop {
            if let Err(error) = parent.send_now("ping") {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn an_endless_packet_is_an_error() {
        let (parent, worker) = ends();
        parent.send(&"x".repeat(MAX_LEN + 10)).await.unwrap();
        assert_eq!(worker.receive().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
