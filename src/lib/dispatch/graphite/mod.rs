//! Metrics to Graphite over TCP, in its plaintext or its pickle protocol, to one server or to several.
//!
//! TCP says what the peer's *kernel* has; what its program has read, it does not say, and a relay that is restarted or
//! killed takes with it what lay unread in its buffers. So the end of each connection is used as the acknowledgement
//! that the protocol lacks:
//!
//! ```text
//! write batches ─► end our side ─► the peer reads up to our end, closes its side ─► confirmed ─► settle ─► delivered
//!                                └► it resets, or breaks, or hangs: all that is held is sent again
//! ```
//!
//! A peer's side that closes in order, after ours and with our whole stream acknowledged, proves that the peer has read
//! every byte: a kernel that closes a connection with unread data resets it instead. The next connection is opened in
//! the same moment as one is ended, and stands ready for the next batch.
//!
//! The peer may be a proxy with nothing behind it, which reads and closes as well, or a relay that dies with what it has read. So
//! a confirmation settles: connections that carry nothing, the witnesses, have to stand by it, see `proof`. What settles is
//! held as a name alone, and counts nowhere.
//!
//! A peer that does not close is one that hangs, unless it proves that it reads; from then on, for as long as it
//! stays, what its kernel has acknowledged counts as confirmed. `acknowledge = kernel` asks for that from the start, on
//! one lasting connection, which is renewed from time to time.
//!
//! ```text
//! batch ─► server: window ─► task ─► link ─► session (TLS)
//! ```
//!
//! Where every server has to get something there is a dispatcher for each, so that one that is away does not hold up the
//! others; `failover` chooses among several servers of one dispatcher. Each `server` has a `window`, which knows its batches and where they are; its
//! `task` does what is to be done, `proof` tells when a confirmation counts, `progress` when a peer is too slow, `connect` opens a `link`, which is a socket,
//! and `report` tells of it.

mod connect;
mod dispatcher;
mod error;
mod failover;
mod link;
mod name;
#[cfg(feature = "process")]
mod probe;
mod progress;
mod proof;
mod report;
mod reports;
mod server;
mod servers;
mod session;
mod shared;
mod task;
mod window;

pub use dispatcher::{Graphite, start};
pub(crate) use error::TlsError;
pub use error::check;
pub use name::NAME;
#[cfg(feature = "process")]
pub(crate) use probe::probe;
pub use reports::Reports;
