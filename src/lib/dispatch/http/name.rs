//! What the dispatchers are called.

use crate::prometheus::request::Protocol;

/// Name of the dispatcher that speaks OTLP.
pub const OTLP: &str = "otlp";

/// Name of the dispatcher that speaks remote write.
pub const REMOTE_WRITE: &str = "remote-write";

/// Name of the dispatcher that speaks this.
pub(super) const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Otlp => OTLP,
        Protocol::RemoteWrite => REMOTE_WRITE,
    }
}
