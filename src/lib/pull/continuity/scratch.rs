//! A file for data that would take too much memory. It has no name, so it is gone when the program ends, however that happens.
//! State that has to survive is kept elsewhere, see [`super::store`].

use crate::snapshot::disk;
use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes of a block, the unit of reading and writing. Larger ones would take slightly less time, but more memory for each
/// process. Tests use small ones, so that a few objects take several blocks.
pub(super) const BLOCK: usize = if cfg!(test) { 128 } else { 8192 };
/// How many of the last read blocks are cached: more than there are lists that are read in order at the same time.
const READ: usize = 8;
/// The name of the file, as long as it has one.
const NAME: &str = "haproxystats-scratch";
/// A number that no block has.
const NONE: u32 = u32::MAX;

/// Blocks on disk.
#[derive(Debug, Clone)]
pub(super) struct Scratch(Rc<RefCell<Blocks>>);

#[derive(Debug)]
struct Blocks {
    directory: PathBuf,
    /// `None` if it has not been needed yet, or cannot be created.
    file: Option<File>,
    /// Number of blocks in the file, and those that are free.
    count: u32,
    free: Vec<u32>,
    read: Vec<(u32, Box<[u8]>)>,
    /// Which cached block is replaced next.
    turn: usize,
    /// Whether it was logged that blocks stay in memory.
    failing: bool,
    /// Why a block could not be read.
    lost: Option<io::Error>,
}

/// A stored block; its place in the file becomes free when it is dropped.
#[derive(Debug)]
pub(super) enum Block {
    OnDisk(Place),
    /// If it cannot be written to disk.
    InMemory(Box<[u8]>),
}

/// The place of a block.
#[derive(Debug)]
pub(super) struct Place {
    number: u32,
    scratch: Scratch,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.scratch.0.borrow_mut().free.push(self.number);
    }
}

/// In the system's directory for temporary files.
impl Default for Scratch {
    fn default() -> Self {
        Self::new(&std::env::temp_dir())
    }
}

impl Scratch {
    /// A scratch file in this directory, which is created when it is needed.
    pub(super) fn new(directory: &Path) -> Self {
        Self(Rc::new(RefCell::new(Blocks {
            directory: directory.to_owned(),
            file: None,
            count: 0,
            free: Vec::new(),
            read: Vec::new(),
            turn: 0,
            failing: false,
            lost: None,
        })))
    }

    /// Stores at most [`BLOCK`] bytes.
    pub(super) fn store(&self, bytes: &[u8]) -> Block {
        let mut blocks = self.0.borrow_mut();
        match blocks.store(bytes) {
            Ok(number) => {
                blocks.failing = false;
                Block::OnDisk(Place { number, scratch: self.clone() })
            }
            Err(error) => {
                if !std::mem::replace(&mut blocks.failing, true) {
                    tracing::warn!(directory = %blocks.directory.display(), %error,
                        "cannot write the file for the last values of counters; they stay in memory");
                }
                Block::InMemory(bytes.into())
            }
        }
    }

    /// Passes the bytes of a block to `take`, starting at `from`; none if they cannot be read, which [`Scratch::lost`] reports.
    pub(super) fn read<T>(&self, block: &Block, from: usize, take: impl FnOnce(&[u8]) -> T) -> T {
        match block {
            Block::InMemory(bytes) => take(bytes.get(from..).unwrap_or_default()),
            Block::OnDisk(place) => take(self.0.borrow_mut().read(place.number).get(from..).unwrap_or_default()),
        }
    }

    /// Why a block could not be read, if that has happened.
    pub(super) fn lost(&self) -> Option<io::Error> {
        self.0.borrow_mut().lost.take()
    }

    /// Moves to another directory. If that fails, everything stays where it is.
    pub(super) fn move_to(&self, directory: &Path) {
        let mut blocks = self.0.borrow_mut();
        if blocks.directory != directory {
            let before = std::mem::replace(&mut blocks.directory, directory.to_owned());
            if let Err(error) = blocks.copy() {
                tracing::warn!(directory = %directory.display(), %error,
                    "cannot write a file for the last values of counters in the new dst-dir; it stays in the previous one");
                blocks.directory = before;
            }
        }
    }
}

impl Blocks {
    fn store(&mut self, bytes: &[u8]) -> io::Result<u32> {
        let file = match self.file.take() {
            Some(file) => file,
            None => nameless(&self.directory)?,
        };
        let number = self.free.last().copied().unwrap_or(self.count);
        let written = file.write_all_at(bytes, start(number));
        self.file = Some(file);
        written?;
        if self.free.pop().is_none() {
            self.count += 1;
        }
        self.read.retain(|(read, _)| *read != number);
        Ok(number)
    }

    /// The bytes of a block, possibly followed by others that were not stored in it.
    fn read(&mut self, number: u32) -> &[u8] {
        let found = self.read.iter().position(|(read, _)| *read == number);
        let index = found.unwrap_or_else(|| self.load(number));
        self.read.get(index).map_or(&[], |(_, bytes)| bytes)
    }

    fn load(&mut self, number: u32) -> usize {
        let index = self.turn % READ;
        self.turn = index + 1;
        if self.read.len() <= index {
            self.read.push((number, vec![0; BLOCK].into()));
        }
        let index = index.min(self.read.len() - 1);
        let Some((read, bytes)) = self.read.get_mut(index) else { return index };
        *read = number;
        if let Some(Err(error)) = self.file.as_ref().map(|file| fill(file, bytes, start(number))) {
            *read = NONE;
            bytes.fill(0);
            self.lost.get_or_insert(error);
        }
        index
    }

    /// Copies the present content into a new file.
    fn copy(&mut self) -> io::Result<()> {
        let Some(before) = &self.file else { return Ok(()) };
        let file = nameless(&self.directory)?;
        let mut bytes = vec![0; BLOCK];
        for number in 0..self.count {
            fill(before, &mut bytes, start(number))?;
            file.write_all_at(&bytes, start(number))?;
        }
        self.file = Some(file);
        Ok(())
    }
}

fn start(number: u32) -> u64 {
    u64::from(number) * BLOCK as u64
}

/// Reads a block. The last one in the file may be short.
fn fill(file: &File, mut bytes: &mut [u8], mut from: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.read_at(bytes, from) {
            Ok(0) => break,
            Ok(count) => {
                bytes = bytes.get_mut(count..).unwrap_or_default();
                from += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Creates a file without a name. If one with the name exists, a program was killed before it could remove the name.
fn nameless(directory: &Path) -> io::Result<File> {
    disk::make_all(directory)?;
    let path = directory.join(NAME);
    let remove = || match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove()?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    remove()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(scratch: &Scratch, block: &Block) -> Vec<u8> {
        scratch.read(block, 0, |bytes| bytes.get(..3).unwrap_or_default().to_vec())
    }

    #[test]
    fn blocks_are_on_disk_without_a_name_and_their_places_are_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(&directory.path().join("below"));
        let mut blocks: Vec<Block> = (0..20).map(|number| scratch.store(&[number; 3])).collect();
        assert!(fs::read_dir(directory.path().join("below")).unwrap().next().is_none());
        for _ in 0..2 {
            for (number, block) in (0..).zip(&blocks) {
                assert!(matches!(block, Block::OnDisk(_)));
                assert_eq!(bytes(&scratch, block), [number; 3]);
            }
        }
        drop(blocks.split_off(10));
        blocks.extend((10..20).map(|number| scratch.store(&[number + 100; 3])));
        // In the reverse order.
        let found: Vec<u8> = blocks.iter().rev().map(|block| bytes(&scratch, block)[0]).collect();
        assert_eq!(found, (0..10).chain(110..120).rev().collect::<Vec<u8>>());
        assert_eq!(scratch.0.borrow().count, 20);
        let other = tempfile::tempdir().unwrap();
        scratch.move_to(other.path());
        assert_eq!(blocks.iter().rev().map(|block| bytes(&scratch, block)[0]).collect::<Vec<_>>(), found);
        assert_eq!(scratch.0.borrow().directory, other.path());
        scratch.move_to(Path::new("/dev/null/none"));
        assert_eq!(bytes(&scratch, &blocks[0]), [0; 3]);
        assert_eq!(scratch.0.borrow().directory, other.path());
        assert!(scratch.lost().is_none());
    }

    #[test]
    fn what_cannot_be_written_stays_in_memory_and_what_cannot_be_read_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(&directory.path().join("file"));
        fs::write(directory.path().join("file"), "in the way").unwrap();
        let block = scratch.store(&[7; 3]);
        assert!(matches!(block, Block::InMemory(_)));
        assert_eq!(bytes(&scratch, &block), [7; 3]);
        fs::remove_file(directory.path().join("file")).unwrap();
        let block = scratch.store(&[8; 3]);
        assert!(matches!(block, Block::OnDisk(_)));
        scratch.0.borrow_mut().file = Some(OpenOptions::new().write(true).open("/dev/null").unwrap());
        assert_eq!(bytes(&scratch, &block), [0; 3]);
        assert!(scratch.lost().is_some());
    }
}
