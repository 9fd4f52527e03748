//! A file of a snapshot, or a part of one, as a Kafka message: `format = snapshot` writes them, `source = kafka` reads them.
//!
//! The payload is the unchanged bytes of the file. The headers, all of them text, say what they are:
//!
//! | header | meaning |
//! |---|---|
//! | `haproxystats` | version of this format: [`label::VERSION`] |
//! | `host`, `cluster` | where the statistics are from; a host without a cluster has no header `cluster` |
//! | `time` | second of the pull, since the epoch |
//! | `interval` | seconds between two pulls of that host |
//! | `file` | name of the file |
//! | `files` | how many files the host has in that second |
//! | `offset`, `size` | where the payload begins in the file, and the length of the whole file |
//!
//! A part says where it belongs, not which of how many it is. So a file is complete when all of its bytes are there, however
//! often and however differently it was divided, and a part can be divided again where necessary.

mod cut;
mod label;

pub use cut::{cuts, halves};
pub use label::{Label, Refused, encode, pairs};
