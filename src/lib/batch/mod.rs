//! The unit of delivery: what a snapshot, or a piece of one, is for a destination.

pub mod messages;

use crate::snapshot::Epoch;
use messages::Messages;
use std::sync::Arc;

/// What one destination, or several that take the same, get of a snapshot or of a piece of one.
///
/// A large snapshot comes in pieces, each with whole objects, so that neither its rows nor its lines are ever all in
/// memory. The pieces of a snapshot come one after the other; what is said of its delivery is said once, for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The snapshot that this is made of.
    pub epoch: Epoch,
    /// How many pieces of the same snapshot came before.
    pub piece: usize,
    /// Whether further pieces follow.
    pub more: bool,
    /// Whether the worker can render it again, so that a dispatcher may forget what it has sent.
    pub on_disk: bool,
    /// The bytes for a destination that takes a stream: lines, or frames.
    pub text: Vec<u8>,
    /// Number of metrics.
    pub lines: usize,
    /// The messages for a destination that takes those.
    pub messages: Messages,
}

/// Which bytes a destination takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Lines of the Graphite plaintext protocol, `path value timestamp\n` each.
    Plaintext,
    /// What `[graphite]` wants in place of those: for the server at this place, or for all.
    Graphite(usize),
    /// Messages.
    Kafka,
    /// Requests of OTLP, a message each; [`crate::prometheus::request`] can take them apart.
    Otlp,
    /// Requests of Prometheus' remote write, a message each.
    RemoteWrite,
    /// The page for those who scrape: a message for each metric, what is said of it as the key and its lines as the payload.
    Page,
    /// No bytes: it takes the files of the snapshot, and wants to know when it has been rendered.
    Files,
}

/// A snapshot, or a piece of one, for all destinations.
#[derive(Debug, Clone, Default)]
pub struct Piece(Vec<(Output, Arc<Batch>)>);

impl Piece {
    /// Adds what a destination gets.
    pub fn push(&mut self, output: Output, batch: Batch) {
        self.0.push((output, Arc::new(batch)));
    }

    /// What destinations get that take this.
    #[must_use]
    pub fn of(&self, output: Output) -> Option<&Arc<Batch>> {
        self.0.iter().find(|(of, _)| *of == output).map(|(_, batch)| batch)
    }

    /// The same, taken out.
    pub fn take(&mut self, output: Output) -> Option<Batch> {
        let place = self.0.iter().position(|(of, _)| *of == output)?;
        Some(Arc::unwrap_or_clone(self.0.swap_remove(place).1))
    }
}
