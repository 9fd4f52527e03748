//! Statistics of HAProxy, pulled, aggregated and delivered.
//!
//! ```text
//! haproxystats.conf ─► config
//! pull:     sockets ─► snapshot directory (staged, then renamed) ─► incoming/
//! process:  incoming/ ─► queue ─► supervisor ─► worker ─► parse ─► aggregate ─► render ─► dispatch ─► removed
//! agent:    check ─► decide ─► answer
//! discovery: source ─► plan ─► store ─► reconcile ─► Runtime API
//! ```
//!
//! What needs polars is behind the cargo feature `process`; the parsers do not.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "process")]
pub mod aggregate;
pub mod backoff;
pub mod cli;
pub mod config;
#[cfg(feature = "discovery")]
pub mod discovery;
pub mod dispatch;
pub mod escape;
pub mod exit;
pub mod exporter;
pub mod haproxy;
#[cfg(any(feature = "agent", feature = "discovery"))]
pub mod http;
pub mod logging;
pub mod looked;
pub mod names;
pub mod net;
pub mod parse;
pub mod plan;
#[cfg(feature = "process")]
pub mod process;
pub mod pull;
pub mod queue;
#[cfg(feature = "process")]
pub mod render;
#[cfg(any(feature = "agent", feature = "discovery"))]
pub mod reporter;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod secrets;
pub mod signals;
pub mod snapshot;
pub mod status;
pub mod systemd;
pub mod telemetry;
#[cfg(test)]
mod testing;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod tls;
pub mod version;
