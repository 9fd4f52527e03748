//! The last good listing on disk: what a server begins with that finds neither its source nor a document in its store.

use super::Listing;
use crate::discovery::store::file::replace;
use std::io;
use std::path::Path;

const NAME: &str = "listing.json";

/// Keeps a listing in `directory`, which is made where it is missing.
///
/// # Errors
/// The file stays as it was.
pub fn keep(directory: &Path, listing: &Listing) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    replace(&directory.join(NAME), &serde_json::to_vec(listing)?)
}

/// The listing that was kept last; `None` where there is none that can be read.
#[must_use]
pub fn last(directory: &Path) -> Option<Listing> {
    serde_json::from_slice(&std::fs::read(directory.join(NAME)).ok()?).ok()
}
