//! A worker's end.

use super::{BEGIN, Index, newest};
use crate::batch::Batch;
use crate::snapshot::Epoch;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes pages. That one cannot be written keeps no snapshot from its destinations.
#[derive(Debug)]
pub(in crate::process) struct Writer {
    dir: PathBuf,
    part: Option<Part>,
    failing: bool,
}

/// A page that is being written.
#[derive(Debug)]
struct Part {
    epoch: Epoch,
    path: PathBuf,
    file: BufWriter<File>,
    length: u64,
    index: Index,
    places: HashMap<Box<[u8]>, usize>,
}

impl Writer {
    pub(in crate::process) fn new(src_dir: &Path) -> Self {
        Self { dir: src_dir.to_owned(), part: None, failing: false }
    }

    /// Writes a piece of a snapshot.
    pub(in crate::process) fn piece(&mut self, batch: &Batch) {
        let written = self.write(batch);
        if let Err(error) = &written {
            self.part = None;
            if !self.failing {
                tracing::error!(directory = %self.dir.display(), %error, "cannot write the statistics for the metrics \
                                                                          page");
            }
        }
        self.failing = written.is_err();
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        if batch.piece == 0 {
            // Of a snapshot that failed half way.
            self.part = None;
            if newest(&self.dir)?.is_none_or(|(newest, _)| newest < batch.epoch) {
                self.part = Some(Part::create(&self.dir, batch.epoch)?);
            }
        }
        let Some(part) = self.part.as_mut().filter(|part| part.epoch == batch.epoch) else { return Ok(()) };
        part.append(batch)?;
        match self.part.take_if(|_| !batch.more) {
            Some(part) => part.finish(&self.dir),
            None => Ok(()),
        }
    }
}

impl Part {
    fn create(dir: &Path, epoch: Epoch) -> io::Result<Self> {
        let path = dir.join(format!("{BEGIN}{epoch}.{}", std::process::id()));
        let file = BufWriter::new(File::create(&path)?);
        Ok(Self { epoch, path, file, length: 0, index: Index::new(), places: HashMap::new() })
    }

    fn append(&mut self, batch: &Batch) -> io::Result<()> {
        for message in batch.messages.iter() {
            let place = match self.places.get(message.key) {
                Some(place) => *place,
                None => {
                    self.index.push((String::from_utf8_lossy(message.key).into_owned(), Vec::new()));
                    self.places.insert(message.key.into(), self.index.len() - 1);
                    self.index.len() - 1
                }
            };
            self.file.write_all(message.payload)?;
            let length = message.payload.len() as u64;
            if let Some((_, ranges)) = self.index.get_mut(place) {
                ranges.push((self.length, length));
            }
            self.length += length;
        }
        Ok(())
    }

    /// Puts it in the place of those that are older.
    fn finish(mut self, dir: &Path) -> io::Result<()> {
        let index = serde_json::to_vec(&self.index)?;
        self.file.write_all(&index)?;
        self.file.write_all(&(index.len() as u64).to_le_bytes())?;
        self.file.flush()?;
        fs::rename(&self.path, dir.join(format!("{BEGIN}{}", self.epoch)))?;
        for (epoch, path) in super::files(dir)? {
            if epoch.is_some_and(|epoch| epoch < self.epoch) {
                match fs::remove_file(path) {
                    // Another worker was faster.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It is not there any more where it was finished.
        let _ = fs::remove_file(&self.path);
    }
}
