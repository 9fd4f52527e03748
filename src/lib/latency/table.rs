//! The reply to `show table NAME`.
//!
//! ```text
//! # table: latency, type: string, size:102400, used:1
//! 0x7f08a497a0b8: key=www/s1/response/1,2,5/28519/ use=0 exp=0 shard=0 gpc0=0 gpc1=2 gpc2=3 gpc3=3 gpc4=9
//! ```

use super::key::{Key, KeyError};
use super::layout::{Layout, LayoutError};

/// Why a reply is of no use at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// HAProxy has no such table.
    #[error("HAProxy has no table of this name")]
    Missing,
    /// The socket may not show what is in tables.
    #[error("the socket's level does not allow showing it: add \"level operator\" to HAProxy's stats socket line")]
    Refused,
    /// Something else.
    #[error("the answer is \"{0}\"")]
    Other(String),
}

/// Why a row is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// No key, or a number that is none.
    #[error("it is not a row of a table")]
    Malformed,
    /// Not a key of ours.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a layout.
    #[error("its key names timers or bounds that haproxystats does not support: {0}")]
    Layout(#[from] LayoutError),
    /// Array and bounds do not fit.
    #[error("it has {found} counters, but its bounds need {needed}: write \"store gpc({needed})\" in the table")]
    Counters {
        /// How many there are.
        found: usize,
        /// How many there should be.
        needed: usize,
    },
}

/// What the first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The most rows that it holds: HAProxy drops others to make room.
    pub size: u64,
    /// How many there are.
    pub used: u64,
}

/// A row.
#[derive(Debug)]
pub struct Row<'a> {
    /// What it is of.
    pub key: Key<'a>,
    /// Counters of each timer.
    pub of_timer: usize,
    /// Its counters, as many as the layout needs.
    pub counters: &'a [u32],
}

/// Layouts that are remembered at most.
const MOST_KNOWN: usize = 64;

/// Reads rows; remembers the layouts that it has seen, of which there are few.
#[derive(Debug, Default)]
pub struct Reader {
    known: Vec<(String, Layout)>,
    counters: Vec<u32>,
}

impl Reader {
    /// Tells `take` each row, or why it is left out and how it begins.
    ///
    /// # Errors
    /// There are none.
    pub fn read(
        &mut self,
        reply: &[u8],
        mut take: impl FnMut(Result<Row<'_>, (RowError, &[u8])>),
    ) -> Result<Header, TableError> {
        let mut lines = reply.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let header = header(first)?;
        for line in lines {
            if line.starts_with(b"# contents not dumped due to insufficient privileges") {
                return Err(TableError::Refused);
            }
            match self.row(line) {
                Ok((key, of_timer)) => take(Ok(Row { key, of_timer, counters: &self.counters })),
                Err(error) => take(Err((error, line))),
            }
        }
        Ok(header)
    }

    fn row<'a>(&mut self, line: &'a [u8]) -> Result<(Key<'a>, usize), RowError> {
        let line = std::str::from_utf8(line).map_err(|_| RowError::Malformed)?;
        let mut words = line.split(' ');
        let key = words.find_map(|word| word.strip_prefix("key=")).ok_or(RowError::Malformed)?;
        let key = Key::parse(key)?;
        let (needed, of_timer) = self.elements(key.layout)?;
        self.counters.clear();
        let mut found = 0;
        for word in words {
            let Some((place, value)) = word.strip_prefix("gpc").and_then(|word| word.split_once('=')) else { continue };
            // Others of that kind have names that are no numbers.
            let Ok(place) = place.parse::<usize>() else { continue };
            if place != found {
                return Err(RowError::Malformed);
            }
            found += 1;
            self.counters.push(value.parse().map_err(|_| RowError::Malformed)?);
        }
        if found == needed { Ok((key, of_timer)) } else { Err(RowError::Counters { found, needed }) }
    }

    /// How many counters a row of this layout has, and each timer of it.
    fn elements(&mut self, text: &str) -> Result<(usize, usize), LayoutError> {
        let size = |layout: &Layout| (layout.elements(), layout.of_timer());
        if let Some((_, layout)) = self.known.iter().find(|(known, _)| known == text) {
            return Ok(size(layout));
        }
        let (timers, bounds) = text.split_once('/').unwrap_or((text, ""));
        let layout = Layout::parse(timers, bounds)?;
        let elements = size(&layout);
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.push((text.to_owned(), layout));
        Ok(elements)
    }
}

fn header(line: &[u8]) -> Result<Header, TableError> {
    let text = String::from_utf8_lossy(line);
    if text.starts_with("No such table") {
        return Err(TableError::Missing);
    }
    let number = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let known = text.starts_with("# table: ").then(|| number(" size:").zip(number(" used:"))).flatten();
    match known {
        Some((size, used)) => Ok(Header { size, used }),
        // What a peer sends must not forge log lines.
        None => Err(TableError::Other(text.chars().take(120).flat_map(char::escape_debug).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# table: latency, type: string, size:1024, used:2\n";

    type Read = (Result<Header, TableError>, Vec<(String, Vec<u32>)>, Vec<RowError>);

    fn read(reply: &str) -> Read {
        let (mut rows, mut refused) = (Vec::new(), Vec::new());
        let header = Reader::default().read(reply.as_bytes(), |row| match row {
            Ok(row) => rows.push((row.key.to_string(), row.counters.to_vec())),
            Err((error, _)) => refused.push(error),
        });
        (header, rows, refused)
    }

    #[test]
    fn rows_as_haproxy_writes_them() {
        let (header, rows, refused) = read(&format!(
            "{HEADER}0x7f08a497a0b8: key=b/s/response/1,2/28519/ use=0 exp=0 shard=0 gpc0=0 gpc1=4294967295 gpc2=3 gpc3=71\n\
             0x7f08a497a0b9: key=b/t/queue/5/1/ use=1 exp=86399999 gpc0=1 gpc1=2 gpc2=3\n\n"
        ));
        assert_eq!(header, Ok(Header { size: 1024, used: 2 }));
        assert_eq!(
            rows,
            [
                ("b/s/response/1,2/28519/".to_owned(), vec![0, u32::MAX, 3, 71]),
                ("b/t/queue/5/1/".to_owned(), vec![1, 2, 3]),
            ]
        );
        assert_eq!(refused, []);
    }

    #[test]
    fn replies_without_rows() {
        assert_eq!(read("No such table\n\n").0, Err(TableError::Missing));
        let refused = format!("{HEADER}# contents not dumped due to insufficient privileges\n\n");
        assert_eq!(read(&refused).0, Err(TableError::Refused));
        for other in ["", "\n", "Permission denied\n", "# table: x, type: string\n"] {
            assert!(matches!(read(other).0, Err(TableError::Other(_))), "{other:?}");
        }
        assert!(read(HEADER).0.is_ok());
    }

    #[test]
    fn rows_that_do_not_fit_say_why() {
        for (row, words) in [
            ("0x1: use=0 gpc0=1", "not a row"),
            ("0x1: key=192.0.2.1 use=0 gpc0=1", "--latency-rules"),
            ("0x1: key=a/b/response/1,2 use=0 gpc0=1", "truncated"),
            ("0x1: key=a/b/total/1,2/7/ use=0 gpc0=1", "\"total\" is not a timer"),
            ("0x1: key=a/b/response/2,1/7/ use=0 gpc0=1", "must ascend"),
            ("0x1: key=a/b/response/1,2/7/ use=0 gpc0=1 gpc1=1 gpc2=1", "store gpc(4)"),
            ("0x1: key=a/b/response/1,2/7/ use=0", "has 0 counters"),
            ("0x1: key=a/b/response/1/7/ gpc0=1 gpc1=1 gpc2=4294967296", "not a row"),
            ("0x1: key=a/b/response/1/7/ gpc0=1 gpc2=1 gpc1=1", "not a row"),
        ] {
            let (header, rows, refused) = read(&format!("{HEADER}{row}\n"));
            assert!(header.is_ok() && rows.is_empty());
            assert!(refused[0].to_string().contains(words), "{row}: {}", refused[0]);
        }
    }
}
