//! `keep`: how long what is stored stays, and how much of it.

use super::reading::Refusal;
use std::time::Duration;

/// Bounds of what is stored; without any, all of it stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// What is older is removed.
    pub age: Option<Duration>,
    /// The oldest is removed as long as there is more.
    pub bytes: Option<u64>,
}

/// Units of time, in seconds.
const TIMES: [(&str, u64); 5] = [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];

/// Units of size, in bytes.
const SIZES: [(&str, u64); 4] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

/// No bounds.
const ALL: &str = "all";

const RIGHT: &str = "write an age, a size, or both, such as 7d, 10G (units s, min, h, d, w and K, M, G, T), or all";

impl Keep {
    /// Whether anything is ever removed.
    #[must_use]
    pub(crate) fn is_bounded(&self) -> bool {
        *self != Self::default()
    }
}

/// An age, a size, or both, in any order; or `all`.
pub(super) fn keep(text: &str) -> Result<Keep, Refusal> {
    let words: Vec<&str> = text.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [] => return Err(format!("empty; {RIGHT}")),
        [ALL] => return Ok(Keep::default()),
        _ => {}
    }
    let mut keep = Keep::default();
    for word in words {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = word.split_at(digits);
        let number: u64 = number.parse().map_err(|_| format!("{word:?} is not a number with a unit; {RIGHT}"))?;
        let size = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B')).unwrap_or(unit);
        let factor = |units: &[(&str, u64)], unit: &str| units.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f);
        let amount = |factor: u64| {
            let amount = number.checked_mul(factor).filter(|amount| *amount > 0 && i64::try_from(*amount).is_ok());
            amount.ok_or_else(|| format!("{word:?} is zero or too large; {RIGHT}"))
        };
        let before = if let Some(factor) = factor(&TIMES, unit) {
            keep.age.replace(Duration::from_secs(amount(factor)?)).is_some()
        } else if let Some(factor) = factor(&SIZES, size) {
            keep.bytes.replace(amount(factor)?).is_some()
        } else {
            return Err(format!("{word:?} has an unknown unit; {RIGHT}"));
        };
        if before {
            return Err(format!("{word:?} is a second limit of the same kind; {RIGHT}"));
        }
    }
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_in_any_order() {
        let read = |text| keep(text).map(|keep| (keep.age.map(|age| age.as_secs()), keep.bytes));
        assert_eq!(read("7d, 10G"), Ok((Some(604_800), Some(10 << 30))));
        assert_eq!(read("500MiB 36h"), Ok((Some(129_600), Some(500 << 20))));
        assert_eq!(read("2w"), Ok((Some(1_209_600), None)));
        assert_eq!(read("64KB"), Ok((None, Some(65_536))));
        assert_eq!((read("90s"), read("5min")), (Ok((Some(90), None)), Ok((Some(300), None))));
        assert_eq!(read("all"), Ok((None, None)));
        assert!(!Keep::default().is_bounded());
    }

    #[test]
    fn what_is_neither_is_refused_with_what_would_be_right() {
        for text in ["", "7", "7m", "d", "0d", "0G", "-1d", "1.5G", "all 7d", "7d 8d", "1G 2G", "99999999999999999999G"]
        {
            let refusal = keep(text).unwrap_err();
            assert!(refusal.ends_with(RIGHT), "{text}: {refusal}");
        }
    }
}
