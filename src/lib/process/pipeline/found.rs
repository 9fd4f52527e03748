//! What the files of a host turned out to be, and what of them is left out.

use super::run::{PipelineError, Run};
use crate::haproxy::columns::Kind;
use crate::names::{NameId, Names, Pairs};
use crate::parse::doubt::{Unknown, Which};
use crate::parse::refused::{FileError, RowError};
use crate::snapshot::STAT_SUFFIX;
use std::collections::BTreeSet;
use std::path::Path;

/// Rows of one file that are logged one by one; the rest is a number.
const LOGGED_ROWS: u64 = 5;

/// Objects that are named in the log; the rest is a number.
const LOGGED_OBJECTS: usize = 5;

/// Objects that are left out, since a part of theirs cannot be read.
#[derive(Debug, Default)]
pub(super) struct Lost {
    objects: u64,
    /// Some of them, in words.
    some: BTreeSet<String>,
    servers: bool,
}

impl Lost {
    pub(super) fn note(&mut self, unknown: &Unknown, names: &Names, servers: &Pairs) {
        self.objects += unknown.objects.iter().map(|objects| objects.len() as u64).sum::<u64>();
        self.servers |= unknown.servers_of != Which::default();
        for kind in Kind::ALL {
            for key in unknown.of_kind(kind) {
                let name = match kind {
                    Kind::Frontend | Kind::Backend => names.get(NameId(*key)).to_owned(),
                    Kind::Server => servers.get(*key).map_or_else(String::new, |(backend, server)| {
                        format!("{}/{}", names.get(backend), names.get(server))
                    }),
                };
                self.some.insert(format!("{} {name}", kind.word()));
                if self.some.len() > LOGGED_OBJECTS {
                    self.some.pop_last();
                }
            }
        }
    }

    pub(super) fn say(self, run: &mut Run<'_>) {
        run.report.unknown_objects += self.objects;
        let snapshot = run.dir.display();
        if self.objects > 0 {
            let some: Vec<String> = self.some.into_iter().collect();
            tracing::warn!(
                %snapshot,
                objects = self.objects,
                some = some.join(", "),
                "left out: their rows in the reply of one process cannot be read, and their metrics would be wrong \
                 without them"
            );
        }
        if self.servers {
            tracing::warn!(%snapshot, "left out server counts: a row that cannot be read may belong to a server");
        }
    }
}

/// Rows of one file that were left out.
#[derive(Debug, Default)]
pub(super) struct Refused(u64);

impl Refused {
    pub(super) fn row(&mut self, path: &Path, line: u64, reason: RowError) {
        self.0 += 1;
        if self.0 <= LOGGED_ROWS {
            tracing::warn!(file = %path.display(), line, %reason, "row left out");
        }
    }

    /// To be called when the file has no further row.
    pub(super) fn end(&self, path: &Path, run: &mut Run<'_>) {
        run.report.refused_rows += self.0;
        if self.0 > LOGGED_ROWS {
            tracing::warn!(file = %path.display(), rows = self.0, "rows left out in this file");
        }
    }
}

/// What the files of a host turned out to be.
#[derive(Debug, Default)]
pub(super) struct Found {
    readable: usize,
    /// Files with a header and no row.
    bare: BTreeSet<String>,
}

impl Found {
    /// Takes note of how many rows of a file could be read, if any. Returns whether all rows of a process are missing
    /// without it.
    pub(super) fn file(
        &mut self,
        file: &str,
        rows: Result<u64, FileError>,
        run: &mut Run<'_>,
    ) -> Result<bool, PipelineError> {
        match rows {
            Ok(0) => {
                self.bare.insert(file.to_owned());
            }
            Ok(_) => self.readable += 1,
            Err(FileError::Io(source)) => return Err(PipelineError::File { path: run.dir.join(file), source }),
            Err(error) => {
                let missing = run.refuse_file(file, STAT_SUFFIX, &error);
                // What its rows say of themselves is known.
                return Ok(missing && !matches!(error, FileError::NoRows));
            }
        }
        Ok(false)
    }

    /// Whether any file could be read; `before` are those that were bare in the last snapshot.
    pub(super) fn end(self, dir: &Path, before: &mut BTreeSet<String>) -> bool {
        for file in self.bare.difference(before) {
            tracing::info!(file = %dir.join(file).display(), "this HAProxy has neither a frontend nor a backend");
        }
        *before = self.bare;
        if self.readable == 0 && before.is_empty() {
            tracing::error!(snapshot = %dir.display(), "no proxy statistics could be read");
        }
        self.readable > 0
    }
}
