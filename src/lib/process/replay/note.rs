//! How far a replay has come, in a file: `--resume FILE`.

use crate::snapshot::disk;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Keywords in the file. The other lines belong to the source of the snapshots.
const PLACE: &str = "place ";
const TO: &str = "to ";

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
    /// The progress that was written last.
    progress: String,
}

impl Note {
    /// Reads the file, if there is one and it is wanted, and finds out whether it can be written.
    pub(super) fn open(file: Option<PathBuf>, place: String, to: String) -> Result<Self, NoteError> {
        let mut note = Self { file, place, to, progress: String::new() };
        let Some(path) = note.file.clone() else { return Ok(note) };
        match std::fs::read_to_string(&path) {
            Ok(text) => note.progress = note.parse(&path, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(NoteError::Read { path, source }),
        }
        note.write(&note.progress)?;
        Ok(note)
    }

    fn parse(&self, path: &Path, text: &str) -> Result<String, NoteError> {
        let value = |word: &str| text.lines().find_map(|line| line.strip_prefix(word));
        let (Some(place), Some(to)) = (value(PLACE), value(TO)) else {
            return Err(NoteError::Foreign { path: path.to_owned() });
        };
        if (place, to) != (&*self.place, &*self.to) {
            return Err(NoteError::Other { path: path.to_owned(), place: place.to_owned(), to: to.to_owned() });
        }
        let rest = text.lines().filter(|line| !line.starts_with(PLACE) && !line.starts_with(TO));
        Ok(rest.map(|line| format!("{line}\n")).collect())
    }

    /// The progress of an earlier replay, if it has made any.
    pub(super) fn found(&self) -> Option<&str> {
        Some(&*self.progress).filter(|text| !text.is_empty())
    }

    /// The error for progress that cannot be parsed.
    pub(super) fn foreign(&self) -> NoteError {
        NoteError::Foreign { path: self.file.clone().unwrap_or_default() }
    }

    /// Writes the progress.
    pub(super) fn save(&mut self, progress: &str) -> Result<(), NoteError> {
        if self.progress == progress {
            return Ok(());
        }
        self.write(progress)?;
        progress.clone_into(&mut self.progress);
        Ok(())
    }

    fn write(&self, progress: &str) -> Result<(), NoteError> {
        let Some(path) = &self.file else { return Ok(()) };
        let staged = path.with_extension("new");
        let text = format!("{PLACE}{}\n{TO}{}\n{progress}", self.place, self.to);
        let written = disk::create_file(&staged).and_then(|mut file| file.write_all(text.as_bytes()));
        let written = written.and_then(|()| std::fs::rename(&staged, path));
        written.map_err(|source| NoteError::Write { path: path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: &Path, to: &str) -> Result<Note, NoteError> {
        Note::open(Some(file.to_owned()), "/here".to_owned(), to.to_owned())
    }

    #[test]
    fn what_is_written_down_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resume");
        let mut note = open(&file, "a:1").unwrap();
        assert_eq!(note.found(), None);
        note.save("next 20\nand more\n").unwrap();
        assert_eq!(open(&file, "a:1").unwrap().found(), Some("next 20\nand more\n"));
    }

    #[test]
    fn the_note_of_another_replay_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resume");
        open(&file, "the configured destinations").unwrap();
        let other = open(&file, "a:1").unwrap_err();
        assert!(matches!(other, NoteError::Other { .. }), "{other}");
        std::fs::write(&file, "my shopping list\n").unwrap();
        assert!(matches!(open(&file, "a:1"), Err(NoteError::Foreign { .. })));
        let nowhere = dir.path().join("no/such/place");
        assert!(matches!(open(&nowhere, "a:1"), Err(NoteError::Write { .. })));
    }
}
