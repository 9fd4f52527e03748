//! What snapshots there are, in order.

use super::stored::{Form, Stored};
use crate::snapshot::Epoch;
use crate::snapshot::moment::{self, Span};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Snapshots in order, each moment once.
    pub snapshots: Vec<Stored>,
    /// Entries that are none; hidden ones are not counted.
    pub foreign: usize,
    /// One of those.
    pub foreign_example: Option<PathBuf>,
}

/// The snapshots of this span at `path`: an archive, a directory of snapshots, or a single one in either form. Links below it
/// are not followed.
///
/// # Errors
/// It cannot be read.
pub fn list(path: &Path, span: Span) -> io::Result<Listing> {
    let is_dir = fs::metadata(path)?.is_dir();
    // `.` or a link has another name than what it leads to.
    let real = fs::canonicalize(path)?;
    if let Some(single) = Stored::at(&real, is_dir) {
        let snapshots = if span.has(single.epoch) { vec![single] } else { Vec::new() };
        return Ok(Listing { snapshots, ..Listing::default() });
    }
    let mut found = BTreeMap::new();
    let mut listing = Listing::default();
    add(path, span, true, &mut found, &mut listing)?;
    listing.snapshots = found.into_values().collect();
    Ok(listing)
}

fn add(
    dir: &Path,
    span: Span,
    with_days: bool,
    found: &mut BTreeMap<Epoch, Stored>,
    listing: &mut Listing,
) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() && with_days && moment::is_date(&name) {
            if has_day(span, &name) {
                add(&path, span, false, found, listing)?;
            }
            continue;
        }
        match Stored::at(&path, kind.is_dir()).filter(|_| kind.is_dir() || kind.is_file()) {
            Some(stored) if span.has(stored.epoch) => {
                // Where there are two, what nobody has packed is nearer to the source.
                let first = found.entry(stored.epoch).or_insert_with(|| stored.clone());
                if stored.form == Form::Directory {
                    *first = stored;
                }
            }
            Some(_) => {}
            None if name.starts_with('.') => {}
            None => {
                listing.foreign += 1;
                listing.foreign_example.get_or_insert(path);
            }
        }
    }
    Ok(())
}

/// Whether any moment of a day may be in the span.
fn has_day(span: Span, day: &str) -> bool {
    let Some(Epoch(begin)) = moment::parse(day) else { return true };
    let after = span.from.is_some_and(|from| from.0 >= begin + 86_400);
    !after && span.to.is_none_or(|to| begin < to.0)
}

#[cfg(test)]
mod tests {
    use super::super::place;
    use super::*;
    use std::os::unix::fs::symlink;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn epochs(path: &Path, span: Span) -> Vec<u64> {
        list(path, span).unwrap().snapshots.iter().map(|stored| stored.epoch.0).collect()
    }

    #[test]
    fn every_form_is_found_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        for epoch in [1_796_083_199, 1_796_083_200, 1_796_025_600] {
            touch(&place(base, Epoch(epoch)));
        }
        touch(&base.join("1796025610.tar.zst"));
        touch(&base.join("1796025600/a_info"));
        touch(&base.join("2026-11-30/.1796025620.tar.zst.new"));
        touch(&base.join("notes.txt"));
        symlink(base.join("1796025600"), base.join("1796025630")).unwrap();
        symlink(base, base.join("2026-12-24")).unwrap();
        let listing = list(base, Span::default()).unwrap();
        assert_eq!(epochs(base, Span::default()), [1_796_025_600, 1_796_025_610, 1_796_083_199, 1_796_083_200]);
        assert_eq!(listing.snapshots[0].form, Form::Directory);
        assert_eq!(listing.foreign, 3);
        let (from, to) = (Some(Epoch(1_796_025_610)), Some(Epoch(1_796_083_200)));
        assert_eq!(epochs(base, Span { from, to }), [1_796_025_610, 1_796_083_199]);
        assert_eq!(epochs(base, Span { from: to, to: None }), [1_796_083_200]);
        assert_eq!(epochs(&place(base, Epoch(1_796_083_199)), Span::default()), [1_796_083_199]);
        assert_eq!(epochs(&base.join("1796025600"), Span { from, to }), Vec::<u64>::new());
        assert_eq!(epochs(&base.join("1796025600/."), Span::default()), [1_796_025_600]);
        assert!(list(&base.join("gone"), Span::default()).is_err());
    }
}
