//! A file of a snapshot, or a part of one, as a message of Kafka: `format = snapshot` writes them, `source = kafka` reads them.
//!
//! The payload is bytes of the file as they are. What they are of stands in headers, all of them text:
//!
//! | header | meaning |
//! |---|---|
//! | `haproxystats` | version of this format: [`VERSION`] |
//! | `host`, `cluster` | whose statistics they are; a host without a cluster has no such header |
//! | `time` | second of the pull, since the epoch |
//! | `interval` | seconds between two pulls of that host |
//! | `file` | name of the file |
//! | `files` | how many files the host has in that second |
//! | `offset`, `size` | where the payload begins in the file, and the length of the whole file |
//!
//! A part says where it belongs, not which of how many it is: so a file is whole when its bytes are there, however often and
//! however differently it was divided, and a part can be divided again wherever that is needed.

mod cut;
mod label;

pub use cut::{cuts, halves};
pub use label::{Label, MOST_FILES, Refused, VERSION, encode, pairs};
