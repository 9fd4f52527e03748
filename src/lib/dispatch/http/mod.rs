//! Metrics to a receiver that is sent to by HTTP requests: OTLP, and Prometheus remote write.
//!
//! ```text
//! batch ─► bodies, compressed ─► held until its turn ─► requests, several at once ─► accepted, all of them ─► delivered
//!                                                            ├► not now: again, after a pause, without end
//!                                                            └► refused, too large: in halves; what is refused by itself
//!                                                               is counted, kept as text, and not sent again
//! ```
//!
//! Receivers refuse samples that are older than others of the same series. Snapshots are rendered by several workers at the same
//! time; so each is sent when the parent says that all before it are delivered, see `process::parent::order`.
//!
//! `window` knows what is held and whose turn it is, `verdict` what an answer means, both without doing anything; `client` makes
//! requests, `task` does as they say, `body` compresses and divides, `refused` keeps what is refused, and `report` tells of it.

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

pub use dispatcher::{Http, HttpError, check};
pub use name::{OTLP, REMOTE_WRITE};
pub(crate) use probe::probe;
