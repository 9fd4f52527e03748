//! `[local-store]`: a copy of all metrics as files. The section switches it on.

use super::ini::Ini;
use super::keep::{Keep, keep};
use super::problem::Report;
use super::program::LOCAL_STORE;
use super::reading::{Reading, Type};
use super::section::{Section, gather};
use super::value;
use crate::config::option::options;
use std::path::PathBuf;

options! {
    pub(crate) static ROWS: LOCAL_STORE, Process {
        DIR: PathBuf = value::DIRECTORY, "dir", Some("/var/lib/haproxystats/local-store"),
            "Directory for a copy of all metrics, as files <dir>/<seconds since the epoch>/stats.";
        KEEP: Keep = Reading::new(Type::Keep, keep), "keep", Some("all"),
            "How long stored snapshots are kept, and how much space they may take, as in [archive]; all: nothing is \
             removed.";
    }
}

/// `[local-store]`
#[derive(Debug, Clone)]
pub struct LocalStore {
    /// Directory that receives `<epoch>/stats`.
    pub dir: PathBuf,
    /// What of it stays.
    pub keep: Keep,
}

/// Reads the section, if there is one; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Option<LocalStore>> {
    if !ini.has_section(LOCAL_STORE) {
        return Some(None);
    }
    let section = &mut Section::new(LOCAL_STORE, ini, report);
    let store = gather!(LocalStore { dir: section.get(&DIR), keep: section.get(&KEEP) })?;
    section.warn_if_relative("dir", Some(&store.dir));
    Some(Some(store))
}
