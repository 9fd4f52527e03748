//! Formats numbers briefly, for columns, and times in words, for sentences.

/// A count or a rate: `0.3`, `12`, `345`, `1.2k`, `123k`, `4.5M`.
pub(super) fn count(value: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut value, mut units) = (value, UNITS.iter());
    let mut unit = units.next().copied().unwrap_or_default();
    if value > 0.0 && value < 0.05 {
        return "<0.1".to_owned();
    }
    while value >= 999.5
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1000.0, next);
    }
    let with_fraction = value < 9.95 && (!unit.is_empty() || (value - value.round()).abs() >= 0.05);
    if with_fraction { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

/// Milliseconds: `12ms`, `1.2s`, `75s`.
pub(super) fn milliseconds(value: f64) -> String {
    match value {
        _ if value < 999.5 => format!("{value:.0}ms"),
        _ if value < 9950.0 => format!("{:.1}s", value / 1000.0),
        _ => format!("{:.0}s", value / 1000.0),
    }
}

/// A fraction as a percentage.
pub(super) fn percent(part: f64) -> String {
    let value = part * 100.0;
    if value > 0.0 && value < 0.95 { "<1%".to_owned() } else { format!("{value:.0}%") }
}

/// A time in the largest suitable unit: the number, and the index of the unit.
fn largest(seconds: i64) -> (i64, usize) {
    const UNITS: [i64; 4] = [1, 60, 3600, 86_400];
    let seconds = seconds.max(0);
    // Use a unit only from two of it on, so that rounding does not lose too much: 90 s stays 90 s.
    let place = UNITS.iter().rposition(|unit| seconds >= 2 * unit).unwrap_or_default();
    (seconds / UNITS.get(place).copied().unwrap_or(1), place)
}

/// A time in a column: `12s`, `5m`, `3h`, `40d`.
pub(super) fn short_time(seconds: i64) -> String {
    let (count, unit) = largest(seconds);
    format!("{count}{}", ["s", "m", "h", "d"].get(unit).copied().unwrap_or_default())
}

/// A time in a sentence: `12 s`, `5 min`, `3 h`, `40 days`.
pub(super) fn time(seconds: i64) -> String {
    let (count, unit) = largest(seconds);
    format!("{count} {}", ["s", "min", "h", "days"].get(unit).copied().unwrap_or_default())
}

/// `one`, or the number and `many`.
pub(super) fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fit_into_five_letters() {
        for (value, text) in [
            (0.0, "0"),
            (0.01, "<0.1"),
            (0.3, "0.3"),
            (3.0, "3"),
            (9.94, "9.9"),
            (9.96, "10"),
            (345.4, "345"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (12_345.0, "12k"),
            (1_234_567.0, "1.2M"),
            (7.2e9, "7.2G"),
        ] {
            assert_eq!(count(value), text);
        }
        let times = [0.4, 12.0, 999.0, 1234.0, 75_000.0].map(milliseconds);
        assert_eq!(times, ["0ms", "12ms", "999ms", "1.2s", "75s"]);
        assert_eq!([0.0, 0.004, 0.254, 1.0].map(percent), ["0%", "<1%", "25%", "100%"]);
    }

    #[test]
    fn times_are_said_in_one_unit() {
        let all = [0, 119, 120, 7199, 7200, 172_799, 172_800, -5];
        assert_eq!(all.map(short_time), ["0s", "119s", "2m", "119m", "2h", "47h", "2d", "0s"]);
        assert_eq!([12, 300, 10_800, 864_000].map(time), ["12 s", "5 min", "3 h", "10 days"]);
        assert_eq!((plural(1, "host", "hosts"), plural(0, "host", "hosts")), ("1 host".into(), "0 hosts".into()));
    }
}
