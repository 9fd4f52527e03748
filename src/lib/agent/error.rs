//! Why the agent cannot start.

use crate::http::SetupError;
use std::io;
use std::net::SocketAddr;

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    /// The event loop or its signals cannot be set up.
    #[error("cannot set up the event loop")]
    EventLoop(#[source] io::Error),
    /// A port cannot be opened.
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    /// The check of a service cannot be set up.
    #[error("service {service}: check {check} cannot be set up")]
    Check {
        /// Name of the service.
        service: String,
        /// Name of the check.
        check: &'static str,
        source: SetupError,
    },
}
