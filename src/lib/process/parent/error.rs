//! Why the daemon cannot start.

use super::spawn::SpawnError;
use crate::dispatch::graphite::TlsError;
use crate::dispatch::http::HttpError;
use crate::queue::incoming::IncomingError;
use std::io;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The source directory.
    #[error(transparent)]
    Incoming(#[from] IncomingError),
    /// The workers.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The files for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The receivers of requests.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The runtime or its signal handlers.
    #[error("cannot set up the main loop")]
    Runtime(#[from] io::Error),
}
