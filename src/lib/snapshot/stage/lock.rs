//! Keeps a second haproxystats-pull out of the same directories, and remembers the last tick.
//!
//! Two programs with one `dst-dir` would take each other's seconds away, and two with one `tmp-dst-dir` each other's
//! files. `tmp-dst-dir` is locked itself. `dst-dir` is not, because haproxystats-process locks it for its own reasons;
//! there a hidden file is. A lock belongs to an inode: where a directory or the file was removed and made again, it
//! protects nothing any more. So [`Locks::hold`] looks before every tick, and locks what is there now.
//!
//! The hidden file also holds the last second that was published, and what is to be known of the sockets then, for
//! `--status`. A start that comes a moment after its tick takes the tick if the program before it did not.

use super::{Epoch, StageError};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Hidden file in `dst-dir` that is locked, and holds the last second that was published.
pub(crate) const LOCK_FILE: &str = ".haproxystats-pull";

/// Bytes of the file: a second of any length that is a name, and a line break.
const WIDTH: usize = 12;

/// The locks of one haproxystats-pull.
#[derive(Debug)]
pub(super) struct Locks {
    dst: PathBuf,
    tmp: PathBuf,
    on_dst: Option<Lock>,
    on_tmp: Option<Lock>,
}

/// A locked file or directory.
#[derive(Debug)]
struct Lock {
    file: File,
    inode: (u64, u64),
}

impl Locks {
    /// Takes both; the directories exist.
    ///
    /// # Errors
    /// Another haproxystats-pull has one of them, or `tmp-dst-dir` cannot be opened.
    pub(super) fn take(tmp: &Path, dst: &Path) -> Result<Self, StageError> {
        let mut locks = Self { dst: dst.to_owned(), tmp: tmp.to_owned(), on_dst: None, on_tmp: None };
        locks.hold()?;
        Ok(locks)
    }

    /// Locks again what is not what was locked.
    ///
    /// # Errors
    /// Another haproxystats-pull has it now, or `tmp-dst-dir` cannot be opened.
    pub(super) fn hold(&mut self) -> Result<(), StageError> {
        let file = self.dst.join(LOCK_FILE);
        if !is_held(self.on_dst.as_ref(), &file) {
            self.on_dst = None;
            let opened = open_or_create(&file);
            match opened {
                Ok(opened) => self.on_dst = lock(opened, &self.dst)?,
                // A full or read-only disk, a file of another user: that shows when something is published. The lock
                // only protects against a mistake.
                Err(error) => tracing::debug!(file = %file.display(), %error, "dst-dir cannot be locked"),
            }
        }
        if !is_held(self.on_tmp.as_ref(), &self.tmp) {
            self.on_tmp = None;
            let opened = File::open(&self.tmp);
            let opened = opened.map_err(|source| StageError::Read { path: self.tmp.clone(), source })?;
            self.on_tmp = lock(opened, &self.tmp)?;
        }
        Ok(())
    }

    /// Goes over to other directories, which exist; where they cannot be had, it stays with those that it has.
    ///
    /// # Errors
    /// As [`Locks::take`].
    pub(super) fn move_to(&mut self, tmp: &Path, dst: &Path) -> Result<(), StageError> {
        let before =
            (std::mem::replace(&mut self.tmp, tmp.to_owned()), std::mem::replace(&mut self.dst, dst.to_owned()));
        let held = self.hold();
        if held.is_err() {
            (self.tmp, self.dst) = before;
            // What could be had a moment ago; the next tick tries again.
            let _ = self.hold();
        }
        held
    }

    /// Whether these directories are the locked ones.
    pub(super) fn are_on(&self, tmp: &Path, dst: &Path) -> bool {
        self.tmp == tmp && self.dst == dst
    }

    /// The last second that this or an earlier program has published; `None` when that is not known.
    pub(super) fn last(&self) -> Option<Epoch> {
        let mut text = String::new();
        let mut file = &self.on_dst.as_ref()?.file;
        file.rewind().ok()?;
        file.take(WIDTH as u64 + 1).read_to_string(&mut text).ok()?;
        Epoch::from_name(text.trim())
    }

    /// Remembers a second that was published, and lines about its sockets. Where it cannot be written, a start that is
    /// late by less than half an interval waits for the next tick, as one without this file does.
    pub(super) fn remember(&self, epoch: Epoch, notes: &[String]) {
        if self.on_dst.is_none() {
            return;
        }
        // The second is always of the same length: there is no moment at which it is not there.
        let mut text = format!("{:>WIDTH$}\n", epoch.to_string());
        notes.iter().for_each(|note| text.extend([note.as_str(), "\n"]));
        // Opened for a moment only: a file that is open for writing keeps a file system from being made read-only.
        let path = self.dst.join(LOCK_FILE);
        let file = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let written = file.and_then(|file| {
            file.write_all_at(text.as_bytes(), 0)?;
            file.set_len(text.len() as u64)
        });
        if let Err(error) = written {
            tracing::debug!(%error, "cannot record the last tick");
        }
    }
}

/// The lines that the last pull has left about its sockets; none where there is no such file.
#[must_use]
pub fn notes(dst: &Path) -> Vec<String> {
    let text = fs::read(dst.join(LOCK_FILE)).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().skip(1).map(str::to_owned).collect()
}

/// Opens the file to lock it, which needs no right to write. A link in its place is not followed.
fn open_or_create(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
                // Another program was quicker.
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => open(),
            }
        }
        result => result,
    }
}

fn is_held(lock: Option<&Lock>, path: &Path) -> bool {
    lock.zip(fs::metadata(path).ok()).is_some_and(|(lock, now)| lock.inode == (now.dev(), now.ino()))
}

/// `None` on a file system without locks; nothing is lost but the protection against a mistake. `directory` is what an
/// error names.
fn lock(file: File, directory: &Path) -> Result<Option<Lock>, StageError> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StageError::InUse { path: directory.to_owned() }),
        Err(TryLockError::Error(error)) => {
            tracing::debug!(directory = %directory.display(), %error, "the directory cannot be locked");
        }
    }
    let inode = file.metadata().map(|meta| (meta.dev(), meta.ino()));
    Ok(inode.ok().map(|inode| Lock { file, inode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_made_says_why() {
        // Even root makes no files there.
        let error = open_or_create(Path::new("/sys/haproxystats-pull")).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::NotFound, "{error}");
        let error = open_or_create(Path::new("/nonexistent/haproxystats-pull")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}
