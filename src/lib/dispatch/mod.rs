//! Where metrics go: one bounded queue of batches per destination.
//!
//! A dispatcher is a task on the worker's single-threaded runtime (a tokio `LocalSet`). It receives batches in order,
//! and answers with a [`Notice`] when its destination has them for good. The worker removes a snapshot when every
//! dispatcher has delivered (or given up, see [`Notice::Dropped`]) its batch.
//!
//! ```text
//! graphite::start(&config.graphite, &notices)      Http::start(protocol, &config.otlp, notices)
//! Kafka::start(kafka, &config, &hostname, notices)  LocalStore::start(&config.local_store, notices)
//! Archive::start(&config.archive, &src_dir, &hostname, notices)
//! ```

#[cfg(feature = "process")]
pub mod archive;
mod aside;
pub mod bounds;
mod condition;
pub mod counters;
mod disk;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
pub mod graphite;
#[cfg(feature = "process")]
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
mod keep;
pub mod local_store;
#[cfg(feature = "process")]
pub mod probe;
#[cfg(any(feature = "process", feature = "agent", feature = "discovery"))]
mod resolve;

pub use crate::batch::Batch;
pub use counters::Counters;

use crate::batch::Output;
use crate::snapshot::Epoch;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

/// The worker's end for [`Notice`]s is unbounded, since each batch causes a bounded number of them.
pub(crate) type Notices = UnboundedSender<Notice>;

/// What a dispatcher tells the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The destination has the whole batch.
    Delivered {
        /// Which dispatcher.
        dispatcher: &'static str,
        /// Which snapshot.
        epoch: Epoch,
    },
    /// The destination says that it has the whole batch, which is not certain yet: [`Notice::Delivered`] or [`Notice::Lost`]
    /// follows.
    Confirmed {
        /// Which dispatcher.
        dispatcher: &'static str,
        /// Which snapshot.
        epoch: Epoch,
    },
    /// The batch was given up to make room: `queue-full = drop-oldest`.
    Dropped {
        /// Which dispatcher.
        dispatcher: &'static str,
        /// Which snapshot.
        epoch: Epoch,
    },
    /// The batch was sent, and lost, and is not in memory any more: it is to be submitted again, from its first piece.
    /// What was submitted of it so far is forgotten, and so is what still comes of that.
    Lost {
        /// Which dispatcher.
        dispatcher: &'static str,
        /// Which snapshot.
        epoch: Epoch,
    },
    /// [`Dispatcher::has_room`] or [`Dispatcher::takes_more`] may have changed to true.
    Room {
        /// Which dispatcher.
        dispatcher: &'static str,
    },
}

/// One destination of metrics. Dropping it closes the destination; what was not delivered is forgotten here and still
/// on disk.
pub trait Dispatcher {
    /// Name for logs, counters and notices.
    fn name(&self) -> &'static str;
    /// Which bytes it takes.
    fn output(&self) -> Output;
    /// Puts a batch of these at the end of the queue; never waits. The batch is shared between dispatchers, not copied.
    fn submit(&self, batch: Arc<Batch>);
    /// Whether the worker should render another snapshot for this dispatcher now.
    fn has_room(&self) -> bool;
    /// Whether this snapshot should be rendered for this dispatcher now.
    fn has_room_for(&self, _epoch: Epoch) -> bool {
        self.has_room()
    }
    /// Whether it sends snapshots in the order of their time, each when [`Dispatcher::go`] has named it. Until then it holds
    /// what it is given, or gives it up with [`Notice::Lost`]; it never makes the worker wait for another piece of it.
    fn is_ordered(&self) -> bool {
        false
    }
    /// All snapshots before this one are delivered here, or will not be: this one may be sent.
    fn go(&self, _epoch: Epoch) {}
    /// Whether the worker should go on with the snapshot of which it has submitted the first pieces.
    fn takes_more(&self) -> bool;
    /// The figures so far.
    fn counters(&self) -> Counters;
    /// Ends when everything held is delivered, at `deadline`, or as soon as it is plain that waiting is of no use
    /// (nothing can be reached). Notices of what was delivered meanwhile are sent as always.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}
