//! The process daemon: from a snapshot directory to delivered metrics.

pub mod pipeline;
