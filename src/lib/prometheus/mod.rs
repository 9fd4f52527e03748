//! Metrics as Prometheus and OpenTelemetry have them: what they are called, and the requests that carry them.
//!
//! | module | what |
//! |---|---|
//! | `promex` | the names of HAProxy's own exporter, field by field |
//! | `subject` | what a metric is about, and the labels that say of which one |
//! | `names` | a metric's name, labels, kind and unit, in either style |
//! | `compression` | how bodies are compressed, and the way back |
//! | `wire` | the parts of protobuf's wire format that requests are made of |
//! | `request` | what can be said of a request afterwards: how much is in it, two halves of it, its text |
//!
//! Requests are written as bytes, without a tree of structs in between: a snapshot has hundreds of thousands of samples.

#[cfg(feature = "process")]
pub mod compression;
#[cfg(feature = "process")]
mod gzip;
pub mod names;
pub mod promex;
pub mod request;
mod subject;
pub mod wire;

/// The bits of a value that says that a series has ended: Prometheus' `StaleNaN`.
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;
