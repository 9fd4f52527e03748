//! A connection that is being opened.

use crate::dispatch::graphite::connect::{ConnectError, Connector};
use crate::dispatch::graphite::link::Stream;
use std::future::Future;
use std::pin::Pin;

/// Comes to the connection, and gives the connector back.
pub(super) type Opening = Pin<Box<dyn Future<Output = (Connector, Result<Stream, ConnectError>)>>>;
