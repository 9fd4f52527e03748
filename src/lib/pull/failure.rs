//! Why the pull of one socket failed.

use crate::haproxy::reply::{Part, ReplyError};
use crate::haproxy::socket::ConnectError;
use crate::telemetry::pull::Counter;
use std::fmt;
use std::io;
use std::time::Duration;

/// The reasons that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PullFailure {
    /// No connection.
    Connect,
    /// Not finished within `pull-timeout`.
    Timeout,
    /// Closed or reset before the first byte of an answer.
    Empty,
    /// An error message, or not HAProxy.
    Refused,
    /// Closed or reset before the end of the answer.
    Truncated,
    /// An answer beyond `max-reply-size`.
    TooLarge,
    /// More than the answer.
    Corrupt,
}

impl PullFailure {
    /// The counter of this reason.
    #[must_use]
    pub fn counter(self) -> Counter {
        match self {
            Self::Connect => Counter::FailedConnect,
            Self::Timeout => Counter::FailedTimeout,
            Self::Empty => Counter::FailedEmpty,
            Self::Refused => Counter::FailedRefused,
            Self::Truncated => Counter::FailedTruncated,
            Self::TooLarge => Counter::FailedTooLarge,
            Self::Corrupt => Counter::FailedCorrupt,
        }
    }
}

/// How far the pull of a socket has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Progress {
    /// Not connected; what the last attempt said.
    #[default]
    Connecting,
    /// Waiting to try again after this.
    Retrying(String),
    /// Connected, this many bytes received.
    Connected(u64),
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("before the connection was accepted"),
            Self::Retrying(error) => write!(f, "while retrying after: {error}"),
            Self::Connected(0) => f.write_str("before the first byte of the answer"),
            Self::Connected(bytes) => write!(f, "after {bytes} bytes of an incomplete answer"),
        }
    }
}

/// What happened to the pull of a socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The commands could not be sent.
    #[error("cannot send the command")]
    Send(#[source] io::Error),
    /// The connection broke.
    #[error("cannot read the answer after {bytes} bytes")]
    Read {
        /// Bytes received on this connection.
        bytes: u64,
        /// What the kernel said.
        source: io::Error,
    },
    /// What came is not a complete reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// `pull-timeout` went by.
    #[error("pull-timeout = {} s expired {progress}", limit.as_secs_f64())]
    TimedOut {
        /// The configured time.
        limit: Duration,
        /// How far it had come.
        progress: Progress,
    },
}

impl SocketError {
    /// The reason under which it is counted.
    #[must_use]
    pub fn kind(&self) -> PullFailure {
        match self {
            Self::Connect(_) => PullFailure::Connect,
            Self::TimedOut { .. } => PullFailure::Timeout,
            Self::Send(_) | Self::Read { bytes: 0, .. } | Self::Reply(ReplyError::Empty) => PullFailure::Empty,
            Self::Read { .. } | Self::Reply(ReplyError::Truncated { .. } | ReplyError::Missing { .. }) => {
                PullFailure::Truncated
            }
            Self::Reply(ReplyError::Refused { .. }) => PullFailure::Refused,
            Self::Reply(ReplyError::TooLarge { .. }) => PullFailure::TooLarge,
            Self::Reply(ReplyError::Surplus) => PullFailure::Corrupt,
        }
    }

    /// Whether another attempt makes sense: nothing of an answer has come. A HAProxy that is being replaced resets
    /// the connections that wait in its listen queue; the next attempt reaches the new one.
    #[must_use]
    pub(crate) fn is_before_answer(&self) -> bool {
        matches!(self.kind(), PullFailure::Connect | PullFailure::Empty)
    }

    /// Whether it is a socket of another type: datagrams, packets.
    #[must_use]
    pub(crate) fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Connect { source, .. })
            if source.raw_os_error() == Some(libc::EPROTOTYPE))
    }

    /// What shows that this is no stats socket, where the error does: its type, or what it says.
    #[must_use]
    pub(crate) fn proof(&self) -> Option<String> {
        match self {
            _ if self.is_wrong_type() => Some("it is a datagram or seqpacket socket".to_owned()),
            // A stats socket may say so, too.
            Self::Reply(ReplyError::Refused { line, .. }) if line.starts_with("Permission denied") => None,
            Self::Reply(ReplyError::Refused { part: Part::Info, line }) if line.starts_with("Unknown command") => {
                Some(format!("it answers as the CLI of HAProxy's master process does: \"{line}\""))
            }
            Self::Reply(ReplyError::Refused { part: Part::Info, line }) => Some(format!("it answers \"{line}\"")),
            _ => None,
        }
    }

    /// What a frontend's socket does that speaks another protocol, and a stats socket only in great need.
    #[must_use]
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self.kind(), PullFailure::Empty)
            || matches!(self, Self::TimedOut { progress: Progress::Connected(0), .. })
    }

    /// Whether the peer may be one that takes a single command per connection.
    #[must_use]
    pub(crate) fn may_be_one_command_only(&self) -> bool {
        matches!(self, Self::Reply(ReplyError::Refused { .. } | ReplyError::Missing { .. }))
    }
}
