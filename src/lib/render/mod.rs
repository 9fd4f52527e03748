//! Values in, lines of the Graphite plaintext protocol out.

pub mod line;
pub mod objects;
pub mod path;
pub mod piece;
pub mod value;
