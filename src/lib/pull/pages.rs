//! Writes a file in whole pages.
//!
//! Replies come in pieces of any length. Where one ends within a page of the file, the file system looks the page up
//! and prepares it once more for the next piece; a third of what writing costs. So what does not fill a page is kept
//! until it does. Measured on ext4: 200 files of 520 kB, in pieces of 15 KiB, 69 ms of CPU time; in pieces of 16 KiB 44.

use std::fs::File;
use std::io::{self, IoSlice, Write};

/// Bytes of a page; where it is larger, nothing is lost but a part of the gain.
const PAGE: usize = 4096;

/// A new, empty file. What was written to it is complete after [`PageWriter::finish`].
#[derive(Debug)]
pub(super) struct PageWriter<W = File> {
    file: W,
    /// The beginning of the next page: less than a page.
    rest: Vec<u8>,
}

impl<W: Write> PageWriter<W> {
    pub(super) fn new(file: W) -> Self {
        Self { file, rest: Vec::new() }
    }

    /// Writes the pages that are full now.
    ///
    /// # Errors
    /// Those of write(2).
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let total = self.rest.len() + bytes.len();
        let pages = total - total % PAGE;
        // Nothing, when the rest of a page stays one.
        let (now, later) = bytes.split_at(pages.saturating_sub(self.rest.len()));
        if pages > 0 {
            write_both(&mut self.file, &self.rest, now)?;
            self.rest.clear();
        }
        self.rest.extend_from_slice(later);
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// Those of write(2).
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.rest)
    }
}

/// Writes one after the other, with one call where the system takes all.
fn write_both(file: &mut impl Write, first: &[u8], second: &[u8]) -> io::Result<()> {
    let written = loop {
        match file.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    file.write_all(first.get(written..).unwrap_or_default())?;
    file.write_all(second.get(written.saturating_sub(first.len())..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes at most `most` bytes at once, as a disk that fills up or a network file system may.
    #[derive(Debug)]
    struct Slow {
        bytes: Vec<u8>,
        ends: Vec<usize>,
        most: usize,
    }

    impl Write for &mut Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }
        fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            let before = self.bytes.len();
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            self.bytes.extend(all.iter().take(self.most));
            self.ends.push(self.bytes.len());
            Ok(self.bytes.len() - before)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn pieces(lengths: &[usize], most: usize) -> (Vec<u8>, Slow) {
        let mut slow = Slow { bytes: Vec::new(), ends: Vec::new(), most };
        let mut expected = Vec::new();
        let mut writer = PageWriter::new(&mut slow);
        for length in lengths {
            let piece: Vec<u8> = (0..*length).map(|n| ((expected.len() + n) % 251) as u8).collect();
            writer.write(&piece).unwrap();
            expected.extend(piece);
        }
        writer.finish().unwrap();
        (expected, slow)
    }

    #[test]
    fn all_writes_but_the_last_end_with_a_page() {
        let (expected, slow) = pieces(&[1, 4094, 1, 15_360, 15_360, 0, 5, 70_000, 4095], usize::MAX);
        assert_eq!(slow.bytes, expected);
        let (last, ends) = slow.ends.split_last().unwrap();
        assert_eq!(*last, expected.len());
        assert!(ends.len() > 3 && ends.iter().all(|end| end % PAGE == 0), "{ends:?}");
    }

    proptest! {
        #[test]
        fn every_byte_is_written_once_and_in_its_place(
            lengths in prop::collection::vec(0..12_000_usize, 0..12), most in 1..9000_usize
        ) {
            let (expected, slow) = pieces(&lengths, most);
            prop_assert_eq!(slow.bytes, expected);
        }
    }
}
