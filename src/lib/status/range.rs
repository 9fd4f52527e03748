//! Thresholds as Nagios' guidelines for plug-ins have them: `10`, `10:`, `~:10`, `10:20`, `@10:20`.

use std::fmt;
use std::str::FromStr;

/// What is good. `10` is 0 to 10, `10:` is 10 and more, `~:10` is 10 and less, `@10:20` is what is not from 10 to 20.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    start: f64,
    end: f64,
    inside_alerts: bool,
}

/// Text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a range; write a number, or START:END")]
pub(crate) struct RangeError(String);

impl Range {
    /// 0 to `end`.
    pub(crate) const fn up_to(end: f64) -> Self {
        Self { start: 0.0, end, inside_alerts: false }
    }

    /// Every number.
    pub(crate) const fn everything() -> Self {
        Self { start: f64::NEG_INFINITY, end: f64::INFINITY, inside_alerts: false }
    }

    /// Whether the value is good.
    pub(crate) fn allows(self, value: f64) -> bool {
        (self.start..=self.end).contains(&value) != self.inside_alerts
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let refused = || RangeError(text.to_owned());
        let (inside_alerts, rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(refused);
        let (start, end) = match rest.split_once(':') {
            None => (0.0, number(rest)?),
            Some((start, end)) => {
                let start = match start {
                    "~" => f64::NEG_INFINITY,
                    // Left out by some; the guidelines allow it for 0.
                    "" => 0.0,
                    start => number(start)?,
                };
                (start, if end.is_empty() { f64::INFINITY } else { number(end)? })
            }
        };
        if rest.is_empty() || start > end {
            return Err(refused());
        }
        Ok(Self { start, end, inside_alerts })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inside_alerts {
            f.write_str("@")?;
        }
        if self.start == f64::NEG_INFINITY {
            f.write_str("~:")?;
        } else if self.start != 0.0 || self.end == f64::INFINITY {
            write!(f, "{}:", self.start)?;
        }
        if self.end == f64::INFINITY { Ok(()) } else { write!(f, "{}", self.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_guidelines() {
        for (text, good, bad) in [
            ("10", &[0.0, 5.0, 10.0][..], &[-1.0, 10.1][..]),
            ("10:", &[10.0, 1e9], &[9.9, -1.0]),
            ("~:10", &[-1e9, 10.0], &[10.1]),
            ("10:20", &[10.0, 20.0], &[9.9, 20.1]),
            ("@10:20", &[9.9, 20.1], &[10.0, 15.0, 20.0]),
            ("0", &[0.0], &[1.0]),
            ("@0", &[1.0, -1.0], &[0.0]),
            ("~:", &[-1e9, 0.0, 1e9], &[]),
            ("0:", &[0.0, 1e9], &[-1.0]),
        ] {
            let range: Range = text.parse().unwrap();
            assert!(good.iter().all(|value| range.allows(*value)), "{text}");
            assert!(!bad.iter().any(|value| range.allows(*value)), "{text}");
            assert_eq!(range.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_range() {
        for text in ["", "x", "10:5", "1:2:3", "@", "nan", "inf", ":", "10 20"] {
            match text {
                // 0 and more.
                ":" => assert_eq!(text.parse::<Range>().unwrap().to_string(), "0:"),
                _ => assert!(text.parse::<Range>().is_err(), "{text}"),
            }
        }
    }
}
