//! The ports: allowed clients, requests and answers. All input is bounded in bytes and time.

use super::error::AgentError;
use super::figures::Program;
use super::service::Service;
use crate::config::agent::LONGEST_REQUEST;
use crate::daemon::duty::{Duty, Roll};
use crate::net::listen;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// Time for the peer to take the answer and to close; its kernel does it in a round trip.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often the task of an idle port reports.
const TURN: Duration = Duration::from_secs(10);

/// One port with its services.
pub(super) struct Port {
    address: SocketAddr,
    listener: Rc<TcpListener>,
    services: Vec<Rc<Service>>,
    figures: Rc<Program>,
    /// Where the task that answers reports.
    roll: Roll,
    /// Connections at present.
    open: Cell<usize>,
    /// Whether the log has it that connections are refused.
    crowded: Cell<bool>,
    /// Whether a refused or unknown request has been logged.
    puzzled: Cell<bool>,
}

/// Opens every port once. Those that are open already are taken over with the clients that wait there.
///
/// # Errors
/// A port that is not open yet cannot be opened.
pub(super) fn open(
    services: &[Rc<Service>],
    figures: &Rc<Program>,
    roll: &Roll,
    before: &[Rc<Port>],
) -> Result<Vec<Rc<Port>>, AgentError> {
    let mut ports: Vec<(SocketAddr, Vec<Rc<Service>>)> = Vec::new();
    for service in services {
        let address = SocketAddr::new(service.config.bind, service.config.port);
        match ports.iter_mut().find(|(other, _)| *other == address) {
            Some((_, sharing)) => sharing.push(Rc::clone(service)),
            None => ports.push((address, vec![Rc::clone(service)])),
        }
    }
    let open = |(address, services)| {
        let listener = match before.iter().find(|port| port.address == address) {
            Some(port) => Rc::clone(&port.listener),
            None => Rc::new(listen(address, BACKLOG).map_err(|source| AgentError::Listen { address, source })?),
        };
        let (open, crowded, puzzled) = (Cell::new(0), Cell::new(false), Cell::new(false));
        let (figures, roll) = (Rc::clone(figures), roll.clone());
        Ok(Rc::new(Port { address, listener, services, figures, roll, open, crowded, puzzled }))
    };
    ports.into_iter().map(open).collect()
}

impl Port {
    /// Accepts connections; never returns.
    pub(super) async fn serve(self: Rc<Self>) {
        let duty = self.roll.duty(format!("port {}", self.address), TURN);
        let mut failing = false;
        loop {
            duty.report(TURN);
            duty.spring().await;
            let Ok(accepted) = timeout(TURN, self.listener.accept()).await else { continue };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.accepted(stream, peer.ip());
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "cannot accept connections; trying again");
                    }
                    // Out of file descriptors, most likely: trying on at once would only burn the CPU.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn accepted(self: &Rc<Self>, stream: TcpStream, peer: IpAddr) {
        let most = self.services.iter().map(|service| service.config.max_connections.get()).max().unwrap_or(1);
        if self.open.get() >= most {
            self.figures.closed.add();
            if !self.crowded.replace(true) {
                tracing::warn!(connections = most, "too many connections: further ones are closed without an answer");
            }
            return;
        }
        self.crowded.set(false);
        if !self.services.iter().any(|service| allows(service, peer)) {
            self.figures.refused.add();
            self.puzzle(peer, "is not listed in allow and gets no answer");
            return;
        }
        self.open.set(self.open.get() + 1);
        let port = Rc::clone(self);
        let duty = self.roll.duty("conversation", FAREWELL);
        tokio::task::spawn_local(async move {
            // An error is a peer that has left, which is its right.
            let _ = port.converse(stream, peer, &duty).await;
            port.open.set(port.open.get().saturating_sub(1));
        });
    }

    async fn converse(&self, mut stream: TcpStream, peer: IpAddr, duty: &Duty) -> io::Result<()> {
        // The answer is one small write; at worst it is a little later.
        let _ = stream.set_nodelay(true);
        let request = match self.services.iter().find(|service| service.config.request.is_some()) {
            Some(service) => {
                duty.report(service.config.request_timeout);
                self.read_request(&mut stream, service.config.request_timeout).await?
            }
            None => String::new(),
        };
        let line = match self.find(&request).filter(|service| allows(service, peer)) {
            Some(service) => {
                duty.report(service.config.check_timeout);
                service.line(&self.roll).await
            }
            None => {
                self.figures.unknown.add();
                self.puzzle(peer, "asks for a service that does not exist, or that allow does not let it ask for");
                "\n".to_owned()
            }
        };
        duty.report(FAREWELL);
        timeout(FAREWELL, async {
            stream.write_all(line.as_bytes()).await?;
            stream.shutdown().await?;
            // What HAProxy sends and nobody reads would reset the connection, and the answer might be lost with it.
            let mut ignored = [0; LONGEST_REQUEST];
            for _ in 0..16 {
                if stream.read(&mut ignored).await? == 0 {
                    break;
                }
            }
            Ok(())
        })
        .await
        .unwrap_or(Ok(()))
    }

    /// The service that is asked for: the one with this request, otherwise the one that has none.
    fn find(&self, request: &str) -> Option<&Rc<Service>> {
        let named = self.services.iter().find(|service| service.config.request.as_deref() == Some(request));
        named.or_else(|| self.services.iter().find(|service| service.config.request.is_none()))
    }

    /// One line, without its end. What comes too late or is too long is as good as nothing.
    async fn read_request(&self, stream: &mut TcpStream, limit: Duration) -> io::Result<String> {
        let mut buffer = [0; LONGEST_REQUEST + 2];
        let mut length = 0;
        let read = timeout(limit, async {
            while let Some(free) = buffer.get_mut(length..).filter(|free| !free.is_empty()) {
                let count = stream.read(free).await?;
                length += count;
                let requests = || self.services.iter().filter_map(|service| service.config.request.as_deref());
                if count == 0 || buffer.get(..length).is_some_and(|read| is_whole(read, requests())) {
                    break;
                }
            }
            Ok(())
        });
        match read.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(_) => Ok(request(buffer.get(..length).unwrap_or_default())),
        }
    }

    fn puzzle(&self, peer: IpAddr, what: &str) {
        if !self.puzzled.replace(true) {
            tracing::warn!(%peer, "{peer} {what}; logged once for each port");
        }
    }
}

fn allows(service: &Service, peer: IpAddr) -> bool {
    service.config.allow.is_empty() || service.config.allow.iter().any(|network| network.contains(peer))
}

/// Whether what was read is a whole request, as nothing that may follow could make another of it: the line has ended, or
/// it is no beginning of a request, or it is one, and no longer one begins with it. An `agent-send` without a line end is
/// answered at once by the latter.
fn is_whole<'a>(read: &[u8], requests: impl Iterator<Item = &'a str>) -> bool {
    if read.contains(&b'\n') {
        return true;
    }
    let begun = read.trim_ascii_start();
    let mut begin = requests.filter(|request| request.as_bytes().starts_with(begun));
    match (begin.next(), begin.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes() == begun,
        (Some(_), Some(_)) => false,
    }
}

/// What was asked for: the first line, without the blanks around it.
#[must_use]
pub fn request(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    String::from_utf8_lossy(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_line_is_the_request() {
        for (bytes, wanted) in [
            (&b"rw\n"[..], "rw"),
            (b" ro \r\nx", "ro"),
            (b"", ""),
            (b"\n", ""),
            (b"no end", "no end"),
            (b"\xff\n", "\u{fffd}"),
        ] {
            assert_eq!(request(bytes), wanted);
        }
    }

    #[test]
    fn a_request_is_whole_when_nothing_else_can_come_of_it() {
        let whole = |text: &str| is_whole(text.as_bytes(), ["rw", "ro", "web", "web2"].into_iter());
        for text in ["rw", " ro", "web2", "x", "rwx", "web3", "\n", "w\n", "web\n"] {
            assert!(whole(text), "{text:?}");
        }
        for text in ["", " ", "r", " w", "web"] {
            assert!(!whole(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_request_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(!request(&bytes).contains('\n'));
        }
    }
}
