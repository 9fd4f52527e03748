//! When is a reply of HAProxy's command line complete and well?
//!
//! One connection carries `show info;show stat`, and HAProxy closes it after the last reply. What the splitter relies
//! on (management.txt 9.3, and tried with HAProxy 1.7 to 3.4):
//!
//! - each reply ends with an empty line, "so that the reader knows the output has not been truncated";
//! - `show info` is lines of `Name: value`, none of them empty, and no name holds a blank: what the CLI of a master
//!   process or any other server says about an unknown command does;
//! - `show stat` is CSV that starts with `# pxname,`. A field that holds a comma, a quote or a line break is quoted,
//!   with quotes doubled. Line breaks are real: `last_chk` repeats what a server answered to a check, empty lines
//!   included. So an empty line ends the reply only outside of quotes. A quote opens a field only at its beginning;
//!   anywhere else it is a character like any other, as the parser of the rows has it;
//! - an error is a line of text in place of the reply: `Permission denied`, `Unknown command...`.
//!
//! The splitter holds no reply, only the beginning of its first line.

use std::fmt;

/// Starts every reply to `show stat`.
const STAT_HEADER: &[u8] = b"# pxname,";
/// Separates name and value in every line of `show info`.
const INFO_SEPARATOR: &[u8] = b": ";
/// As much of a first line is kept, to judge it and to quote it in an error. Longer than any first line of
/// `show info`, short enough for a log line.
const FIRST_LINE: usize = 120;

/// One of the two replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The reply to `show info`.
    Info,
    /// The reply to `show stat`.
    Stat,
}

impl Part {
    /// The command that asks for it.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Info => "show info",
            Self::Stat => "show stat",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command())
    }
}

/// What comes out of the splitter.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The next bytes of this reply, the final empty line included.
    Bytes(Part, &'a [u8]),
    /// This reply is complete.
    End(Part),
}

/// Why a reply is not one. What was received of it is worthless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The connection was closed before the first byte.
    #[error("closed without an answer")]
    Empty,
    /// Text where a reply should start: HAProxy's own error message, or not HAProxy at all.
    #[error("the answer to \"{part}\" is \"{line}\"")]
    Refused {
        /// The command.
        part: Part,
        /// The first line, or its beginning.
        line: String,
    },
    /// The connection was closed within a reply.
    #[error("the answer to \"{part}\" ends after {bytes} bytes, without the terminating empty line")]
    Truncated {
        /// The command.
        part: Part,
        /// Bytes of this reply so far.
        bytes: u64,
    },
    /// The connection was closed after one of two replies.
    #[error("no answer to \"{part}\"")]
    Missing {
        /// The command.
        part: Part,
    },
    /// The reply is longer than `max-reply-size`.
    #[error(
        "the answer to \"{part}\" is longer than max-reply-size = {limit} bytes; raise it in [pull] if that is expected"
    )]
    TooLarge {
        /// The command.
        part: Part,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More came after the end.
    #[error("unexpected data after the end of the answer")]
    Surplus,
}

/// Splits the bytes of one connection into the replies to the commands that were sent on it.
///
/// Bytes go in as they come and leave as [`Event`]s; how they are cut into chunks makes no difference.
#[derive(Debug)]
pub struct Splitter {
    /// The replies still to come, the current one first.
    parts: &'static [Part],
    limit: u64,
    /// Bytes of the current reply so far.
    bytes: u64,
    /// Whether any byte came at all.
    started: bool,
    /// Within quotes: a line break does not end the row.
    quoted: bool,
    /// The previous byte closed the quotes; a quote now means that it was the first of two.
    closed: bool,
    /// The previous byte ended a field, so a quote now opens one.
    field_start: bool,
    /// The previous byte ended a line, so a line break now ends the reply.
    line_start: bool,
    /// The current reply ended; the event says so on the next call.
    ended: bool,
    /// Beginning of the first line of the current reply, until it is judged.
    first: Option<Vec<u8>>,
}

impl Splitter {
    /// For a connection on which `parts` were asked for in this order. `limit`: most bytes of one reply.
    #[must_use]
    pub fn new(parts: &'static [Part], limit: u64) -> Self {
        Self {
            parts,
            limit,
            bytes: 0,
            started: false,
            quoted: false,
            closed: false,
            field_start: true,
            line_start: false,
            ended: false,
            first: Some(Vec::new()),
        }
    }

    /// Whether every reply has ended. Nothing but the end of the connection may follow.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.parts.is_empty()
    }

    /// Takes bytes from the front of `chunk` and returns what they mean; `None` when the chunk is used up.
    ///
    /// # Errors
    /// The reply is not one; see [`ReplyError`].
    pub fn next<'a>(&mut self, chunk: &mut &'a [u8]) -> Result<Option<Event<'a>>, ReplyError> {
        let Some((&part, rest)) = self.parts.split_first() else {
            return if chunk.is_empty() { Ok(None) } else { Err(ReplyError::Surplus) };
        };
        if self.ended {
            let limit = self.limit;
            *self = Self { started: true, ..Self::new(rest, limit) };
            return Ok(Some(Event::End(part)));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        self.started = true;
        let room = usize::try_from(self.limit.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(ReplyError::TooLarge { part, limit: self.limit });
        }
        let allowed = &chunk[..chunk.len().min(room)];
        self.judge_first_line(part, allowed)?;
        let (taken, left) = chunk.split_at(self.scan(part, allowed));
        *chunk = left;
        self.bytes += taken.len() as u64;
        Ok(Some(Event::Bytes(part, taken)))
    }

    /// The connection was closed.
    ///
    /// # Errors
    /// A reply is missing or not complete.
    pub fn finish(&self) -> Result<(), ReplyError> {
        let Some(&part) = self.parts.first() else { return Ok(()) };
        match &self.first {
            _ if !self.started => Err(ReplyError::Empty),
            Some(line) if line.is_empty() => Err(ReplyError::Missing { part }),
            // The beginning of a reply is truncated; anything else is an error message without its line break.
            Some(line) if !may_start(part, line) => Err(refused(part, line)),
            _ => Err(ReplyError::Truncated { part, bytes: self.bytes }),
        }
    }

    /// Keeps the beginning of the first line until it is certain what it is.
    fn judge_first_line(&mut self, part: Part, chunk: &[u8]) -> Result<(), ReplyError> {
        let Some(line) = &mut self.first else { return Ok(()) };
        let room = &chunk[..chunk.len().min(FIRST_LINE.saturating_sub(line.len()))];
        let end = memchr::memchr(b'\n', room);
        line.extend_from_slice(end.and_then(|end| room.get(..end)).unwrap_or(room));
        if end.is_none() && line.len() < FIRST_LINE {
            return Ok(());
        }
        if !starts(part, line) {
            return Err(refused(part, line));
        }
        self.first = None;
        Ok(())
    }

    /// How many bytes of the chunk belong to the current reply.
    fn scan(&mut self, part: Part, chunk: &[u8]) -> usize {
        let mut from = 0;
        // Every way round looks at one quote or one line break; what lies between them is skipped.
        loop {
            let rest = chunk.get(from..).unwrap_or_default();
            let found = match part {
                Part::Info => memchr::memchr(b'\n', rest),
                Part::Stat if self.quoted => memchr::memchr(b'"', rest),
                Part::Stat => memchr::memchr2(b'\n', b'"', rest),
            };
            let skipped = rest.get(..found.unwrap_or(rest.len())).unwrap_or_default();
            if let Some(last) = skipped.last() {
                self.closed = false;
                self.field_start = *last == b',';
                self.line_start = false;
            }
            let Some(at) = found else { return chunk.len() };
            from += at + 1;
            if rest.get(at) == Some(&b'"') {
                let was_quoted = self.quoted;
                self.quoted = !was_quoted && (self.field_start || self.closed);
                self.closed = was_quoted;
                self.field_start = false;
                self.line_start = false;
            } else if self.line_start {
                self.ended = true;
                return from;
            } else {
                self.closed = false;
                self.field_start = true;
                self.line_start = true;
            }
        }
    }
}

/// Whether this first line (or as much of it as is kept) starts the reply.
fn starts(part: Part, line: &[u8]) -> bool {
    match part {
        Part::Info => memchr::memmem::find(line, INFO_SEPARATOR).and_then(|at| line.get(..at)).is_some_and(|name| {
            !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        }),
        Part::Stat => line.starts_with(STAT_HEADER),
    }
}

/// Whether a first line that was cut off here may have been the start of the reply.
fn may_start(part: Part, line: &[u8]) -> bool {
    starts(part, line) || (part == Part::Stat && STAT_HEADER.starts_with(line))
}

fn refused(part: Part, line: &[u8]) -> ReplyError {
    // What a peer sends must not forge log lines.
    let line = String::from_utf8_lossy(line).trim().chars().flat_map(char::escape_debug).collect();
    ReplyError::Refused { part, line }
}

#[cfg(test)]
mod tests;
