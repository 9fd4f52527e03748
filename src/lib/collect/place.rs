//! Where replies go: into the files of a snapshot, or into memory under the names that these would have.

use super::pages::PageWriter;
use crate::snapshot::stage::{Folder, StageError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

/// Where replies go.
#[derive(Debug, Clone)]
pub enum Place {
    /// Files of a snapshot.
    Folder(Folder),
    /// Nothing is written to a disk.
    Memory(Memory),
}

/// Replies by the name of their file.
#[derive(Debug, Clone, Default)]
pub struct Memory(Rc<RefCell<BTreeMap<String, Vec<u8>>>>);

impl Memory {
    /// What was stored, which is forgotten here.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.take()
    }
}

/// A reply that is being stored. What was written to it is complete after [`Sheet::finish`].
#[derive(Debug)]
pub(super) enum Sheet {
    File(PageWriter),
    Memory { all: Memory, name: String, bytes: Vec<u8> },
}

impl Place {
    /// Begins a reply under this name, which must be a plain file name.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn file(&self, name: &str) -> Result<Sheet, StageError> {
        Ok(match self {
            Self::Folder(folder) => Sheet::File(PageWriter::new(folder.file(name)?)),
            Self::Memory(all) => Sheet::Memory { all: all.clone(), name: name.to_owned(), bytes: Vec::new() },
        })
    }

    /// Removes a reply; none is no error.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub(super) fn remove(&self, name: &str) -> Result<(), StageError> {
        match self {
            Self::Folder(folder) => folder.remove(name),
            Self::Memory(all) => {
                all.0.borrow_mut().remove(name);
                Ok(())
            }
        }
    }

    /// What an error calls it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path(name),
            Self::Memory(_) => PathBuf::from(name),
        }
    }
}

impl Sheet {
    pub(super) fn write(&mut self, more: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(more),
            Self::Memory { bytes, .. } => {
                bytes.extend_from_slice(more);
                Ok(())
            }
        }
    }

    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Memory { all, name, bytes } => {
                all.0.borrow_mut().insert(name, bytes);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_holds_what_was_finished_and_not_removed() {
        let memory = Memory::default();
        let place = Place::Memory(memory.clone());
        for name in ["a_info", "a_stat", "b_info"] {
            let mut sheet = place.file(name).unwrap();
            sheet.write(b"one ").unwrap();
            sheet.write(name.as_bytes()).unwrap();
            sheet.finish().unwrap();
        }
        place.file("c_info").unwrap().write(b"cut off").unwrap();
        place.remove("a_info").unwrap();
        place.remove("z_info").unwrap();
        let all = memory.take();
        let all: Vec<(&str, &[u8])> = all.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        assert_eq!(all, [("a_stat", b"one a_stat".as_slice()), ("b_info", b"one b_info")]);
        assert!(memory.take().is_empty());
    }
}
