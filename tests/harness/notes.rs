//! What tansu forgets: the metadata of committed offsets. It answers with the offset and an empty text, so that a member does not
//! learn which seconds are settled. The gate in front of it keeps the metadata, and puts it into the answers.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

const COMMIT: i16 = 8;
const FETCH: i16 = 9;

/// What was committed with an offset of a partition.
type Kept = Arc<Mutex<HashMap<(String, i32, i64), String>>>;

/// Metadata by partition and offset, for all connections.
#[derive(Clone, Default)]
pub struct Notes(Kept);

/// The same for one connection: versions of the questions for offsets that are not answered yet.
#[derive(Clone)]
pub struct Conversation {
    notes: Kept,
    asked: Arc<Mutex<HashMap<i32, i16>>>,
}

impl Notes {
    pub fn conversation(&self) -> Conversation {
        Conversation { notes: Arc::clone(&self.0), asked: Arc::default() }
    }
}

impl Conversation {
    /// Passes requests on.
    pub fn ask(&self, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        loop {
            let request = message(&mut from)?;
            // What is not understood is passed on like anything else.
            let _ = self.requested(&request);
            send(&mut to, &request)?;
        }
    }

    /// Passes answers on.
    pub fn answer(&self, mut from: impl Read, mut to: impl Write) -> io::Result<()> {
        loop {
            let answer = message(&mut from)?;
            let with_notes = self.answered(&answer);
            send(&mut to, with_notes.as_deref().unwrap_or(&answer))?;
        }
    }

    fn requested(&self, request: &[u8]) -> Option<()> {
        let mut walk = Walk::new(request);
        let (kind, version, number) = (walk.i16()?, walk.i16()?, walk.i32()?);
        if kind == FETCH {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(number, version);
        }
        if kind != COMMIT {
            return None;
        }
        walk.text()?;
        walk.flexible = version >= 8;
        walk.tags()?;
        walk.text()?;
        walk.i32()?;
        walk.text()?;
        if version <= 4 {
            walk.i64()?;
        }
        if version >= 7 {
            walk.text()?;
        }
        for _ in 0..walk.count()? {
            let topic = walk.text()?;
            for _ in 0..walk.count()? {
                let (partition, offset) = (walk.i32()?, walk.i64()?);
                if version >= 6 {
                    walk.i32()?;
                }
                let note = walk.text()?;
                walk.tags()?;
                let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.insert((topic.clone(), partition, offset), note);
            }
            walk.tags()?;
        }
        Some(())
    }

    /// An answer with notes, if it is one about offsets.
    fn answered(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let mut walk = Walk::new(answer);
        let number = walk.i32()?;
        let version = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)?;
        walk.flexible = version >= 6;
        walk.tags()?;
        if version >= 3 {
            walk.i32()?;
        }
        let groups = if version >= 8 { walk.count()? } else { 1 };
        for _ in 0..groups {
            if version >= 8 {
                walk.text()?;
            }
            for _ in 0..walk.count()? {
                let topic = walk.text()?;
                for _ in 0..walk.count()? {
                    let (partition, offset) = (walk.i32()?, walk.i64()?);
                    if version >= 5 {
                        walk.i32()?;
                    }
                    let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
                    walk.replace_text(notes.get(&(topic.clone(), partition, offset)).map(String::as_str))?;
                    drop(notes);
                    walk.i16()?;
                    walk.tags()?;
                }
                walk.tags()?;
            }
            if version >= 2 {
                walk.i16()?;
            }
            if version >= 8 {
                walk.tags()?;
            }
        }
        walk.tags()?;
        Some(walk.copy)
    }
}

fn message(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    from.read_exact(&mut message)?;
    Ok(message)
}

fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).expect("a message of Kafka");
    to.write_all(&[&length.to_be_bytes()[..], message].concat())
}

/// Reads a message of Kafka from left to right, and copies what it reads.
struct Walk<'a> {
    rest: &'a [u8],
    copy: Vec<u8>,
    /// Lengths are of variable size, and structures end with tags.
    flexible: bool,
}

impl<'a> Walk<'a> {
    fn new(message: &'a [u8]) -> Self {
        Self { rest: message, copy: Vec::new(), flexible: false }
    }

    fn skip(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes: [u8; N] = self.skip(N)?.try_into().ok()?;
        self.copy.extend(bytes);
        Some(bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.bytes().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.bytes().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.bytes().map(i64::from_be_bytes)
    }

    fn variable(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..).step_by(7).take(5) {
            let [byte] = self.bytes()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Of an array; none is empty.
    fn count(&mut self) -> Option<usize> {
        if self.flexible {
            return self.variable().map(|count| count.saturating_sub(1));
        }
        self.i32().map(|count| usize::try_from(count).unwrap_or(0))
    }

    /// None is empty.
    fn text(&mut self) -> Option<String> {
        let length =
            if self.flexible { self.variable()?.saturating_sub(1) } else { usize::try_from(self.i16()?).unwrap_or(0) };
        let text = self.skip(length)?;
        self.copy.extend(text);
        String::from_utf8(text.to_vec()).ok()
    }

    /// Copies another text instead, of less than 127 bytes.
    fn replace_text(&mut self, other: Option<&str>) -> Option<()> {
        let begin = self.copy.len();
        self.text()?;
        let Some(other) = other else { return Some(()) };
        self.copy.truncate(begin);
        if self.flexible {
            self.copy.push(u8::try_from(other.len() + 1).ok().filter(|length| *length < 0x80)?);
        } else {
            self.copy.extend(i16::try_from(other.len()).ok()?.to_be_bytes());
        }
        self.copy.extend(other.as_bytes());
        Some(())
    }

    fn tags(&mut self) -> Option<()> {
        let count = if self.flexible { self.variable()? } else { 0 };
        for _ in 0..count {
            self.variable()?;
            let length = self.variable()?;
            let bytes = self.skip(length)?;
            self.copy.extend(bytes);
        }
        Some(())
    }
}
