//! Rows of several processes in, one value per object and field out.

pub mod daemon;
pub mod group;
