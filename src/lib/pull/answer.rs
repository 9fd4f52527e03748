//! What the pull of one socket comes to, and what it waits for.

use super::failure::SocketError;
use super::further::{Asked, Told};
use super::sockets::Target;
use super::unknown::Said;
use crate::haproxy::identity::{ProcessKey, Reading};
use crate::snapshot::stage::StageError;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;

/// How the pull of another socket has ended.
#[derive(Debug, Clone, Default)]
pub(super) enum News {
    /// Not yet.
    #[default]
    Pending,
    Failed,
    Answered(Rc<Reading>),
}

/// Another socket that leads to the same process, and is asked first.
pub(super) struct First {
    /// Its name.
    pub(super) name: String,
    pub(super) news: watch::Receiver<News>,
    pub(super) key: Rc<ProcessKey>,
    /// So long it is waited for; then both are asked.
    pub(super) patience: Duration,
    /// Whether this socket is asked for its process, to see whether it still is the same.
    pub(super) look: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// Both replies, of so many bytes in all.
    Stored(u64),
    /// The other socket has answered for the same process.
    Spared {
        /// Whether it was seen just now that it is the same.
        looked: bool,
    },
}

/// Whose fault it is.
pub(super) enum Failure {
    /// This socket's.
    Socket(SocketError),
    /// Everybody's.
    Disk(StageError),
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        Self::Socket(error)
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        Self::Disk(error)
    }
}

pub(super) struct Done {
    pub(super) target: Target,
    pub(super) result: Result<Answer, Failure>,
    pub(super) retries: u32,
    pub(super) one_command_only: bool,
    /// What the last complete reply to `show info` says.
    pub(super) reading: Option<Reading>,
    /// What came of further questions.
    pub(super) further: Vec<(Asked, Told)>,
    /// What it has said, where both replies are complete.
    pub(super) said: Option<Rc<Said>>,
}
