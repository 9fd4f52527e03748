//! Statistics of HAProxy, pulled, aggregated and delivered.
//!
//! ```text
//! haproxystats.conf ─► config
//! pull:     sockets ─► snapshot directory (staged, then renamed) ─► incoming/
//! process:  incoming/ ─► queue ─► supervisor ─► worker ─► parse ─► aggregate ─► render ─► encode ─► dispatch ─► removed
//! agent:    check ─► decide ─► answer
//! discovery: source ─► plan ─► store ─► reconcile ─► Runtime API
//! top:      sockets or snapshots ─► tick ─► model of two ticks ─► table, JSON, screen
//! ```
//!
//! What each folder, or file that stands by itself, may import; docs/architecture.md says more.
//!
//! ```text
//! escape
//! exit
//! injection
//! looked
//! net
//! secrets
//! snapshot
//! topic
//! value
//! version
//! archive    snapshot
//! parcel     snapshot
//! daemon     injection
//! haproxy    value
//! latency    snapshot
//! config     escape haproxy latency net secrets parcel snapshot
//! telemetry  snapshot
//! backoff    config
//! batch      config parcel snapshot
//! cli        config snapshot
//! logging    config escape injection
//! names      config
//! plan       config haproxy
//! prometheus config haproxy telemetry
//! tls        config secrets
//! exporter   config logging net telemetry tls
//! encode     batch config haproxy latency prometheus snapshot telemetry value
//! http       config net secrets tls
//! dispatch   archive backoff batch config encode http injection logging looked parcel prometheus secrets snapshot telemetry tls topic
//! consume    backoff config logging parcel snapshot topic
//! parse      haproxy names plan value
//! queue      logging snapshot
//! status     cli config haproxy snapshot version
//! aggregate  haproxy latency names parse plan snapshot value
//! reporter   batch config daemon dispatch encode exporter logging names snapshot value
//! run        cli config daemon exit logging
//! startup    cli config daemon exit exporter logging status version
//! agent      cli config daemon exit exporter haproxy http logging names net reporter secrets startup telemetry version
//! discovery  backoff cli config daemon dispatch exit exporter haproxy http logging names net reporter secrets startup telemetry tls
//! pull       cli config daemon exit exporter haproxy injection latency logging parse snapshot startup telemetry version
//! render     aggregate batch config encode haproxy latency names plan snapshot value
//! process    aggregate archive batch cli config consume daemon dispatch encode exit exporter haproxy injection latency logging looked names parse plan prometheus queue render snapshot startup telemetry value version
//! top        archive cli config daemon exit haproxy injection logging parse pull snapshot startup value
//! ```
//!
//! What needs polars is behind the cargo feature `process`; the parsers do not.
#![cfg_attr(
    not(all(feature = "agent", feature = "discovery", feature = "kafka", feature = "top")),
    allow(
        dead_code,
        unused_imports,
        reason = "what one program leaves unused, another one needs: judged with all of them"
    )
)]

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "process")]
pub mod aggregate;
#[cfg(feature = "archive")]
pub mod archive;
pub mod backoff;
pub mod batch;
pub(crate) mod cli;
pub mod config;
#[cfg(feature = "kafka")]
pub mod consume;
pub mod daemon;
#[cfg(feature = "discovery")]
pub mod discovery;
pub mod dispatch;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod encode;
pub mod escape;
pub mod exit;
pub mod exporter;
pub mod haproxy;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod http;
pub mod injection;
pub mod latency;
pub mod logging;
pub mod looked;
#[cfg(all(test, feature = "process", feature = "agent", feature = "discovery"))]
mod metrics_document;
pub mod names;
pub mod net;
pub mod parcel;
pub mod parse;
pub mod plan;
#[cfg(feature = "process")]
pub mod process;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod prometheus;
pub mod pull;
pub mod queue;
#[cfg(feature = "process")]
pub mod render;
#[cfg(any(feature = "agent", feature = "discovery"))]
pub mod reporter;
#[cfg(feature = "process")]
pub mod run;
pub mod secrets;
pub mod snapshot;
pub mod startup;
pub(crate) mod status;
pub mod telemetry;
#[cfg(test)]
mod testing;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod tls;
#[cfg(feature = "top")]
pub mod top;
#[cfg(feature = "kafka")]
pub mod topic;
pub mod value;
pub mod version;
