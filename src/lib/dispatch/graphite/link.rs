//! One TCP connection to Graphite: what goes in, how much of it the peer's kernel has, whether the peer is still there.

use super::session::Session;
use crate::looked::Moment;
use nix::sys::socket::{MsgFlags, Shutdown, recv, setsockopt, shutdown, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Bytes of one write. Fewer cost more per byte; more would keep the thread from its other work for too long.
const CHUNK: usize = 512 * 1024;

/// Seconds of silence on an idle connection after which the kernel asks the peer whether it is there, seconds between
/// two such questions, and their number: a peer that vanished without a word is noticed after a minute.
const KEEPALIVE: (u32, u32, u32) = (30, 10, 3);

mod ioctl {
    nix::ioctl_read_bad!(
        /// Bytes in the send queue that the peer has not acknowledged (tcp(7), SIOCOUTQ).
        outq,
        nix::libc::TIOCOUTQ,
        nix::libc::c_int
    );
}

/// Whether the peer is there, seen from what it sends, which is read and thrown away.
#[derive(Debug)]
pub(crate) enum Health {
    /// The connection stands.
    Open,
    /// The peer has ended its side in order. If it had left a byte unread, its kernel would have reset the connection.
    Ended,
    /// The connection is broken.
    Broken(io::Error),
}

/// What a connection is made of.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The connection.
    pub(super) tcp: TcpStream,
    /// TLS on top of it.
    pub(super) session: Option<Session>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    session: Option<Session>,
    written: u64,
    /// [`Link::end`] was called, and the kernel does not know yet.
    ending: bool,
    /// When the connection was opened.
    pub(crate) opened: Instant,
    /// The same by the clock that counts where its age counts against the peer.
    pub(crate) begun: Moment,
    /// When it was last found to stand. It may have ended at any moment since: this program may have been busy for long.
    pub(crate) seen: Instant,
    /// The peer has said something after this time, when it was last listened to.
    pub(crate) heard: Option<Instant>,
    /// Address of the peer.
    pub(crate) peer: SocketAddr,
}

impl Link {
    /// Takes a fresh connection. `silence` is the longest time for which the kernel waits for an acknowledgement.
    pub(crate) fn new(stream: Stream, silence: Duration) -> io::Result<Self> {
        let Stream { tcp: stream, session } = stream;
        let (idle, interval, count) = KEEPALIVE;
        let silence = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        stream.set_nodelay(true)?;
        setsockopt(&stream, sockopt::KeepAlive, &true)?;
        setsockopt(&stream, sockopt::TcpKeepIdle, &idle)?;
        setsockopt(&stream, sockopt::TcpKeepInterval, &interval)?;
        setsockopt(&stream, sockopt::TcpKeepCount, &count)?;
        setsockopt(&stream, sockopt::TcpUserTimeout, &silence)?;
        let (peer, now) = (stream.peer_addr()?, Instant::now());
        let begun = Moment::now();
        Ok(Self { stream, session, written: 0, ending: false, opened: now, begun, seen: now, heard: None, peer })
    }

    /// Hands over the start of `text`, as much as the kernel takes without waiting. 0 when it takes nothing now.
    pub(crate) fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let text = text.get(..CHUNK).unwrap_or(text);
        let result = match &mut self.session {
            Some(session) => session.write(&self.stream, text),
            None => self.stream.try_write(text),
        };
        match result {
            Ok(bytes) => {
                self.written += bytes as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Tells the peer that nothing more will come, as soon as it has taken what is pending.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.ending = true;
        if let Some(session) = &mut self.session {
            session.close();
        }
        self.flush()
    }

    /// Whether there is something for the kernel that it has not taken yet: see [`Link::flush`].
    pub(crate) fn pending(&self) -> bool {
        self.session.as_ref().is_some_and(Session::pending)
    }

    /// Hands over what is pending.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.session {
            session.flush(&self.stream)?;
        }
        if self.ending && !self.pending() {
            self.ending = false;
            shutdown(self.stream.as_raw_fd(), Shutdown::Write)?;
        }
        Ok(())
    }

    /// Bytes handed over that the peer's kernel has acknowledged.
    pub(crate) fn acknowledged(&mut self) -> u64 {
        let outstanding = self.unacknowledged();
        match &mut self.session {
            Some(session) => session.acknowledged(outstanding),
            None => self.written.saturating_sub(outstanding),
        }
    }

    /// Bytes handed over that the peer's kernel has not acknowledged; the end of the stream counts as one.
    pub(crate) fn outstanding(&self) -> u64 {
        self.unacknowledged().saturating_add(u64::from(self.pending() || self.ending))
    }

    fn unacknowledged(&self) -> u64 {
        let mut bytes = 0;
        // SAFETY: the descriptor is open as long as `self.stream` lives, and SIOCOUTQ writes one int into `bytes`.
        let result = unsafe { ioctl::outq(self.stream.as_raw_fd(), &raw mut bytes) };
        // A failure must not look like an empty queue.
        result.ok().and_then(|_| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
    }

    /// Reads what the peer has to say. Look at [`Link::acknowledged`] before: a broken connection must not be taken for
    /// one whose queue is empty since all has arrived. A broken connection says so once; it is not to be asked again.
    pub(crate) fn health(&mut self) -> Health {
        let mut buffer = [0; 4096];
        // A peer that talks without end has its turn again after the others.
        for _ in 0..16 {
            let result = match &mut self.session {
                Some(session) => session.read(&self.stream),
                None => receive(&self.stream, &mut buffer),
            };
            match result {
                // Behind the end that a peer sends, reading never tells of the reset that answers what it had not read:
                // only the pending error does.
                Ok(0) => match self.stream.take_error() {
                    Ok(None) => return Health::Ended,
                    Ok(Some(error)) | Err(error) => return Health::Broken(error),
                },
                Ok(_) => self.heard = Some(self.seen),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Health::Broken(error),
            }
        }
        self.seen = Instant::now();
        Health::Open
    }

    /// Waits until the peer has said something or is gone or, if `to_write`, until it takes data again.
    pub(crate) async fn ready(&self, to_write: bool) {
        let interest = if to_write { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        // An error here shows again in `health`.
        let _ = self.stream.ready(interest).await;
    }

    /// The same for one of several.
    pub(crate) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_read_ready(context).map(drop)
    }

    /// Closes at once and forgets what is in the send queue: it will be sent again, and the rest of it on this
    /// connection, perhaps much later, would only be a second copy with a broken last line.
    pub(crate) fn abort(self) {
        // Where this fails the connection is gone already.
        let _ = self.stream.set_zero_linger();
    }
}

/// Reads what has arrived, as the kernel knows it at this moment. tokio knows of what its driver has told, and the driver is
/// not asked while this thread renders a snapshot, which may take minutes on a slow disk. A peer that has closed in the meantime
/// would seem to have been silent all the time.
pub(super) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.try_read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Ok(recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (Link, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (peer, _) = listener.accept().await.unwrap();
        (Link::new(Stream { tcp: stream, session: None }, Duration::from_secs(10)).unwrap(), peer)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn until(mut condition: impl FnMut() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("in vain");
    }

    #[test]
    fn the_end_is_confirmed_only_by_a_peer_that_has_read_everything() {
        run(async {
            let (mut link, mut peer) = pair().await;
            assert_eq!(link.write(b"a 1 2\n").unwrap(), 6);
            link.end().unwrap();
            until(|| link.outstanding() == 0).await;
            assert_eq!(link.acknowledged(), 6);
            assert!(matches!(link.health(), Health::Open), "the kernel has it, the peer has read nothing");
            let mut text = String::new();
            peer.read_to_string(&mut text).await.unwrap();
            drop(peer);
            until(|| matches!(link.health(), Health::Ended)).await;
            assert_eq!((text.as_str(), link.outstanding()), ("a 1 2\n", 0));
        });
    }

    #[test]
    fn a_close_is_seen_although_the_driver_has_not_turned_since() {
        run(async {
            let (mut link, peer) = pair().await;
            assert!(matches!(link.health(), Health::Open));
            link.end().unwrap();
            // Nothing is awaited from here on, as in a worker that renders.
            drop(peer);
            let mut sockets = [PollFd::new(link.stream.as_fd(), PollFlags::POLLIN)];
            poll(&mut sockets, PollTimeout::from(10_000_u16)).unwrap();
            assert!(matches!(link.health(), Health::Ended));
        });
    }

    #[test]
    fn what_was_said_while_nobody_listened_may_have_been_said_at_once() {
        run(async {
            let (mut link, mut peer) = pair().await;
            assert!(matches!(link.health(), Health::Open));
            let listened = link.seen;
            peer.write_all(b"welcome\n").await.unwrap();
            std::thread::sleep(Duration::from_millis(50));
            assert!(matches!(link.health(), Health::Open));
            assert_eq!(link.heard, Some(listened));
        });
    }

    #[test]
    fn a_peer_that_closes_with_unread_data_breaks_the_connection() {
        run(async {
            let (mut link, peer) = pair().await;
            link.write(b"a 1 2\n").unwrap();
            link.end().unwrap();
            until(|| link.outstanding() == 0).await;
            drop(peer);
            link.ready(false).await;
            let health = link.health();
            assert!(matches!(health, Health::Broken(_)), "{health:?}");
        });
        run(async {
            let (mut link, peer) = pair().await;
            link.write(b"a 1 2\n").unwrap();
            until(|| link.outstanding() == 0).await;
            drop(peer);
            link.ready(false).await;
            let health = link.health();
            assert!(matches!(health, Health::Broken(_)), "{health:?}");
        });
    }

    #[test]
    fn a_reset_that_follows_the_end_of_the_peer_breaks_the_connection() {
        run(async {
            let (mut link, mut peer) = pair().await;
            link.write(b"a 1 2\n").unwrap();
            peer.read_exact(&mut [0; 6]).await.unwrap();
            // The peer leaves in order, and at the same moment we write more and end: nobody will read that.
            drop(peer);
            link.ready(false).await;
            link.write(b"b 1 2\n").unwrap();
            let _ = link.end();
            until(|| {
                let mut sockets = [PollFd::new(link.stream.as_fd(), PollFlags::empty())];
                poll(&mut sockets, PollTimeout::ZERO).unwrap();
                sockets[0].revents().unwrap().contains(PollFlags::POLLERR)
            })
            .await;
            let health = link.health();
            assert!(matches!(health, Health::Broken(_)), "{health:?}");
        });
    }

    #[test]
    fn a_reset_never_looks_like_an_empty_queue() {
        run(async {
            let (mut link, peer) = pair().await;
            let text = vec![b'x'; CHUNK];
            while link.write(&text).unwrap() > 0 {}
            let (outstanding, acknowledged) = (link.outstanding(), link.acknowledged());
            assert!(outstanding > 0);
            peer.set_zero_linger().unwrap();
            drop(peer);
            link.ready(false).await;
            assert!(link.acknowledged() == acknowledged || matches!(link.health(), Health::Broken(_)));
            assert!(link.write(&text).is_err());
        });
    }
}
