//! `exclude-frontends` and `exclude-backends`: files with one name a line.

use crate::names::{NameId, Names, sanitize};
use std::collections::HashSet;
use std::path::PathBuf;

/// A file of names, read again for every snapshot, so that it can be edited while the program runs.
#[derive(Debug)]
pub(crate) struct Excluded {
    file: Option<PathBuf>,
    /// Whether the last attempt to read it failed, so that this is logged once.
    failing: bool,
}

impl Excluded {
    /// For this file; without one nothing is excluded.
    #[must_use]
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file, failing: false }
    }

    /// The names that are excluded now. A file that cannot be read excludes nothing.
    pub(crate) fn read(&mut self) -> Listed {
        let Some(file) = &self.file else { return Listed::default() };
        match std::fs::read(file) {
            Ok(bytes) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(file = %file.display(), "names to exclude can be read again");
                }
                Listed(listed(&bytes).collect())
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(file = %file.display(), %error, "cannot read names to exclude; nothing is excluded");
                }
                Listed::default()
            }
        }
    }
}

/// Names that are excluded, as path elements.
#[derive(Debug, Default)]
pub(crate) struct Listed(Vec<String>);

impl Listed {
    /// Whether this path element is excluded.
    #[must_use]
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|listed| listed == name)
    }

    /// The excluded ones among `names`.
    #[must_use]
    pub(crate) fn among(&self, names: &Names) -> HashSet<NameId> {
        self.0.iter().filter_map(|name| names.find(name)).collect()
    }
}

/// The names in such a file, as path elements: blanks around a name do not count, a line whose first character is `#` is
/// a comment, and dots stand for underscores.
fn listed(bytes: &[u8]) -> impl Iterator<Item = String> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(sanitize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_comments_and_blanks() {
        let found: Vec<_> = listed(b"a.b\n  # comment\n\n\tc # d \r\n").collect();
        assert_eq!(found, ["a_b", "c_#_d"]);
    }

    #[test]
    fn a_file_that_is_not_there_excludes_nothing() {
        let mut names = Names::default();
        names.intern(b"a");
        assert!(Excluded::new(Some("/nonexistent/names".into())).read().among(&names).is_empty());
    }
}
