//! Numbers, in the forms of Python's `int()` and `float()`, since those read the existing files: blanks around, a sign, `_`
//! between digits; `1e1` where a fraction is allowed.

use crate::config::reader::is_blank;
use crate::config::reading::Refusal;
use std::num::{NonZeroU64, NonZeroUsize};

/// `retries`: how often a failed connection is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retries {
    /// -1: without limit.
    Forever,
    /// 0 or more: after the first attempt, this many more.
    Times(u32),
}

/// A whole number as Python's `int()` reads it; `None` where it is none or does not fit.
#[must_use]
pub fn integer(text: &str) -> Option<i128> {
    let text = text.trim_matches(is_blank);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = without_underscores(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    let value: i128 = plain.parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// A finite number as Python's `float()` reads it; `None` for anything else.
#[must_use]
pub fn float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_blank);
    let plain = without_underscores(text)?;
    // Letters other than the exponent's would let "inf" and "nan" in.
    let numeric = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    plain.parse().ok().filter(|value: &f64| numeric && value.is_finite())
}

/// Takes out underscores, each of which must stand between two digits; `None` where one does not, or nothing is left.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let misplaced = |at: usize| !(digit(at.checked_sub(1)) && digit(at.checked_add(1)));
    let wrong = bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && misplaced(at));
    (!wrong && !text.is_empty()).then(|| text.replace('_', ""))
}

/// A whole number from `least` to `most`.
pub(in crate::config) fn whole(text: &str, least: i128, most: i128) -> Result<i128, Refusal> {
    let right = || match most {
        _ if most >= i128::from(u32::MAX) => format!("write a whole number, {least} or more"),
        _ => format!("write a whole number from {least} to {most}"),
    };
    match integer(text) {
        Some(value) if value < least => Err(format!("below {least}; {}", right())),
        Some(value) if value > most => Err(format!("above {most}; {}", right())),
        Some(value) => Ok(value),
        None if text.is_empty() => Err(format!("empty; {}", right())),
        None if float(text).is_some() => Err(format!("not a whole number; {}", right())),
        None => Err(format!("not a number; {}", right())),
    }
}

/// -1 is without limit.
pub(crate) fn retries(text: &str) -> Result<Retries, Refusal> {
    let times = whole(text, -1, i128::from(u32::MAX))?;
    Ok(u32::try_from(times).map_or(Retries::Forever, Retries::Times))
}

/// 1 or more.
pub(crate) fn count(text: &str) -> Result<NonZeroUsize, Refusal> {
    let value = whole(text, 1, i64::MAX.into())?;
    usize::try_from(value).ok().and_then(NonZeroUsize::new).ok_or_else(|| "too large for this machine".to_owned())
}

/// 1 or more, bytes.
pub(crate) fn bytes(text: &str) -> Result<NonZeroU64, Refusal> {
    let value = whole(text, 1, i64::MAX.into())?;
    u64::try_from(value).ok().and_then(NonZeroU64::new).ok_or_else(|| "too large".to_owned())
}

/// Number of worker processes: as many as a machine could have a use for.
pub(crate) fn workers(text: &str) -> Result<NonZeroUsize, Refusal> {
    let value = whole(text, 1, 1024)?;
    usize::try_from(value).ok().and_then(NonZeroUsize::new).ok_or_else(|| "too large for this machine".to_owned())
}

/// A TCP port.
pub(crate) fn port(text: &str) -> Result<u16, Refusal> {
    let value = whole(text, 1, u16::MAX.into())?;
    u16::try_from(value).map_err(|_| "not a port; write a whole number from 1 to 65535".to_owned())
}

/// A factor: a finite number, 0 or more.
pub(crate) fn factor(text: &str) -> Result<f64, Refusal> {
    match float(text) {
        Some(value) if value < 0.0 => Err("negative; write a number, 1 or more".to_owned()),
        Some(value) if value > 1000.0 => Err("above 1000; write a number from 1 to 1000".to_owned()),
        Some(value) => Ok(value),
        None if text.is_empty() => Err("empty; write a number, 1 or more, such as 2".to_owned()),
        None => Err("not a number; write a number, 1 or more, such as 2".to_owned()),
    }
}

/// A part of a whole: a number from 0 to 1.
pub(crate) fn fraction(text: &str) -> Result<f64, Refusal> {
    let value = float(text).filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "not a fraction; write a number from 0 to 1, such as 0.5".to_owned())
}

/// A whole number from 0 to 100, with or without a percent sign.
pub(crate) fn percent(text: &str) -> Result<u8, Refusal> {
    let number = integer(text.strip_suffix('%').unwrap_or(text));
    number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| *number <= 100)
        .ok_or_else(|| "not a percentage; write a whole number from 0 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_python_writes_them() {
        for (text, value) in [("5", 5), (" 5\t", 5), ("+5", 5), ("-5", -5), ("1_000", 1000), ("007", 7), ("-0", 0)] {
            assert_eq!(integer(text), Some(value), "{text:?}");
        }
        for text in ["", "_1", "1_", "1__0", "1.0", "1e3", "0x10", "+", "- 5", "++5", "5 5", "٥", "nan"] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_as_python_writes_them() {
        let good = [("1", 1.0), (" .5 ", 0.5), ("5.", 5.0), ("1e1", 10.0), ("1_0.2_5", 10.25), ("+1E-3", 0.001)];
        for (text, value) in good {
            assert_eq!(float(text), Some(value), "{text:?}");
        }
        for text in ["", ".", "inf", "-inf", "nan", "infinity", "1e999", "1_.0", "1._0", "1e_1", "0x1p3", "1 2", "e1"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn retries_from_minus_one() {
        assert_eq!(retries("-1"), Ok(Retries::Forever));
        assert_eq!(retries("0"), Ok(Retries::Times(0)));
        assert!(retries("-2").is_err() && retries("1.5").is_err());
    }

    #[test]
    fn factors_and_fractions_have_bounds() {
        for (text, value) in [("0", 0.0), ("1.5", 1.5), ("1000", 1000.0)] {
            assert_eq!(factor(text), Ok(value));
        }
        for (text, wrong) in [("-0.5", "negative"), ("1000.5", "above 1000"), ("", "empty"), ("twice", "not a number")]
        {
            assert!(factor(text).unwrap_err().starts_with(&format!("{wrong};")), "{text:?}");
        }
        assert_eq!((fraction("0"), fraction("1")), (Ok(0.0), Ok(1.0)));
        assert!(fraction("-0.1").is_err() && fraction("1.1").is_err() && fraction("").is_err());
    }
}
