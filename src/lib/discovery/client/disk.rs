//! Files of the client in `state-dir`: the record of each HAProxy and the last list that was read. Each is replaced as a
//! whole, so a crash leaves the old one or the new one.

use super::record::{Record, StoredEntry};
use crate::discovery::document::{Document, FORMAT};
use crate::haproxy::address::Address;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The last list.
const LIST: &str = "client-list.json";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what we have written.
    #[error("{} is not readable", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// Where the client keeps its files.
#[derive(Debug, Clone)]
pub struct Disk {
    directory: PathBuf,
}

impl Disk {
    /// In this directory, which is made when something is written.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The last list; `None` when there is none, or one of another format.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self) -> Result<Option<Document>, DiskError> {
        let list: Option<Document> = self.read(LIST)?;
        Ok(list.filter(|list| list.format == FORMAT))
    }

    /// Keeps the list.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_list(&self, list: &Document) -> Result<(), DiskError> {
        self.write(LIST, list)
    }

    /// How long ago this very list was kept, by the clock of this machine; `None` when another one was, or none.
    #[must_use]
    pub fn age(&self, list: &Document) -> Option<Duration> {
        let kept = self.list().ok()??;
        if (kept.version, kept.written_at(), &kept.by) != (list.version, list.written_at(), &list.by) {
            return None;
        }
        let since = fs::metadata(self.directory.join(LIST)).and_then(|found| found.modified()).ok()?;
        // A clock that was set back: then it is as if it was kept now.
        Some(since.elapsed().unwrap_or_default())
    }

    /// The record of a HAProxy; an empty one when there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn record(&self, socket: &Address) -> Result<Record, DiskError> {
        let stored: Option<Vec<StoredEntry>> = self.read(&name(socket))?;
        Ok(Record::from_stored(&stored.unwrap_or_default()))
    }

    /// Keeps the record of a HAProxy.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep_record(&self, socket: &Address, record: &Record) -> Result<(), DiskError> {
        self.write(&name(socket), &record.to_stored())
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DiskError> {
        let path = self.directory.join(name);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| DiskError::Decode { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DiskError::Read { path, source }),
        }
    }

    fn write<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<(), DiskError> {
        let path = self.directory.join(name);
        let failed = |source| DiskError::Write { path: path.clone(), source };
        let bytes = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
        fs::create_dir_all(&self.directory).map_err(failed)?;
        replace(&path, &bytes)
    }
}

/// Replaces a file as a whole.
///
/// # Errors
/// It cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let failed = |source| DiskError::Write { path: path.to_owned(), source };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
    })
}

/// One file for each socket, so that several clients on one host do not write over each other's.
fn name(socket: &Address) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let text = socket.to_string();
    format!("client-record-{}.json", text.trim_start_matches('/').chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::discovery::Ramp;

    #[test]
    fn nothing_is_there_at_first_and_what_is_kept_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(&directory.path().join("new"));
        let socket = Address::Unix("/run/haproxy/admin.sock".into());
        assert_eq!(disk.list().unwrap(), None);
        assert_eq!(disk.record(&socket).unwrap(), Record::default());
        let mut list = Document::empty(2, Ramp { min: 1, max: 2, step: 1, interval: Duration::from_secs(1) });
        disk.keep_list(&list).unwrap();
        assert_eq!(disk.list().unwrap(), Some(list.clone()));
        assert!(disk.age(&list).is_some_and(|age| age < Duration::from_secs(60)));
        list.version += 1;
        assert_eq!(disk.age(&list), None, "another list");
        list.format += 1;
        disk.keep_list(&list).unwrap();
        assert_eq!(disk.list().unwrap(), None, "another format");
        disk.keep_record(&socket, &Record::default()).unwrap();
        let names: Vec<_> =
            fs::read_dir(directory.path().join("new")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.contains(&"client-record-run-haproxy-admin-sock.json".into()), "{names:?}");
        fs::write(directory.path().join("new/client-list.json"), "{").unwrap();
        assert!(matches!(disk.list(), Err(DiskError::Decode { .. })));
    }
}
