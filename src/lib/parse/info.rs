//! `show info`: lines of `name: value` (management guide 9.3, "show info").

use super::part::Part;
use crate::haproxy::info;
use std::io::{self, Read};

/// Most bytes read of a file: HAProxy prints some two thousand.
const MAX_FILE: u64 = 1 << 20;

/// The figures of one HAProxy process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// By the position of their field in [`info::FIELDS`].
    values: Vec<Option<i128>>,
    /// Lines of known figures whose value is none.
    pub refused: u64,
    /// Those figures, by the same position.
    unknown: Vec<usize>,
    /// Whether the last line has no end: others may have followed it.
    cut_off: bool,
}

/// Why a file was left out.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("cannot be read")]
    Io(#[from] io::Error),
    /// Zero bytes.
    #[error("is empty")]
    Empty,
    /// Not one line names a figure of HAProxy.
    #[error("contains no HAProxy metrics")]
    NoFigures,
}

impl Info {
    /// Reads a reply to `show info`. `refused` is told each line that names a figure and holds none.
    ///
    /// # Errors
    /// When nothing in it can be read.
    pub fn read(input: impl Read, mut refused: impl FnMut(u64, &'static str)) -> Result<Self, FileError> {
        let mut bytes = Vec::new();
        input.take(MAX_FILE).read_to_end(&mut bytes)?;
        if bytes.trim_ascii().is_empty() {
            return Err(FileError::Empty);
        }
        let values = vec![None; info::FIELDS.len()];
        let mut found = Self { values, refused: 0, unknown: Vec::new(), cut_off: !bytes.ends_with(b"\n") };
        let mut lines = bytes.split(|byte| *byte == b'\n').zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            let Some(colon) = memchr::memmem::find(line, b": ") else { continue };
            let (name, value) = line.split_at(colon);
            let Some(index) = std::str::from_utf8(name).ok().and_then(info::index) else { continue };
            let Some(field) = info::FIELDS.get(index) else { continue };
            // HAProxy ends every line: of the last figure in a file that was cut off only the first digits may be there.
            if found.cut_off && lines.peek().is_none() {
                found.unknown.push(index);
                continue;
            }
            // Texts are no figures, save the keys, which are numbers.
            match value.get(2..).and_then(integer) {
                Some(value) => {
                    if let Some(slot) = found.values.get_mut(index) {
                        *slot = Some(value);
                    }
                }
                None if field.is_numeric() => {
                    found.refused += 1;
                    found.unknown.push(index);
                    refused(number, field.name);
                }
                None => {}
            }
        }
        if found.values.iter().all(Option::is_none) { Err(FileError::NoFigures) } else { Ok(found) }
    }

    /// What of it counts where this is its part.
    #[must_use]
    pub(crate) fn of_part(mut self, part: Part) -> Self {
        let takes = |index: usize| {
            let field = info::FIELDS.get(index);
            field.is_some_and(|field| field.combine.is_some_and(|combine| part.takes(field.nature, combine)))
        };
        for (index, value) in self.values.iter_mut().enumerate() {
            value.take_if(|_| !takes(index));
        }
        self.unknown.retain(|index| takes(*index));
        self
    }

    /// The figure at this position of [`info::FIELDS`].
    #[must_use]
    pub fn at(&self, index: usize) -> Option<i128> {
        self.values.get(index).copied().flatten()
    }

    /// Whether this process has a figure at this position of [`info::FIELDS`] that could not be read, or may have one:
    /// where the file was cut off, and `printed` says that others have it.
    #[must_use]
    pub(crate) fn is_unknown(&self, index: usize, printed: impl Fn() -> bool) -> bool {
        self.unknown.contains(&index) || self.cut_off && self.at(index).is_none() && printed()
    }

    /// The figure of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<i128> {
        info::index(name).and_then(|index| self.at(index))
    }
}

/// A whole number of 64 bits, signed or not, in the forms that Python's `int` takes: blanks around it, a sign, single
/// underscores between digits. Files may come from elsewhere than our own pull.
fn integer(text: &[u8]) -> Option<i128> {
    let text = text.trim_ascii();
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    let (first, last) = (digits.first()?, digits.last()?);
    if *first == b'_' || *last == b'_' || digits.windows(2).any(|pair| pair == b"__") {
        return None;
    }
    let value = digits.iter().filter(|byte| **byte != b'_').try_fold(0_i128, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(value * 10 + i128::from(digit)).filter(|value| *value <= i128::from(u64::MAX))
    })?;
    Some(sign * value).filter(|value| *value >= i128::from(i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_are_found_by_name() {
        let text = "Name: HAProxy\nProcess_num: 2\nCurrConns: 4294967288\nUlimit-n: 10\r\nnode: 42\n\nIdle_pct: 5.0\n";
        let mut lines = Vec::new();
        let info = Info::read(text.as_bytes(), |line, name| lines.push((line, name))).unwrap();
        assert_eq!(info.get("CurrConns"), Some(4_294_967_288));
        assert_eq!((info.get("Process_num"), info.get("Ulimit-n")), (Some(2), Some(10)));
        assert_eq!((info.get("Idle_pct"), info.get("Maxconn")), (None, None));
        assert_eq!((info.refused, lines), (1, vec![(7, "Idle_pct")]));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for text in ["", "\n\n", "Permission denied\n", "a: 1\n"] {
            assert!(Info::read(text.as_bytes(), |_, _| {}).is_err(), "{text:?}");
        }
    }

    #[test]
    fn forms_of_integers() {
        for (text, value) in [
            (" 77 ", Some(77)),
            ("+12", Some(12)),
            ("1_000", Some(1000)),
            ("-3", Some(-3)),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("18446744073709551616", None),
            ("-9223372036854775809", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("0x1", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(integer(text.as_bytes()), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Info::read(bytes.as_slice(), |_, _| {});
        }
    }
}
