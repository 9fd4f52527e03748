//! Sends metrics to receivers by HTTP requests: OTLP, and Prometheus remote write.
//!
//! ```text
//! batch ─► bodies, compressed ─► held until its turn ─► requests, several at once ─► accepted, all of them ─► delivered
//!                                                            ├► not now: again after a pause, without limit
//!                                                            └► refused, too large: in halves; a single refused sample
//!                                                               is counted, kept as text, and not sent again
//! ```
//!
//! Receivers refuse samples that are older than others of the same series, but several workers render snapshots at the same time.
//! So each snapshot is only sent when the parent says that all before it are delivered; see `process::parent::order`.
//!
//! `window` tracks what is held and whose turn it is, and `verdict` decides what an answer means, both without side effects.
//! `client` makes requests, `task` acts on the decisions, `body` compresses and divides, `refused` stores refused samples, and
//! `report` logs.

mod body;
mod client;
mod credentials;
mod dispatcher;
mod name;
mod probe;
mod refused;
mod report;
mod shared;
mod task;
mod verdict;
mod window;

pub(crate) use dispatcher::HttpError;
pub use dispatcher::{Http, check};
pub use name::OTLP;
pub(crate) use name::REMOTE_WRITE;
pub(crate) use probe::probe;
