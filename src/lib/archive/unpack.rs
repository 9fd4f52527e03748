//! The files in an archive.

use super::bounded::{Bounded, bound};
use super::error::ArchiveError;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// Most files of a snapshot: four for each of 25,000 sockets.
const MOST_FILES: usize = 100_000;

/// Longest name of a file on Linux.
const LONGEST_NAME: usize = 255;

/// Most bytes of what stands before a file with a long name.
const LONGEST_EXTENSION: u64 = 64 * 1024;

/// Largest window that is kept in memory for unpacking, as a power of two: four times what any level without `--long` or
/// `--ultra` needs.
const WINDOW: u32 = 25;

/// Gives each file of the archive at `path` to `each`, with its name.
///
/// # Errors
/// It cannot be read to its end, or `each` failed, which is [`ArchiveError::Write`] for the file of this name.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), ArchiveError> {
    let opened = |source| ArchiveError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(opened)?;
    let bytes = bound(file.metadata().map_err(opened)?.len());
    let damaged = |source| ArchiveError::Damaged { path: path.to_owned(), source };
    let mut decoder = zstd::Decoder::new(file).map_err(damaged)?;
    decoder.window_log_max(WINDOW).map_err(damaged)?;
    let mut bounded = Bounded::new(BufReader::new(decoder), bytes);
    let result = entries(path, &mut bounded, &mut each);
    // To the end, where the checksum is.
    let result = result.and_then(|()| io::copy(&mut bounded, &mut io::sink()).map(drop).map_err(damaged));
    match result {
        Err(ArchiveError::Damaged { .. }) if bounded.is_exceeded() => {
            Err(ArchiveError::TooLarge { path: path.to_owned(), bytes })
        }
        result => result,
    }
}

type Each<'a> = &'a mut dyn FnMut(&str, &mut dyn Read) -> io::Result<()>;

fn entries(path: &Path, input: impl Read, each: Each<'_>) -> Result<(), ArchiveError> {
    let damaged = |source| ArchiveError::Damaged { path: path.to_owned(), source };
    let foreign = |what: String| ArchiveError::Foreign { path: path.to_owned(), what };
    let mut archive = Archive::new(input);
    let mut long: Option<Vec<u8>> = None;
    let mut files = 0;
    // One header at a time: the crate would read a long name into memory, however long it is.
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::GNULongName | EntryType::XHeader => {
                long = extension(&mut entry).map_err(damaged)?.or(long);
                continue;
            }
            EntryType::Directory | EntryType::XGlobalHeader => {
                long = None;
                continue;
            }
            kind => return Err(foreign(format!("an entry of type {:?}", char::from(kind.as_byte())))),
        }
        let name = long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = base_name(&name).ok_or_else(|| foreign(format!("{:?}", String::from_utf8_lossy(&name))))?;
        files += 1;
        if files > MOST_FILES {
            return Err(foreign(format!("more than {MOST_FILES} files")));
        }
        let mut input = Watched { inner: &mut entry, failure: None };
        let given = each(name, &mut input);
        if let Some(source) = input.failure {
            return Err(damaged(source));
        }
        given.map_err(|source| ArchiveError::Write { path: name.into(), source })?;
    }
    if files == 0 { Err(ArchiveError::Empty { path: path.to_owned() }) } else { Ok(()) }
}

/// The long name that stands before a file, if it is one.
fn extension<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    let is_pax = entry.header().entry_type() == EntryType::XHeader;
    entry.take(LONGEST_EXTENSION).read_to_end(&mut content)?;
    if !is_pax {
        content.truncate(content.iter().position(|byte| *byte == 0).unwrap_or(content.len()));
        return Ok(Some(content));
    }
    let mut name = None;
    for extension in PaxExtensions::new(&content) {
        let extension = extension?;
        if extension.key_bytes() == b"path" {
            name = Some(extension.value_bytes().to_vec());
        }
    }
    Ok(name)
}

/// The name of a file, which lies at the top, or in one directory as when a snapshot was packed by hand.
fn base_name(path: &[u8]) -> Option<&str> {
    let path = Path::new(std::str::from_utf8(path).ok()?);
    let mut parts = path.components().filter(|part| *part != Component::CurDir);
    let (first, second) = (parts.next()?, parts.next());
    let (Component::Normal(_), None) = (first, parts.next()) else { return None };
    let Component::Normal(name) = second.unwrap_or(first) else { return None };
    name.to_str().filter(|name| name.len() <= LONGEST_NAME && !name.contains('\0'))
}

/// Remembers that the archive, or a file, could not be read, which the one who writes cannot tell from his own trouble.
pub(super) struct Watched<R> {
    pub(super) inner: R,
    pub(super) failure: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            self.failure = Some(error);
            io::Error::other("it cannot be read")
        })
    }
}

#[cfg(test)]
mod tests;
