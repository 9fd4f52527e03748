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
    #[error("the answer to \"{part}\" ends after {bytes} bytes without the empty line that ends it")]
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
        "the answer to \"{part}\" is longer than max-reply-size = {limit} bytes; set a larger one in [pull] if it is to be"
    )]
    TooLarge {
        /// The command.
        part: Part,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More came after the end.
    #[error("more follows after the end of the answer")]
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
    pub fn is_complete(&self) -> bool {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: &[Part] = &[Part::Info, Part::Stat];
    const INFO: &str = "Name: HAProxy\nVersion: 2.6.12\nNode: lb-01\n\n";
    const STAT: &str = "# pxname,svname,last_chk,\nweb,s1,OK,\nweb,s2,\"no \"\"pong\"\"\n\nat all\",\n\n";

    /// Both replies, or why there are none. Every chunk goes in on its own.
    fn split(parts: &'static [Part], limit: u64, chunks: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), ReplyError> {
        let (mut info, mut stat, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut splitter = Splitter::new(parts, limit);
        for chunk in chunks {
            let mut chunk = *chunk;
            while let Some(event) = splitter.next(&mut chunk)? {
                match event {
                    Event::Bytes(Part::Info, bytes) => info.extend_from_slice(bytes),
                    Event::Bytes(Part::Stat, bytes) => stat.extend_from_slice(bytes),
                    Event::End(part) => ends.push(part),
                }
            }
        }
        splitter.finish()?;
        assert!(splitter.is_complete());
        assert_eq!(ends, parts);
        Ok((info, stat))
    }

    fn whole(reply: &str) -> Result<(Vec<u8>, Vec<u8>), ReplyError> {
        split(BOTH, 1 << 20, &[reply.as_bytes()])
    }

    fn refused(part: Part, line: &str) -> ReplyError {
        ReplyError::Refused { part, line: line.to_owned() }
    }

    #[test]
    fn both_replies_of_one_connection_are_told_apart() {
        let (info, stat) = whole(&format!("{INFO}{STAT}")).unwrap();
        assert_eq!((info.as_slice(), stat.as_slice()), (INFO.as_bytes(), STAT.as_bytes()));
    }

    #[test]
    fn a_single_command_is_a_single_reply() {
        assert_eq!(split(&[Part::Info], 1000, &[INFO.as_bytes()]).unwrap().0, INFO.as_bytes());
        assert_eq!(split(&[Part::Stat], 1000, &[STAT.as_bytes()]).unwrap().1, STAT.as_bytes());
    }

    #[test]
    fn a_header_without_rows_is_a_reply() {
        assert!(split(&[Part::Stat], 1000, &[b"# pxname,svname,\n\n"]).is_ok());
    }

    #[test]
    fn every_cut_of_a_reply_is_an_error() {
        let reply = format!("{INFO}{STAT}");
        for end in 0..reply.len() {
            let error = whole(&reply[..end]).unwrap_err();
            let expected = match end {
                0 => matches!(error, ReplyError::Empty),
                // "Name" alone is no reply yet; from the separator on it is one.
                _ if end < "Name: ".len() => matches!(error, ReplyError::Refused { part: Part::Info, .. }),
                _ if end < INFO.len() => error == ReplyError::Truncated { part: Part::Info, bytes: end as u64 },
                _ if end == INFO.len() => error == ReplyError::Missing { part: Part::Stat },
                _ => error == ReplyError::Truncated { part: Part::Stat, bytes: (end - INFO.len()) as u64 },
            };
            assert!(expected, "cut at {end}: {error:?}");
        }
    }

    #[test]
    fn error_messages_are_not_replies() {
        let cases = [
            ("Permission denied\n\n", refused(Part::Info, "Permission denied")),
            ("Permission denied", refused(Part::Info, "Permission denied")),
            ("Unknown command. Please enter one of the following commands only :\n  help\n\n", {
                refused(Part::Info, "Unknown command. Please enter one of the following commands only :")
            }),
            ("\n", refused(Part::Info, "")),
            // The CLI of a master process, of HAProxy 2.8 and later: its command list holds ": ", and so does this.
            ("Unknown command: 'show', but maybe one of these is a better match:\n  show proc : x\n\n", {
                refused(Part::Info, "Unknown command: \\'show\\', but maybe one of these is a better match:")
            }),
            ("220 mail: ready\n\n", refused(Part::Info, "220 mail: ready")),
            ("# pxname,svname,\n\n", refused(Part::Info, "# pxname,svname,")),
            ("HTTP/1.0 400 Bad request\r\nServer: x\r\n", refused(Part::Info, "HTTP/1.0 400 Bad request")),
        ];
        for (reply, error) in cases {
            assert_eq!(whole(reply).unwrap_err(), error, "{reply:?}");
        }
        for line in ["Permission denied\n\n", "pxname,svname\n", "\n", "# pxnames"] {
            let error = whole(&format!("{INFO}{line}")).unwrap_err();
            assert_eq!(error, refused(Part::Stat, line.trim()), "{line:?}");
        }
    }

    #[test]
    fn what_a_peer_says_cannot_forge_a_log_line() {
        let ReplyError::Refused { line, .. } = whole("oh\r\u{1b}[31m \u{7f} no\nERROR").unwrap_err() else { panic!() };
        assert_eq!(line, "oh\\r\\u{1b}[31m \\u{7f} no");
    }

    #[test]
    fn an_endless_first_line_is_judged_early() {
        let error = split(BOTH, u64::MAX, &[&[b'x'; 4000]]).unwrap_err();
        assert_eq!(error, refused(Part::Info, &"x".repeat(FIRST_LINE)));
    }

    #[test]
    fn a_reply_may_be_as_long_as_the_limit_and_no_longer() {
        let stat = STAT.len() as u64;
        assert!(split(&[Part::Stat], stat, &[STAT.as_bytes()]).is_ok());
        let error = split(&[Part::Stat], stat - 1, &[STAT.as_bytes()]).unwrap_err();
        assert_eq!(error, ReplyError::TooLarge { part: Part::Stat, limit: stat - 1 });
    }

    #[test]
    fn the_limit_is_for_each_reply_and_nothing_beyond_it_is_passed_on() {
        let reply = format!("{INFO}{STAT}");
        let longest = INFO.len().max(STAT.len()) as u64;
        assert!(split(BOTH, longest, &[reply.as_bytes()]).is_ok());
        let mut splitter = Splitter::new(&[Part::Stat], 100);
        let endless = STAT_HEADER.iter().chain(std::iter::repeat_n(&b'x', 500)).copied().collect::<Vec<_>>();
        let (mut chunk, mut passed) = (endless.as_slice(), 0);
        while let Ok(Some(event)) = splitter.next(&mut chunk) {
            let Event::Bytes(_, bytes) = event else { panic!() };
            passed += bytes.len();
        }
        assert_eq!(passed, 100);
    }

    #[test]
    fn nothing_may_follow_the_end() {
        assert_eq!(whole(&format!("{INFO}{STAT}> ")).unwrap_err(), ReplyError::Surplus);
        // An empty line in the middle of the rows, as corrupted dumps have it.
        let corrupt = "# pxname,svname,\nweb,s1,\n\nweb,s2,\n\n";
        assert_eq!(whole(&format!("{INFO}{corrupt}")).unwrap_err(), ReplyError::Surplus);
    }

    #[test]
    fn a_quote_within_a_field_is_a_character() {
        for row in
            ["web,s\"1,", "web,s\"\"1,\"\"", "web,\"\",x\"", "web,\"a\"\"\n\n\"\"b\",\"\"\"\n\n\"", "\"web\"x\","]
        {
            assert!(whole(&format!("{INFO}# pxname,svname,\n{row}\n\n")).is_ok(), "{row:?}");
        }
    }

    #[test]
    fn an_open_quote_is_a_truncated_reply() {
        let error = whole(&format!("{INFO}# pxname,svname,\nweb,\"s1,\n\n")).unwrap_err();
        assert!(matches!(error, ReplyError::Truncated { part: Part::Stat, .. }), "{error:?}");
    }

    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "Name: HAProxy\n",
            "Permission denied",
            "# pxname,",
            "web,s1,",
            "\n",
            "\n\n",
            "\"",
            "\"\"",
            ",",
            ": ",
            "x",
        ]);
        let pieces = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
        let well = pieces.clone().prop_map(|end| [INFO.as_bytes(), STAT.as_bytes(), &end].concat());
        let half = pieces.clone().prop_map(|end| [INFO.as_bytes(), STAT_HEADER, &end].concat());
        prop_oneof![pieces, well, half, prop::collection::vec(any::<u8>(), 0..300)]
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            reply in reply(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            limit in prop_oneof![Just(u64::MAX), 1_u64..400],
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(reply.len() + 1)).collect();
            cuts.extend([0, reply.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &reply[pair[0]..pair[1]]).collect();
            let bytes: Vec<_> = reply.chunks(1).collect();
            let expected = split(BOTH, limit, &[&reply]);
            prop_assert_eq!(&split(BOTH, limit, &chunks), &expected);
            prop_assert_eq!(&split(BOTH, limit, &bytes), &expected);
        }

        #[test]
        fn whatever_a_field_holds_quoting_keeps_it_together(
            rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r ]{0,6}", 3), 0..5),
            size in 1_usize..9,
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["# pxname", "svname", "last_chk", "last_agt"]).unwrap();
            for row in &rows {
                writer.write_record(std::iter::once("web").chain(row.iter().map(String::as_str))).unwrap();
            }
            let mut stat = writer.into_inner().unwrap();
            stat.push(b'\n');
            let chunks: Vec<_> = stat.chunks(size).collect();
            prop_assert_eq!(split(&[Part::Stat], u64::MAX, &chunks).unwrap().1, stat);
        }

        #[test]
        fn what_is_accepted_is_passed_on_unchanged(reply in reply()) {
            if let Ok((info, stat)) = split(BOTH, u64::MAX, &[&reply]) {
                prop_assert!(info.ends_with(b"\n\n") && stat.ends_with(b"\n\n"));
                prop_assert_eq!([info, stat].concat(), reply);
            }
        }
    }
}
