//! Objects in, with what they are called: paths, names, and the metrics of each.

pub mod latency;
pub mod metrics;
pub mod objects;
pub mod path;
pub mod pieces;
