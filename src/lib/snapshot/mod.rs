//! The directory between pull and process.
//!
//! Layout of one snapshot, `<epoch>/`:
//!
//! | file | content |
//! |---|---|
//! | `<socket>_info` | the reply to `show info` |
//! | `<socket>_stat` | the reply to `show stat` |
//! | `.pull` | pull's own counters, one `name value` line each; hidden, so that nothing else reads it |

pub mod name;

pub use name::Epoch;

/// End of the name of a file with the reply to `show info`.
pub const INFO_SUFFIX: &str = "_info";
/// End of the name of a file with the reply to `show stat`.
pub const STAT_SUFFIX: &str = "_stat";
/// Name of the file in which pull hands its own counters to process.
pub const PULL_COUNTERS: &str = ".pull";
