//! The document in a file of this host: servers and clients here need nothing else.
//!
//! `list.json` is replaced as a whole by a rename, under a lock on `list.lock`; `lease.json` says who plans. A crash
//! leaves the old document or the new one, and perhaps a temporary file, which the next write replaces.

use super::interface::{Lease, Revision, Store, StoreError, Stored, lease_end};
use super::text;
use crate::discovery::clock::utc_seconds;
use crate::discovery::document::Document;
use async_trait::async_trait;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIST: &str = "list.json";
const LEASE: &str = "lease.json";
const LOCK_FILE: &str = "list.lock";

/// How often a watch looks.
const LOOK: Duration = Duration::from_millis(200);

/// Time for another process to let go of the lock: it holds it for as long as a small file is written.
const LOCK: Duration = Duration::from_secs(5);

pub(super) struct FileStore {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Held {
    holder: String,
    /// UTC seconds.
    until: u64,
}

impl FileStore {
    /// Makes the directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::File { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        Ok(Self { directory: directory.to_owned() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn failed(&self, name: &str) -> impl FnOnce(io::Error) -> StoreError + use<> {
        let path = self.path(name);
        move |source| StoreError::File { path, source }
    }

    /// A file as it is; `None` where there is none.
    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(name)(error)),
        }
    }

    /// The holder of the lease, or the last one. A file that cannot be parsed is no lease.
    fn held(&self) -> Result<Option<Held>, StoreError> {
        Ok(self.bytes(LEASE)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn read(&self) -> Result<Stored, StoreError> {
        let Some(bytes) = self.bytes(LIST)? else {
            return Ok(Stored { document: None, revision: Revision("0".to_owned()) });
        };
        let document = text::read(&bytes)?;
        Ok(Stored { revision: revision(&document), document: Some(document) })
    }

    async fn locked(&self) -> Result<Flock<File>, StoreError> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).open(self.path(LOCK_FILE));
        let mut file = file.map_err(self.failed(LOCK_FILE))?;
        let started = tokio::time::Instant::now();
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((back, nix::errno::Errno::EWOULDBLOCK)) if started.elapsed() < LOCK => file = back,
                Err((_, error)) => return Err(self.failed(LOCK_FILE)(error.into())),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        replace(&self.path(name), bytes).map_err(self.failed(name))
    }
}

/// Replaces a file by another, on the disk before anybody sees it.
///
/// # Errors
/// The file stays as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name, too, must outlive a power loss.
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn revision(document: &Document) -> Revision {
    Revision(format!("{} {}", document.version, document.by))
}

#[async_trait(?Send)]
impl Store for FileStore {
    async fn load(&self) -> Result<Stored, StoreError> {
        self.read()
    }

    async fn compare_and_set(&self, document: &Document, expected: &Revision) -> Result<Revision, StoreError> {
        let _lock = self.locked().await?;
        if self.read()?.revision != *expected {
            return Err(StoreError::Conflict);
        }
        self.replace(LIST, &text::write(document)?)?;
        Ok(revision(document))
    }

    async fn watch(&self, seen: &Revision, time: Duration) -> Result<(), StoreError> {
        let path = self.path(LIST);
        let stamp = || fs::metadata(&path).and_then(|data| data.modified()).ok();
        let before = stamp();
        if self.read()?.revision != *seen {
            return Ok(());
        }
        let started = tokio::time::Instant::now();
        while started.elapsed() < time && stamp() == before {
            tokio::time::sleep(LOOK.min(time.saturating_sub(started.elapsed()))).await;
        }
        Ok(())
    }

    async fn lease(&self, holder: &str, time: Duration) -> Result<Lease, StoreError> {
        let _lock = self.locked().await?;
        let now = utc_seconds();
        let held = self.held()?;
        // A lease that lasts longer than any is given for comes from a clock that was wrong.
        let valid = |held: &Held| held.until > now && held.until <= now.saturating_add(86_400);
        if let Some(held) = held.filter(|held| held.holder != holder && valid(held)) {
            return Ok(Lease::Theirs(held.holder));
        }
        let until = lease_end(now, time);
        let bytes = serde_json::to_vec(&Held { holder: holder.to_owned(), until }).map_err(StoreError::Encode)?;
        self.replace(LEASE, &bytes)?;
        Ok(Lease::Ours)
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        let _lock = self.locked().await?;
        match self.held()? {
            Some(held) if held.holder == holder => fs::remove_file(self.path(LEASE)).map_err(self.failed(LEASE)),
            _ => Ok(()),
        }
    }
}
