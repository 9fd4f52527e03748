//! Statistics of HAProxy, pulled, aggregated and delivered.
//!
//! ```text
//! haproxystats.conf ─► config
//! pull:     sockets ─► snapshot directory (staged, then renamed) ─► incoming/
//! process:  incoming/ ─► queue ─► supervisor ─► worker ─► parse ─► aggregate ─► render ─► dispatch ─► removed
//! discovery: source ─► plan ─► store ─► reconcile ─► Runtime API
//! ```
//!
//! Each module uses only those above it in this list. What needs polars is behind the cargo feature `process`; the
//! parsers do not.

pub mod backoff;
pub mod exit;
pub mod version;

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "process")]
pub mod aggregate;
pub mod cli;
pub mod config;
#[cfg(feature = "discovery")]
pub mod discovery;
pub mod dispatch;
pub mod exporter;
pub mod haproxy;
pub mod logging;
pub mod names;
pub mod parse;
pub mod plan;
#[cfg(feature = "process")]
pub mod process;
pub mod pull;
pub mod queue;
#[cfg(feature = "process")]
pub mod render;
pub mod snapshot;
pub mod status;
pub mod systemd;
pub mod telemetry;
#[cfg(test)]
mod testing;
