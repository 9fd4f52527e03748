//! How far a replay has come, in a file: `--resume FILE`.

use crate::cli::Replay;
use crate::snapshot::moment::Span;
use crate::snapshot::{Epoch, disk};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Words before the values in the file.
const PLACE: &str = "place ";
const TO: &str = "to ";
const NEXT: &str = "next ";

/// Without `--to-graphite`.
const CONFIGURED: &str = "the configured destinations";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoteError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} was not written by --resume; remove it, or name another file", path.display())]
    Foreign { path: PathBuf },
    #[error("{} belongs to a replay of {place} to {to}; name another file for this one", path.display())]
    Other { path: PathBuf, place: String, to: String },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Note {
    file: Option<PathBuf>,
    place: String,
    to: String,
    /// The first snapshot that is not done, as it was written last.
    next: Option<Epoch>,
}

impl Note {
    /// Reads the file, if there is one and it is wanted, and finds out whether it can be written.
    pub(super) fn open(asked: &Replay) -> Result<Self, NoteError> {
        let place = std::fs::canonicalize(&asked.place).unwrap_or_else(|_| asked.place.clone());
        let to = asked.to_graphite.clone().unwrap_or_else(|| CONFIGURED.to_owned());
        let mut note = Self { file: asked.resume.clone(), place: place.display().to_string(), to, next: None };
        let Some(path) = note.file.clone() else { return Ok(note) };
        match std::fs::read_to_string(&path) {
            Ok(text) => note.next = note.parse(&path, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(NoteError::Read { path, source }),
        }
        note.write(note.next.unwrap_or_default())?;
        Ok(note)
    }

    fn parse(&self, path: &Path, text: &str) -> Result<Option<Epoch>, NoteError> {
        let value = |word: &str| text.lines().find_map(|line| line.strip_prefix(word));
        let (Some(place), Some(to), Some(next)) = (value(PLACE), value(TO), value(NEXT).and_then(Epoch::from_name))
        else {
            return Err(NoteError::Foreign { path: path.to_owned() });
        };
        if (place, to) != (&*self.place, &*self.to) {
            return Err(NoteError::Other { path: path.to_owned(), place: place.to_owned(), to: to.to_owned() });
        }
        Ok(Some(next).filter(|next| next.0 > 0))
    }

    /// Whether an earlier replay has come anywhere.
    pub(super) fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// What is left of a span.
    pub(super) fn rest(&self, span: Span) -> Span {
        Span { from: span.from.max(self.next), ..span }
    }

    /// All snapshots before this one are done.
    pub(super) fn save(&mut self, next: Epoch) -> Result<(), NoteError> {
        if self.next == Some(next) {
            return Ok(());
        }
        self.write(next)?;
        self.next = Some(next);
        Ok(())
    }

    fn write(&self, next: Epoch) -> Result<(), NoteError> {
        let Some(path) = &self.file else { return Ok(()) };
        let staged = path.with_extension("new");
        let text = format!("{PLACE}{}\n{TO}{}\n{NEXT}{next}\n", self.place, self.to);
        let written = disk::create_file(&staged).and_then(|mut file| file.write_all(text.as_bytes()));
        let written = written.and_then(|()| std::fs::rename(&staged, path));
        written.map_err(|source| NoteError::Write { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    fn asked(resume: &Path, place: &Path, to_graphite: Option<&str>) -> Replay {
        Replay {
            place: place.to_owned(),
            span: Span::default(),
            rate: NonZeroU64::MIN,
            resume: Some(resume.to_owned()),
            to_graphite: to_graphite.map(str::to_owned),
            hostname: None,
        }
    }

    #[test]
    fn the_rest_is_what_was_not_done() {
        let dir = tempfile::tempdir().unwrap();
        let (file, to) = (dir.path().join("resume"), Some("a:1"));
        let mut note = Note::open(&asked(&file, dir.path(), to)).unwrap();
        assert!(!note.has_begun());
        note.save(Epoch(20)).unwrap();
        let note = Note::open(&asked(&file, dir.path(), to)).unwrap();
        assert!(note.has_begun());
        let span = |from: Option<u64>, to: Option<u64>| Span { from: from.map(Epoch), to: to.map(Epoch) };
        assert_eq!(note.rest(span(None, Some(30))), span(Some(20), Some(30)));
        assert_eq!(note.rest(span(Some(25), None)), span(Some(25), None));
    }

    #[test]
    fn the_note_of_another_replay_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resume");
        Note::open(&asked(&file, dir.path(), None)).unwrap();
        let other = Note::open(&asked(&file, dir.path(), Some("a:1"))).unwrap_err();
        assert!(matches!(other, NoteError::Other { .. }), "{other}");
        std::fs::write(&file, "my shopping list\n").unwrap();
        assert!(matches!(Note::open(&asked(&file, dir.path(), None)), Err(NoteError::Foreign { .. })));
        let nowhere = dir.path().join("no/such/place");
        assert!(matches!(Note::open(&asked(&nowhere, dir.path(), None)), Err(NoteError::Write { .. })));
    }
}
