//! Moments as people write them: seconds since the epoch, or a date and a time of RFC 3339. Always UTC where it is not said
//! otherwise, without leap seconds, which the clock does not have either.

use super::Epoch;
use std::fmt;

const DAY: i64 = 86_400;

/// The moment that a text says: `1796025600`, `2026-11-30T08:00:00Z`, `2026-11-30T09:00:00+01:00`, or `2026-11-30`, which is the
/// beginning of that day. Fractions of a second are cut off.
#[must_use]
pub fn parse(text: &str) -> Option<Epoch> {
    if let Some(epoch) = Epoch::from_name(text) {
        return Some(epoch);
    }
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let midnight = day(date)? * DAY;
    let seconds = if rest.is_empty() { 0 } else { time(rest)? };
    u64::try_from(midnight + seconds).ok().map(Epoch)
}

/// Number of a day since the epoch.
fn day(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    (1..=last).contains(&day).then(|| days_since_epoch(year, month, day))
}

/// Seconds since midnight UTC of `T08:00:00.5+01:00`.
fn time(text: &str) -> Option<i64> {
    let text = text.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = (text.get(..8)?, text.get(8..)?);
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let ahead = match rest {
        "Z" | "z" => 0,
        _ => {
            let offset = rest.strip_prefix(['+', '-'])?;
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            let ahead = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if rest.starts_with('-') { -ahead } else { ahead }
        }
    };
    // A leap second is the first of the next minute.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second - ahead)
}

/// Numbers with so many digits each.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01, in years that begin in March, so that the leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since the epoch.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The date of a moment, `2026-11-30`, in UTC.
#[must_use]
pub fn date(epoch: Epoch) -> String {
    let (year, month, day) = date_of(i64::try_from(epoch.0).unwrap_or(i64::MAX) / DAY);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Whether a name is that of a day, as [`date`] writes it.
#[must_use]
pub(crate) fn is_date(name: &str) -> bool {
    name.len() == 10 && day(name).is_some()
}

/// A moment as RFC 3339 writes it, `2026-11-30T08:00:00Z`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rfc3339(pub Epoch);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_day = self.0.0 % 86_400;
        write!(f, "{}T{:02}:{:02}:{:02}Z", date(self.0), of_day / 3600, of_day / 60 % 60, of_day % 60)
    }
}

/// Moments from one on, and before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The first; `None` is the beginning.
    pub from: Option<Epoch>,
    /// The first that is not in it; `None` is the end.
    pub to: Option<Epoch>,
}

impl Span {
    /// Whether a moment is in it.
    #[must_use]
    pub fn has(&self, epoch: Epoch) -> bool {
        self.from.is_none_or(|from| from <= epoch) && self.to.is_none_or(|to| epoch < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_and_dates_are_moments() {
        for (text, seconds) in [
            ("0", 0),
            ("1796025600", 1_796_025_600),
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-30T08:00:00Z", 1_796_025_600),
            ("2026-11-30t09:30:00.25+01:30", 1_796_025_600),
            ("2026-11-29 23:00:00-09:00", 1_796_025_600),
            ("2024-02-29", 1_709_164_800),
            ("2000-02-29T23:59:60Z", 951_868_800),
        ] {
            assert_eq!(parse(text), Some(Epoch(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "yesterday",
            "-1",
            "2026-11-31",
            "2023-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-1-1",
            "2026-11-30T",
            "2026-11-30T08:00",
            "2026-11-30T08:00:00",
            "2026-11-30T24:00:00Z",
            "2026-11-30T08:60:00Z",
            "2026-11-30T08:00:00+1:00",
            "2026-11-30T08:00:00Zx",
            "1969-12-31T23:59:59Z",
            "２026-11-30",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0_u64..253_402_300_800) {
            let epoch = Epoch(seconds);
            prop_assert_eq!(parse(&Rfc3339(epoch).to_string()), Some(epoch));
            prop_assert!(is_date(&date(epoch)));
            prop_assert_eq!(parse(&date(epoch)), Some(Epoch(seconds - seconds % 86_400)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}
