//! The process daemon: from a snapshot directory to delivered metrics.

pub mod channel;
pub mod exclude;
pub mod message;
pub mod once;
pub mod pipeline;
pub mod supervisor;
