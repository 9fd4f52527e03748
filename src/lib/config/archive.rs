//! `[archive]`: the snapshots themselves, kept after they were delivered. The section switches it on.

use super::ini::Ini;
use super::keep::{Keep, keep};
use super::problem::Report;
use super::program::ARCHIVE;
use super::reading::{Reading, Type};
use super::section::{Section, gather};
use super::value;
use crate::config::option::options;
use std::path::PathBuf;

options! {
    pub(crate) static ROWS: ARCHIVE, Process {
        DIR: PathBuf = value::DIRECTORY, "dir", Some("/var/lib/haproxystats/archive"),
            "Directory for the files of delivered snapshots, compressed, as <dir>/<day>/<seconds since the epoch>.tar.zst; \
             haproxystats-process --replay sends them again.";
        KEEP: Keep = Reading::new(Type::Keep, keep), "keep", Some("7d, 10G"),
            "How long archived snapshots are kept, how much space they may take, or both; the oldest are removed \
             first. Units are s, min, h, d, w and K, M, G, T; all: nothing is removed.";
        MIN_FREE: u8 = value::PERCENT, "min-free", Some("0"),
            "If less than this share of the file system is free, the oldest archived snapshots are removed, whatever keep \
             says; 0: never.";
    }
}

/// `[archive]`
#[derive(Debug, Clone)]
pub struct Archive {
    /// Directory that receives `<day>/<epoch>.tar.zst`.
    pub dir: PathBuf,
    /// What of it stays.
    pub keep: Keep,
    /// Share of the file system that must be free, in percent.
    pub min_free: u8,
}

/// Reads the section, if there is one; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Option<Archive>> {
    if !ini.has_section(ARCHIVE) {
        return Some(None);
    }
    let section = &mut Section::new(ARCHIVE, ini, report);
    let archive =
        gather!(Archive { dir: section.get(&DIR), keep: section.get(&KEEP), min_free: section.get(&MIN_FREE) })?;
    section.warn_if_relative("dir", Some(&archive.dir));
    Some(Some(archive))
}
