//! `[local-store]`: a copy of all metrics as files. The section switches it on.

use super::ini::Ini;
use super::problem::Report;
use super::program::LOCAL_STORE;
use super::section::Section;
use super::value;
use crate::config::option::options;
use std::path::PathBuf;

options! {
    pub(crate) static ROWS: LOCAL_STORE, Process {
        DIR: PathBuf = value::DIRECTORY, "dir", Some("/var/lib/haproxystats/local-store"),
            "Directory for a copy of all metrics, as files <dir>/<seconds since the epoch>/stats. Nothing cleans it up.";
    }
}

/// `[local-store]`
#[derive(Debug, Clone)]
pub struct LocalStore {
    /// Directory that receives `<epoch>/stats`.
    pub dir: PathBuf,
}

/// Reads the section, if there is one; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Option<LocalStore>> {
    if !ini.has_section(LOCAL_STORE) {
        return Some(None);
    }
    let mut section = Section::new(LOCAL_STORE, ini, report);
    let dir = section.get(&DIR)?;
    section.warn_if_relative("dir", Some(&dir));
    Some(Some(LocalStore { dir }))
}
