//! A private directory for unpacked files, removed when its value is dropped.

use crate::snapshot::disk;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one where the system keeps such things: `TMPDIR`, or /tmp.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub(crate) fn new() -> io::Result<Self> {
        let parent = std::env::temp_dir();
        loop {
            // Guessing it gains nothing: what is there already is not used.
            let path = parent.join(format!("haproxystats-{:016x}", fastrand::u64(..)));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result.map(|()| Self(path)),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // In a temporary place nothing lasts anyway.
        let _ = disk::remove_directory(&self.0);
    }
}
