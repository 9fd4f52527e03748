//! Archives: the files of snapshots, kept after delivery, and a reader for them. The format is in docs/archive.md.
//!
//! ```text
//! <dir>/2026-11-30/1796025600.tar.zst      one snapshot
//! ```
//!
//! A reader takes what is in such a directory, the same files directly in a directory, snapshots as haproxystats-pull leaves
//! them (`<dir>/1796025600/`), or one of these alone: see [`list`]. What an archive holds may come from anywhere:
//! nothing in it is believed, and what it unpacks to is bounded.

mod bounded;
mod error;
mod list;
mod names;
mod pack;
mod scratch;
mod stored;
mod unpack;

pub(crate) use error::ArchiveError;
pub use list::{Listing, list};
pub use names::{file_name, place};
pub(crate) use pack::PackError;
pub use pack::pack;
pub(crate) use scratch::Scratch;
pub(crate) use stored::Form;
pub use stored::Stored;
