//! Keeps copies of refused messages for inspection: `failed/kafka-source/`, next to the snapshots that cannot be processed.
//!
//! A file consists of header lines, an empty line, and the payload. It is only a copy, and may be truncated: the message stays in
//! the topic until its retention ends.

use crate::snapshot::disk;
use crate::snapshot::quarantine::{self, MOST};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Name of the directory in the quarantine.
pub(super) const FOLDER: &str = "kafka-source";

/// Most bytes of a payload that are kept.
const MOST_BYTES: usize = 1 << 20;

/// Most bytes of the topic in the name of a file. A topic may have 249, and a file name 255.
const MOST_OF_TOPIC: usize = 200;

/// A message cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub(super) struct AsideError {
    path: PathBuf,
    source: io::Error,
}

/// The content of a message, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// The first bytes of the payload.
    payload: Vec<u8>,
    /// Length of the whole payload.
    length: usize,
}

impl Content {
    pub(super) fn new(headers: Vec<(String, Vec<u8>)>, payload: &[u8]) -> Self {
        let kept = payload.get(..MOST_BYTES).unwrap_or(payload);
        Self { headers, payload: kept.to_vec(), length: payload.len() }
    }
}

/// Refused messages of a partition: a single one, or a set that cannot be decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) partition: i32,
    pub(super) offsets: Range<i64>,
    pub(super) reason: String,
    /// `None` for a set.
    pub(super) content: Option<Content>,
}

impl Refusal {
    /// Number of messages, at most.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.offsets.end.saturating_sub(self.offsets.start)).unwrap_or(1)
    }

    fn bytes(&self, topic: &str) -> Vec<u8> {
        let (first, last) = (self.offsets.start, self.offsets.end.saturating_sub(1));
        let mut head = format!("topic {topic}\npartition {}\noffset {first}\n", self.partition);
        // Writing to a String cannot fail.
        if last > first {
            let _ = writeln!(head, "last-offset {last}");
        }
        let _ = writeln!(head, "reason {}", self.reason.escape_debug());
        let Some(content) = &self.content else {
            head.push_str("# The payload could not be read. It is in the topic.\n");
            return head.into_bytes();
        };
        for (name, value) in &content.headers {
            let value = String::from_utf8_lossy(value);
            let _ = writeln!(head, "header {} {}", name.escape_debug(), value.escape_debug());
        }
        let _ = writeln!(head, "bytes {}", content.length);
        if content.payload.len() < content.length {
            let _ = writeln!(
                head,
                "# Only the first {} bytes follow. The whole payload is in the topic.",
                content.payload.len()
            );
        }
        head.push('\n');
        [head.as_bytes(), &content.payload].concat()
    }
}

/// The result of keeping a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    At(PathBuf),
    /// This directory already has as many files as it may have.
    Full(PathBuf),
}

/// Keeps copies of the messages of a topic.
#[derive(Debug)]
pub(super) struct Aside {
    src_dir: PathBuf,
    topic: String,
}

impl Aside {
    pub(super) fn new(src_dir: &Path, topic: &str) -> Self {
        Self { src_dir: src_dir.to_owned(), topic: topic.to_owned() }
    }

    /// Writes a copy, which replaces an earlier one of the same message.
    pub(super) fn keep(&self, refusal: &Refusal) -> Result<Kept, AsideError> {
        let topic = self.topic.get(..MOST_OF_TOPIC).unwrap_or(&self.topic);
        let name = format!("{topic}-{}-{}", refusal.partition, refusal.offsets.start);
        let bytes = refusal.bytes(&self.topic);
        let mut failure = None;
        for place in quarantine::places(&self.src_dir) {
            match write(&place.join(FOLDER), &name, &bytes) {
                Err(error) => failure = failure.or(Some(error)),
                kept => return kept,
            }
        }
        failure.map_or_else(|| Ok(Kept::Full(self.src_dir.clone())), Err)
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<Kept, AsideError> {
    let path = directory.join(name);
    let failed = |source| AsideError { path: path.clone(), source };
    disk::make_all(directory).map_err(failed)?;
    if !path.exists() && fs::read_dir(directory).map_err(failed)?.count() >= MOST {
        return Ok(Kept::Full(directory.to_owned()));
    }
    let written = disk::create_file(&path).and_then(|mut file| file.write_all(bytes));
    if let Err(error) = written {
        // Leave no incomplete copy.
        let _ = fs::remove_file(&path);
        return Err(failed(error));
    }
    Ok(Kept::At(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(offset: i64, payload: &[u8]) -> Refusal {
        let headers = vec![("host".to_owned(), b"a\nb".to_vec())];
        let content = Some(Content::new(headers, payload));
        Refusal { partition: 3, offsets: offset..offset + 1, reason: "bad".to_owned(), content }
    }

    #[test]
    fn a_copy_says_where_the_message_is_and_what_it_says() {
        let base = tempfile::tempdir().unwrap();
        let aside = Aside::new(&base.path().join("incoming"), "snapshots");
        let path = base.path().join("failed/kafka-source/snapshots-3-7");
        for _ in 0..2 {
            assert_eq!(aside.keep(&refusal(7, b"\0payload")).unwrap(), Kept::At(path.clone()));
        }
        let head = "topic snapshots\npartition 3\noffset 7\nreason bad\nheader host a\\nb\nbytes 8\n\n";
        assert_eq!(fs::read(&path).unwrap(), [head.as_bytes(), b"\0payload"].concat());
        aside.keep(&refusal(8, &vec![b'x'; MOST_BYTES + 1])).unwrap();
        let text = fs::read_to_string(base.path().join("failed/kafka-source/snapshots-3-8")).unwrap();
        assert!(text.contains("bytes 1048577\n# Only the first 1048576 bytes follow."), "{}", &text[..200]);
        assert_eq!(text.bytes().filter(|byte| *byte == b'x').count(), MOST_BYTES);
        let set = Refusal { offsets: 20..25, content: None, ..refusal(0, b"") };
        aside.keep(&set).unwrap();
        let text = fs::read_to_string(base.path().join("failed/kafka-source/snapshots-3-20")).unwrap();
        assert!(text.contains("offset 20\nlast-offset 24\n") && set.count() == 5, "{text}");
    }

    #[test]
    fn there_is_a_bound_and_errors_of_the_disk_are_errors() {
        let base = tempfile::tempdir().unwrap();
        let aside = Aside::new(&base.path().join("incoming"), "snapshots");
        let count = i64::try_from(MOST).unwrap();
        assert!((0..count).all(|offset| matches!(aside.keep(&refusal(offset, b"x")), Ok(Kept::At(_)))));
        assert!(matches!(aside.keep(&refusal(count, b"x")), Ok(Kept::Full(_))));
        assert!(matches!(aside.keep(&refusal(0, b"x")), Ok(Kept::At(_))), "one that is there");
        let base = tempfile::tempdir().unwrap();
        let aside = Aside::new(&base.path().join("incoming"), &"x".repeat(249));
        assert!(matches!(aside.keep(&refusal(i64::MAX - 1, b"x")), Ok(Kept::At(_))), "the longest name");
        let base = tempfile::tempdir().unwrap();
        // Neither beside the source directory nor inside of it.
        fs::write(base.path().join("failed"), "").unwrap();
        fs::write(base.path().join("incoming"), "").unwrap();
        let aside = Aside::new(&base.path().join("incoming"), "snapshots");
        assert!(aside.keep(&refusal(0, b"x")).is_err());
    }
}
