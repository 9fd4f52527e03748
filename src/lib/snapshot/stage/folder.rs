//! Where the files of a snapshot go while it is made: a directory, or memory where nothing is to be published.

use super::StageError;
use crate::snapshot::disk;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek};
use std::path::PathBuf;
use std::rc::Rc;

/// A place for the files of a snapshot, for those who write them.
#[derive(Debug, Clone)]
pub(crate) struct Folder(Place);

#[derive(Debug, Clone)]
enum Place {
    Directory(PathBuf),
    /// By name.
    Memory(Rc<RefCell<BTreeMap<String, File>>>),
}

impl Folder {
    pub(super) fn directory(path: PathBuf) -> Self {
        Self(Place::Directory(path))
    }

    /// One whose files have no name on any disk, and go when they are closed.
    #[must_use]
    pub(crate) fn memory() -> Self {
        Self(Place::Memory(Rc::default()))
    }

    /// Path of a file; its name alone where it is in memory.
    #[must_use]
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.0 {
            Place::Directory(path) => path.join(name),
            Place::Memory(_) => name.into(),
        }
    }

    /// Opens a new, empty file. `name` must be a plain file name.
    ///
    /// # Errors
    /// Those of open(2).
    pub(crate) fn file(&self, name: &str) -> Result<File, StageError> {
        let opened = match &self.0 {
            Place::Directory(path) => disk::create_file(&path.join(name)),
            Place::Memory(files) => in_memory().and_then(|file| {
                files.borrow_mut().insert(name.to_owned(), file.try_clone()?);
                Ok(file)
            }),
        };
        opened.map_err(|source| StageError::Write { path: self.path(name), source })
    }

    /// Removes a file; none is no error.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub(crate) fn remove(&self, name: &str) -> Result<(), StageError> {
        let removed = match &self.0 {
            Place::Directory(path) => fs::remove_file(path.join(name)),
            Place::Memory(files) => {
                files.borrow_mut().remove(name);
                Ok(())
            }
        };
        match removed {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(StageError::Write { path: self.path(name), source })
            }
            _ => Ok(()),
        }
    }

    /// The files in memory, to be read from their beginning, in the order of their names.
    ///
    /// # Errors
    /// Those of lseek(2).
    pub(crate) fn take(&self) -> io::Result<Vec<(String, File)>> {
        let Place::Memory(files) = &self.0 else { return Ok(Vec::new()) };
        let files = std::mem::take(&mut *files.borrow_mut());
        files
            .into_iter()
            .map(|(name, mut file)| {
                file.rewind()?;
                Ok((name, file))
            })
            .collect()
    }
}

fn in_memory() -> io::Result<File> {
    Ok(File::from(memfd_create("haproxystats", MFdFlags::MFD_CLOEXEC)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn files_in_memory_are_read_as_they_were_written() {
        let folder = Folder::memory();
        folder.file("b_stat").unwrap().write_all(b"two").unwrap();
        folder.file("a_info").unwrap().write_all(b"one").unwrap();
        folder.file("c_info").unwrap().write_all(b"gone").unwrap();
        folder.remove("c_info").unwrap();
        folder.remove("never").unwrap();
        let read = folder.take().unwrap().into_iter().map(|(name, mut file)| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (name, text)
        });
        let expected = [("a_info", "one"), ("b_stat", "two")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(read.collect::<Vec<_>>(), expected);
        assert!(folder.take().unwrap().is_empty());
    }
}
