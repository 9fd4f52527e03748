//! Replies to further questions: any text, each ended by an empty line.
//!
//! They follow those to `show info` and `show stat` on the same connection, or come alone. What is said in place of a reply
//! (`Permission denied`) ends with an empty line as well, and the reply to the next command follows.

use super::questions::Question;

/// As much of the beginning of a reply is kept, to judge it: its first two lines.
const HEAD: usize = 300;

/// What comes of the bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The next bytes of the current reply, the empty line at its end included.
    Bytes(&'a [u8]),
    /// The current reply is complete.
    End,
}

/// Splits bytes into replies; how they are cut into chunks makes no difference.
#[derive(Debug)]
pub struct Replies {
    limit: u64,
    /// Bytes of the current reply.
    bytes: u64,
    head: Vec<u8>,
    /// The previous byte ended a line, so a line break now ends the reply.
    line_start: bool,
    /// The current reply has ended; the next call says so.
    ended: bool,
}

/// A reply is longer than `max-reply-size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("longer than max-reply-size")]
pub struct TooLong;

impl Replies {
    /// `limit`: most bytes of one reply.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, bytes: 0, head: Vec::new(), line_start: true, ended: false }
    }

    /// Takes bytes from the front of `chunk` and returns what they are; `None` when the chunk is used up.
    ///
    /// # Errors
    /// The reply is longer than allowed.
    pub fn next<'a>(&mut self, chunk: &mut &'a [u8]) -> Result<Option<Event<'a>>, TooLong> {
        if self.ended {
            let head = std::mem::take(&mut self.head);
            // Kept for the error that says what it was.
            *self = Self { head, ..Self::new(self.limit) };
            return Ok(Some(Event::End));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        if self.bytes == 0 {
            self.head.clear();
        }
        let (taken, left) = chunk.split_at(self.scan(chunk));
        *chunk = left;
        self.bytes += taken.len() as u64;
        if self.bytes > self.limit {
            return Err(TooLong);
        }
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(taken.get(..taken.len().min(room)).unwrap_or_default());
        Ok(Some(Event::Bytes(taken)))
    }

    /// Why the reply that has just ended is none to this question; `None` where it is one. `lists`: to its list.
    #[must_use]
    pub fn refusal(&self, question: &Question, lists: bool) -> Option<Refusal> {
        Refusal::of(&self.head, if lists { "#" } else { question.begins })
    }

    /// How many bytes of the chunk belong to the current reply.
    fn scan(&mut self, chunk: &[u8]) -> usize {
        let mut from = 0;
        loop {
            let rest = chunk.get(from..).unwrap_or_default();
            match memchr::memchr(b'\n', rest) {
                Some(0) if self.line_start => {
                    self.ended = true;
                    return from + 1;
                }
                Some(at) => {
                    from += at + 1;
                    self.line_start = true;
                }
                None => {
                    self.line_start &= rest.is_empty();
                    return chunk.len();
                }
            }
        }
    }
}

/// What HAProxy says in place of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The socket lacks the level.
    Level(String),
    /// This HAProxy does not know the command.
    Unknown(String),
    /// Anything else.
    Other(String),
}

impl Refusal {
    /// What a reply with this beginning is; `None` where it begins as it should, or is empty.
    fn of(head: &[u8], begins: &str) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let first = text.lines().next().unwrap_or_default();
        // What a peer sends must not forge log lines.
        let said = || first.trim().chars().take(120).flat_map(char::escape_debug).collect::<String>();
        if let Some(line) = text.lines().nth(1).filter(|line| line.contains("due to insufficient privileges")) {
            return Some(Self::Level(line.trim_start_matches(['#', ' ']).to_owned()));
        }
        if first.is_empty() || first.starts_with(begins) {
            return None;
        }
        // HAProxy up to 3.4 says this of memory where commands about certificates lack the level.
        Some(if first.starts_with("Permission denied") || first.starts_with("Can't allocate memory") {
            Self::Level(said())
        } else if first.starts_with("Unknown command") {
            Self::Unknown(said())
        } else {
            Self::Other(said())
        })
    }

    /// HAProxy's words.
    #[must_use]
    pub fn said(&self) -> &str {
        match self {
            Self::Level(said) | Self::Unknown(said) | Self::Other(said) => said,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The replies in these chunks, each with what it is.
    fn split(chunks: &[&[u8]], begins: &str) -> Vec<(String, Option<Refusal>)> {
        let mut replies = Replies::new(1000);
        let (mut all, mut now) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let mut chunk = *chunk;
            while let Some(event) = replies.next(&mut chunk).unwrap() {
                match event {
                    Event::Bytes(bytes) => now.extend_from_slice(bytes),
                    Event::End => {
                        let text = String::from_utf8(std::mem::take(&mut now)).unwrap();
                        all.push((text, Refusal::of(&replies.head, begins)));
                    }
                }
            }
        }
        all
    }

    const TEXT: &str = "# table: a, type: ip\n\n\nPermission denied\n\n# table: b\n# contents not dumped due to \
                        insufficient privileges\n\nUnknown command: 'x'\n  help\n\nNo such table\n\n";

    fn expected() -> Vec<(String, Option<Refusal>)> {
        let level = "contents not dumped due to insufficient privileges";
        [
            ("# table: a, type: ip\n\n", None),
            ("\n", None),
            ("Permission denied\n\n", Some(Refusal::Level("Permission denied".to_owned()))),
            (&format!("# table: b\n# {level}\n\n"), Some(Refusal::Level(level.to_owned()))),
            ("Unknown command: 'x'\n  help\n\n", Some(Refusal::Unknown("Unknown command: \\'x\\'".to_owned()))),
            ("No such table\n\n", Some(Refusal::Other("No such table".to_owned()))),
        ]
        .map(|(text, refusal)| (text.to_owned(), refusal))
        .to_vec()
    }

    proptest! {
        #[test]
        fn replies_are_told_apart_however_they_come(cuts in prop::collection::vec(0..TEXT.len(), 0..9)) {
            let mut cuts: Vec<usize> = cuts.into_iter().chain([0, TEXT.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &TEXT.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(split(&chunks, "# table: "), expected());
        }
    }

    #[test]
    fn a_reply_without_end_is_given_up() {
        let mut replies = Replies::new(10);
        let mut chunk: &[u8] = b"0123456789";
        assert!(replies.next(&mut chunk).is_ok());
        assert_eq!(replies.next(&mut b"0\n\n".as_slice()), Err(TooLong));
    }
}
