//! Rows of several processes in, one value per object and field out.

pub mod aligned;
pub mod cluster;
pub mod daemon;
pub mod group;
pub mod latency;
pub mod thread;
pub mod totals;

#[cfg(test)]
mod tests;
