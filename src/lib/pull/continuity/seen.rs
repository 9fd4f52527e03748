//! A process as it appears in a snapshot.

use crate::haproxy::identity::ProcessKey;

/// What identifies a process: its host, and what it reports about itself, or its socket if it reports too little.
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
    /// The socket through which it was reached.
    pub(super) source: &'a str,
    /// Whether it is leaving, and was reached through its master.
    pub(super) leaving: bool,
    /// HAProxy's release branch, if known.
    pub(super) release: Option<(u32, u32)>,
}
