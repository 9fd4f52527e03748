//! The parent's end.

use super::{Index, LENGTH, newest};
use crate::snapshot::Epoch;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are read at a time.
const CHUNK: u64 = 64 * 1024;

/// The newest page, to be read piece by piece: an iterator over its text.
#[derive(Debug)]
pub(in crate::process) struct Statistics {
    epoch: Epoch,
    file: File,
    /// What is still to come, in the order of the page.
    rest: std::vec::IntoIter<Piece>,
}

#[derive(Debug)]
enum Piece {
    Head(String),
    Lines { offset: u64, length: u64 },
}

impl Statistics {
    /// Opens it; `None` when there is none. A page that is replaced meanwhile stays readable.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub(in crate::process) fn open(src_dir: &Path) -> io::Result<Option<Self>> {
        loop {
            let Some((epoch, path)) = newest(src_dir)? else { return Ok(None) };
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let index = index(&file)?;
            let pieces = index.into_iter().flat_map(|(head, ranges)| {
                std::iter::once(Piece::Head(head)).chain(ranges.into_iter().flat_map(chunks))
            });
            let pieces: Vec<Piece> = pieces.collect();
            return Ok(Some(Self { epoch, file, rest: pieces.into_iter() }));
        }
    }

    /// The snapshot that it is of.
    pub(in crate::process) fn epoch(&self) -> Epoch {
        self.epoch
    }
}

fn chunks((offset, length): (u64, u64)) -> impl Iterator<Item = Piece> {
    let starts = (0..length).step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX));
    starts.map(move |start| Piece::Lines { offset: offset + start, length: CHUNK.min(length - start) })
}

fn index(file: &File) -> io::Result<Index> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "not a page of statistics");
    let end = file.metadata()?.len().checked_sub(LENGTH as u64).ok_or_else(broken)?;
    let mut length = [0; LENGTH];
    file.read_exact_at(&mut length, end)?;
    let length = u64::from_le_bytes(length);
    let start = end.checked_sub(length).ok_or_else(broken)?;
    let mut index = vec![0; usize::try_from(length).map_err(|_| broken())?];
    file.read_exact_at(&mut index, start)?;
    Ok(serde_json::from_slice(&index)?)
}

impl Iterator for Statistics {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.rest.next()? {
            Piece::Head(head) => Ok(head.into_bytes()),
            Piece::Lines { offset, length } => {
                let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
                self.file.read_exact_at(&mut text, offset).map(|()| text)
            }
        })
    }
}
