//! What comes of the sockets of a pull.

use super::failure::SocketError;
use super::sockets::Target;
use super::unknown::Said;
use crate::haproxy::identity::Reading;
use std::rc::Rc;

/// What came of one socket.
#[derive(Debug)]
pub struct Outcome {
    /// The socket.
    pub target: Target,
    /// Bytes of its two complete replies, or why there are none.
    pub result: Result<u64, SocketError>,
    /// Attempts after the first.
    pub retries: u32,
    /// What its reply to `show info` says.
    pub reading: Option<Rc<Reading>>,
    /// What it has said, as far as it is kept.
    pub(super) said: Option<Rc<Said>>,
    /// What it means for the pull.
    pub standing: Standing,
}

/// What a socket means for the pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its replies are part of the snapshot; where there are none, they are missing in it.
    Counts,
    /// The socket of this name has answered for the same process; nothing is missing, whatever the result.
    Twin(String),
    /// It is no stats socket; nothing is missing.
    LeftOut,
}
