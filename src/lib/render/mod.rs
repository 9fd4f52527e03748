//! Values in, lines of the Graphite plaintext protocol out.

pub mod influx;
pub mod json;
pub mod line;
pub mod messages;
pub mod objects;
pub mod path;
pub mod piece;
pub mod record;
