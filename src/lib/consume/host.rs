//! The files of one host and second that have arrived so far.

use super::places::Token;
use crate::parcel::Label;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Memory that a part takes in addition to its bytes.
const OVERHEAD: usize = 512;

/// A part that contradicts what has arrived of the same host and second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Contradiction {
    /// The file has another length.
    #[error("header size differs from other parts of the file")]
    Size,
    /// The host has another number of files.
    #[error("header files differs from other files of the host")]
    Files,
    /// There are more files than the host has.
    #[error("more files than the number in header files")]
    TooMany,
}

/// A file in parts.
#[derive(Debug)]
struct Parts {
    size: u64,
    /// By offset.
    parts: BTreeMap<u64, Vec<u8>>,
}

impl Parts {
    /// Whether every byte is there.
    fn is_whole(&self) -> bool {
        let mut next = 0;
        for (offset, part) in &self.parts {
            if *offset > next {
                return false;
            }
            next = next.max(offset + part.len() as u64);
        }
        next >= self.size
    }

    /// Joins the parts, which may overlap, into the file.
    fn join(self) -> Vec<u8> {
        let mut file = Vec::new();
        for (offset, part) in self.parts {
            let known = (file.len() as u64).saturating_sub(offset);
            let fresh = usize::try_from(known).ok().and_then(|known| part.get(known..));
            file.extend_from_slice(fresh.unwrap_or_default());
        }
        file
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Host {
    files: BTreeMap<String, Parts>,
    /// Expected number of files.
    count: usize,
    /// When the first part arrived.
    pub(super) since: Instant,
    /// The partitions that parts were read from.
    pub(super) tokens: Vec<Token>,
    /// Bytes in memory.
    pub(super) bytes: usize,
}

impl Host {
    pub(super) fn new(count: usize, since: Instant) -> Self {
        Self { files: BTreeMap::new(), count, since, tokens: Vec::new(), bytes: 0 }
    }

    /// Whether a part fits what has arrived.
    pub(super) fn check(&self, label: &Label) -> Result<(), Contradiction> {
        match self.files.get(&label.file) {
            _ if label.files != self.count => Err(Contradiction::Files),
            None if self.files.len() == self.count => Err(Contradiction::TooMany),
            Some(file) if file.size != label.size => Err(Contradiction::Size),
            _ => Ok(()),
        }
    }

    /// Adds a part.
    pub(super) fn add(&mut self, label: &Label, payload: &[u8]) -> Result<(), Contradiction> {
        self.check(label)?;
        let file = self.files.entry(label.file.clone());
        let file = file.or_insert_with(|| Parts { size: label.size, parts: BTreeMap::new() });
        // Of two parts at the same offset, keep the longer one.
        let known = file.parts.get(&label.offset).map(Vec::len);
        if known.is_none_or(|known| known < payload.len()) {
            self.bytes = self.bytes + payload.len() + OVERHEAD - known.map_or(0, |known| known + OVERHEAD);
            file.parts.insert(label.offset, payload.to_vec());
        }
        Ok(())
    }

    /// Whether all files are there and complete.
    pub(super) fn is_whole(&self) -> bool {
        self.files.len() == self.count && self.has_whole_files()
    }

    /// Whether every file of which a part has arrived is complete.
    pub(super) fn has_whole_files(&self) -> bool {
        self.files.values().all(Parts::is_whole)
    }

    /// The files.
    pub(super) fn files(self) -> Vec<(String, Vec<u8>)> {
        self.files.into_iter().map(|(name, parts)| (name, parts.join())).collect()
    }

    /// The partitions that parts came from.
    pub(super) fn partitions(&self) -> BTreeSet<i32> {
        self.tokens.iter().map(|token| token.partition).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::cuts;
    use crate::snapshot::Epoch;
    use proptest::prelude::*;

    fn label(file: &str, files: usize, offset: usize, size: usize) -> Label {
        let (offset, size) = (offset as u64, size as u64);
        let (host, file) = ("lb".to_owned(), file.to_owned());
        Label { host, cluster: None, time: Epoch(10), interval: 10, file, files, offset, size }
    }

    proptest! {
        #[test]
        fn a_file_is_joined_however_it_was_divided(
            text in "[a-z\n]{1,60}",
            sizes in proptest::collection::vec(1_usize..40, 1..3),
            order in any::<u64>(),
        ) {
            let mut parts: Vec<_> = sizes.iter().flat_map(|most| cuts(text.as_bytes(), *most)).collect();
            fastrand::Rng::with_seed(order).shuffle(&mut parts);
            let mut host = Host::new(1, Instant::now());
            for part in parts {
                host.add(&label("a_stat", 1, part.start, text.len()), &text.as_bytes()[part]).unwrap();
            }
            prop_assert!(host.is_whole());
            prop_assert_eq!(host.files(), vec![("a_stat".to_owned(), text.into_bytes())]);
        }
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_noticed() {
        let mut host = Host::new(2, Instant::now());
        host.add(&label("a_stat", 2, 0, 6), b"abc").unwrap();
        assert!(!host.is_whole() && !host.has_whole_files());
        assert_eq!(host.add(&label("a_stat", 2, 3, 7), b"def"), Err(Contradiction::Size));
        assert_eq!(host.add(&label("a_stat", 3, 3, 6), b"def"), Err(Contradiction::Files));
        host.add(&label("a_stat", 2, 3, 6), b"def").unwrap();
        assert!(host.has_whole_files() && !host.is_whole());
        host.add(&label("a_info", 2, 0, 0), b"").unwrap();
        assert!(host.is_whole());
        assert_eq!(host.add(&label("b_info", 2, 0, 0), b""), Err(Contradiction::TooMany));
        host.add(&label("a_info", 2, 0, 0), b"").unwrap();
        assert_eq!(host.bytes, 6 + 3 * OVERHEAD, "a part that comes twice counts once");
    }
}
