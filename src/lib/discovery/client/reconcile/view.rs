//! What is decided from: what is seen of one HAProxy, and what its operator chose.

use crate::haproxy::runtime::{OpenSessions, Process, Servers};
use std::time::Duration;

/// What the operator of the client chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Time for the sessions of a leaving server to end.
    pub drain_timeout: Duration,
    /// End the sessions that are left after it.
    pub shutdown_sessions: bool,
}

/// What is seen of one HAProxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub process: &'a Process,
    pub servers: &'a Servers,
    /// Their open sessions, as far as they are known.
    pub sessions: &'a OpenSessions,
    /// Whether the backend takes no weights (a static balance algorithm).
    pub fixed_weights: bool,
    /// UTC seconds.
    pub now: u64,
}
