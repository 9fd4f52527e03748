//! Names of the dispatchers.

use crate::prometheus::request::Protocol;

/// Name of the dispatcher for OTLP.
pub const OTLP: &str = "otlp";

/// Name of the dispatcher for remote write.
pub(crate) const REMOTE_WRITE: &str = "remote-write";

/// Name of the dispatcher for this protocol.
pub(super) const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Otlp => OTLP,
        Protocol::RemoteWrite => REMOTE_WRITE,
    }
}
