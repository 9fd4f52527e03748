//! What is left out of a file of statistics, or the file as a whole, and why.

use std::io;

/// Why a row was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Not as many fields as the header names: cut off, or garbage.
    #[error("{found} fields, but the header names {expected}")]
    Fields {
        /// Fields in the row.
        found: usize,
        /// Fields in the header.
        expected: usize,
    },
    /// A field that should hold a whole number of at most 64 bits holds something else.
    #[error("{field} is not a 64-bit integer")]
    NotANumber {
        /// HAProxy's name of the field.
        field: &'static str,
    },
    /// The proxy or the server has no name.
    #[error("the name is empty")]
    NoName,
    /// `type` is none of frontend (0), backend (1), server (2), listener (3).
    #[error("unknown type of row")]
    UnknownType,
    /// Longer than any row of HAProxy.
    #[error("longer than 64 KiB")]
    TooLong,
}

/// Why a file was left out.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// Zero bytes, or only blank lines.
    #[error("is empty")]
    Empty,
    /// The first line does not name `pxname` and `svname`: an error message of HAProxy, or garbage.
    #[error("does not begin with the header of HAProxy's statistics but with {0:?}")]
    NoHeader(String),
    /// There are rows, but none that can be read; or not even the header is whole. A whole header alone is no error: that
    /// HAProxy has no proxy.
    #[error("has a header but no row that can be read")]
    NoRows,
}

/// What was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileReport {
    /// Rows that were read, those of listeners included; none where HAProxy has no proxy.
    pub rows: u64,
    /// Rows that were left out.
    pub refused: u64,
}

impl FileReport {
    /// Whether a file with nothing but this in it is of no use: rows, but none that can be read, or not even a whole header.
    #[must_use]
    pub(crate) fn is_nothing(&self, cut_off: bool) -> bool {
        self.rows == 0 && (self.refused > 0 || cut_off)
    }
}

/// Whether something is missing at the end of a header, which HAProxy ends with a comma.
#[must_use]
pub(crate) fn is_cut_off(header: &[u8]) -> bool {
    !header.ends_with(b",")
}
