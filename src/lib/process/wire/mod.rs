//! Between parent and worker: a channel, and what goes through it.

pub mod channel;
pub mod message;

/// The hidden argument that makes the program a worker, followed by the number of a descriptor.
pub(crate) const WORKER: &str = "--worker";
