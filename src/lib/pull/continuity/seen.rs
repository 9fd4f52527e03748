//! A process as a snapshot shows it.

use crate::haproxy::identity::ProcessKey;

/// What tells one process from another: its host, and what it says of itself, or the socket of one that says too little.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) host: Option<String>,
    pub(super) key: Option<ProcessKey>,
    pub(super) source: Option<String>,
}

/// A process, in a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Seen<'a> {
    pub(super) identity: Identity,
    /// The socket that led to it.
    pub(super) source: &'a str,
    /// Whether it is leaving, and was asked through its master.
    pub(super) leaving: bool,
    /// HAProxy's release line, where it says it.
    pub(super) release: Option<(u32, u32)>,
}
