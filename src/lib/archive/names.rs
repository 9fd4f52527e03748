//! How archived snapshots are called.

use crate::snapshot::{Epoch, moment};
use std::path::{Path, PathBuf};

/// End of the name of an archived snapshot.
const SUFFIX: &str = ".tar.zst";

/// Name of the file of a snapshot.
#[must_use]
pub fn file_name(epoch: Epoch) -> String {
    format!("{epoch}{SUFFIX}")
}

/// The path of the file of a snapshot in the archive `dir`: days have a directory each, so that none grows without end.
#[must_use]
pub fn place(dir: &Path, epoch: Epoch) -> PathBuf {
    dir.join(moment::date(epoch)).join(file_name(epoch))
}

/// The snapshot that a file is named after.
pub(super) fn epoch_of(name: &str) -> Option<Epoch> {
    name.strip_suffix(SUFFIX).and_then(Epoch::from_name)
}
