//! The files of a snapshot as one archive, made of nothing else, so that the same snapshot gives the same bytes.

use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, ORIGIN};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Statistics become no larger with zstd's lowest level than with its default, 3, which takes 1.7 times its time; level 6 takes four times
/// its time and gains up to a tenth.
const LEVEL: i32 = 1;

/// Permissions of the files when they are unpacked.
const MODE: u32 = 0o644;

/// Why a snapshot cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The snapshot, or a file of it, cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

impl PackError {
    /// Whether the snapshot is not there any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Packs the snapshot in `dir`: all regular files, in the order of their names. It says that it is of `origin`, unless it says
/// something else already.
///
/// # Errors
/// It cannot be read, or `out` cannot be written to.
pub fn pack<W: Write>(dir: &Path, epoch: Epoch, origin: &Origin, out: W) -> Result<W, PackError> {
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(PackError::Write)?;
    encoder.include_checksum(true).map_err(PackError::Write)?;
    let mut tar = Builder::new(encoder);
    let names = names(dir).map_err(|source| PackError::Read { path: dir.to_owned(), source })?;
    if !names.iter().any(|name| name == ORIGIN) {
        let text = origin.text();
        add(&mut tar, ORIGIN, epoch, text.len() as u64, text.as_bytes()).map_err(PackError::Write)?;
    }
    for name in names {
        let path = dir.join(&name);
        let failed = |source| PackError::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        // What is read is told from what is written: the one is the snapshot's trouble, the other the archive's.
        let mut input = Exact { inner: file, left: size, failure: None };
        let added = add(&mut tar, &name, epoch, size, &mut input);
        if let Some(source) = input.failure {
            return Err(failed(source));
        }
        added.map_err(PackError::Write)?;
    }
    tar.into_inner().and_then(zstd::Encoder::finish).map_err(PackError::Write)
}

/// Regular files, links not followed, in order.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn add<W: Write>(tar: &mut Builder<W>, name: &str, epoch: Epoch, size: u64, input: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(MODE);
    header.set_mtime(epoch.0);
    header.set_size(size);
    tar.append_data(&mut header, name, input)
}

/// As many bytes as there were when the file was opened: its header says so many.
struct Exact<R> {
    inner: R,
    left: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match self.inner.read(buffer.get_mut(..most).unwrap_or_default()) {
            Ok(0) if most > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        match read {
            Ok(read) => {
                self.left -= read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failure = Some(error);
                Err(io::Error::other("the file cannot be read"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_snapshot_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b_stat", "a_info", ".pull"] {
            std::fs::write(dir.path().join(name), name.repeat(100)).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("c_info")).unwrap();
        let origin = Origin { host: "lb".to_owned() };
        let packed = || pack(dir.path(), Epoch(7), &origin, Vec::new()).unwrap();
        let first = packed();
        assert_eq!(first, packed());
        let unpacked = zstd::decode_all(&*first).unwrap();
        let mut tar = tar::Archive::new(&*unpacked);
        let names: Vec<_> = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, [".origin", ".pull", "a_info", "b_stat"].map(PathBuf::from));
    }

    #[test]
    fn whose_fault_it_is_is_told_apart() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let origin = Origin { host: "lb".to_owned() };
        assert!(matches!(pack(dir.path(), Epoch(7), &origin, Full), Err(PackError::Write(_))));
        let gone = pack(&dir.path().join("gone"), Epoch(7), &origin, Vec::new()).unwrap_err();
        assert!(gone.is_gone(), "{gone:?}");
        let mut short = Exact { inner: &b"abc"[..], left: 4, failure: None };
        assert!(io::copy(&mut short, &mut io::sink()).is_err());
        assert_eq!(short.failure.unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}
