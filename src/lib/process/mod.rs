//! The process daemon: from a snapshot directory to delivered metrics.

pub mod channel;
pub mod death;
pub mod exclude;
pub mod figures;
pub mod memory;
pub mod message;
pub mod once;
pub mod pipeline;
pub mod spawn;
pub mod supervisor;
