//! A snapshot that is stored somewhere, and its files. Nothing is written outside of the directory that is named, no link is
//! made, and nothing that an archive says of owners and permissions counts.

use super::error::ArchiveError;
use super::names::epoch_of;
use super::unpack::{self, Watched};
use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, ORIGIN, disk};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// In which form a snapshot is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A directory, as haproxystats-pull leaves it.
    Directory,
    /// An archive.
    Packed,
}

/// A snapshot that is stored somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The moment of its pull.
    pub epoch: Epoch,
    /// Where it is.
    pub path: PathBuf,
    /// As what.
    pub form: Form,
}

impl Stored {
    /// The snapshot at this path, if it is one by its name.
    pub(super) fn at(path: &Path, is_dir: bool) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (epoch, form) =
            if is_dir { (Epoch::from_name(name)?, Form::Directory) } else { (epoch_of(name)?, Form::Packed) };
        Some(Self { epoch, path: path.to_owned(), form })
    }

    /// Gives each of its files to `each`, with its name. Hidden files are among them, links are not.
    ///
    /// # Errors
    /// It cannot be read to its end, or `each` failed, which is [`ArchiveError::Write`] for the file of this name.
    pub fn read(&self, mut each: impl FnMut(&str, &mut dyn Read) -> io::Result<()>) -> Result<(), ArchiveError> {
        if self.form == Form::Packed {
            return unpack::read(&self.path, each);
        }
        let opened = |source| ArchiveError::Open { path: self.path.clone(), source };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(opened)? {
            let entry = entry.map_err(opened)?;
            if entry.file_type().map_err(opened)?.is_file() {
                files.push(entry.path());
            }
        }
        files.sort_unstable();
        for path in files {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let opened = |source| ArchiveError::Open { path: path.clone(), source };
            let mut input = Watched { inner: File::open(&path).map_err(opened)?, failure: None };
            let given = each(name, &mut input);
            if let Some(source) = input.failure {
                return Err(opened(source));
            }
            given.map_err(|source| ArchiveError::Write { path: name.into(), source })?;
        }
        Ok(())
    }

    /// Writes its files into `dir`, which is made; says how many bytes those are. One that does not say where it comes from says
    /// that it is of `origin` from then on. After an error nothing of it is left.
    ///
    /// # Errors
    /// As [`Stored::read`].
    pub(crate) fn unpack(&self, dir: &Path, origin: &Origin) -> Result<u64, ArchiveError> {
        disk::make(dir).map_err(|source| ArchiveError::Write { path: dir.to_owned(), source })?;
        self.unpack_into(dir, origin).map_err(|error| {
            // It is in the way of another attempt; that says so then.
            let _ = disk::remove_directory(dir);
            match error {
                ArchiveError::Write { path: name, source } if source.kind() == io::ErrorKind::AlreadyExists => {
                    ArchiveError::Foreign { path: self.path.clone(), what: format!("{} twice", name.display()) }
                }
                ArchiveError::Write { path: name, source } => ArchiveError::Write { path: dir.join(name), source },
                error => error,
            }
        })
    }

    fn unpack_into(&self, dir: &Path, origin: &Origin) -> Result<u64, ArchiveError> {
        let (mut bytes, mut says) = (0, false);
        self.read(|name, input| {
            says |= name == ORIGIN;
            bytes += copy(input, &mut create(&dir.join(name))?)?;
            Ok(())
        })?;
        if !says {
            let written = create(&dir.join(ORIGIN)).and_then(|mut file| file.write_all(origin.text().as_bytes()));
            written.map_err(|source| ArchiveError::Write { path: ORIGIN.into(), source })?;
        }
        Ok(bytes)
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

/// As [`io::copy`], which would take the input for a file.
fn copy(input: &mut dyn Read, output: &mut File) -> io::Result<u64> {
    let (mut buffer, mut bytes) = ([0; 64 * 1024], 0);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                output.write_all(buffer.get(..read).unwrap_or_default())?;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
