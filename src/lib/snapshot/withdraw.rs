//! Takes a snapshot out of the queue, and only the one that is meant.
//!
//! While a snapshot is processed, another program may put another one in its place; even its inode number may be the same, since
//! file systems use freed numbers again at once. Between a look at a name and what is then done to it, that can happen
//! at any moment. So the directory is first renamed to a name that nobody else uses, `.removing-<epoch>`, then looked
//! at, and renamed back if it is another one.
//!
//! A crash in between leaves such a name. Nobody knows then whether that snapshot was delivered, so it is put back
//! ([`put_back`]), and processed once more in the worst case.

use super::list::{Identity, identity};
use super::{Epoch, TAKEN_PREFIX, disk};
use std::io;
use std::path::{Path, PathBuf};

/// What happened to the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// The snapshot that is meant has this name now.
    Done(Withdrawn),
    /// There is none.
    Missing,
    /// Another one has its name, and keeps it.
    Replaced,
}

/// A snapshot that is out of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Withdrawn {
    pub(super) path: PathBuf,
    epoch: Epoch,
}

impl Withdrawn {
    /// Gives it its name back; returns what it looks like then, since being renamed leaves a trace.
    pub(super) fn put_back(&self, src_dir: &Path) -> io::Result<Option<Identity>> {
        let path = src_dir.join(self.epoch.to_string());
        disk::rename_new(&self.path, &path)?;
        identity(&path)
    }
}

/// Takes the snapshot `epoch` out of `src_dir`, provided that it is `meant`.
pub(super) fn withdraw(src_dir: &Path, epoch: Epoch, meant: Identity) -> io::Result<Withdrawal> {
    let path = src_dir.join(epoch.to_string());
    match identity(&path)? {
        None => return Ok(Withdrawal::Missing),
        Some(now) if !meant.is(&now) => return Ok(Withdrawal::Replaced),
        Some(_) => {}
    }
    let withdrawn = match take(src_dir, &path, epoch) {
        Ok(path) => Withdrawn { path, epoch },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Withdrawal::Missing),
        Err(error) => return Err(error),
    };
    match identity(&withdrawn.path) {
        Ok(Some(now)) if meant.is_renamed(&now) => Ok(Withdrawal::Done(withdrawn)),
        // Should its name be taken by a third one already, it gets it back later, at a look at the directory.
        Ok(_) => {
            let _ = withdrawn.put_back(src_dir);
            Ok(Withdrawal::Replaced)
        }
        Err(error) => {
            let _ = withdrawn.put_back(src_dir);
            Err(error)
        }
    }
}

/// Renames to a private name that is free.
fn take(src_dir: &Path, path: &Path, epoch: Epoch) -> io::Result<PathBuf> {
    let mut number = 0_u32;
    loop {
        let name =
            if number == 0 { format!("{TAKEN_PREFIX}{epoch}") } else { format!("{TAKEN_PREFIX}{epoch}.{number}") };
        let taken = src_dir.join(name);
        match disk::rename_new(path, &taken) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            result => return result.map(|()| taken),
        }
    }
}

/// The snapshot of which this is the private name.
#[must_use]
pub(super) fn epoch_of(name: &str) -> Option<Epoch> {
    let name = name.strip_prefix(TAKEN_PREFIX)?;
    let (epoch, number) = name.split_once('.').unwrap_or((name, "0"));
    number.parse::<u32>().ok().and(Epoch::from_name(epoch))
}

/// Gives a snapshot that has a private name its own again. False while another one has that.
///
/// # Errors
/// It cannot be renamed.
pub(crate) fn put_back(src_dir: &Path, name: &str) -> io::Result<bool> {
    let Some(epoch) = epoch_of(name) else { return Ok(false) };
    match disk::rename_new(&src_dir.join(name), &src_dir.join(epoch.to_string())) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const EPOCH: Epoch = Epoch(1_500_000_000);

    fn snapshot(src_dir: &Path, text: &str) -> Identity {
        let path = src_dir.join(EPOCH.to_string());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("sock1_info"), text).unwrap();
        identity(&path).unwrap().unwrap()
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path.join("sock1_info")).unwrap()
    }

    #[test]
    fn only_the_one_that_is_meant_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let first = snapshot(dir.path(), "first");
        fs::remove_dir_all(dir.path().join("1500000000")).unwrap();
        assert_eq!(withdraw(dir.path(), EPOCH, first).unwrap(), Withdrawal::Missing);
        let second = snapshot(dir.path(), "second");
        assert_eq!(withdraw(dir.path(), EPOCH, first).unwrap(), Withdrawal::Replaced);
        assert_eq!(text(&dir.path().join("1500000000")), "second");
        let Withdrawal::Done(done) = withdraw(dir.path(), EPOCH, second).unwrap() else { panic!("it is there") };
        assert_eq!(text(&done.path), "second");
        let back = done.put_back(dir.path()).unwrap().unwrap();
        assert!(matches!(withdraw(dir.path(), EPOCH, back).unwrap(), Withdrawal::Done(_)));
    }

    #[test]
    fn what_has_a_private_name_gets_its_own_when_that_is_free() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["first", "second", "third"] {
            let id = snapshot(dir.path(), text);
            assert!(matches!(withdraw(dir.path(), EPOCH, id).unwrap(), Withdrawal::Done(_)));
        }
        for (name, found) in [
            (".removing-1500000000", "first"),
            (".removing-1500000000.1", "second"),
            (".removing-1500000000.2", "third"),
        ] {
            assert_eq!(epoch_of(name), Some(EPOCH));
            assert!(put_back(dir.path(), name).unwrap());
            assert!(!put_back(dir.path(), ".removing-1500000000.2").unwrap(), "the name is taken, or it is there");
            assert_eq!(text(&dir.path().join("1500000000")), found);
            fs::remove_dir_all(dir.path().join("1500000000")).unwrap();
        }
        for foreign in [".removing-x", "1500000000", ".removing-1500000000.x", ".done-1500000000"] {
            assert_eq!(epoch_of(foreign), None, "{foreign}");
        }
    }
}
