//! What the task knows.

use super::opening::Opening;
use super::renewal::Renewal;
use super::witnesses::Witnesses;
use crate::backoff::Rounds;
use crate::config::{self, Acknowledge};
use crate::dispatch::graphite::connect::{Connector, Target};
use crate::dispatch::graphite::link::Link;
use crate::dispatch::graphite::progress::Progress;
use crate::dispatch::graphite::proof::Rules;
use crate::dispatch::graphite::shared::Shared;
use crate::looked::Moment;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// First and longest pause between two looks at what the kernel of the peer has acknowledged.
pub(super) const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(64));

/// Shortest and longest time between the ends of two connections, however small the batches are: in a long catching up
/// the batches in between share a connection. In between, it is twice the time that the peer takes to close one.
pub(super) const BETWEEN_ENDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Largest part that a connection is limited to, for a peer that breaks every connection.
pub(super) const LARGEST_PART: usize = 256 * 1024;

/// Whether the peer closes a connection after its end was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    Unknown,
    Closes,
    Never,
}

/// The connection that carries the next batch.
pub(super) enum Next {
    Open(Link),
    Opening(Opening),
    Pause(Instant),
}

/// See the module.
pub(crate) struct Task {
    pub(super) shared: Rc<Shared>,
    pub(super) target: Target,
    pub(super) connect_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) delay: Duration,
    pub(super) acknowledge: Acknowledge,
    pub(super) rules: Rules,
    pub(super) witnesses: Witnesses,
    pub(super) renewal: Renewal,
    pub(super) rounds: Rounds,
    pub(super) next: Next,
    /// `None` while it is at work.
    pub(super) connector: Option<Connector>,
    /// A connection that has been ended, with the time of it.
    pub(super) ended: Option<(Link, Instant)>,
    pub(super) last_end: Option<Instant>,
    pub(super) between_ends: Duration,
    pub(super) habit: Habit,
    /// Whether it has been said that the peer does not close.
    pub(super) told_open: bool,
    pub(super) progress: Progress,
    pub(super) poll: Duration,
    /// Failed attempts in a row.
    pub(super) failures: u32,
    /// Connections in a row that broke before anything on them was confirmed.
    pub(super) barren: u32,
    pub(super) part: Option<usize>,
    /// Parts in a row that were confirmed.
    pub(super) parts: u32,
    pub(super) confirmed_since_loss: bool,
    /// Whether the peer was too slow and has confirmed nothing since: it may hang, and be killed with what it had read.
    pub(super) hangs: bool,
    /// Whether the next connection replaces one that was lost.
    pub(super) replaces: bool,
    /// How often in a row a peer that had confirmed something was gone a moment later, without that anything was delivered in
    /// between: it may be a proxy with nothing behind it, which confirms everything.
    pub(super) doubts: u32,
    /// Whether the last connection that was lost was closed in order.
    pub(super) closed: bool,
}

impl Task {
    pub(crate) fn new(config: &config::Graphite, target: Target, shared: Rc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            target,
            connect_timeout: config.connect_timeout,
            write_timeout: config.write_timeout,
            delay: config.delay,
            acknowledge: config.acknowledge,
            rules: Rules { settle: config.settle },
            witnesses: Witnesses::new(now),
            renewal: Renewal::new(config.connection_lifetime),
            rounds: Rounds::new(config.retries, config.interval, config.backoff, config.delay),
            next: Next::Pause(now),
            connector: None,
            ended: None,
            last_end: None,
            between_ends: BETWEEN_ENDS.0,
            habit: Habit::Unknown,
            told_open: false,
            progress: Progress::new(config.write_timeout, config.delay, Moment::now()),
            poll: POLL.0,
            failures: 0,
            barren: 0,
            part: None,
            parts: 0,
            confirmed_since_loss: false,
            hangs: false,
            replaces: false,
            doubts: 0,
            closed: false,
        }
    }
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Loss {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the connection failed")]
    Broken(#[from] io::Error),
    /// With it goes what the peer has confirmed.
    #[error("an idle connection to the peer ended soon after it had confirmed the data")]
    Witness(#[source] Option<io::Error>),
    #[error("the peer has not kept up for {0:?}")]
    TooSlow(Duration),
}
