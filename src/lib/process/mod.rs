//! The process daemon: from a snapshot directory to delivered metrics.

pub mod channel;
pub mod message;
pub mod pipeline;
pub mod supervisor;
