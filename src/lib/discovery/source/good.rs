//! The last good listing on disk: what a server begins with that finds neither its source nor a document in its store.

use super::listing::{Life, Listing};
use crate::config::discovery::{Discovery, Source};
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

/// How many servers the source lists that serve, as far as that is known without asking it: those of its file, or those
/// of the last listing.
#[must_use]
pub fn serving(config: &Discovery) -> Option<usize> {
    let instances = match &config.server.source {
        Some(Source::File { path }) => super::file::parse(&std::fs::read_to_string(path).ok()?).ok()?,
        Some(_) => last(&config.state_dir)?.instances,
        None => return None,
    };
    Some(instances.iter().filter(|instance| instance.healthy && instance.life == Life::InService).count())
}

/// The listing that was kept last; `None` where there is none that can be read.
#[must_use]
pub fn last(directory: &Path) -> Option<Listing> {
    serde_json::from_slice(&std::fs::read(directory.join(NAME)).ok()?).ok()
}
