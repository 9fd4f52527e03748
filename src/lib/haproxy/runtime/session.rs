//! One line of commands, one connection, one answer, within a time.

use super::batch::Batch;
use super::process::{InfoError, Process};
use super::reply::{Refusal, Reply, classify, split};
use super::sessions::OpenSessions;
use super::state::{Servers, StateError};
use crate::haproxy::address::Address;
use crate::haproxy::socket::{ConnectError, Stream, connect};
use std::fmt::Write;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// More than this is no answer: 100,000 servers take some 10 MB.
const ANSWER_LIMIT: usize = 64 << 20;
const CHUNK: usize = 64 << 10;

/// Why a line has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The line could not be sent, or the answer not be read.
    #[error("{socket}: connection lost")]
    Broken {
        /// The socket.
        socket: Address,
        /// What the kernel said.
        source: io::Error,
    },
    /// The answer was not complete in time.
    #[error("{socket}: no complete answer within {} s", limit.as_secs_f64())]
    TimedOut {
        /// The socket.
        socket: Address,
        /// The time it had.
        limit: Duration,
    },
    /// The connection was closed without an answer: `maxconn` of the socket, or a process that leaves.
    #[error("{socket}: closed without an answer")]
    Empty {
        /// The socket.
        socket: Address,
    },
    /// An answer without end.
    #[error("{socket}: more than {ANSWER_LIMIT} bytes of an answer")]
    TooLong {
        /// The socket.
        socket: Address,
    },
    /// The answer to `show info` is none.
    #[error("{socket}: not HAProxy")]
    Info {
        /// The socket.
        socket: Address,
        /// What is wrong.
        source: InfoError,
    },
    /// The answer to `show servers state` is none.
    #[error("{socket}: no server state for backend {backend}")]
    State {
        /// The socket.
        socket: Address,
        /// The backend.
        backend: String,
        /// What is wrong.
        source: StateError,
    },
    /// The answer to `show servers state` is an error of HAProxy.
    #[error("{socket}: HAProxy refuses the server state of backend {backend}: {text}")]
    Refused {
        /// The socket.
        socket: Address,
        /// The backend.
        backend: String,
        /// HAProxy's words.
        text: String,
    },
}

/// What one process says about some backends, all at the same time.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The process.
    pub process: Process,
    /// Their servers.
    pub servers: Servers,
    /// Backends that it does not have.
    pub missing: Vec<String>,
    /// Open sessions, where they were asked for.
    pub sessions: OpenSessions,
}

/// A socket of a HAProxy.
#[derive(Debug, Clone)]
pub struct Session {
    socket: Address,
    limit: Duration,
}

impl Session {
    /// `limit`: for the connection, and for the answer.
    #[must_use]
    pub fn new(socket: Address, limit: Duration) -> Self {
        Self { socket, limit }
    }

    /// Where it connects to.
    #[must_use]
    pub fn socket(&self) -> &Address {
        &self.socket
    }

    /// Sends a line, which ends with a line feed, and returns all that comes until HAProxy closes the connection.
    ///
    /// # Errors
    /// No connection, no complete answer in time, or no end of it. A line that was sent may have been carried out.
    pub async fn ask(&self, line: &str) -> Result<String, SessionError> {
        let stream = connect(&self.socket, self.limit).await?;
        let answer = timeout(self.limit, self.exchange(&stream, line)).await;
        let bytes = answer.map_err(|_| SessionError::TimedOut { socket: self.socket.clone(), limit: self.limit })??;
        if bytes.is_empty() {
            return Err(SessionError::Empty { socket: self.socket.clone() });
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Which process answers.
    ///
    /// # Errors
    /// See [`Self::ask`]; and when it is not HAProxy that answers.
    pub async fn process(&self) -> Result<Process, SessionError> {
        let info = self.ask("show info\n").await?;
        Process::parse(&info).map_err(|source| SessionError::Info { socket: self.socket.clone(), source })
    }

    /// Reads the servers of `backends` from one process. `sessions`: ids of the backends whose open sessions are asked
    /// for as well.
    ///
    /// # Errors
    /// See [`Self::ask`]; and when an answer is none.
    pub async fn observe(&self, backends: &[&str], sessions: &[u32]) -> Result<Observation, SessionError> {
        let mut line = String::from("show info");
        for backend in backends {
            let _ = write!(line, ";show servers state {backend}");
        }
        // 4: servers only; -1: all of them.
        for id in sessions {
            let _ = write!(line, ";show stat {id} 4 -1");
        }
        line.push('\n');
        let answer = self.ask(&line).await?;
        self.read(&answer, backends)
    }

    /// Sends a batch and returns a reply for each of its commands.
    ///
    /// # Errors
    /// See [`Self::ask`].
    pub async fn apply(&self, batch: &Batch) -> Result<Vec<Reply>, SessionError> {
        Ok(split(&self.ask(batch.line()).await?, batch.commands()))
    }

    fn read(&self, answer: &str, backends: &[&str]) -> Result<Observation, SessionError> {
        let socket = || self.socket.clone();
        // No line within `show info` and `show servers state` is empty.
        let mut rest = answer;
        let mut next = || {
            let end = rest.find("\n\n").map_or(rest.len(), |end| end + 2);
            let (part, left) = rest.split_at(end);
            rest = left;
            part
        };
        let process = Process::parse(next()).map_err(|source| SessionError::Info { socket: socket(), source })?;
        let mut servers = Servers::default();
        let mut missing = Vec::new();
        for backend in backends {
            let part = next();
            match Servers::parse(part) {
                Ok(some) => {
                    servers.rows.extend(some.rows);
                    servers.refused += some.refused;
                }
                Err(source) => match classify(part) {
                    Reply::Refused(Refusal::NoSuchBackend, _) => missing.push((*backend).to_owned()),
                    Reply::Refused(Refusal::PermissionDenied | Refusal::UnknownCommand, text) => {
                        return Err(SessionError::Refused { socket: socket(), backend: (*backend).to_owned(), text });
                    }
                    _ => return Err(SessionError::State { socket: socket(), backend: (*backend).to_owned(), source }),
                },
            }
        }
        let mut sessions = OpenSessions::default();
        // Fields of `show stat` may hold empty lines, so its replies are told by their headers.
        for (start, _) in rest.match_indices("# pxname,") {
            let part = rest.get(start..).unwrap_or_default();
            let end = part.get(1..).and_then(|tail| tail.find("\n# pxname,")).map_or(part.len(), |end| end + 1);
            sessions.add(part.get(..end).unwrap_or(part));
        }
        Ok(Observation { process, servers, missing, sessions })
    }

    async fn exchange(&self, stream: &Stream, line: &str) -> Result<Vec<u8>, SessionError> {
        let broken = |source| SessionError::Broken { socket: self.socket.clone(), source };
        stream.send(line.as_bytes()).await.map_err(broken)?;
        let mut answer = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            stream.readable().await.map_err(broken)?;
            match stream.try_read(&mut chunk) {
                Ok(0) => return Ok(answer),
                Ok(length) => answer.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(source) => return Err(broken(source)),
            }
            if answer.len() > ANSWER_LIMIT {
                return Err(SessionError::TooLong { socket: self.socket.clone() });
            }
        }
    }
}
