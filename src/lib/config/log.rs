//! How lines of the log look.

use super::ini::Ini;
use super::problem::Report;
use super::reader::DEFAULT_SECTION;
use super::section::Section;
use crate::config::option::{choice, options};

options! {
    pub(crate) static ROWS: DEFAULT_SECTION, All {
        LOG_FORMAT: LogFormat = choice![("text", LogFormat::Text), ("json", LogFormat::Json), ("journal", LogFormat::Journal)], "log-format", None,
            "Format of log lines: text with the time and the level, JSON objects, or for the systemd journal, which \
             gets the level as a priority and adds the time itself; unset: journal if the output goes there, \
             otherwise text.";
    }
}

/// `log-format`: what a line of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level, message, fields.
    Text,
    /// An object for each line.
    Json,
    /// The level as journald reads it, message, fields.
    Journal,
}

/// Reads it; `None` when the value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Option<LogFormat>> {
    Section::new(DEFAULT_SECTION, ini, report).optional(&LOG_FORMAT)
}
