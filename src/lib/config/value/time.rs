//! Durations.

use super::number::{float, whole};
use crate::config::reading::Refusal;
use std::time::Duration;

/// Longest duration, in seconds: ten years. Beyond it lie slips, and moments that the clock cannot represent.
const LONGEST: f64 = 315_360_000.0;

/// Seconds, a fraction allowed, from `least` on.
fn seconds_from(text: &str, least: f64, right: &str) -> Result<Duration, Refusal> {
    let wrong = match float(text) {
        None if text.is_empty() => "empty",
        None => "not a number of seconds",
        Some(value) if value < 0.0 => "negative",
        Some(value) if value < least => "too short",
        Some(value) if value > LONGEST => "longer than ten years",
        Some(value) => return Duration::try_from_secs_f64(value).map_err(|error| error.to_string()),
    };
    Err(format!("{wrong}; {right}"))
}

/// A pause: 0 or more.
pub(crate) fn pause(text: &str) -> Result<Duration, Refusal> {
    seconds_from(text, 0.0, "write a number of seconds, 0 or more, such as 0.5 or 10")
}

/// A limit of time: a millisecond or more, since nothing is ever done in no time.
pub(crate) fn time_limit(text: &str) -> Result<Duration, Refusal> {
    seconds_from(text, 0.001, "write a number of seconds above 0, such as 0.5 or 10")
}

/// A limit of time that 0 switches off.
pub(crate) fn optional_time_limit(text: &str) -> Result<Option<Duration>, Refusal> {
    if float(text) == Some(0.0) {
        return Ok(None);
    }
    seconds_from(text, 0.001, "write a number of seconds, such as 0.5 or 2, or 0 for no limit").map(Some)
}

/// Whole seconds, 1 or more.
pub(crate) fn whole_seconds(text: &str) -> Result<Duration, Refusal> {
    let value = whole(text, 1, 86_400)?;
    Ok(Duration::from_secs(u64::try_from(value).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::number::{count, workers};
    use super::*;

    #[test]
    fn durations_have_sense() {
        assert_eq!(pause("0"), Ok(Duration::ZERO));
        assert_eq!(time_limit("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(optional_time_limit("0.0"), Ok(None));
        assert_eq!(optional_time_limit("0.5"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(whole_seconds("10"), Ok(Duration::from_secs(10)));
        for bad in ["-1", "nan", "inf", "1e300", "2 s", ""] {
            assert!(pause(bad).is_err(), "{bad:?}");
        }
        assert!(time_limit("0").is_err() && whole_seconds("0").is_err() && whole_seconds("1.5").is_err());
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_would_be_right() {
        let whole = |text: &str| workers(text).unwrap_err();
        let right = "write a whole number from 1 to 1024";
        for (text, wrong) in [
            ("", "empty"),
            ("0", "below 1"),
            ("1025", "above 1024"),
            ("1.5", "not a whole number"),
            ("many", "not a number"),
        ] {
            assert_eq!(whole(text), format!("{wrong}; {right}"));
        }
        assert_eq!(count("0").unwrap_err(), "below 1; write a whole number, 1 or more");
        let right = "write a number of seconds above 0, such as 0.5 or 10";
        for (text, wrong) in [
            ("", "empty"),
            ("2 s", "not a number of seconds"),
            ("-1", "negative"),
            ("0", "too short"),
            ("1e9", "longer than ten years"),
        ] {
            assert_eq!(time_limit(text).unwrap_err(), format!("{wrong}; {right}"));
        }
        assert_eq!(time_limit("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(pause("315360000"), Ok(Duration::from_secs(315_360_000)));
    }
}
