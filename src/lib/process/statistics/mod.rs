//! HAProxy's metrics on the page for those who scrape (`[exporter] statistics`): a worker writes those of a snapshot into a
//! file, and the parent serves the newest file.
//!
//! On the page all lines of a metric stand together, and a large snapshot is rendered in pieces, each with lines of all
//! metrics. So the file holds the pieces one after the other, and at its end an index: for each metric what is said of it, and
//! where its lines are. Neither program ever has all lines in memory.
//!
//! | file in src-dir | what |
//! |---|---|
//! | `.statistics-<epoch>` | the page of a snapshot, complete |
//! | `.statistics-<epoch>.<pid>` | one that a worker is writing, or has left |

mod reader;
mod writer;

pub(super) use reader::Statistics;
pub(super) use writer::Writer;

use crate::snapshot::Epoch;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the names of files begin with.
const BEGIN: &str = ".statistics-";
/// Bytes of the length of the index, which end a file.
const LENGTH: usize = 8;

/// A metric: what is said of it, and where its lines are: offset and length.
type Index = Vec<(String, Vec<(u64, u64)>)>;

/// All files of pages, the complete ones with the snapshot that they are of.
fn files(dir: &Path) -> io::Result<Vec<(Option<Epoch>, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(BEGIN)) {
            files.push((Epoch::from_name(rest), entry.path()));
        }
    }
    Ok(files)
}

/// The newest page.
fn newest(dir: &Path) -> io::Result<Option<(Epoch, PathBuf)>> {
    Ok(files(dir)?.into_iter().filter_map(|(epoch, path)| Some((epoch?, path))).max())
}

/// Removes the pages that nobody is to have: all but the newest, or that one, too. What cannot be removed is removed another
/// time.
pub(super) fn tidy(dir: &Path, wanted: bool) {
    let Ok(files) = files(dir) else { return };
    let newest = files.iter().filter_map(|(epoch, _)| *epoch).max().filter(|_| wanted);
    for (_, path) in files.iter().filter(|(epoch, _)| epoch.is_none() || *epoch != newest) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests;
