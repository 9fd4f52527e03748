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
//! What each folder, or file that stands by itself, may import; docs/architecture.md says more.
//!
//! ```text
//! daemon
//! escape
//! exit
//! haproxy
//! injection
//! looked
//! net
//! secrets
//! snapshot
//! value
//! version
//! config     escape haproxy net snapshot
//! telemetry  snapshot
//! backoff    config
//! cli        config
//! exporter   net telemetry
//! logging    config escape
//! messages   config snapshot
//! names      config
//! plan       config haproxy
//! tls        config secrets
//! dispatch   backoff config injection logging looked messages snapshot telemetry tls
//! http       config net secrets tls
//! parse      haproxy names plan value
//! queue      logging snapshot
//! status     cli config haproxy snapshot version
//! aggregate  haproxy names parse plan value
//! reporter   config daemon dispatch exporter logging names snapshot
//! startup    cli config exit status version
//! agent      cli config daemon exit exporter haproxy http logging names net reporter secrets startup telemetry version
//! discovery  backoff cli config daemon dispatch exit exporter haproxy http logging names net reporter secrets startup telemetry tls
//! pull       config daemon exit exporter haproxy logging snapshot startup telemetry version
//! render     aggregate config haproxy messages names plan snapshot value
//! process    aggregate cli config daemon dispatch exit exporter haproxy injection logging looked messages names parse plan queue render snapshot startup telemetry value version
//! ```
//!
//! What needs polars is behind the cargo feature `process`; the parsers do not.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "process")]
pub mod aggregate;
pub mod backoff;
pub(crate) mod cli;
pub mod config;
pub mod daemon;
#[cfg(feature = "discovery")]
pub mod discovery;
pub mod dispatch;
pub mod escape;
pub mod exit;
pub mod exporter;
pub mod haproxy;
#[cfg(any(feature = "agent", feature = "discovery"))]
pub mod http;
pub mod injection;
pub mod logging;
pub mod looked;
pub mod messages;
#[cfg(all(test, feature = "process", feature = "agent", feature = "discovery"))]
mod metrics_document;
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
pub mod snapshot;
pub mod startup;
pub(crate) mod status;
pub mod telemetry;
#[cfg(test)]
mod testing;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod tls;
pub mod value;
pub mod version;
