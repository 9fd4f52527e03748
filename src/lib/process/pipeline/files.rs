//! The files of a snapshot.

use crate::snapshot::{INFO_SUFFIX, STAT_SUFFIX};
use std::path::Path;

/// The files of a snapshot, in the order of their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    pub(super) info: Vec<String>,
    pub(super) stat: Vec<String>,
}

impl Files {
    /// Regular files whose names end as ours do; hidden files, links and anything else are not read.
    pub(super) fn list(dir: &Path) -> std::io::Result<Self> {
        let mut files = Self::default();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || !entry.file_type()?.is_file() {
                continue;
            }
            if name.ends_with(INFO_SUFFIX) {
                files.info.push(name);
            } else if name.ends_with(STAT_SUFFIX) {
                files.stat.push(name);
            }
        }
        files.info.sort_unstable();
        files.stat.sort_unstable();
        Ok(files)
    }
}
