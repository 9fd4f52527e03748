//! Why a worker exits without having been asked to.

use crate::dispatch::graphite::TlsError;
use crate::process::wire::WORKER;
use crate::process::wire::message::MessageError;
use std::io;

/// Why a worker ends without having been asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkerError {
    #[error("{WORKER} is only for haproxystats-process itself: standard input is not a channel")]
    NoChannel,
    #[error("cannot set up the worker")]
    SetUp(#[source] io::Error),
    #[error("cannot read the configuration from the parent")]
    Config(#[source] io::Error),
    #[error("invalid configuration from the parent: {0}")]
    Refused(String),
    #[error("the channel to the parent is broken")]
    Channel(#[source] io::Error),
    #[error("cannot set up TLS for Graphite")]
    Tls(#[from] TlsError),
    #[error("a dispatcher panicked")]
    Panicked,
    #[error("invalid message from the parent")]
    Message(#[from] MessageError),
}
